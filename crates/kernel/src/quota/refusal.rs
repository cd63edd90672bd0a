//! What a quota refuses, and why.

use super::{ClaimId, Ending, Limit};
use crate::{
    ids::{Outcome, Worker},
    limits,
    time::Millis,
};

/// When to ask again while everything outstanding is in doubt: nobody knows when that ends.
pub(super) const DOUBT_RETRY: Millis = Millis::from_secs(60);

/// A quota's "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaRefusal {
    /// More is used than the new limit.
    #[error("{used} are claimed, in doubt or settled: the limit cannot be {limit}")]
    LimitBelowUsed {
        /// The limit that was asked for.
        limit: Limit,
        /// Claimed, in doubt and settled.
        used: u64,
    },
    /// The split cannot change once a claim was granted.
    #[error("claims were granted already: the number of workers cannot change")]
    Started,
    /// Nothing is left, and nothing can come back.
    #[error("the quota is used up: every claim is settled")]
    Exhausted,
    /// Nothing is left now; something may come back.
    #[error("everything left is claimed or in doubt: ask again later")]
    AllClaimed {
        /// Until the next claim's expiry, or a fixed time if nothing outstanding expires.
        retry_after: Millis,
    },
    /// The worker's share is used up, and nothing of it can come back.
    #[error("worker {0} has used its share: every claim of it is settled")]
    WorkerQuotaReached(Worker),
    /// Nothing of the worker's share is left now; something may come back.
    #[error("what is left of the share of worker {worker} is claimed or in doubt: ask again later")]
    WorkerQuotaClaimed {
        /// Whose.
        worker: Worker,
        /// Until the next expiry of a claim of that share, or a fixed time if nothing outstanding of it expires.
        retry_after: Millis,
    },
    /// Every share has its worker.
    #[error("every share has its worker already: {0} is one too many")]
    TooManyWorkers(Worker),
    /// The worker was retired.
    #[error("worker {0} is retired: claim under a new name")]
    WorkerRetired(Worker),
    /// No claim was ever granted to a worker of that name.
    #[error("no claim was ever granted to worker {0}")]
    UnknownWorker(Worker),
    /// No such claim, or one that ended longer ago than endings are remembered.
    #[error("there is no such claim")]
    UnknownClaim,
    /// The claim is settled.
    #[error("claim {claim} is settled with outcome {outcome}")]
    ClaimSettled {
        /// Which one.
        claim: ClaimId,
        /// Its outcome.
        outcome: Outcome,
    },
    /// The claim was abandoned.
    #[error("claim {0} was abandoned")]
    ClaimOver(ClaimId),
    /// The claim's time ran out before it started.
    #[error("the time of claim {0} ran out")]
    ClaimExpired(ClaimId),
    /// A further outcome would be one too many to count.
    #[error("a quota counts at most {} different outcomes", limits::QUOTA_OUTCOMES)]
    TooManyOutcomes,
}

impl QuotaRefusal {
    /// The stable code by which programs know it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::LimitBelowUsed { .. } => "limit_below_used",
            Self::Started => "quota_started",
            Self::Exhausted => "quota_exhausted",
            Self::AllClaimed { .. } => "quota_all_claimed",
            Self::WorkerQuotaReached(_) => "worker_quota_reached",
            Self::WorkerQuotaClaimed { .. } => "worker_quota_claimed",
            Self::TooManyWorkers(_) => "too_many_workers",
            Self::WorkerRetired(_) => "worker_retired",
            Self::UnknownWorker(_) => "unknown_worker",
            Self::UnknownClaim => "unknown_claim",
            Self::ClaimSettled { .. } => "claim_settled",
            Self::ClaimOver(_) => "claim_over",
            Self::ClaimExpired(_) => "claim_expired",
            Self::TooManyOutcomes => "too_many_outcomes",
        }
    }

    /// When asking again makes sense, if time alone may help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::AllClaimed { retry_after } | Self::WorkerQuotaClaimed { retry_after, .. } => {
                Some(*retry_after)
            }
            Self::LimitBelowUsed { .. }
            | Self::Started
            | Self::Exhausted
            | Self::WorkerQuotaReached(_)
            | Self::TooManyWorkers(_)
            | Self::WorkerRetired(_)
            | Self::UnknownWorker(_)
            | Self::UnknownClaim
            | Self::ClaimSettled { .. }
            | Self::ClaimOver(_)
            | Self::ClaimExpired(_)
            | Self::TooManyOutcomes => None,
        }
    }

    /// The refusal of whatever a claim that ended like this no longer allows.
    pub(super) fn ended(claim: ClaimId, ending: &Ending) -> Self {
        match ending {
            Ending::Settled(outcome) => Self::ClaimSettled { claim, outcome: outcome.clone() },
            Ending::Abandoned => Self::ClaimOver(claim),
            Ending::Expired => Self::ClaimExpired(claim),
        }
    }
}
