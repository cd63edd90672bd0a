//! What happens to the engines.

use interlock_kernel::{
    ids::Member,
    pool::{LeaseId, PoolEvent, Reason},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

use super::engines::{Ending, EngineSpec, Freed, Rules};

/// A fact about the engines. The pool's own facts come as they are; the others say what they mean for a
/// stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnginesEvent {
    /// A process took over, with this configuration.
    Began(Began),
    /// A member or a lease changed.
    Pool(PoolEvent),
    /// A stream got a slot.
    Assigned(Assigned),
    /// The engine opened a session for it.
    Started(Started),
    /// Its bytes flow.
    Flowing(Flowing),
    /// A start failed.
    Failed(Failed),
    /// Nobody uses the slot any more; the engine does not know that yet.
    Ended(Ended),
    /// The slot is free.
    Free(Free),
}

/// A process took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// The engines that it was given.
    pub engines: Vec<EngineSpec>,
    /// Its times.
    pub rules: Rules,
}

/// A stream got a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The slot.
    pub lease: LeaseId,
    /// Whose.
    pub engine: Member,
    /// Where that is.
    pub url: String,
    /// For which stream.
    pub stream: String,
    /// Why that engine: what the choice saw.
    pub reason: Reason,
    /// When.
    pub at: Time,
}

/// The engine opened a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The slot.
    pub lease: LeaseId,
    /// On which engine.
    pub engine: Member,
    /// Of which stream.
    pub stream: String,
    /// How the session is stopped.
    pub command_url: String,
    /// How it does.
    pub stat_url: String,
}

/// Bytes flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flowing {
    /// The slot.
    pub lease: LeaseId,
    /// On which engine.
    pub engine: Member,
    /// Of which stream.
    pub stream: String,
    /// From the choice of the engine to the first byte.
    pub after_ms: Millis,
    /// When.
    pub at: Time,
}

/// A start failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// On which engine.
    pub engine: Member,
    /// Of which stream.
    pub stream: String,
    /// What happened.
    pub why: String,
    /// The engine could not be reached.
    pub unreachable: bool,
    /// When.
    pub at: Time,
}

/// A use is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The slot.
    pub lease: LeaseId,
    /// On which engine.
    pub engine: Member,
    /// Of which stream.
    pub stream: String,
    /// Why.
    pub ending: Ending,
    /// When the slot was given out.
    pub since: Time,
    /// When it was over.
    pub at: Time,
    /// When the engine ends the session by itself at the latest.
    pub idle_at: Time,
}

/// A slot is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Free {
    /// The slot.
    pub lease: LeaseId,
    /// On which engine.
    pub engine: Member,
    /// Of which stream.
    pub stream: String,
    /// How we know.
    pub how: Freed,
}

impl EnginesEvent {
    /// What feeds and timelines call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Began(_) => "began",
            Self::Pool(event) => event.name(),
            Self::Assigned(_) => "assigned",
            Self::Started(_) => "started",
            Self::Flowing(_) => "flowing",
            Self::Failed(_) => "failed",
            Self::Ended(_) => "ended",
            Self::Free(_) => "free",
        }
    }
}
