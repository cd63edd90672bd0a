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
    sync::{Arc, atomic::Ordering},
};

use interlock_kernel::{
    bus,
    entity::{Context, Decision, EffectRequest, Entity, Refusal, TimerChange, TimerName},
    ids::{Key, Position, Version},
    room::Again,
    time::Time,
};
use rustc_hash::FxHashMap;

use super::{
    Core, Due, JobDone,
    load::{self, Found, LoadError, Loaded, Place},
    message::{
        Answer, Body, Carried, Envelope, LaneId, Origin, Receipt, ReplyTo, Resident, SendError, ShowTo, View,
        Work,
    },
    slot::{Blocked, Live, More, Slot, Waiters},
};
use crate::{
    codec,
    dispatch::{Backlog, Committed},
    effects::Effects,
    env::{OnceSender, Sender},
    fold::{self, SnapshotBytes, caught},
    index::{Entry, Probe},
    limits,
    record::{Decided, Head, Raw, Record, entity_hash, id_hash},
    store::StoreError,
};

/// What the engine does with a lane of whatever type.
pub(crate) trait AnyLane: Send {
    /// Takes in a parcel.
    fn take(&mut self, body: Body, core: &mut Core);
    /// An asynchronous read of one of its entities ended.
    fn done(&mut self, key: &Key, result: Box<dyn Any + Send>, core: &mut Core);
    /// Everything below `core.durable` is committed: replies leave.
    fn committed(&mut self, core: &mut Core);
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
    /// Keys in the order in which they are looked at for idleness.
    clock: VecDeque<Key>,
    /// Keys in the order in which they changed, newest last.
    recent: VecDeque<Key>,
    scratch: Scratch,
}

/// Buffers that are used again for every record.
#[derive(Default)]
struct Scratch {
    events: Vec<u8>,
    reply: Vec<u8>,
    timers: Vec<u8>,
    effects: Vec<u8>,
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
                What::Told(waiters, answer) => waiters.answer(answer),
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
            if live.touched || !live.is_idle(core.durable) {
                live.touched = false;
                self.clock.push_back(key);
            } else {
                core.resident_bytes -= live.counted;
                self.slots.remove(&key);
            }
        }
    }

    fn stop_waiting(&mut self) {
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
            return self.poison(live, why, core);
        }
        live.tidy();
        self.reschedule(&mut live, core);
        recount(&mut live, core);
        let slot = self.slots.get_mut(&live.key).expect("a working entity keeps its slot");
        *slot = Slot::Live(live);
    }

    /// Brings an entity into memory.
    fn fetch(&mut self, work: Work<E>, core: &mut Core) {
        let key = work.key().clone();
        if let Some((version, why)) = core.poisoned.get(E::TYPE, &key) {
            refuse(work, SendError::Poisoned { version, why });
            return;
        }
        let hash = entity_hash(E::TYPE, key.as_str());
        let place = match core.heads.probe(hash) {
            Probe::Absent => None,
            Probe::Here(entry) => Some(Place::At(entry.position)),
            Probe::Perhaps(lookup) => Some(Place::Ask(lookup)),
        };
        let Some(place) = place else {
            match work {
                // Looking at what is not there leaves nothing behind.
                Work::Read(key, reply) => {
                    reply.show(Live::<E>::new(key, hash).view());
                }
                Work::Wake(_) => {}
                Work::Carry(_, _, done) => drop(done.send(Carried::Forgotten)),
                work @ Work::Send(_) => {
                    self.admit(Box::new(Live::new(key, hash)), core);
                    self.with_live(work, core);
                }
            }
            return;
        };
        self.slots.insert(key.clone(), Slot::Loading(VecDeque::from([work])));
        self.load(key, place, core);
    }

    fn load(&self, key: Key, place: Place, core: &mut Core) {
        let (lane, store) = (self.id, core.env.store().clone());
        core.status.loads.fetch_add(1, Ordering::Relaxed);
        core.job(async move {
            let loaded = load::entity::<E>(store.as_ref(), &key, place).await;
            JobDone::Entity(lane, key, Box::new(loaded))
        });
    }

    fn admit(&mut self, mut live: Box<Live<E>>, core: &mut Core) {
        self.reschedule(&mut live, core);
        recount(&mut live, core);
        self.clock.push_back(live.key.clone());
        self.slots.insert(live.key.clone(), Slot::Live(live));
    }

    fn loaded(
        &mut self,
        key: &Key,
        result: Result<Option<Loaded<E>>, LoadError>,
        core: &mut Core,
    ) {
        let Some(Slot::Loading(queue)) = self.slots.remove(key) else {
            unreachable!("a loading entity stays so until its load ends")
        };
        let hash = entity_hash(E::TYPE, key.as_str());
        let live = match result {
            Ok(Some(Loaded { folded, records, bytes, anchor })) => {
                Live::folded(key.clone(), hash, folded, records, bytes, anchor)
            }
            Ok(None) => Live::new(key.clone(), hash),
            Err(LoadError::Broken { version, why }) => {
                self.set_aside(key.clone(), version, why, core);
                return queue.into_iter().for_each(|work| self.accept(work, core));
            }
            Err(LoadError::Store(error)) => {
                for work in queue {
                    if matches!(work, Work::Wake(_)) {
                        core.wake_later(self.id, key);
                    }
                    refuse(work, SendError::Unavailable(error.clone()));
                }
                return;
            }
        };
        if let Some(change) = core.poisoned.forgive(E::TYPE, key) {
            core.note_poison(change);
        }
        if let (Some(effects), Some(more)) = (&self.effects, &live.more) {
            for (id, request) in &more.effects {
                effects.start(key.clone(), *id, request.clone());
            }
        }
        self.admit(Box::new(live), core);
        for work in queue {
            self.accept(work, core);
        }
    }

    /// Forgets what memory says of an entity after a refused commit; the log says it anew.
    fn reload(&mut self, key: Key, core: &mut Core) {
        let Some(Slot::Live(_)) = self.slots.get(&key) else { return };
        let Some(Slot::Live(live)) = self.slots.remove(&key) else { return };
        core.resident_bytes -= live.counted;
        // What it had to do by itself may be undone too: a timer that had fired is due again.
        core.wake_later(self.id, &key);
        let Some(mut more) = live.more else { return };
        for envelope in more.room.drain() {
            self.accept(Work::Send(envelope), core);
        }
        for work in more.blocked.into_iter().flat_map(|blocked| blocked.queue) {
            self.accept(work, core);
        }
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

    /// Makes an entity independent of the records below a position.
    fn carry(
        &mut self,
        live: &mut Live<E>,
        below: Position,
        done: OnceSender<Carried>,
        core: &mut Core,
    ) {
        let forgotten = live.closed && live.head < below;
        if forgotten {
            core.heads.forget(live.hash, live.head);
        } else if live.anchor < below {
            self.snapshot(live, core);
        }
        let carried = if forgotten { Carried::Forgotten } else { Carried::At(live.anchor) };
        let after = if forgotten { Position(0) } else { live.anchor };
        self.completions.push_back(Completion { after, what: What::Carried(carried, done) });
    }

    fn show(&mut self, live: &Live<E>, reply: ShowTo<E>, core: &Core) {
        if live.is_dirty(core.durable) {
            let what = What::Shown(live.view(), reply);
            self.completions.push_back(Completion { after: live.head, what });
        } else {
            reply.show(live.view());
        }
    }

    fn send(
        &mut self,
        live: &mut Live<E>,
        mut envelope: Box<Envelope<E>>,
        core: &mut Core,
    ) -> Result<(), String> {
        // One that waited before a refused commit goes on waiting.
        if envelope.arrived == Time(0) {
            envelope.arrived = core.now;
            core.status.commands.fetch_add(1, Ordering::Relaxed);
        }
        let Some(id) = &envelope.id else { return self.decide_new(live, envelope, core) };
        if let Some(first) = self.first_of(live, &envelope) {
            if first.fingerprint == envelope.fingerprint {
                first.repeats.push(std::mem::replace(&mut envelope.reply, ReplyTo::Nobody));
            } else {
                envelope.take_waiters().answer(Err(SendError::IdReused));
            }
            return Ok(());
        }
        let place = match core.ids.probe(id_hash(live.hash, envelope.caller.as_str(), id.as_str()))
        {
            Probe::Absent => return self.decide_new(live, envelope, core),
            Probe::Here(entry) if entry.position >= core.durable => {
                self.repeat_in_flight(entry.position, &mut envelope);
                return Ok(());
            }
            Probe::Here(entry) => Place::At(entry.position),
            Probe::Perhaps(lookup) => Place::Ask(lookup),
        };
        let (lane, store, key) = (self.id, core.env.store().clone(), live.key.clone());
        let (caller, id) = (envelope.caller.clone(), id.clone());
        let ticket = core.ticket();
        let queue = VecDeque::from([Work::Send(envelope)]);
        live.more().blocked = Some(Blocked { ticket, queue });
        core.job(async move {
            let (caller, id) = (caller.as_str(), id.as_str());
            let found = load::reply::<E>(store.as_ref(), &key, caller, id, place).await;
            JobDone::Entity(lane, key, Box::new((ticket, found)))
        });
        Ok(())
    }

    /// The waiting command that this one repeats, if there is one.
    fn first_of<'a>(
        &self,
        live: &'a mut Live<E>,
        repeat: &Envelope<E>,
    ) -> Option<&'a mut Box<Envelope<E>>> {
        let room = &mut live.more.as_mut()?.room;
        room.iter_mut().find(|first| first.id == repeat.id && first.caller == repeat.caller)
    }

    /// The command that this one repeats is decided, and its commit is under way.
    fn repeat_in_flight(&mut self, position: Position, repeat: &mut Envelope<E>) {
        let first = self.completions.iter().rev().find_map(|completion| match &completion.what {
            What::Decided(done) if done.position == position => Some(done),
            What::Decided(_) | What::Told(..) | What::Shown(..) | What::Snapshot(_) | What::Carried(..) => None,
        });
        let first = first.expect("an uncommitted record has its completion");
        let answer = match &first.receipt {
            Some(receipt) if first.fingerprint == repeat.fingerprint => {
                Ok(Receipt { replayed: true, ..receipt.clone() })
            }
            Some(_) | None => Err(SendError::IdReused),
        };
        let what = What::Told(repeat.take_waiters(), answer);
        self.completions.push_back(Completion { after: position, what });
    }

    /// The index answered about the command id of the first in the blocked queue.
    fn unblock(
        &mut self,
        key: &Key,
        ticket: u64,
        found: Result<Option<Found<E>>, StoreError>,
        core: &mut Core,
    ) {
        let Some(slot @ Slot::Live(_)) = self.slots.get_mut(key) else { return };
        let Slot::Live(mut live) = std::mem::replace(slot, Slot::Working) else {
            unreachable!("it was just seen live")
        };
        let waits = live.more.as_mut().and_then(|more| more.blocked.take_if(|b| b.ticket == ticket));
        let Some(mut blocked) = waits else {
            // A refused commit sent the queue another way.
            *slot = Slot::Live(live);
            return;
        };
        let Some(Work::Send(mut envelope)) = blocked.queue.pop_front() else {
            unreachable!("a queue is blocked by the command at its head")
        };
        let end = match found {
            Ok(None) => self.decide_new(&mut live, envelope, core),
            Ok(Some(found)) => {
                let same = found.fingerprint == envelope.fingerprint;
                let answer = if same { Ok(found.receipt) } else { Err(SendError::IdReused) };
                core.status.replays.fetch_add(1, Ordering::Relaxed);
                envelope.take_waiters().answer(answer);
                Ok(())
            }
            Err(error) => {
                envelope.take_waiters().answer(Err(SendError::Unavailable(error)));
                Ok(())
            }
        };
        self.put_back(live, end, core);
        for work in blocked.queue {
            self.accept(work, core);
        }
    }

    /// Decides on a command that is no repeat.
    fn decide_new(
        &mut self,
        live: &mut Live<E>,
        mut envelope: Box<Envelope<E>>,
        core: &mut Core,
    ) -> Result<(), String> {
        if let Origin::Effect(id) = &envelope.cause {
            let pending = live.more.as_ref().is_some_and(|more| more.effects.contains_key(id));
            if !pending {
                return Ok(());
            }
        }
        match self.decide(live, &mut envelope, core)? {
            Again::Changed => self.settle_room(live, core),
            Again::Answered => Ok(()),
            Again::Waits if core.backlog.is_stopping() => {
                self.tell(live, envelope.take_waiters(), Err(SendError::Stopping), core);
                Ok(())
            }
            Again::Waits => {
                let until = envelope.wait_until;
                if until <= core.now {
                    return Err("a wait must end later than it begins".to_owned());
                }
                let room = &mut live.more().room;
                if room.is_full() {
                    room.retain(|waiter| waiter.is_wanted());
                }
                if let Err(mut envelope) = room.enter(until, envelope) {
                    self.tell(live, envelope.take_waiters(), Err(SendError::Busy), core);
                }
                Ok(())
            }
        }
    }

    /// Decides on a command on the latest state, and records what it changes.
    fn decide(
        &mut self,
        live: &mut Live<E>,
        envelope: &mut Envelope<E>,
        core: &mut Core,
    ) -> Result<Again, String> {
        // A timer that fired and an effect that ended are over even if they change nothing, and that must be
        // durable: otherwise they would be there again after a restart.
        let is_own = match envelope.cause {
            Origin::Timer(_) | Origin::Effect(_) => true,
            Origin::Sent => false,
        };
        if live.closed && is_own {
            return self.record(live, envelope, Change::default(), core);
        }
        if live.closed {
            let error = SendError::Closed { version: live.version };
            self.tell(live, envelope.take_waiters(), Err(error), core);
            return Ok(Again::Answered);
        }
        let cx = Context {
            now: core.now,
            arrived: envelope.arrived,
            version: live.version,
            key: &live.key,
            caller: &envelope.caller,
            id: envelope.id.as_ref(),
            random: core.env.random(),
        };
        let verdict = caught(|| live.state.decide(&envelope.command, &cx)).inspect_err(|why| {
            let error = SendError::Poisoned { version: live.version, why: why.clone() };
            envelope.take_waiters().answer(Err(error));
        })?;
        match verdict {
            Ok(decision) if decision.is_unchanged() && !is_own => {
                let receipt = Receipt {
                    reply: decision.reply,
                    version: live.version,
                    at: core.now,
                    replayed: false,
                    changed: false,
                };
                self.tell(live, envelope.take_waiters(), Ok(receipt), core);
                Ok(Again::Answered)
            }
            Ok(decision) => self.record(live, envelope, decision.into(), core),
            Err(Refusal::Rejected(rejection)) if is_own => {
                tracing::debug!(entity = E::TYPE, key = %live.key, %rejection, "what a timer or an effect sent is rejected");
                self.record(live, envelope, Change::default(), core)
            }
            Err(Refusal::Rejected(rejection)) => {
                core.status.rejections.fetch_add(1, Ordering::Relaxed);
                let error = SendError::Rejected { rejection, version: live.version };
                self.tell(live, envelope.take_waiters(), Err(error), core);
                Ok(Again::Answered)
            }
            Err(Refusal::Wait { until }) => {
                envelope.wait_until = until;
                Ok(Again::Waits)
            }
        }
    }

    /// Decides again on everyone in the waiting room.
    fn settle_room(&mut self, live: &mut Live<E>, core: &mut Core) -> Result<(), String> {
        if live.more.as_ref().is_none_or(|more| more.room.is_empty()) {
            return Ok(());
        }
        let mut room = std::mem::take(&mut live.more().room);
        let mut broken = Ok(());
        room.retain(|waiter| waiter.is_wanted());
        room.reconsider(|envelope| self.decide_waiting(live, envelope, &mut broken, core));
        live.more().room = room;
        broken
    }

    fn decide_waiting(
        &mut self,
        live: &mut Live<E>,
        envelope: &mut Envelope<E>,
        broken: &mut Result<(), String>,
        core: &mut Core,
    ) -> Again {
        if broken.is_err() {
            return Again::Waits;
        }
        self.decide(live, envelope, core).unwrap_or_else(|why| {
            *broken = Err(why);
            Again::Answered
        })
    }

    /// Does what is due: timers, then waits that are over.
    fn wake(&mut self, live: &mut Live<E>, core: &mut Core) -> Result<(), String> {
        live.scheduled = Time::NEVER;
        let now = core.now;
        let timers = live.more.as_ref().map(|more| &more.timers);
        let is_due = |(name, (at, _)): (&TimerName, &(Time, E::Command))| {
            (*at <= now).then(|| (*at, name.clone()))
        };
        let mut due: Vec<_> = timers.into_iter().flatten().filter_map(is_due).collect();
        due.sort();
        for (_, name) in due {
            // An earlier one may have changed or cancelled it.
            let timer = live.more().timers.get(&name).filter(|(at, _)| *at <= now).cloned();
            let Some((_, command)) = timer else { continue };
            live.more().timers.remove(&name);
            let mut envelope = Envelope::internal(live.key.clone(), command, Origin::Timer(name));
            envelope.arrived = now;
            match self.decide(live, &mut envelope, core)? {
                Again::Changed => self.settle_room(live, core)?,
                Again::Answered => {}
                Again::Waits => return Err("a timer's command must not wait".to_owned()),
            }
        }
        if live.more.as_ref().is_some_and(|more| !more.room.is_empty()) {
            let mut room = std::mem::take(&mut live.more().room);
            let mut broken = Ok(());
            let changed = room.expire(now, |envelope| {
                match self.decide_waiting(live, envelope, &mut broken, core) {
                    Again::Waits => {
                        envelope.take_waiters().answer(Err(SendError::Busy));
                        Again::Answered
                    }
                    again @ (Again::Changed | Again::Answered) => again,
                }
            });
            live.more().room = room;
            broken?;
            if changed {
                self.settle_room(live, core)?;
            }
        }
        Ok(())
    }

    /// Applies a change and adds its record to the next commit.
    fn record(
        &mut self,
        live: &mut Live<E>,
        envelope: &mut Envelope<E>,
        change: Change<E>,
        core: &mut Core,
    ) -> Result<Again, String> {
        let bytes = self.scratch.fill(&change);
        if bytes > limits::RECORD_BYTES {
            let error = SendError::TooLarge { bytes };
            tracing::warn!(entity = E::TYPE, key = %live.key, %error, "a decision is refused");
            self.tell(live, envelope.take_waiters(), Err(error), core);
            return match envelope.cause {
                Origin::Timer(_) | Origin::Effect(_) => {
                    self.record(live, envelope, Change::default(), core)
                }
                Origin::Sent => Ok(Again::Answered),
            };
        }
        let version = live.version.next();
        fold::apply_all(Arc::make_mut(&mut live.state), &change.events).inspect_err(|why| {
            let error = SendError::Poisoned { version, why: why.clone() };
            envelope.take_waiters().answer(Err(error));
        })?;
        let Change { events, reply, timers, effects, closes } = change;
        match &envelope.cause {
            Origin::Effect(id) => drop(live.more().effects.remove(id)),
            Origin::Timer(_) | Origin::Sent => {}
        }
        if !timers.is_empty() {
            fold::change_timers::<E>(&mut live.more().timers, timers);
        }
        for (place, request) in (0..).zip(&effects) {
            live.more().effects.insert((version, place), request.clone());
        }
        let prev = live.head;
        live.version = version;
        live.at = core.now;
        live.closed |= closes;
        let due = live.due();
        let head = Head {
            entity: E::TYPE,
            key: live.key.as_str(),
            version,
            prev,
            at: core.now,
            due,
            schema: E::SCHEMA,
        };
        let record = Record::Decided(Decided {
            head,
            caller: envelope.caller.as_str(),
            cause: envelope.stored_cause(),
            command: E::command_name(&envelope.command),
            fingerprint: envelope.fingerprint,
            events_count: u32::try_from(events.len()).expect("a record's bytes are bounded"),
            events: Raw(&self.scratch.events),
            reply: Raw(&self.scratch.reply),
            timers: Raw(&self.scratch.timers),
            effects: Raw(&self.scratch.effects),
            closes,
        });
        let (position, bytes) = core.builder.push(&record);
        live.head = position;
        if live.anchor.0 == 0 {
            live.anchor = position;
        }
        live.since_snapshot += 1;
        live.bytes_since_snapshot += bytes;
        core.heads.insert(Entry { hash: live.hash, position, due });
        if let Some(id) = &envelope.id {
            let hash = id_hash(live.hash, envelope.caller.as_str(), id.as_str());
            core.ids.insert(Entry { hash, position, due: Time::NEVER });
        }
        let receipt = reply.map(|reply| Receipt {
            reply,
            version,
            at: core.now,
            replayed: false,
            changed: true,
        });
        let done = Done {
            key: live.key.clone(),
            position,
            version,
            at: core.now,
            waiters: envelope.take_waiters(),
            receipt,
            fingerprint: envelope.fingerprint,
            events,
            effects,
        };
        let what = What::Decided(Box::new(done));
        self.completions.push_back(Completion { after: position, what });
        if live.wants_snapshot() {
            self.snapshot(live, core);
        }
        Ok(Again::Changed)
    }

    /// Adds a snapshot of the latest state to the next commit.
    fn snapshot(&mut self, live: &mut Live<E>, core: &mut Core) {
        let none = More::default();
        let more = live.more.as_deref().unwrap_or(&none);
        let bytes = SnapshotBytes::of::<E>(&live.state, &more.timers, &more.effects);
        let due = live.due();
        let head = Head {
            entity: E::TYPE,
            key: live.key.as_str(),
            version: live.version,
            prev: live.head,
            at: core.now,
            due,
            schema: E::SCHEMA,
        };
        let (position, size) = core.builder.push(&bytes.record(head, live.closed));
        live.head = position;
        live.anchor = position;
        live.since_snapshot = 0;
        live.bytes_since_snapshot = 0;
        live.snapshot_bytes = size;
        core.heads.insert(Entry { hash: live.hash, position, due });
        let what = What::Snapshot(live.key.clone());
        self.completions.push_back(Completion { after: position, what });
    }

    /// A commit is durable: the reply leaves, handlers and effects begin.
    fn finish(&mut self, done: Done<E>, batch: &mut Vec<Committed<E>>) {
        let Done { key, position, version, at, waiters, receipt, events, effects, .. } = done;
        if let Some(receipt) = receipt {
            waiters.answer(Ok(receipt));
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

    /// An invariant broke: everybody who waits for this entity is told, and it is set aside.
    fn poison(&mut self, live: Box<Live<E>>, why: String, core: &mut Core) {
        core.resident_bytes -= live.counted;
        let (key, version) = (live.key, live.version);
        let error = SendError::Poisoned { version, why: why.clone() };
        if let Some(mut more) = live.more {
            for mut envelope in more.room.drain() {
                envelope.take_waiters().answer(Err(error.clone()));
            }
            for work in more.blocked.into_iter().flat_map(|blocked| blocked.queue) {
                refuse(work, error.clone());
            }
        }
        self.set_aside(key, version, why, core);
    }

    fn set_aside(&mut self, key: Key, version: Version, why: String, core: &mut Core) {
        tracing::error!(entity = E::TYPE, %key, %version, why, "an entity is set aside");
        let change = core.poisoned.add(E::TYPE, &key, version, &why, core.now);
        core.note_poison(change);
        self.slots.insert(key, Slot::Poisoned { version, why });
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

/// What is recorded of a decision.
struct Change<E: Entity> {
    events: Vec<E::Event>,
    reply: Option<E::Reply>,
    timers: Vec<TimerChange<E::Command>>,
    effects: Vec<EffectRequest<E>>,
    closes: bool,
}

impl<E: Entity> Default for Change<E> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            reply: None,
            timers: Vec::new(),
            effects: Vec::new(),
            closes: false,
        }
    }
}

impl<E: Entity> From<Decision<E>> for Change<E> {
    fn from(decision: Decision<E>) -> Self {
        let Decision { events, reply, timers, effects, closes } = decision;
        Self { events, reply: Some(reply), timers, effects, closes }
    }
}

impl Scratch {
    /// Encodes the parts of a change; returns their bytes in total.
    fn fill<E: Entity>(&mut self, change: &Change<E>) -> usize {
        for buffer in [&mut self.events, &mut self.reply, &mut self.timers, &mut self.effects] {
            buffer.clear();
        }
        codec::encode_into(&change.events, &mut self.events);
        if let Some(reply) = &change.reply {
            codec::encode_into(reply, &mut self.reply);
        }
        if !change.timers.is_empty() {
            codec::encode_into(&codec::timers_form::<E>(&change.timers), &mut self.timers);
        }
        if !change.effects.is_empty() {
            let forms: Vec<_> = change.effects.iter().map(codec::effect_form::<E>).collect();
            codec::encode_into(&forms, &mut self.effects);
        }
        self.events.len() + self.reply.len() + self.timers.len() + self.effects.len()
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
