//! What happens to a quota.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{ClaimId, Limit};
use crate::{
    ids::{Outcome, Worker},
    time::{Millis, Time},
};

/// A fact about a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuotaEvent {
    /// It was created, or its configuration changed.
    Configured(Configured),
    /// A claim was granted.
    Claimed(Claimed),
    /// A claim's holder said that it began, and got its time anew.
    Started(Started),
    /// A claim's time began anew.
    Renewed(Renewed),
    /// A claim ended with an outcome.
    Settled(Settled),
    /// A claim was given back.
    Abandoned(Abandoned),
    /// A claim came back: its time ran out before it started.
    Expired(Expired),
    /// Nobody knows what became of a claim: its time ran out after it started.
    InDoubt(InDoubt),
    /// A worker's name is refused from now on.
    WorkerRetired(WorkerRetired),
}

/// The whole configuration, after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// How many.
    pub limit: Limit,
    /// Among how many workers it is split.
    pub workers: Option<NonZeroU32>,
    /// How long a new claim lasts.
    pub claim_ttl_ms: Millis,
    /// How long endings are remembered, at least.
    pub retention_ms: Millis,
    /// When.
    pub at: Time,
}

/// A claim was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Which one.
    pub claim: ClaimId,
    /// To whom.
    pub worker: Worker,
    /// Which share it counts against, from 0; `None` without a split.
    pub share: Option<u32>,
    /// How long it lasts, at first and after renewals that name no time.
    pub ttl_ms: Millis,
    /// The first moment at which it is over.
    pub expires_at: Time,
    /// When.
    pub at: Time,
}

/// A claim's holder said that it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// The first moment at which it is in doubt.
    pub expires_at: Time,
    /// When.
    pub at: Time,
}

/// A claim's time began anew. What was in doubt is so no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// The first moment at which it is over.
    pub expires_at: Time,
    /// When.
    pub at: Time,
}

/// A claim ended with an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub at: Time,
}

/// A claim was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// When.
    pub at: Time,
}

/// A claim's time ran out before it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// When this was recorded: at the expiry or later.
    pub at: Time,
}

/// A claim's time ran out after it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubt {
    /// Which one.
    pub claim: ClaimId,
    /// Whose.
    pub worker: Worker,
    /// When this was recorded: at the expiry or later.
    pub at: Time,
}

/// A worker's name is refused from now on; its share goes to the next new name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRetired {
    /// Who.
    pub worker: Worker,
    /// When.
    pub at: Time,
}

impl QuotaEvent {
    /// What feeds and timelines call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Configured(_) => "configured",
            Self::Claimed(_) => "claimed",
            Self::Started(_) => "started",
            Self::Renewed(_) => "renewed",
            Self::Settled(_) => "settled",
            Self::Abandoned(_) => "abandoned",
            Self::Expired(_) => "expired",
            Self::InDoubt(_) => "in_doubt",
            Self::WorkerRetired(_) => "worker_retired",
        }
    }

    /// When it was decided.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Self::Configured(event) => event.at,
            Self::Claimed(event) => event.at,
            Self::Started(event) => event.at,
            Self::Renewed(event) => event.at,
            Self::Settled(event) => event.at,
            Self::Abandoned(event) => event.at,
            Self::Expired(event) => event.at,
            Self::InDoubt(event) => event.at,
            Self::WorkerRetired(event) => event.at,
        }
    }

    /// Whether it only records that time ran out.
    pub(super) fn is_expiry(&self) -> bool {
        match self {
            Self::Expired(_) | Self::InDoubt(_) => true,
            Self::Configured(_)
            | Self::Claimed(_)
            | Self::Started(_)
            | Self::Renewed(_)
            | Self::Settled(_)
            | Self::Abandoned(_)
            | Self::WorkerRetired(_) => false,
        }
    }
}
