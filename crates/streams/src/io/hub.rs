//! The hub: one pull fills it, many players drink from it.
//!
//! The [`Feed`] is the pull's end. A [`Player`] is the body of an HTTP response; it knows how far it has
//! read and takes the next frame when its connection has room, so that each goes at its own pace.
//! Players that have read everything sleep, and one push wakes them all.
//!
//! Invariants:
//! - a player gets every byte from where it joined, in order and unchanged, or its body fails;
//! - what is kept is what the slowest player still needs and the join window, never more than
//!   [`limits::RING_BYTES`];
//! - a player is dropped only by the rule of `seats`;
//! - when the feed ends, players get all that was kept, and then a clean end.
//!
//! The one lock is held for a few pointer moves: bytes are neither copied nor freed under it. Only a
//! joining player reads packet headers under it.
//!
//! Not here: how long a stream without players lives (watch [`Hub::players`]); which pull feeds it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    disconnect::Disconnect,
    ring::Ring,
    seats::{Ask, Room, SeatId, Seats, half_mark},
};
use crate::limits;

/// Makes the hub of one stream and the feed that fills it.
#[must_use]
pub fn hub() -> (Feed, Hub) {
    let (players, _) = watch::channel(0);
    let shared = Arc::new(Shared { state: Mutex::default(), players, closed: Notify::new() });
    (
        Feed { hub: Hub(Arc::clone(&shared)), wakers: Vec::new(), freed: Vec::new(), again: None },
        Hub(shared),
    )
}

/// One stream's hub, as its owner sees it.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

/// The pull's end of a hub. Dropping it ends the stream.
#[derive(Debug)]
pub struct Feed {
    hub: Hub,
    /// Kept between pushes for their memory only; empty outside of one.
    wakers: Vec<Waker>,
    freed: Vec<Bytes>,
    /// When a waiting push looks again by itself.
    again: Option<Pin<Box<Sleep>>>,
}

/// One player: the body of its response. Leaving is dropping it.
#[derive(Debug)]
pub struct Player {
    hub: Hub,
    seat: SeatId,
}

/// Why a player cannot join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The stream is over; a new one needs a new hub.
    #[error("the stream has ended")]
    Ended,
    /// The stream has [`limits::PLAYERS`].
    #[error("the stream has {} players, the most that one can have", limits::PLAYERS)]
    Full,
}

/// Why a player's body fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlayerError {
    /// Others had read what this one had not, the room was needed, and it had had its time to catch up.
    #[error("the player fell more than half of {} bytes behind the others", limits::RING_BYTES)]
    FellBehind,
}

/// The hub takes no more bytes: its owner closed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream was closed")]
pub struct Closed;

/// A hub's figures at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HubStats {
    /// Players now.
    pub players: usize,
    /// Bytes that the stream had so far.
    pub received_bytes: u64,
    /// Bytes that players took so far.
    pub sent_bytes: u64,
    /// Bytes that are kept now.
    pub held_bytes: usize,
    /// Players that fell behind and were dropped.
    pub dropped: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    players: watch::Sender<usize>,
    /// Wakes the feed when the owner closes the hub.
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    ring: Ring,
    seats: Seats,
    /// The pull, while it waits for its players.
    waiting: Option<WaitingFeed>,
    ended: bool,
    sent_bytes: u64,
    dropped: u64,
}

#[derive(Debug)]
struct WaitingFeed {
    waker: Waker,
    ask: Ask,
    /// When it looks again by itself.
    until: Option<Instant>,
}

impl Hub {
    /// Lets a player in. Before the first byte it will get the whole stream; later it begins at once with
    /// recent bytes: at the newest PAT of the last [`limits::JOIN_WINDOW_BYTES`], else at a packet.
    ///
    /// `disconnect` ends the player's connection if the player falls behind and must be dropped.
    pub fn join(&self, disconnect: Disconnect) -> Result<Player, JoinError> {
        let mut state = self.lock();
        if state.ended {
            return Err(JoinError::Ended);
        }
        if state.seats.present() >= limits::PLAYERS {
            return Err(JoinError::Full);
        }
        let next = state.ring.join_point();
        let seat = state.seats.take(next, disconnect, Instant::now());
        self.0.count(&state);
        Ok(Player { hub: self.clone(), seat })
    }

    /// The number of players, and word of its changes.
    #[must_use]
    pub fn players(&self) -> watch::Receiver<usize> {
        self.0.players.subscribe()
    }

    /// Ends the stream: the feed is refused from now on; players get what is kept, then a clean end.
    pub fn close(&self) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        state.ended = true;
        state.seats.take_wakers(&mut wakers);
        wakers.extend(state.waiting.take().map(|feed| feed.waker));
        drop(state);
        self.0.closed.notify_one();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The figures of this moment.
    #[must_use]
    pub fn stats(&self) -> HubStats {
        let state = self.lock();
        HubStats {
            players: state.seats.present(),
            received_bytes: state.ring.end(),
            sent_bytes: state.sent_bytes,
            held_bytes: state.ring.held_bytes(),
            dropped: state.dropped,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("nothing panics under the lock but a broken invariant")
    }
}

impl Feed {
    /// Gives the players bytes. Waits while most players are slower than the stream.
    ///
    /// A push that is abandoned while it waits leaves out a part of the stream: end the stream then.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), Closed> {
        while !bytes.is_empty() {
            let frame = bytes.split_to(bytes.len().min(limits::FRAME_BYTES));
            let hold = Instant::now() + limits::BURST_HOLD;
            std::future::poll_fn(|cx| self.poll_room(cx, &frame, hold)).await?;
            self.wakers.drain(..).for_each(Waker::wake);
            self.freed.clear();
        }
        Ok(())
    }

    /// Waits until the owner closes the hub.
    pub async fn closed(&self) {
        while !self.hub.lock().ended {
            self.hub.0.closed.notified().await;
        }
    }

    /// Puts one frame into the ring as soon as there is room.
    fn poll_room(
        &mut self,
        cx: &mut Context<'_>,
        frame: &Bytes,
        hold: Instant,
    ) -> Poll<Result<(), Closed>> {
        let mut guard = self.hub.lock();
        let state = &mut *guard;
        state.waiting = None;
        if state.ended {
            return Poll::Ready(Err(Closed));
        }
        let (cut, end) = (state.ring.cut_for(frame.len()), state.ring.end());
        let (ask, now) = (Ask { cut, end, hold }, Instant::now());
        loop {
            match state.seats.room(ask, now) {
                Room::Free => break,
                Room::Wait(until) => {
                    state.waiting = Some(WaitingFeed { waker: cx.waker().clone(), ask, until });
                    drop(guard);
                    return self.wait(cx, until);
                }
                Room::Drop(needed) => {
                    state.seats.drop_before(needed, now, |seat| {
                        state.dropped += 1;
                        seat.disconnect.call();
                        self.wakers.extend(seat.waker.take());
                    });
                    self.hub.0.count(state);
                }
            }
        }
        self.again = None;
        state.ring.push(frame.clone());
        let window = state.ring.end().saturating_sub(limits::JOIN_WINDOW_BYTES as u64);
        let slowest = state.seats.slowest().unwrap_or(window);
        if slowest < half_mark(state.ring.end()) {
            state.seats.watch(state.ring.end(), now);
        }
        state.ring.trim(slowest.min(window), &mut self.freed);
        assert!(state.ring.held_bytes() <= limits::RING_BYTES, "the ring is bounded");
        state.seats.take_wakers(&mut self.wakers);
        Poll::Ready(Ok(()))
    }

    /// Waits for players, or until this time.
    fn wait(&mut self, cx: &mut Context<'_>, until: Option<Instant>) -> Poll<Result<(), Closed>> {
        self.again = until.map(|until| Box::pin(sleep_until(until)));
        match self.again.as_mut().map(|again| again.as_mut().poll(cx)) {
            // The time came meanwhile: look again.
            Some(Poll::Ready(())) => cx.waker().wake_by_ref(),
            Some(Poll::Pending) | None => (),
        }
        Poll::Pending
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hub.close();
    }
}

impl Player {
    fn poll_bytes(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, PlayerError>>> {
        let mut guard = self.hub.lock();
        let state = &mut *guard;
        let seat = state.seats.get_mut(self.seat);
        if seat.dropped {
            return Poll::Ready(Some(Err(PlayerError::FellBehind)));
        }
        if seat.next == state.ring.end() {
            if state.ended {
                return Poll::Ready(None);
            }
            if !seat.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                seat.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        let before = seat.next;
        let bytes = state.ring.read(before);
        let after = before + bytes.len() as u64;
        seat.advance(after, state.ring.end(), Instant::now());
        state.sent_bytes += bytes.len() as u64;
        let feed = state.feed_to_wake(before, after);
        drop(guard);
        feed.into_iter().for_each(Waker::wake);
        Poll::Ready(Some(Ok(bytes)))
    }
}

impl Body for Player {
    type Data = Bytes;
    type Error = PlayerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PlayerError>>> {
        self.poll_bytes(cx).map_ok(Frame::data)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.seats.leave(self.seat);
        self.hub.0.count(&state);
        let feed = state.reconsider();
        drop(state);
        feed.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// The waiting feed, if one player's step from `before` to `after` may have made room for it.
    fn feed_to_wake(&mut self, before: u64, after: u64) -> Option<Waker> {
        let passed = |mark: u64| before < mark && mark <= after;
        let marks = self.waiting.as_ref()?.ask.marks();
        if marks.into_iter().any(passed) { self.reconsider() } else { None }
    }

    /// The waiting feed, if the rule no longer makes it wait, or until another time.
    fn reconsider(&mut self) -> Option<Waker> {
        let WaitingFeed { ask, until, .. } = *self.waiting.as_ref()?;
        let room = self.seats.room(ask, Instant::now());
        if room == Room::Wait(until) { None } else { self.waiting.take().map(|feed| feed.waker) }
    }
}

impl Shared {
    /// Tells the owner how many players there are, if that changed. Called under the state's lock, so
    /// that the numbers come in order.
    fn count(&self, state: &State) {
        let present = state.seats.present();
        self.players.send_if_modified(|count| {
            let changed = *count != present;
            *count = present;
            changed
        });
    }
}
