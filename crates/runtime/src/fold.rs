//! An entity rebuilt from its records: the one place where the log becomes state.
//!
//! Loading, verification and the drift gauge all go through [`Folded`], so that what a restart sees is what
//! the checks check.

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{EffectRequest, Entity, TimerChange, TimerName},
    ids::{Position, Version},
    time::Time,
};

use crate::{
    codec::{self, CodecError, StoredEffect, StoredTimer},
    record::{Cause, Decided, Head, Raw, Record, Snapshot},
};

/// Names an effect within its entity: the version that asked for it, and its place there.
pub type EffectId = (Version, u32);

/// Why records do not fold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// A part could not be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A record does not follow the one before it.
    #[error("version {found} follows version {before}")]
    Gap {
        /// The version so far.
        before: Version,
        /// The next record's version.
        found: Version,
    },
    /// A snapshot differs from the records that it stands for.
    #[error("the snapshot of version {version} differs from its history")]
    Snapshot {
        /// The version that it claims to show.
        version: Version,
    },
    /// `apply` panicked: an invariant of the entity does not hold.
    #[error("an invariant broke: {0}")]
    Invariant(String),
}

/// An entity as its records say it is.
#[derive(Debug, Clone)]
pub struct Folded<E: Entity> {
    /// The state.
    pub state: E,
    /// Its version.
    pub version: Version,
    /// Its newest record.
    pub head: Position,
    /// Pending timers.
    pub timers: BTreeMap<TimerName, (Time, E::Command)>,
    /// Effects asked for whose result has not come.
    pub effects: BTreeMap<EffectId, EffectRequest<E>>,
    /// Whether it is closed.
    pub closed: bool,
    /// When its newest record was decided.
    pub at: Time,
}

impl<E: Entity> Default for Folded<E> {
    fn default() -> Self {
        Self {
            state: E::default(),
            version: Version(0),
            head: Position(0),
            timers: BTreeMap::new(),
            effects: BTreeMap::new(),
            closed: false,
            at: Time(0),
        }
    }
}

impl<E: Entity> Folded<E> {
    /// Folds one more record of this entity.
    pub fn record(&mut self, position: Position, record: &Record<'_>) -> Result<(), FoldError> {
        match record {
            Record::Decided(decided) => self.decided(decided)?,
            Record::Snapshot(snapshot) => *self = Self::from_snapshot(snapshot)?,
        }
        self.head = position;
        self.at = record.head().at;
        Ok(())
    }

    fn decided(&mut self, decided: &Decided<'_>) -> Result<(), FoldError> {
        let Head { version, schema, .. } = decided.head;
        if !decided.follows(self.version) {
            return Err(FoldError::Gap { before: self.version, found: version });
        }
        let events = codec::events::<E>(schema, decided.events.0)?;
        apply_all(&mut self.state, &events).map_err(FoldError::Invariant)?;
        match decided.cause {
            Cause::Timer(name) => {
                self.timers.retain(|timer, _| timer.0 != name);
            }
            Cause::Effect(asked, place) => {
                self.effects.remove(&(asked, place));
            }
            Cause::Sent | Cause::Id(_) => {}
        }
        change_timers::<E>(&mut self.timers, codec::timers::<E>(schema, decided.timers.0)?);
        let requests: Vec<StoredEffect> = codec::plain::<E, _>("effects", decided.effects.0)?;
        for (place, stored) in (0..).zip(&requests) {
            self.effects.insert((version, place), codec::effect_request::<E>(schema, stored)?);
        }
        self.version = version;
        self.closed |= decided.closes;
        Ok(())
    }

    fn from_snapshot(snapshot: &Snapshot<'_>) -> Result<Self, FoldError> {
        let schema = snapshot.head.schema;
        let timers = codec::timers::<E>(schema, snapshot.timers.0)?;
        let stored: Vec<(EffectId, StoredEffect)> =
            codec::plain::<E, _>("effects", snapshot.effects.0)?;
        let mut folded = Self {
            state: codec::state::<E>(schema, snapshot.state.0)?,
            version: snapshot.head.version,
            closed: snapshot.closed,
            ..Self::default()
        };
        change_timers::<E>(&mut folded.timers, timers);
        for (id, stored) in &stored {
            folded.effects.insert(*id, codec::effect_request::<E>(schema, stored)?);
        }
        Ok(folded)
    }

    /// Whether both say the same of the entity, as stored.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let stored =
            |folded: &Self| SnapshotBytes::of::<E>(&folded.state, &folded.timers, &folded.effects);
        self.version == other.version
            && self.closed == other.closed
            && stored(self) == stored(other)
    }
}

/// See [`Head::due`].
#[must_use]
pub fn due<E: Entity>(
    timers: &BTreeMap<TimerName, (Time, E::Command)>,
    effects: &BTreeMap<EffectId, EffectRequest<E>>,
) -> Time {
    if !effects.is_empty() {
        return Time(0);
    }
    timers.values().map(|(at, _)| *at).min().unwrap_or(Time::NEVER)
}

/// Applies timer changes.
pub fn change_timers<E: Entity>(
    timers: &mut BTreeMap<TimerName, (Time, E::Command)>,
    changes: Vec<TimerChange<E::Command>>,
) {
    for change in changes {
        match change {
            TimerChange::Set { name, at, command } => {
                timers.insert(name, (at, command));
            }
            TimerChange::Cancel { name } => {
                timers.remove(&name);
            }
        }
    }
}

/// Applies events; a panic becomes an error with its message, and the state must be thrown away.
pub fn apply_all<E: Entity>(state: &mut E, events: &[E::Event]) -> Result<(), String> {
    caught(|| {
        for event in events {
            state.apply(event);
        }
    })
}

/// Runs pure code of an entity; a panic becomes an error with its message.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}

/// The stored parts of a snapshot.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SnapshotBytes {
    state: Vec<u8>,
    timers: Vec<u8>,
    effects: Vec<u8>,
}

impl SnapshotBytes {
    /// Encodes a state with its pending timers and effects.
    #[must_use]
    pub fn of<E: Entity>(
        state: &E,
        timers: &BTreeMap<TimerName, (Time, E::Command)>,
        effects: &BTreeMap<EffectId, EffectRequest<E>>,
    ) -> Self {
        let timer = |(name, (at, command)): (&TimerName, &(Time, E::Command))| -> StoredTimer {
            (name.0.to_string(), Some((at.0, codec::encode(command))))
        };
        let effect =
            |(id, request): (&EffectId, &EffectRequest<E>)| (*id, codec::effect_form::<E>(request));
        let list = |empty: bool, bytes: &dyn Fn() -> Vec<u8>| {
            if empty { Vec::new() } else { bytes() }
        };
        Self {
            state: codec::encode(state),
            timers: list(timers.is_empty(), &|| {
                codec::encode(&timers.iter().map(timer).collect::<Vec<_>>())
            }),
            effects: list(effects.is_empty(), &|| {
                codec::encode(&effects.iter().map(effect).collect::<Vec<_>>())
            }),
        }
    }

    /// Their size in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no entity is stored as nothing")]
    pub fn len(&self) -> usize {
        self.state.len() + self.timers.len() + self.effects.len()
    }

    /// The record that holds them.
    #[must_use]
    pub fn record<'a>(&'a self, head: Head<'a>, closed: bool) -> Record<'a> {
        Record::Snapshot(Snapshot {
            head,
            state: Raw(&self.state),
            timers: Raw(&self.timers),
            effects: Raw(&self.effects),
            closed,
        })
    }
}
