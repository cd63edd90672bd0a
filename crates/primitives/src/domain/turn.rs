//! Turns over HTTP: one winner per turn.
//!
//! The kernel's [`Turn`] decides; this entity adds closing, error codes and the view for `GET`. It comes
//! into being with its first winner.

use std::num::NonZeroU64;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Version,
    json::Json,
    turn::{self, Posted, Turn, Won},
};
use serde::{Deserialize, Serialize};

use super::Closed;

/// A sequence of turns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TurnEntity(Turn);

/// What can be asked of a sequence of turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TurnCommand {
    /// Play a value on a turn.
    Post {
        /// Which turn.
        turn: NonZeroU64,
        /// The value that wins it, if it is the first.
        value: Json,
    },
    /// Take no more commands.
    Close,
}

/// What happens to a sequence of turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TurnEvent {
    /// The next turn has its winner.
    Won(Won),
    /// It takes no more commands.
    Closed(Closed),
}

/// The answer to a [`TurnCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TurnReply {
    /// How the posted value fared.
    Posted(TurnResult),
    /// It is closed.
    Closed,
}

/// Who won a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnResult {
    /// Whether the posted value did.
    pub won: bool,
    /// The turn it was posted to.
    pub turn: NonZeroU64,
    /// The winner's value.
    pub value: Json,
    /// The turn that has no winner yet.
    pub next_turn: NonZeroU64,
}

/// Why a [`TurnCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TurnRejection {
    /// No turn was ever won.
    #[error("there is no such turn")]
    Unknown,
    /// The turn cannot be played.
    #[error(transparent)]
    Refused(#[from] turn::Rejection),
}

impl TurnRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_turn",
            Self::Refused(turn::Rejection::Ahead { .. }) => "turn_ahead",
            Self::Refused(turn::Rejection::Gone { .. }) => "turn_gone",
        }
    }
}

/// The body of `GET /turns/{key}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnView<'a> {
    /// The turn that has no winner yet.
    pub next_turn: NonZeroU64,
    /// The turn won last.
    pub last: Option<LastTurn<'a>>,
    /// The entity's version.
    pub version: Version,
}

/// A won turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastTurn<'a> {
    /// Which turn.
    pub turn: NonZeroU64,
    /// The winner's value.
    pub value: &'a Json,
}

impl TurnEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.check();
    }

    /// What `GET` shows of the entity at this version.
    pub fn view(&self, version: Version) -> Result<TurnView<'_>, TurnRejection> {
        let (turn, value) = self.0.last().ok_or(TurnRejection::Unknown)?;
        let last = Some(LastTurn { turn, value });
        Ok(TurnView { next_turn: self.0.next(), last, version })
    }

    fn post(&self, turn: NonZeroU64, value: &Json) -> Result<Decision<Self>, TurnRejection> {
        Ok(match self.0.post(turn, value)? {
            Posted::Wins(won) => {
                let next_turn = turn.saturating_add(1);
                let result = TurnResult { won: true, turn, value: won.value.clone(), next_turn };
                Decision::event(TurnEvent::Won(won), TurnReply::Posted(result))
            }
            Posted::Lost(value) => {
                let next_turn = self.0.next();
                let result = TurnResult { won: false, turn, value, next_turn };
                Decision::unchanged(TurnReply::Posted(result))
            }
        })
    }

    fn close(&self) -> Result<Decision<Self>, TurnRejection> {
        self.0.last().ok_or(TurnRejection::Unknown)?;
        Ok(Decision::event(TurnEvent::Closed(Closed {}), TurnReply::Closed).close())
    }
}

impl Entity for TurnEntity {
    const TYPE: &'static str = "turn";
    type Command = TurnCommand;
    type Event = TurnEvent;
    type Reply = TurnReply;
    type Rejection = TurnRejection;
    type Effect = Never;

    fn decide(&self, command: &TurnCommand, _cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            TurnCommand::Post { turn, value } => self.post(*turn, value)?,
            TurnCommand::Close => self.close()?,
        })
    }

    fn apply(&mut self, event: &TurnEvent) {
        match event {
            TurnEvent::Won(won) => self.0.apply(&turn::Event::Won(won.clone())),
            TurnEvent::Closed(Closed {}) => {}
        }
    }

    fn command_name(command: &TurnCommand) -> &'static str {
        match command {
            TurnCommand::Post { .. } => "post",
            TurnCommand::Close => "close",
        }
    }

    fn event_name(event: &TurnEvent) -> &'static str {
        match event {
            TurnEvent::Won(_) => "won",
            TurnEvent::Closed(_) => "closed",
        }
    }
}
