//! An entity in memory.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use interlock_kernel::{
    entity::{EffectRequest, Entity, TimerChange, TimerName},
    ids::{Caller, Key, Position, Version},
    room::Room,
    time::Time,
};

use super::message::{Answer, Envelope, Origin, Receipt, ReplyTo, View, Work};
use crate::{
    fold::{self, EffectId, Folded, SnapshotBytes},
    limits,
    record::Cause,
};

/// How an entity stands in memory.
pub(crate) enum Slot<E: Entity> {
    /// It is being read from the store; this is what waits for it.
    Loading(VecDeque<Work<E>>),
    /// It is here.
    Live(Box<Live<E>>),
    /// It is here, and being worked on.
    Working,
    /// It is set aside.
    Poisoned { version: Version, why: String },
}

/// An entity's latest state, committed or about to be.
pub(crate) struct Live<E: Entity> {
    pub key: Key,
    pub hash: u128,
    pub state: Arc<E>,
    pub version: Version,
    pub at: Time,
    /// Its newest record, committed or not.
    pub head: Position,
    pub closed: bool,
    /// The earliest moment at which the schedule will wake it.
    pub scheduled: Time,
    /// Whether compaction let go of it: it leaves memory too.
    pub forgotten: bool,
    /// Whether it was used since the last look for idle ones.
    pub touched: bool,
    /// Records and bytes since its newest snapshot, and that snapshot's size.
    pub since_snapshot: u32,
    pub bytes_since_snapshot: usize,
    pub snapshot_bytes: usize,
    /// Its stored size when it was last known, and the bytes of its records since then.
    pub measured_bytes: usize,
    pub bytes_since_measured: usize,
    /// The oldest record that reading it back needs: its newest snapshot, or its first record; 0: it has
    /// none.
    pub anchor: Position,
    /// Its cost as last counted into the sum over all.
    pub counted: usize,
    pub more: Option<Box<More<E>>>,
}

/// What few entities have.
pub(crate) struct More<E: Entity> {
    pub timers: BTreeMap<TimerName, (Time, E::Command)>,
    pub effects: BTreeMap<EffectId, EffectRequest<E>>,
    pub room: Room<Box<Envelope<E>>>,
    /// Work that waits while the index is asked about a command id.
    pub blocked: Option<Blocked<E>>,
}

/// Work behind a command whose id the index is asked about.
pub(crate) struct Blocked<E: Entity> {
    /// Names the question.
    pub ticket: u64,
    /// The command itself first.
    pub queue: VecDeque<Work<E>>,
}

impl<E: Entity> Default for More<E> {
    fn default() -> Self {
        Self {
            timers: BTreeMap::new(),
            effects: BTreeMap::new(),
            room: Room::default(),
            blocked: None,
        }
    }
}

impl<E: Entity> More<E> {
    fn is_empty(&self) -> bool {
        self.timers.is_empty()
            && self.effects.is_empty()
            && self.room.is_empty()
            && self.blocked.is_none()
    }
}

impl<E: Entity> Live<E> {
    /// An entity without history.
    pub(crate) fn new(key: Key, hash: u128) -> Self {
        Self::folded(key, hash, Folded::default(), 0, 0, Position(0))
    }

    /// An entity from its records.
    pub(crate) fn folded(
        key: Key,
        hash: u128,
        folded: Folded<E>,
        records: u32,
        bytes: usize,
        anchor: Position,
    ) -> Self {
        let Folded { state, version, head, timers, effects, closed, at } = folded;
        let more = More { timers, effects, ..More::default() };
        Self {
            key,
            hash,
            state: Arc::new(state),
            version,
            at,
            head,
            closed,
            scheduled: Time::NEVER,
            forgotten: false,
            touched: true,
            since_snapshot: records,
            bytes_since_snapshot: bytes,
            snapshot_bytes: 0,
            measured_bytes: 0,
            bytes_since_measured: bytes,
            anchor,
            counted: 0,
            more: (!more.is_empty()).then(|| Box::new(more)),
        }
    }

    pub(crate) fn more(&mut self) -> &mut More<E> {
        self.more.get_or_insert_default()
    }

    /// Changes what is pending, as a decision said: what caused it is done.
    pub(crate) fn take_on(
        &mut self,
        cause: &Origin,
        version: Version,
        timers: Vec<TimerChange<E::Command>>,
        effects: &[EffectRequest<E>],
    ) {
        match cause {
            Origin::Effect(id) => drop(self.more().effects.remove(id)),
            Origin::Timer(_) | Origin::Sent => {}
        }
        if !timers.is_empty() {
            fold::change_timers::<E>(&mut self.more().timers, timers);
        }
        for (place, request) in (0..).zip(effects) {
            self.more().effects.insert((version, place), request.clone());
        }
    }

    /// Frees what is not needed any more.
    pub(crate) fn tidy(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
    }

    pub(crate) fn view(&self, now: Time) -> View<E> {
        View {
            now,
            state: self.state.clone(),
            version: self.version,
            at: self.at,
            head: self.head,
            closed: self.closed,
            waiting: self.waiting(),
        }
    }

    fn waiting(&self) -> usize {
        let wanted = |more: &More<E>| more.room.iter().filter(|one| one.is_wanted()).count();
        self.more.as_deref().map_or(0, wanted)
    }

    /// See [`crate::record::Head::due`].
    pub(crate) fn due(&self) -> Time {
        self.more.as_ref().map_or(Time::NEVER, |more| fold::due::<E>(&more.timers, &more.effects))
    }

    /// When the schedule must wake it: for a timer, or for the end of a wait.
    pub(crate) fn next_wake(&self) -> Time {
        let Some(more) = &self.more else { return Time::NEVER };
        let timer = more.timers.values().map(|(at, _)| *at).min();
        let wait = more.room.next_deadline();
        timer.into_iter().chain(wait).min().unwrap_or(Time::NEVER)
    }

    /// Whether it rests on something that is not committed, when everything below `durable` is.
    pub(crate) fn is_dirty(&self, durable: Position) -> bool {
        self.head >= durable
    }

    /// Whether it can leave memory: everything about it is in the log, and nobody waits for it.
    pub(crate) fn is_idle(&self, durable: Position) -> bool {
        let busy = |more: &More<E>| {
            !more.effects.is_empty() || !more.room.is_empty() || more.blocked.is_some()
        };
        !self.is_dirty(durable) && !self.more.as_ref().is_some_and(|more| busy(more))
    }

    /// Whether its walk back through the log has become long.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.since_snapshot >= limits::SNAPSHOT_RECORDS_MAX
            || (self.since_snapshot >= limits::SNAPSHOT_RECORDS
                && self.bytes_since_snapshot >= self.snapshot_bytes)
    }

    /// Its cost in memory, estimated: it has grown by no more than its records since it was measured.
    pub(crate) fn weight(&self) -> usize {
        limits::RESIDENT_OVERHEAD_BYTES + self.measured_bytes + self.bytes_since_measured
    }

    /// Measures it if the estimate may be far off. Says whether it did.
    pub(crate) fn measure(&mut self) -> bool {
        if self.bytes_since_measured <= self.measured_bytes.max(limits::RESIDENT_OVERHEAD_BYTES) / 2
        {
            return false;
        }
        let none = More::default();
        let more = self.more.as_deref().unwrap_or(&none);
        self.measured(SnapshotBytes::of::<E>(&self.state, &more.timers, &more.effects).len());
        true
    }

    /// Its stored size is known.
    pub(crate) fn measured(&mut self, bytes: usize) {
        (self.measured_bytes, self.bytes_since_measured) = (bytes, 0);
    }
}

impl<E: Entity> Envelope<E> {
    /// Whether anybody still waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        self.reply.is_wanted() || self.repeats.iter().any(ReplyTo::is_wanted)
    }

    /// Splits off those who wait for the answer.
    pub(crate) fn take_waiters(&mut self) -> Waiters<E> {
        let first = std::mem::replace(&mut self.reply, ReplyTo::Nobody);
        Waiters { first, repeats: std::mem::take(&mut self.repeats) }
    }

    /// A command that the runtime sends on the entity's own behalf.
    pub(crate) fn internal(key: Key, command: E::Command, cause: Origin) -> Self {
        Self {
            key,
            command,
            caller: Caller::local(),
            id: None,
            fingerprint: 0,
            cause,
            arrived: Time(0),
            wait_until: Time(0),
            reply: ReplyTo::Nobody,
            repeats: Vec::new(),
        }
    }

    /// Where it came from, as stored.
    pub(crate) fn stored_cause(&self) -> Cause<'_> {
        match (&self.cause, &self.id) {
            (Origin::Timer(name), _) => Cause::Timer(&name.0),
            (Origin::Effect((version, place)), _) => Cause::Effect(*version, *place),
            (Origin::Sent, Some(id)) => Cause::Id(id.as_str()),
            (Origin::Sent, None) => Cause::Sent,
        }
    }
}

/// Those who wait for one answer.
pub(crate) struct Waiters<E: Entity> {
    first: ReplyTo<E>,
    repeats: Vec<ReplyTo<E>>,
}

impl<E: Entity> Waiters<E> {
    /// Tells everybody.
    pub(crate) fn answer(self, answer: Answer<E>) {
        for repeat in self.repeats {
            let again = answer.clone().map(|receipt| Receipt { replayed: true, ..receipt });
            repeat.send(again);
        }
        self.first.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use interlock_kernel::entity::{Context, Decision, Never, Verdict};
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Text(String);

    impl Entity for Text {
        const TYPE: &'static str = "text";
        type Command = ();
        type Event = ();
        type Reply = ();
        type Rejection = Infallible;
        type Effect = Never;

        fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
            Ok(Decision::unchanged(()))
        }

        fn apply(&mut self, (): &()) {}

        fn command_name((): &()) -> &'static str {
            "nothing"
        }

        fn event_name((): &()) -> &'static str {
            "nothing"
        }
    }

    #[test]
    fn an_entity_of_many_records_weighs_what_it_is_once_it_was_measured() {
        let mut live = Live::<Text>::new(Key::new("k").unwrap(), 1);
        live.state = Arc::new(Text("t".repeat(1_000)));
        live.bytes_since_measured = 50_000;
        assert_eq!(live.weight(), limits::RESIDENT_OVERHEAD_BYTES + 50_000);
        assert!(live.measure());
        let weight = limits::RESIDENT_OVERHEAD_BYTES + 1_000;
        assert!((weight..weight + 8).contains(&live.weight()), "{}", live.weight());
        live.bytes_since_measured = 400;
        assert!(!live.measure(), "near enough");
    }
}
