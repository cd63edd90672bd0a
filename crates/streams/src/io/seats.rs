//! The players of one stream: how far each has read, and what happens when the slowest hold the ring.
//!
//! A player is *far behind* when it has half a ring to read, and *stalled* when it is far behind and took
//! nothing for [`limits::STALL`]. When there is no room for what the pull brings:
//! - most of the players that are not stalled are far behind: the source is faster than its players, so
//!   the pull waits for them;
//! - otherwise those that hold the room hold up the others: stalled ones are dropped at once, slow ones
//!   get until [`limits::CATCH_UP`] after they fell far behind to be no longer.
//!
//! Before that, a burst of the pull is held back a moment, so that most players send the same bytes while
//! they are in the processor's cache.
//!
//! So a player that stops at a live stream's pace costs nobody anything, a player that reads is not
//! dropped for having been overtaken in a burst, and nobody holds up others for longer than those times.
//!
//! Invariant: a seat that is taken reads at or after every byte that the ring has let go.
//!
//! Not here: bytes (`ring`), locks, wakers and the clock (`hub`).

use std::task::Waker;

use tokio::time::Instant;

use super::disconnect::Disconnect;
use crate::limits;

/// A player that has more than this to read is far behind.
const HALF_RING: u64 = limits::RING_BYTES as u64 / 2;

/// What the pull asks before it brings more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// How far everybody must have read before there is room.
    pub(super) cut: u64,
    /// The bytes that the stream has.
    pub(super) end: u64,
    /// Up to when a burst may be held back.
    pub(super) hold: Instant,
}

impl Ask {
    /// The offsets that matter to the answer when a player passes them.
    pub(super) fn marks(&self) -> [u64; 3] {
        [self.cut, half_mark(self.end), burst_mark(self.end)]
    }
}

/// Up to where most players should have read before a burst goes on.
fn burst_mark(end: u64) -> u64 {
    end.saturating_sub(limits::BURST_BYTES as u64)
}

/// Up to where a player must have read not to be far behind in a stream that has `end` bytes.
pub(super) fn half_mark(end: u64) -> u64 {
    end.saturating_sub(HALF_RING)
}

/// Which seat a player has. Given again to another player after it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatId(usize);

/// One player's place.
#[derive(Debug)]
pub(super) struct Seat {
    /// The offset of the next byte that this player gets.
    pub(super) next: u64,
    /// Set while the player has read everything.
    pub(super) waker: Option<Waker>,
    /// Ends the player's connection.
    pub(super) disconnect: Disconnect,
    /// The player was dropped; it has not noticed yet.
    pub(super) dropped: bool,
    /// When it last took bytes, or came.
    took: Instant,
    /// Since when it is far behind, unlike most others.
    behind: Option<Instant>,
}

impl Seat {
    /// The player takes bytes up to here, of a stream that has `end` bytes.
    pub(super) fn advance(&mut self, next: u64, end: u64, now: Instant) {
        self.next = next;
        self.took = now;
        if next >= half_mark(end) {
            self.behind = None;
        }
    }

    /// When this player, far behind, has had its time.
    fn due(&self) -> Instant {
        let stalled = self.took + limits::STALL;
        self.behind.map_or(stalled, |since| stalled.min(since + limits::CATCH_UP))
    }
}

/// All players of one stream.
#[derive(Debug, Default)]
pub(super) struct Seats {
    seats: Vec<Option<Seat>>,
    free: Vec<SeatId>,
    /// Players that are neither gone nor dropped.
    present: usize,
    /// The pull waits for a few slow players: until they are no longer far behind.
    catching_up: bool,
}

/// What is to be done when the pull brings more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// Nobody is in the way.
    Free,
    /// The pull waits until players have read on, and asks again at this time at the latest.
    Wait(Option<Instant>),
    /// Players that have not read up to this offset and have had their time are dropped.
    Drop(u64),
}

impl Seats {
    /// Players that are neither gone nor dropped.
    pub(super) fn present(&self) -> usize {
        self.present
    }

    /// Gives a player a seat.
    pub(super) fn take(&mut self, next: u64, disconnect: Disconnect, now: Instant) -> SeatId {
        self.present += 1;
        let (waker, dropped, took, behind) = (None, false, now, None);
        let seat = Seat { next, waker, disconnect, dropped, took, behind };
        if let Some(id) = self.free.pop() {
            self.seats[id.0] = Some(seat);
            id
        } else {
            self.seats.push(Some(seat));
            SeatId(self.seats.len() - 1)
        }
    }

    /// The seat of a player that has not left.
    pub(super) fn get_mut(&mut self, id: SeatId) -> &mut Seat {
        self.seats[id.0].as_mut().expect("a player has its seat until it leaves")
    }

    /// Frees a seat.
    pub(super) fn leave(&mut self, id: SeatId) {
        let seat = self.seats[id.0].take().expect("a player leaves once");
        self.present -= usize::from(!seat.dropped);
        self.free.push(id);
    }

    /// Where the slowest player reads.
    pub(super) fn slowest(&self) -> Option<u64> {
        self.taken().map(|seat| seat.next).min()
    }

    /// What the rule says.
    pub(super) fn room(&mut self, ask: Ask, now: Instant) -> Room {
        let Ask { cut, end, hold } = ask;
        if now < hold && self.most_are_before(burst_mark(end)) {
            return Room::Wait(Some(hold));
        }
        let half = half_mark(end);
        let needed = if self.catching_up { half.max(cut) } else { cut };
        if self.taken().all(|seat| seat.next >= needed) {
            self.catching_up = false;
            return Room::Free;
        }
        self.watch(end, now);
        if self.most_are_behind(half, now) {
            self.catching_up = false;
            if self.taken().all(|seat| seat.next >= cut) {
                return Room::Free;
            }
            if self.taken().all(|seat| seat.next < half) {
                return Room::Wait(None);
            }
            // Those that stall meanwhile no longer count.
            let behind = self.readers(now).filter(|seat| seat.next < half);
            return Room::Wait(behind.map(|seat| seat.took + limits::STALL).min());
        }
        self.catching_up = true;
        let due = self.taken().filter(|seat| seat.next < needed).map(Seat::due).min();
        let due = due.expect("somebody has not read up to there");
        if due <= now { Room::Drop(needed) } else { Room::Wait(Some(due)) }
    }

    /// Remembers since when players are far behind, in a stream that has `end` bytes.
    pub(super) fn watch(&mut self, end: u64, now: Instant) {
        let half = half_mark(end);
        let few = !self.most_are_behind(half, now);
        for seat in self.seats.iter_mut().flatten().filter(|seat| seat.next < half) {
            seat.behind = few.then(|| seat.behind.unwrap_or(now));
        }
    }

    fn most_are_before(&self, mark: u64) -> bool {
        2 * self.taken().filter(|seat| seat.next < mark).count() > self.present
    }

    /// Whether most of the players that are not stalled have not read up to here.
    fn most_are_behind(&self, half: u64, now: Instant) -> bool {
        let keep_up = self.taken().filter(|seat| seat.next >= half).count();
        let behind = self.readers(now).filter(|seat| seat.next < half).count();
        keep_up == 0 || behind > keep_up
    }

    /// The players that took bytes lately.
    fn readers(&self, now: Instant) -> impl Iterator<Item = &Seat> {
        self.taken().filter(move |seat| now < seat.took + limits::STALL)
    }

    /// Drops the players that have not read up to `needed` and have had their time; `tell` is shown the
    /// seat of each.
    pub(super) fn drop_before(
        &mut self,
        needed: u64,
        now: Instant,
        mut tell: impl FnMut(&mut Seat),
    ) {
        let seats = self.seats.iter_mut().flatten();
        for seat in seats.filter(|seat| !seat.dropped && seat.next < needed && seat.due() <= now) {
            seat.dropped = true;
            self.present -= 1;
            tell(seat);
        }
    }

    /// Takes the wakers of all players that wait for bytes.
    pub(super) fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.seats.iter_mut().flatten().filter_map(|seat| seat.waker.take()));
    }

    fn taken(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().flatten().filter(|seat| !seat.dropped)
    }
}

#[cfg(test)]
mod tests;
