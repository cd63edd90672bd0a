//! What happens to a run.

use interlock_kernel::{
    ids::Worker,
    quota::{ClaimId, Configured, QuotaEvent},
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::{Outcome, Plan, Room};
use crate::domain::overhead::Overheads;

/// A fact about a run. What the quota says comes first, what it means for a battle after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// It was opened.
    Opened(Opened),
    /// A fact about its quota.
    Quota(QuotaEvent),
    /// A battle is searched for.
    Claimed(Claimed),
    /// A battle has begun.
    Began(Began),
    /// A battle is over.
    Over(Over),
    /// It is known what its decisions cost.
    Measured(Measured),
    /// It was settled by another worker than its own.
    TakenUp(TakenUp),
}

/// A run was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// What is to be played.
    pub plan: Plan,
    /// How it is counted.
    pub quota: Configured,
    /// When.
    pub at: Time,
}

/// A battle is searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// Its claim.
    pub claim: ClaimId,
    /// Who plays it.
    pub worker: Worker,
    /// With which team.
    pub team: Option<String>,
    /// When.
    pub at: Time,
}

/// A battle has begun, or more is known of its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// Its claim.
    pub claim: ClaimId,
    /// Where, and against whom.
    pub room: Room,
    /// When.
    pub at: Time,
}

/// A battle is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// Its claim.
    pub claim: ClaimId,
    /// Who played it.
    pub worker: Worker,
    /// With which team.
    pub team: Option<String>,
    /// Where, and against whom.
    pub room: Option<Room>,
    /// How it ended.
    pub ending: Ending,
    /// The player's rating after it.
    pub rating: Option<u32>,
    /// Since when it was claimed.
    pub since: Time,
    /// When.
    pub at: Time,
}

/// What the decisions in a battle that is over have cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its claim.
    pub claim: ClaimId,
    /// What they cost beside waiting and thinking.
    pub overheads: Overheads,
    /// When.
    pub at: Time,
}

/// A battle was settled by another worker than its own, on another machine, where its log is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenUp {
    /// Its claim.
    pub claim: ClaimId,
    /// For whom it counts.
    pub worker: Worker,
    /// Who settled it.
    pub by: Worker,
    /// As what.
    pub ending: Ending,
    /// When.
    pub at: Time,
}

/// How a battle ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an outcome, which counts.
    Of(Outcome),
    /// Without one: the server is gone, and the battle with it. It does not count.
    Void,
}

impl Ending {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Of(outcome) => outcome.word(),
            Self::Void => "void",
        }
    }
}

impl RunEvent {
    /// What feed and timeline call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "opened",
            Self::Quota(event) => event.name(),
            Self::Claimed(_) => "searching",
            Self::Began(_) => "began",
            Self::Over(_) => "over",
            Self::Measured(_) => "measured",
            Self::TakenUp(_) => "taken_up",
        }
    }
}
