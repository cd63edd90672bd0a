//! What can be asked of a run, and what it answers.

use interlock_kernel::{
    ids::Worker,
    quota::{ClaimId, Extended, Grant, QuotaRefusal},
    time::Millis,
};
use serde::{Deserialize, Serialize};

use super::{Ending, Plan, PlanDiffers, Room};
use crate::{domain::overhead::Overheads, limits};

/// What can be asked of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunCommand {
    /// Open it, or go on with it; the target and the number of shares may change as a quota's may.
    Open {
        /// What is to be played.
        plan: Plan,
        /// How long a claim lasts without a sign of life.
        claim_ttl_ms: Millis,
        /// How long endings are remembered, at least.
        retention_ms: Millis,
    },
    /// Claim a battle, before it is searched for.
    Claim {
        /// For whom.
        worker: Worker,
        /// With which team.
        team: Option<String>,
    },
    /// The server has named the battle's room.
    Begin {
        /// Which claim.
        claim: ClaimId,
        /// Where it is played.
        room: Room,
    },
    /// Whoever plays it is still there.
    Renew {
        /// Which claim.
        claim: ClaimId,
    },
    /// The battle is over.
    End(Settlement),
    /// There was no battle: the search was called off.
    GiveBack {
        /// Which claim.
        claim: ClaimId,
    },
    /// Refuse a worker's name from now on, and leave its share to the next.
    Retire {
        /// Who.
        worker: Worker,
    },
    /// Sent by the run's own timer: record what is over.
    Expire,
}

/// How a battle ended, as somebody saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which claim it settles.
    pub claim: ClaimId,
    /// How it ended.
    pub ending: Ending,
    /// The player's rating after it, if the server told.
    pub rating: Option<u32>,
    /// What the decisions in it cost, as far as whoever saw it knows.
    pub overheads: Overheads,
    /// Whose machine keeps the log; `None`: that of the worker that it counts for.
    pub by: Option<Worker>,
}

/// The answer to a [`RunCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunReply {
    /// It is open.
    Open {
        /// Whether it was not before.
        created: bool,
    },
    /// The claim that was granted.
    Claimed(Grant),
    /// The claim with its new expiry.
    Extended(Extended),
    /// It is over, as was said.
    Over {
        /// Which claim.
        claim: ClaimId,
    },
    /// It is done.
    Done,
}

/// Why a [`RunCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRejection {
    /// It was never opened.
    #[error("there is no such run")]
    Unknown,
    /// It was opened with another plan.
    #[error(transparent)]
    PlanDiffers(#[from] PlanDiffers),
    /// A text of the command is too long, or empty.
    #[error("{0} must have 1 to {max} characters", max = limits::TEXT_CHARS)]
    BadText(&'static str),
    /// Nobody here can play it.
    #[error(
        "format {0} cannot be played: only single battles of generation 9, gen9randombattle or gen9ou, say"
    )]
    BadFormat(String),
    /// The claim has a room already.
    #[error("claim {claim} is played in {room}")]
    OtherRoom {
        /// Which claim.
        claim: ClaimId,
        /// Where.
        room: String,
    },
    /// The room belongs to another claim.
    #[error("{room} is played for claim {claim}")]
    RoomTaken {
        /// Where.
        room: String,
        /// For which claim.
        claim: ClaimId,
    },
    /// Only what has begun can end.
    #[error("claim {0} has no room: give it back instead")]
    NotBegun(ClaimId),
    /// What has begun cannot be as if it had not.
    #[error("claim {0} has a room: end it instead")]
    Begun(ClaimId),
    /// The quota says no.
    #[error(transparent)]
    Refused(#[from] QuotaRefusal),
}

impl RunRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_run",
            Self::PlanDiffers(_) => "plan_differs",
            Self::BadText(_) => "bad_field",
            Self::BadFormat(_) => "bad_format",
            Self::OtherRoom { .. } => "other_room",
            Self::RoomTaken { .. } => "room_taken",
            Self::NotBegun(_) => "not_begun",
            Self::Begun(_) => "begun",
            Self::Refused(refusal) => refusal.code(),
        }
    }
}
