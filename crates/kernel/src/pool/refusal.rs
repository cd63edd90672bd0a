//! What a pool refuses, and why.

use super::LeaseId;
use crate::{
    ids::{Member, Token},
    limits,
    time::Millis,
};

/// The longest that [`PoolRefusal::Full`] tells to stay away: a slot may be released at any moment.
const FULL_RETRY: Millis = Millis::from_secs(60);

/// A pool's "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolRefusal {
    /// No member fits.
    #[error("no member fits: each is full, draining, aside or without the labels asked for")]
    Full {
        /// Until the next lease's expiry, but not longer than a fixed time.
        retry_after: Millis,
    },
    /// No such lease was ever granted.
    #[error("there is no such lease")]
    UnknownLease,
    /// The token is not the lease's.
    #[error("{token} is not the token of lease {lease}")]
    StaleToken {
        /// Which lease.
        lease: LeaseId,
        /// What was given.
        token: Token,
    },
    /// The lease was released or ran out.
    #[error("lease {0} is over")]
    LeaseOver(LeaseId),
    /// The lease is not over: its slot cannot be closed.
    #[error("lease {0} is held: release it first")]
    LeaseHeld(LeaseId),
    /// No such member.
    #[error("member {0} is unknown")]
    UnknownMember(Member),
    /// A new member needs a limit.
    #[error("a new member needs a limit")]
    LimitRequired,
    /// A further member would be one too many.
    #[error("a pool has at most {} members", limits::POOL_MEMBERS)]
    TooManyMembers,
}

impl PoolRefusal {
    /// The stable code by which programs know it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "pool_full",
            Self::UnknownLease => "unknown_lease",
            Self::StaleToken { .. } => "stale_token",
            Self::LeaseOver(_) => "lease_over",
            Self::LeaseHeld(_) => "lease_held",
            Self::UnknownMember(_) => "unknown_member",
            Self::LimitRequired => "missing_field",
            Self::TooManyMembers => "too_many_members",
        }
    }

    /// When asking again makes sense, if time alone may help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::Full { retry_after } => Some(*retry_after),
            Self::UnknownLease
            | Self::StaleToken { .. }
            | Self::LeaseOver(_)
            | Self::LeaseHeld(_)
            | Self::UnknownMember(_)
            | Self::LimitRequired
            | Self::TooManyMembers => None,
        }
    }

    /// Nothing fits, and the next expiry is so far away.
    pub(super) fn full(next: Option<Millis>) -> Self {
        Self::Full { retry_after: next.unwrap_or(FULL_RETRY).min(FULL_RETRY) }
    }
}
