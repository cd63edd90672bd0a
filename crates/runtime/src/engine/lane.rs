//! All entities of one type: the path of a command from its arrival to its place in the next commit.
//!
//! ```text
//! take ─► (load) ─► known id? ─► decide ─► record ─► … commit … ─► reply, handlers, effects
//!                       └─► recorded reply    └─► waiting room
//! ```
//!
//! Invariants:
//! - One command of an entity is decided at a time, on its latest state, committed or not.
//! - What rests on an uncommitted state leaves only with the commit it rests on ([`Completion`]).
//! - After every change everyone in the waiting room is decided again, in order.

use std::{
    any::Any,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use interlock_kernel::{
    bus,
    entity::{EffectRequest, Entity},
    ids::{Key, Position, Version},
    time::Time,
};
use rustc_hash::FxHashMap;

mod decide;
mod record;
mod repeat;
mod residence;

use self::record::Scratch;
use super::{
    Core, Due,
    load::{Found, LoadError, Loaded},
    message::{
        Answer, Body, Carried, Envelope, LaneId, Origin, Receipt, ReplyTo, Resident, SendError,
        ShowTo, View, Work,
    },
    slot::{Live, Slot, Waiters},
};
use crate::{
    dispatch::{Backlog, Committed},
    effects::Effects,
    env::{OnceSender, Sender},
    limits,
    store::StoreError,
};

/// What the engine does with a lane of whatever type.
pub(crate) trait AnyLane: Send {
    /// Takes in a parcel.
    fn take(&mut self, body: Body, core: &mut Core);
    /// An asynchronous read of one of its entities ended.
    fn done(&mut self, key: &Key, result: Box<dyn Any + Send>, core: &mut Core);
    /// Everything below `core.durable` is committed: handlers and effects begin.
    fn committed(&mut self, core: &mut Core);
    /// Sends the replies that the last commit set free. Last of all, so that a caller who asks again is
    /// decided before the handlers' work, which then happens during the next commit.
    fn reply(&mut self);
    /// Everything that is not committed is lost: what rests on it fails.
    fn refused(&mut self, error: &StoreError, core: &mut Core);
    /// Drops some idle entities from memory.
    fn evict(&mut self, core: &mut Core);
    /// Tells those in waiting rooms that the runtime stops.
    fn stop_waiting(&mut self);
    /// Entities in memory.
    fn resident(&self) -> usize;
}

/// Hands committed events to the dispatcher.
pub(crate) struct Feed<E: Entity> {
    pub sender: Sender<Vec<Committed<E>>>,
    pub backlog: Arc<Backlog>,
}

/// Something that leaves when everything up to `after` is committed.
struct Completion<E: Entity> {
    after: Position,
    what: What<E>,
}

enum What<E: Entity> {
    /// A command's commit.
    Decided(Box<Done<E>>),
    /// An answer that rests on it.
    Told(Waiters<E>, Answer<E>),
    /// A view that rests on it.
    Shown(View<E>, ShowTo<E>),
    /// A snapshot of this entity.
    Snapshot(Key),
    /// An answer to compaction.
    Carried(Carried, OnceSender<Carried>),
}

struct Done<E: Entity> {
    key: Key,
    position: Position,
    version: Version,
    at: Time,
    waiters: Waiters<E>,
    receipt: Option<Receipt<E::Reply>>,
    fingerprint: u64,
    events: Vec<E::Event>,
    effects: Vec<EffectRequest<E>>,
}

pub(crate) struct Lane<E: Entity> {
    id: LaneId,
    slots: FxHashMap<Key, Slot<E>>,
    completions: VecDeque<Completion<E>>,
    feed: Option<Feed<E>>,
    effects: Option<Effects<E>>,
    /// Replies that may leave, between the two steps of a commit's end.
    replies: Vec<(Waiters<E>, Answer<E>)>,
    /// Keys in the order in which they are looked at for idleness.
    clock: VecDeque<Key>,
    /// Keys in the order in which they changed, newest last.
    recent: VecDeque<Key>,
    scratch: Scratch,
}

impl<E: Entity> AnyLane for Lane<E> {
    fn take(&mut self, body: Body, core: &mut Core) {
        match body {
            Body::Typed(work) => match work.downcast::<Work<E>>() {
                Ok(work) => self.accept(*work, core),
                Err(_) => unreachable!("a handle sends work of its own type"),
            },
            Body::Foreign(foreign) => {
                let command = foreign.command.downcast::<E::Command>();
                let command = command.expect("Reaction::send makes commands of the target's type");
                let envelope = Envelope {
                    key: foreign.key,
                    command: *command,
                    caller: foreign.caller,
                    id: Some(foreign.id),
                    fingerprint: 0,
                    cause: Origin::Sent,
                    arrived: Time(0),
                    wait_until: Time(0),
                    reply: ReplyTo::Handler(foreign.done),
                    repeats: Vec::new(),
                };
                self.accept(Work::Send(Box::new(envelope)), core);
            }
            Body::Wake(key) => self.accept(Work::Wake(key), core),
            Body::Recent(limit, reply) => drop(reply.send(self.recent(limit))),
            Body::Carry(key, below, done) => self.accept(Work::Carry(key, below, done), core),
            Body::Show(key, reply) => self.accept(Work::Read(key, ShowTo::Untyped(reply)), core),
        }
    }

    fn done(&mut self, key: &Key, result: Box<dyn Any + Send>, core: &mut Core) {
        let result = match result.downcast::<Result<Option<Loaded<E>>, LoadError>>() {
            Ok(loaded) => return self.loaded(key, *loaded, core),
            Err(other) => other.downcast::<(u64, Result<Option<Found<E>>, StoreError>)>(),
        };
        match result {
            Ok(found) => self.unblock(key, found.0, found.1, core),
            Err(_) => unreachable!("a lane's jobs end in one of these two"),
        }
    }

    fn committed(&mut self, core: &mut Core) {
        let mut batch = Vec::new();
        while self.completions.front().is_some_and(|next| next.after < core.durable) {
            let completion = self.completions.pop_front().expect("it was just seen");
            match completion.what {
                What::Decided(done) => self.finish(*done, &mut batch),
                What::Told(waiters, answer) => self.replies.push((waiters, answer)),
                What::Shown(view, reply) => reply.show(view),
                What::Snapshot(_) => {}
                What::Carried(carried, done) => drop(done.send(carried)),
            }
        }
        if let (Some(feed), false) = (&self.feed, batch.is_empty()) {
            let events = batch.iter().map(|committed: &Committed<E>| committed.events.len()).sum();
            feed.backlog.add(events);
            // Beyond the bound on lag no commands are taken from outside, and the channel has room for more
            // than that. Handlers that feed each other without end can fill it all the same. Then nothing
            // more is handed over, so that nothing is skipped: the next start reads the rest from the log.
            if feed.sender.try_send(batch).is_err() {
                feed.backlog.sub(events);
                core.status.note_lost_feed(E::TYPE);
                self.feed = None;
            }
        }
    }

    fn reply(&mut self) {
        self.replies.drain(..).for_each(|(waiters, answer)| waiters.answer(answer));
    }

    fn refused(&mut self, error: &StoreError, core: &mut Core) {
        let completions = std::mem::take(&mut self.completions);
        // Each once: what is decided anew while they are read again must stay.
        let mut lost: BTreeSet<Key> = BTreeSet::new();
        for completion in completions {
            let unavailable = SendError::Unavailable(error.clone());
            match completion.what {
                What::Decided(done) => {
                    done.waiters.answer(Err(unavailable));
                    lost.insert(done.key);
                }
                What::Told(waiters, _) => waiters.answer(Err(unavailable)),
                What::Shown(_, reply) => reply.fail(unavailable),
                What::Snapshot(key) => drop(lost.insert(key)),
                What::Carried(_, done) => drop(done.send(Carried::Failed(error.to_string()))),
            }
        }
        for key in lost {
            self.reload(key, core);
        }
    }

    fn evict(&mut self, core: &mut Core) {
        const LOOKS: usize = 64;
        for _ in 0..LOOKS.min(self.clock.len()) {
            let key = self.clock.pop_front().expect("the loop is bounded by its length");
            let Some(Slot::Live(live)) = self.slots.get_mut(&key) else { continue };
            if live.measure() {
                recount(live, core);
                self.clock.push_back(key);
            } else if live.touched || !live.is_idle(core.durable) {
                live.touched = false;
                self.clock.push_back(key);
            } else {
                core.resident_bytes -= live.counted;
                self.slots.remove(&key);
            }
        }
    }

    fn stop_waiting(&mut self) {
        #[expect(
            clippy::iter_over_hash_type,
            reason = "all are told the same; a map without seed repeats"
        )]
        for slot in self.slots.values_mut() {
            let Slot::Live(live) = slot else { continue };
            let Some(more) = &mut live.more else { continue };
            for mut envelope in more.room.drain() {
                envelope.take_waiters().answer(Err(SendError::Stopping));
            }
        }
    }

    fn resident(&self) -> usize {
        self.slots.len()
    }
}

impl<E: Entity> Lane<E> {
    pub(crate) fn new(id: LaneId, feed: Option<Feed<E>>, effects: Option<Effects<E>>) -> Self {
        Self {
            id,
            slots: FxHashMap::default(),
            completions: VecDeque::new(),
            replies: Vec::new(),
            feed,
            effects,
            clock: VecDeque::new(),
            recent: VecDeque::new(),
            scratch: Scratch::default(),
        }
    }

    /// Takes in work for an entity in whatever state it is.
    fn accept(&mut self, work: Work<E>, core: &mut Core) {
        // The entity is taken out of the map while it works, so that it and the lane can both change.
        match self.slots.get_mut(work.key()) {
            Some(Slot::Live(_)) => self.with_live(work, core),
            Some(Slot::Loading(queue)) => {
                if let Err(work) = enqueue(queue, work) {
                    refuse(work, SendError::Busy);
                }
            }
            Some(Slot::Working) => unreachable!("work on an entity does not nest"),
            Some(Slot::Poisoned { version, why }) => {
                let error = SendError::Poisoned { version: *version, why: why.clone() };
                refuse(work, error);
            }
            None => self.fetch(work, core),
        }
    }

    fn with_live(&mut self, work: Work<E>, core: &mut Core) {
        let key = work.key().clone();
        let slot = self.slots.get_mut(&key);
        let Some(Slot::Live(mut live)) = slot.map(|slot| std::mem::replace(slot, Slot::Working))
        else {
            unreachable!("the caller saw it live")
        };
        live.touched = true;
        let end = self.work(&mut live, work, core);
        self.put_back(live, end, core);
    }

    /// Ends the work on an entity. An error is the message of a panic.
    fn put_back(&mut self, mut live: Box<Live<E>>, end: Result<(), String>, core: &mut Core) {
        if let Err(why) = end {
            return self.poison(*live, why, core);
        }
        if live.forgotten {
            core.resident_bytes -= live.counted;
            self.slots.remove(&live.key);
            return;
        }
        live.tidy();
        self.reschedule(&mut live, core);
        recount(&mut live, core);
        let slot = self.slots.get_mut(&live.key).expect("a working entity keeps its slot");
        *slot = Slot::Live(live);
    }

    /// Works on one entity. An error is the message of a panic: the entity is set aside.
    fn work(&mut self, live: &mut Live<E>, work: Work<E>, core: &mut Core) -> Result<(), String> {
        if let Some(blocked) = live.more.as_mut().and_then(|more| more.blocked.as_mut()) {
            if let Err(work) = enqueue(&mut blocked.queue, work) {
                refuse(work, SendError::Busy);
            }
            return Ok(());
        }
        match work {
            Work::Send(envelope) => self.send(live, envelope, core),
            Work::Read(_, reply) => {
                self.show(live, reply, core);
                Ok(())
            }
            Work::Wake(_) => self.wake(live, core),
            Work::Carry(_, below, done) => {
                self.carry(live, below, done, core);
                Ok(())
            }
        }
    }

    fn show(&mut self, live: &Live<E>, reply: ShowTo<E>, core: &Core) {
        if live.is_dirty(core.durable) {
            let what = What::Shown(live.view(core.now), reply);
            self.completions.push_back(Completion { after: live.head, what });
        } else {
            reply.show(live.view(core.now));
        }
    }

    /// A commit is durable: the reply may leave, handlers and effects begin.
    fn finish(&mut self, done: Done<E>, batch: &mut Vec<Committed<E>>) {
        let Done { key, position, version, at, waiters, receipt, events, effects, .. } = done;
        if let Some(receipt) = receipt {
            self.replies.push((waiters, Ok(receipt)));
        }
        if let Some(runner) = &self.effects {
            for (place, request) in (0..).zip(effects) {
                runner.start(key.clone(), (version, place), request);
            }
        }
        if self.recent.back() != Some(&key) {
            if self.recent.len() == limits::RECENT_KEPT {
                self.recent.pop_front();
            }
            self.recent.push_back(key.clone());
        }
        if self.feed.is_some() && !events.is_empty() {
            let origin = bus::Origin { entity: E::TYPE, key, version, position, at };
            batch.push(Committed { origin, events });
        }
    }

    /// Answers now, or with the commit that the answer rests on.
    fn tell(&mut self, live: &Live<E>, waiters: Waiters<E>, answer: Answer<E>, core: &Core) {
        if live.is_dirty(core.durable) {
            let what = What::Told(waiters, answer);
            self.completions.push_back(Completion { after: live.head, what });
        } else {
            waiters.answer(answer);
        }
    }

    /// Makes sure that the schedule wakes the entity in time. A later wake than needed is left in place:
    /// it looks again.
    fn reschedule(&self, live: &mut Live<E>, core: &mut Core) {
        let next = live.next_wake();
        if next < live.scheduled {
            live.scheduled = next;
            core.schedule.insert((next, Due::Key(self.id, live.key.clone())));
        }
    }

    fn recent(&self, limit: usize) -> Vec<Resident> {
        let mut seen = Vec::new();
        for key in self.recent.iter().rev() {
            let Some(Slot::Live(live)) = self.slots.get(key) else { continue };
            if seen.len() < limit && !seen.iter().any(|other: &Resident| other.key == *key) {
                let (version, at, closed) = (live.version, live.at, live.closed);
                seen.push(Resident { key: key.clone(), version, at, closed });
            }
        }
        seen
    }
}

/// Counts a changed entity into the sum of what memory holds.
fn recount<E: Entity>(live: &mut Live<E>, core: &mut Core) {
    let weight = live.weight();
    core.resident_bytes = core.resident_bytes + weight - live.counted;
    live.counted = weight;
}

fn enqueue<E: Entity>(queue: &mut VecDeque<Work<E>>, work: Work<E>) -> Result<(), Work<E>> {
    if queue.len() >= limits::MAILBOX_COMMANDS {
        return Err(work);
    }
    queue.push_back(work);
    Ok(())
}

/// Says no to work that was not begun.
fn refuse<E: Entity>(work: Work<E>, error: SendError<E::Rejection>) {
    match work {
        Work::Send(mut envelope) => envelope.take_waiters().answer(Err(error)),
        Work::Read(_, reply) => reply.fail(error),
        Work::Wake(_) => {}
        Work::Carry(_, _, done) => drop(done.send(Carried::Failed(error.to_string()))),
    }
}
