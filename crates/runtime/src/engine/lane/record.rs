//! From a decision to its record: apply, encode, and note what follows once it is durable.

use std::sync::Arc;

use interlock_kernel::{
    entity::{Decision, EffectRequest, Entity, TimerChange},
    ids::Position,
    room::Again,
    time::Time,
};

use super::{Completion, Done, Lane, What};
use crate::{
    codec,
    engine::{
        Core,
        message::{Carried, Envelope, Origin, Receipt, SendError},
        slot::{Live, More},
    },
    env::OnceSender,
    fold::{self, SnapshotBytes},
    index::Entry,
    limits,
    record::{Decided, Head, Raw, Record, id_hash},
};

/// Buffers that are used again for every record.
#[derive(Default)]
pub(super) struct Scratch {
    events: Vec<u8>,
    reply: Vec<u8>,
    timers: Vec<u8>,
    effects: Vec<u8>,
}

/// What is recorded of a decision.
pub(super) struct Change<E: Entity> {
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

impl<E: Entity> Change<E> {
    /// See [`Decision::makes_version`].
    fn makes_version(&self) -> bool {
        !self.events.is_empty() || !self.effects.is_empty() || self.closes
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

impl<E: Entity> Lane<E> {
    /// Applies a change and adds its record to the next commit.
    pub(super) fn record(
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
        let version = if change.makes_version() { live.version.next() } else { live.version };
        fold::apply_all(Arc::make_mut(&mut live.state), &change.events).inspect_err(|why| {
            let error = SendError::Poisoned { version, why: why.clone() };
            envelope.take_waiters().answer(Err(error));
        })?;
        let Change { events, reply, timers, effects, closes } = change;
        live.take_on(&envelope.cause, version, timers, &effects);
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
        live.bytes_since_measured += bytes;
        core.heads.insert(Entry { hash: live.hash, position, due });
        if let Some(id) = &envelope.id {
            let hash = id_hash(live.hash, envelope.caller.as_str(), id.as_str());
            core.ids.insert(Entry { hash, position, due: Time::NEVER });
        }
        let at = core.now;
        let receipt =
            reply.map(|reply| Receipt { reply, version, at, replayed: false, changed: true });
        let done = Done {
            key: live.key.clone(),
            position,
            version,
            at,
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
    pub(super) fn snapshot(&mut self, live: &mut Live<E>, core: &mut Core) {
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
        live.measured(size);
        core.heads.insert(Entry { hash: live.hash, position, due });
        let what = What::Snapshot(live.key.clone());
        self.completions.push_back(Completion { after: position, what });
    }

    /// Makes an entity independent of the records below a position.
    pub(super) fn carry(
        &mut self,
        live: &mut Live<E>,
        below: Position,
        done: OnceSender<Carried>,
        core: &mut Core,
    ) {
        let forgotten = live.closed && live.head < below;
        if forgotten {
            core.heads.forget(live.hash, live.head);
            live.forgotten = true;
        } else if live.anchor < below {
            self.snapshot(live, core);
        }
        let carried = if forgotten { Carried::Forgotten } else { Carried::At(live.anchor) };
        let after = if forgotten { live.head } else { live.anchor };
        if after < core.durable {
            // Compaction may have given up meanwhile.
            let _ = done.send(carried);
        } else {
            self.completions.push_back(Completion { after, what: What::Carried(carried, done) });
        }
    }
}
