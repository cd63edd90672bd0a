//! What travels to the engine and back.

use std::{any::Any, sync::Arc};

use interlock_kernel::{
    entity::{Entity, TimerName},
    ids::{Caller, CommandId, Key, Position, Version},
    time::Time,
};
use serde_json::value::RawValue;

use crate::{env::OnceSender, fold::EffectId, store::StoreError};

/// Names an entity type within one runtime: its place in the list of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u16);

/// Something for one entity type.
pub struct Parcel {
    /// Which type.
    pub lane: LaneId,
    /// What.
    pub body: Body,
}

/// What a parcel holds.
pub enum Body {
    /// A `Work<E>` of the lane's own type.
    Typed(Box<dyn Any + Send>),
    /// A command from a write handler, whose sender does not know the type.
    Foreign(Foreign),
    /// The entity wants to be woken now.
    Wake(Key),
    /// Which entities changed recently.
    Recent(usize, OnceSender<Vec<Resident>>),
    /// Compaction wants to let go of all records below this position.
    Carry(Key, Position, OnceSender<Carried>),
    /// One entity, for those who do not know its type.
    Show(Key, OnceSender<Result<Shown, ShowError>>),
}

/// A command from a write handler.
pub struct Foreign {
    /// The target.
    pub key: Key,
    /// The target's `Command`.
    pub command: Box<dyn Any + Send>,
    /// The handler, as a caller.
    pub caller: Caller,
    /// Made of source entity, version, handler and place.
    pub id: CommandId,
    /// Told how it ended.
    pub done: OnceSender<Settled>,
}

/// How a write handler's command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Committed, now or before.
    Committed,
    /// The target said no, is closed or set aside; it would say so again.
    Refused(String),
    /// It could not be decided now.
    Again(String),
}

/// An entity in memory, for overviews.
#[derive(Debug, Clone)]
pub struct Resident {
    /// Which one.
    pub key: Key,
    /// Its version.
    pub version: Version,
    /// When it last changed, as far as known.
    pub at: Time,
    /// Whether it is closed.
    pub closed: bool,
}

/// What compaction is told of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It needs nothing older than this record.
    At(Position),
    /// It was closed, and is no longer there.
    Forgotten,
    /// It needs its old records still.
    Failed(String),
}

/// Work for one entity.
pub(crate) enum Work<E: Entity> {
    /// Decide on a command.
    Send(Box<Envelope<E>>),
    /// Show the entity.
    Read(Key, ShowTo<E>),
    /// Let it do what is due.
    Wake(Key),
    /// Make it independent of the records below a position.
    Carry(Key, Position, OnceSender<Carried>),
}

impl<E: Entity> Work<E> {
    pub(crate) fn key(&self) -> &Key {
        match self {
            Work::Send(envelope) => &envelope.key,
            Work::Read(key, _) | Work::Wake(key) | Work::Carry(key, _, _) => key,
        }
    }
}

/// A command on its way.
pub(crate) struct Envelope<E: Entity> {
    pub key: Key,
    pub command: E::Command,
    pub caller: Caller,
    pub id: Option<CommandId>,
    pub fingerprint: u64,
    pub cause: Origin,
    /// When it first reached the entity; zero until then.
    pub arrived: Time,
    /// Until when it waits, once it does.
    pub wait_until: Time,
    pub reply: ReplyTo<E>,
    /// Repeats that wait for the same answer.
    pub repeats: Vec<ReplyTo<E>>,
}

/// Where a command came from, besides its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Sent,
    Timer(TimerName),
    Effect(EffectId),
}

/// Who is told how a command ended.
pub(crate) enum ReplyTo<E: Entity> {
    Caller(OnceSender<Answer<E>>),
    Handler(OnceSender<Settled>),
    Nobody,
}

/// The answer to a command.
pub type Answer<E> = Result<Receipt<<E as Entity>::Reply>, SendError<<E as Entity>::Rejection>>;

impl<E: Entity> ReplyTo<E> {
    /// Whether somebody still waits for the answer. Nobody ever waited: yes, it must be done anyway.
    pub(crate) fn is_wanted(&self) -> bool {
        match self {
            ReplyTo::Caller(sender) => !sender.is_closed(),
            ReplyTo::Handler(sender) => !sender.is_closed(),
            ReplyTo::Nobody => true,
        }
    }

    pub(crate) fn send(self, answer: Answer<E>) {
        // A caller that has gone does not need its answer; asking again with the same id gets it.
        match self {
            ReplyTo::Caller(sender) => drop(sender.send(answer)),
            ReplyTo::Handler(sender) => drop(sender.send(settled(answer))),
            ReplyTo::Nobody => {}
        }
    }
}

fn settled<R, J: std::error::Error>(answer: Result<Receipt<R>, SendError<J>>) -> Settled {
    match answer {
        Ok(_) => Settled::Committed,
        Err(error @ (SendError::Busy | SendError::Unavailable(_) | SendError::Stopping)) => {
            Settled::Again(error.to_string())
        }
        Err(
            error @ (SendError::Rejected { .. }
            | SendError::Closed { .. }
            | SendError::IdReused
            | SendError::Poisoned { .. }
            | SendError::TooLarge { .. }),
        ) => Settled::Refused(error.to_string()),
    }
}

/// A command's reply with what the runtime knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt<R> {
    /// The entity's answer.
    pub reply: R,
    /// The entity's version after the command.
    pub version: Version,
    /// When it was decided.
    pub at: Time,
    /// Whether this is the recorded reply to an earlier command with the same id.
    pub replayed: bool,
    /// Whether the command changed something.
    pub changed: bool,
}

/// Why a command has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError<J> {
    /// The domain's "no", decided at this version.
    #[error("{rejection}")]
    Rejected {
        /// What the entity said.
        rejection: J,
        /// The entity's version.
        version: Version,
    },
    /// The entity is closed.
    #[error("the entity is closed")]
    Closed {
        /// Its last version.
        version: Version,
    },
    /// The mailbox is full: send the command again, with the same id, a little later.
    #[error("too many commands are under way")]
    Busy,
    /// The id was used for another request.
    #[error("the command id was used for another request")]
    IdReused,
    /// The entity's history or an invariant broke; it is set aside until a newer binary reads it.
    #[error("the entity is set aside at version {version}: {why}")]
    Poisoned {
        /// The version at which it broke.
        version: Version,
        /// What broke.
        why: String,
    },
    /// The decision is larger than a record may be.
    #[error("the decision takes {bytes} bytes, more than a record may have")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The store cannot commit now. Nothing was kept; send the command again with the same id.
    #[error("{0}")]
    Unavailable(StoreError),
    /// The runtime is stopping; nothing was kept.
    #[error("the server is stopping")]
    Stopping,
}

/// Who is shown an entity.
pub(crate) enum ShowTo<E: Entity> {
    /// Somebody who knows its type.
    Typed(OnceSender<Result<View<E>, SendError<E::Rejection>>>),
    /// Somebody who does not.
    Untyped(OnceSender<Result<Shown, ShowError>>),
}

impl<E: Entity> ShowTo<E> {
    pub(crate) fn show(self, view: View<E>) {
        match self {
            ShowTo::Typed(reply) => drop(reply.send(Ok(view))),
            ShowTo::Untyped(reply) => drop(reply.send(Ok(view.into()))),
        }
    }

    pub(crate) fn fail(self, error: SendError<E::Rejection>) {
        match self {
            ShowTo::Typed(reply) => drop(reply.send(Err(error))),
            ShowTo::Untyped(reply) => drop(reply.send(Err(error.into()))),
        }
    }
}

/// A committed state of some type.
pub struct Shown {
    /// Its version; 0: the entity has no history.
    pub version: Version,
    /// When it last changed.
    pub at: Time,
    /// Its newest record.
    pub head: Position,
    /// Whether it is closed.
    pub closed: bool,
    /// Commands in its waiting room.
    pub waiting: usize,
    /// Writes the state as JSON; may take a while.
    pub json: Box<dyn FnOnce() -> Result<Box<RawValue>, serde_json::Error> + Send>,
}

impl<E: Entity> From<View<E>> for Shown {
    fn from(view: View<E>) -> Self {
        let View { state, version, now: _, at, head, closed, waiting } = view;
        let json = Box::new(move || serde_json::value::to_raw_value(state.as_ref()));
        Self { version, at, head, closed, waiting, json }
    }
}

/// Why an entity cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShowError {
    /// There is no such entity type.
    #[error("there is no such entity type")]
    UnknownType,
    /// Too much is under way; ask again a little later.
    #[error("too many commands are under way")]
    Busy,
    /// The entity is set aside.
    #[error("the entity is set aside at version {version}: {why}")]
    Poisoned {
        /// The version at which it broke.
        version: Version,
        /// What broke.
        why: String,
    },
    /// The store cannot be read now, or what the answer rests on could not be committed.
    #[error("{0}")]
    Unavailable(StoreError),
    /// The runtime is stopping.
    #[error("the server is stopping")]
    Stopping,
}

impl<J> From<SendError<J>> for ShowError {
    fn from(error: SendError<J>) -> Self {
        match error {
            SendError::Poisoned { version, why } => ShowError::Poisoned { version, why },
            SendError::Unavailable(error) => ShowError::Unavailable(error),
            SendError::Stopping => ShowError::Stopping,
            SendError::Busy
            | SendError::Rejected { .. }
            | SendError::Closed { .. }
            | SendError::IdReused
            | SendError::TooLarge { .. } => ShowError::Busy,
        }
    }
}

/// A committed state.
#[derive(Debug, Clone)]
pub struct View<E> {
    /// The state; the default one if the entity has no history.
    pub state: Arc<E>,
    /// Its version; 0: the entity has no history.
    pub version: Version,
    /// When it was looked at, in log time: no later decision is earlier.
    pub now: Time,
    /// When it last changed.
    pub at: Time,
    /// Its newest record.
    pub head: Position,
    /// Whether it is closed.
    pub closed: bool,
    /// Commands in its waiting room.
    pub waiting: usize,
}
