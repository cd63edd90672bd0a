//! The contract of an entity: a state machine that **decides** on its latest state and **applies**
//! what was decided.
//!
//! ```text
//!  command ──► decide(&state, command, context) ──► Decision { events, reply, timers, effects }
//!                                             └──► Refusal: rejected, or wait
//!  event   ──► apply(&mut state, event)
//! ```
//!
//! Both are pure: time, randomness and ids come in through [`Context`]. The same events always fold to
//! the same state, so that any log replays byte for byte.
//!
//! Not here: how commands arrive, how events become durable, who reacts to them (crate `runtime`).

use std::{borrow::Cow, error::Error, fmt::Debug};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ids::{Caller, CommandId, Key, Version},
    time::{Millis, Time},
};

/// A state machine with a type and a key; it handles one command at a time.
///
/// The implementing type is the state. Its default is an entity that nobody has written to.
pub trait Entity: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type's name in keys, events and paths: `pool` in `pool/engines`.
    const TYPE: &'static str;

    /// The version of the stored form of states, events, commands and replies. Raise it when one of
    /// them changes in a way that `postcard` cannot read, and implement [`Entity::read_old`].
    const SCHEMA: u16 = 1;

    /// A request. Stored with timers and effects.
    type Command: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// A fact. Stored in the log, shown in the feed.
    type Event: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The answer to a command. Stored with it, so that a repeat gets the same.
    type Reply: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// The domain's "no". Never stored: a repeat is decided anew.
    type Rejection: Clone + Error + Send + Sync + 'static;
    /// A call to the outside. [`Never`] for entities that make none.
    type Effect: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Decides on the latest state. Must not panic on any command; a panic poisons the entity.
    fn decide(&self, command: &Self::Command, cx: &Context<'_>) -> Verdict<Self>;

    /// Folds one event into the state. Asserts the entity's invariants: a panic poisons the entity.
    fn apply(&mut self, event: &Self::Event);

    /// What a timeline calls this command.
    fn command_name(command: &Self::Command) -> &'static str;

    /// What feed and timeline call this event.
    fn event_name(event: &Self::Event) -> &'static str;

    /// Reads what an older binary stored under `schema`. `None`: this binary cannot.
    fn read_old(_schema: u16, _stored: Stored<'_>) -> Option<Old<Self>> {
        None
    }
}

/// Something that an older binary stored, to be read by [`Entity::read_old`].
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// A state, from a snapshot.
    State(&'a [u8]),
    /// A list of events, from a record.
    Events(&'a [u8]),
    /// A reply, from a record.
    Reply(&'a [u8]),
    /// A command, from a timer.
    Command(&'a [u8]),
    /// An effect, from an outbox.
    Effect(&'a [u8]),
}

/// The same thing in today's types.
#[derive(Debug)]
pub enum Old<E: Entity> {
    /// A state.
    State(E),
    /// Events.
    Events(Vec<E::Event>),
    /// A reply.
    Reply(E::Reply),
    /// A command.
    Command(E::Command),
    /// An effect.
    Effect(E::Effect),
}

/// What came of deciding.
pub type Verdict<E> = Result<Decision<E>, Refusal<<E as Entity>::Rejection>>;

/// Everything that a decision may rest on besides state and command.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The log's time now; it never goes back.
    pub now: Time,
    /// When this command first reached the entity: earlier than `now` if it has waited.
    pub arrived: Time,
    /// The entity's version before this command.
    pub version: Version,
    /// The entity's key.
    pub key: &'a Key,
    /// Who sent the command.
    pub caller: &'a Caller,
    /// The command's id, if its sender gave one.
    pub id: Option<&'a CommandId>,
    /// A random number, fresh for every decision.
    pub random: u64,
}

/// What is to be committed, all of it or nothing.
#[derive(Debug)]
pub struct Decision<E: Entity> {
    /// Facts, in order. None: nothing changed, nothing is committed, the reply is not remembered.
    pub events: Vec<E::Event>,
    /// The answer, sent once the commit is durable.
    pub reply: E::Reply,
    /// Timers to set and cancel.
    pub timers: Vec<TimerChange<E::Command>>,
    /// Outside calls to make after the commit.
    pub effects: Vec<EffectRequest<E>>,
    /// Closes the entity: from now on it only answers repeats.
    pub closes: bool,
}

impl<E: Entity> Decision<E> {
    /// An answer that changes nothing.
    #[must_use]
    pub fn unchanged(reply: E::Reply) -> Self {
        Self { events: Vec::new(), reply, timers: Vec::new(), effects: Vec::new(), closes: false }
    }

    /// One event and the answer.
    #[must_use]
    pub fn event(event: E::Event, reply: E::Reply) -> Self {
        Self { events: vec![event], ..Self::unchanged(reply) }
    }

    /// Several events and the answer.
    #[must_use]
    pub fn events(events: Vec<E::Event>, reply: E::Reply) -> Self {
        Self { events, ..Self::unchanged(reply) }
    }

    /// Also sends this command to the entity itself at that time, replacing the timer of that name.
    #[must_use]
    pub fn timer(mut self, name: impl Into<TimerName>, at: Time, command: E::Command) -> Self {
        self.timers.push(TimerChange::Set { name: name.into(), at, command });
        self
    }

    /// Also cancels the timer of that name, if there is one.
    #[must_use]
    pub fn cancel_timer(mut self, name: impl Into<TimerName>) -> Self {
        self.timers.push(TimerChange::Cancel { name: name.into() });
        self
    }

    /// Also makes this call to the outside.
    #[must_use]
    pub fn effect(mut self, effect: EffectRequest<E>) -> Self {
        self.effects.push(effect);
        self
    }

    /// Also closes the entity.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.closes = true;
        self
    }

    /// Whether there is anything to commit.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.events.is_empty() && self.timers.is_empty() && self.effects.is_empty() && !self.closes
    }

    /// Whether the entity gets a new version: timers alone are not seen from outside, and make none.
    #[must_use]
    pub fn makes_version(&self) -> bool {
        !self.events.is_empty() || !self.effects.is_empty() || self.closes
    }
}

/// A decision's "no".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal<R> {
    /// The domain says no. Nothing is committed.
    Rejected(R),
    /// Not yet: the command waits, uncommitted, in the order of arrival. It is decided again after every
    /// change of the entity, and a last time at `until`, when it must not ask to wait again.
    Wait {
        /// When waiting ends. Later than `now`.
        until: Time,
    },
}

impl<R> From<R> for Refusal<R> {
    fn from(rejection: R) -> Self {
        Refusal::Rejected(rejection)
    }
}

/// A timer's name, unique within its entity; setting it again replaces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimerName(pub Cow<'static, str>);

impl From<&'static str> for TimerName {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for TimerName {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

/// A change to an entity's durable timers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum TimerChange<C> {
    /// Send `command` at `at`. At or soon after: never before.
    Set {
        /// Replaces the timer of the same name.
        name: TimerName,
        /// When it is due.
        at: Time,
        /// What is sent.
        command: C,
    },
    /// Forget the timer.
    Cancel {
        /// Which one; unknown names are ignored.
        name: TimerName,
    },
}

/// A call to the outside, made after the commit, at least once, its result a command to this entity
/// exactly once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct EffectRequest<E: Entity> {
    /// What to do; the entity's effect handler knows how.
    pub effect: E::Effect,
    /// Tries, the first included, before the fallback.
    pub attempts: u32,
    /// The longest that one try may take.
    pub deadline: Millis,
    /// The pause after the first failed try; it doubles with every further one.
    pub backoff: Millis,
    /// The command sent when every try failed.
    pub fallback: E::Command,
}

/// A type without values: the `Effect` of entities that have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}
