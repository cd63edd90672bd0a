//! Between an entity's types and the opaque bytes of its records.
//!
//! Bytes of today's schema are read directly; those of an older one are offered to
//! [`Entity::read_old`]; a newer one is refused. Type-erased views ([`Codec`]) serve readers that do not
//! know the type: the feed, timelines, verification.

use std::{any::Any, borrow::Cow, collections::BTreeMap};

use interlock_kernel::{
    entity::{Context, EffectRequest, Entity, Old, Refusal, Stored, TimerChange},
    ids::{Position, Version},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    fold::{FoldError, Folded, caught},
    record::Record,
};

/// Why stored bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A newer binary wrote them.
    #[error("schema {found} of {entity} is newer than this binary's {known}")]
    Newer {
        /// The entity type.
        entity: &'static str,
        /// The schema of the bytes.
        found: u16,
        /// The newest schema that this binary knows.
        known: u16,
    },
    /// An older binary wrote them, and the entity has no reader for that.
    #[error("no reader for schema {found} of {entity}")]
    TooOld {
        /// The entity type.
        entity: &'static str,
        /// The schema of the bytes.
        found: u16,
    },
    /// They are not what their schema says.
    #[error("{what} of {entity} cannot be read: {why}")]
    Malformed {
        /// The entity type.
        entity: &'static str,
        /// What was read.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// Appends the stored form of a value to a buffer.
pub fn encode_into<T: Serialize + ?Sized>(value: &T, buffer: &mut Vec<u8>) {
    *buffer = postcard::to_extend(value, std::mem::take(buffer)).expect(
        "writing to memory cannot fail, and entity types hold nothing that postcard refuses",
    );
}

/// The stored form of a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut buffer = Vec::new();
    encode_into(value, &mut buffer);
    buffer
}

fn today<E: Entity, T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, CodecError> {
    postcard::from_bytes(bytes).map_err(|error| CodecError::Malformed {
        entity: E::TYPE,
        what,
        why: error.to_string(),
    })
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $what:literal, $variant:ident, $type:ty) => {
        $(#[$doc])*
        pub fn $name<E: Entity>(schema: u16, bytes: &[u8]) -> Result<$type, CodecError> {
            use std::cmp::Ordering;
            match schema.cmp(&E::SCHEMA) {
                Ordering::Equal => today::<E, $type>($what, bytes),
                Ordering::Greater => {
                    Err(CodecError::Newer { entity: E::TYPE, found: schema, known: E::SCHEMA })
                }
                Ordering::Less => match E::read_old(schema, Stored::$variant(bytes)) {
                    Some(Old::$variant(value)) => Ok(value),
                    Some(_) | None => Err(CodecError::TooOld { entity: E::TYPE, found: schema }),
                },
            }
        }
    };
}

reader!(
    /// Reads a state.
    state, "a state", State, E
);
reader!(
    /// Reads the events of a record.
    events, "events", Events, Vec<E::Event>
);
reader!(
    /// Reads a reply.
    reply, "a reply", Reply, E::Reply
);
reader!(
    /// Reads a command.
    command, "a command", Command, E::Command
);
reader!(
    /// Reads an effect.
    effect, "an effect", Effect, E::Effect
);

/// A timer change with its command still opaque, so that commands of older schemas can be read.
pub type StoredTimer = (String, Option<(u64, Vec<u8>)>);

/// An effect request with its opaque parts still opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct StoredEffect {
    effect: Vec<u8>,
    attempts: u32,
    deadline_ms: u64,
    backoff_ms: u64,
    fallback: Vec<u8>,
}

/// The stored form of timer changes.
pub fn timers_form<E: Entity>(changes: &[TimerChange<E::Command>]) -> Vec<StoredTimer> {
    let form = |change: &TimerChange<E::Command>| match change {
        TimerChange::Set { name, at, command } => {
            (name.0.to_string(), Some((at.0, encode(command))))
        }
        TimerChange::Cancel { name } => (name.0.to_string(), None),
    };
    changes.iter().map(form).collect()
}

/// Reads timer changes.
pub fn timers<E: Entity>(
    schema: u16,
    bytes: &[u8],
) -> Result<Vec<TimerChange<E::Command>>, CodecError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let read = |(name, set): StoredTimer| {
        Ok(match set {
            Some((at, bytes)) => TimerChange::Set {
                name: name.into(),
                at: interlock_kernel::time::Time(at),
                command: command::<E>(schema, &bytes)?,
            },
            None => TimerChange::Cancel { name: name.into() },
        })
    };
    let stored: Vec<StoredTimer> = today::<E, _>("timers", bytes)?;
    stored.into_iter().map(read).collect()
}

/// The stored form of an effect request.
pub fn effect_form<E: Entity>(request: &EffectRequest<E>) -> StoredEffect {
    StoredEffect {
        effect: encode(&request.effect),
        attempts: request.attempts,
        deadline_ms: request.deadline.0,
        backoff_ms: request.backoff.0,
        fallback: encode(&request.fallback),
    }
}

/// Reads an effect request.
pub fn effect_request<E: Entity>(
    schema: u16,
    stored: &StoredEffect,
) -> Result<EffectRequest<E>, CodecError> {
    Ok(EffectRequest {
        effect: effect::<E>(schema, &stored.effect)?,
        attempts: stored.attempts,
        deadline: interlock_kernel::time::Millis(stored.deadline_ms),
        backoff: interlock_kernel::time::Millis(stored.backoff_ms),
        fallback: command::<E>(schema, &stored.fallback)?,
    })
}

/// Reads something stored that says nothing of entity types: a list of [`StoredTimer`] or the like.
pub fn plain<E: Entity, T: DeserializeOwned + Default>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, CodecError> {
    if bytes.is_empty() { Ok(T::default()) } else { today::<E, T>(what, bytes) }
}

/// An event for readers that do not know its type.
#[derive(Debug, Clone)]
pub struct EventJson {
    /// What it is called.
    pub name: &'static str,
    /// What it says.
    pub data: Box<RawValue>,
}

/// Reads an entity type's bytes without knowing the type.
#[derive(Clone, Copy)]
pub struct Codec {
    /// The entity type.
    pub entity: &'static str,
    /// The events of a record.
    pub events: fn(schema: u16, bytes: &[u8]) -> Result<Vec<EventJson>, CodecError>,
    /// An entity without history, to fold records into.
    pub fold: fn() -> Box<dyn AnyFold>,
}

impl Codec {
    /// The codec of an entity type.
    #[must_use]
    pub fn of<E: Entity>() -> Self {
        Self {
            entity: E::TYPE,
            events: events_json::<E>,
            fold: || Box::new(Folded::<E>::default()),
        }
    }
}

/// An entity rebuilt from its records, of whatever type.
pub trait AnyFold: Send + Sync {
    /// Folds one more record. A snapshot that says something else than the fold so far is an error, unless
    /// there is nothing so far.
    fn fold(&mut self, position: Position, record: &Record<'_>) -> Result<(), FoldError>;
    /// The version so far.
    fn version(&self) -> Version;
    /// The state as JSON.
    fn json(&self) -> Result<Box<RawValue>, serde_json::Error>;
    /// Whether a command, of this entity's own type, would be refused now or change nothing.
    fn is_unmoved_by(&self, command: &dyn Any, cx: &Context<'_>) -> bool;
}

impl<E: Entity> AnyFold for Folded<E> {
    fn fold(&mut self, position: Position, record: &Record<'_>) -> Result<(), FoldError> {
        let before = (self.version > Version(0)).then(|| self.clone());
        let folded = caught(|| self.record(position, record)).map_err(FoldError::Invariant);
        folded.and_then(|result| result)?;
        match (before, record) {
            (Some(before), Record::Snapshot(_)) if !before.same_as(self) => {
                Err(FoldError::Snapshot { version: self.version })
            }
            (Some(_) | None, Record::Snapshot(_) | Record::Decided(_)) => Ok(()),
        }
    }

    fn version(&self) -> Version {
        self.version
    }

    fn json(&self) -> Result<Box<RawValue>, serde_json::Error> {
        serde_json::value::to_raw_value(&self.state)
    }

    fn is_unmoved_by(&self, command: &dyn Any, cx: &Context<'_>) -> bool {
        let command = command.downcast_ref().expect("the caller knows its type");
        self.closed
            || match self.state.decide(command, cx) {
                Ok(decision) => decision.is_unchanged(),
                Err(Refusal::Rejected(_)) => true,
                Err(Refusal::Wait { .. }) => false,
            }
    }
}

/// What an externally tagged value holds; nothing, if it is a tag alone. Its text stays as it is: users'
/// values may be of a kind that no type of ours can hold.
fn inside(whole: Box<RawValue>) -> Result<Box<RawValue>, serde_json::Error> {
    if whole.get().starts_with('"') {
        return RawValue::from_string("{}".to_owned());
    }
    let fields: Option<BTreeMap<Cow<'_, str>, &RawValue>> = serde_json::from_str(whole.get()).ok();
    let only = fields.filter(|fields| fields.len() == 1).and_then(|mut fields| fields.pop_first());
    match only {
        Some((_, inside)) => Ok(inside.to_owned()),
        None => Ok(whole),
    }
}

fn events_json<E: Entity>(schema: u16, bytes: &[u8]) -> Result<Vec<EventJson>, CodecError> {
    let json = |event: E::Event| {
        let malformed = |error: serde_json::Error| CodecError::Malformed {
            entity: E::TYPE,
            what: "an event",
            why: error.to_string(),
        };
        // Events are enums of structs: `{"leased":{…}}` in serde's form. The name is told apart, so only
        // what is inside is shown.
        let whole = serde_json::value::to_raw_value(&event).map_err(malformed)?;
        let data = inside(whole).map_err(malformed)?;
        Ok(EventJson { name: E::event_name(&event), data })
    };
    events::<E>(schema, bytes)?.into_iter().map(json).collect()
}
