//! What happens to a pool.

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::{LeaseId, MemberState, Reason, Standing};
use crate::{
    ids::{Holder, Member, Token},
    time::{Millis, Time},
};

/// A fact about a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolEvent {
    /// A member was created or changed.
    MemberPut(MemberPut),
    /// A member takes no leases any more, and goes with the end of its last use.
    MemberLeaving(MemberLeaving),
    /// A member is gone.
    MemberRemoved(MemberRemoved),
    /// A member takes no leases for a while.
    MemberSetAside(MemberSetAside),
    /// A member that was set aside takes leases again.
    MemberReadmitted(MemberReadmitted),
    /// A lease was granted; it is pending.
    Leased(Leased),
    /// A lease is active, and its time began anew.
    Confirmed(Confirmed),
    /// A lease's time began anew.
    Renewed(Renewed),
    /// A lease was ended by its holder.
    Released(Released),
    /// A lease's time ran out.
    Expired(Expired),
    /// The slot of a lease that is over is free.
    SlotClosed(SlotClosed),
}

/// A member, as it is after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPut {
    /// Which one.
    pub member: Member,
    /// How many uses at once.
    pub limit: u32,
    /// How much of the load it takes.
    pub weight: NonZeroU32,
    /// What requests can ask for.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes leases.
    pub state: MemberState,
    /// Its place in [`super::Ranking::HealthiestFirst`].
    pub standing: Standing,
    /// When.
    pub at: Time,
}

/// A member goes with the end of its last use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLeaving {
    /// Which one.
    pub member: Member,
    /// When.
    pub at: Time,
}

/// A member is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRemoved {
    /// Which one.
    pub member: Member,
    /// When.
    pub at: Time,
}

/// A member takes no leases for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberSetAside {
    /// Which one.
    pub member: Member,
    /// The first moment at which it takes leases again.
    pub until: Time,
    /// When.
    pub at: Time,
}

/// A member that was set aside takes leases again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReadmitted {
    /// Which one.
    pub member: Member,
    /// When.
    pub at: Time,
}

/// A lease was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leased {
    /// Which one.
    pub lease: LeaseId,
    /// Its token.
    pub token: Token,
    /// On which member.
    pub member: Member,
    /// To whom.
    pub holder: Holder,
    /// Leases with the same string go to the same member while it fits.
    pub sticky: Option<String>,
    /// How long it lasts, at first and after renewals that name no time.
    pub ttl_ms: Millis,
    /// The first moment at which it is over.
    pub expires_at: Time,
    /// Why it was that member.
    pub reason: Reason,
    /// When.
    pub at: Time,
}

/// A lease is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Which one.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// The first moment at which it is over.
    pub expires_at: Time,
    /// When.
    pub at: Time,
}

/// A lease's time began anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Which one.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// The first moment at which it is over.
    pub expires_at: Time,
    /// When.
    pub at: Time,
}

/// A lease was ended by its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which one.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// When.
    pub at: Time,
}

/// A lease's time ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Which one.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// When this was recorded: at the expiry or later.
    pub at: Time,
}

/// The slot of a lease that is over is free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotClosed {
    /// Which one.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// When.
    pub at: Time,
}

impl PoolEvent {
    /// What feeds and timelines call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::MemberPut(_) => "member_put",
            Self::MemberLeaving(_) => "member_leaving",
            Self::MemberRemoved(_) => "member_removed",
            Self::MemberSetAside(_) => "member_set_aside",
            Self::MemberReadmitted(_) => "member_readmitted",
            Self::Leased(_) => "leased",
            Self::Confirmed(_) => "confirmed",
            Self::Renewed(_) => "renewed",
            Self::Released(_) => "released",
            Self::Expired(_) => "expired",
            Self::SlotClosed(_) => "slot_closed",
        }
    }

    /// When it was decided.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Self::MemberPut(event) => event.at,
            Self::MemberLeaving(event) => event.at,
            Self::MemberRemoved(event) => event.at,
            Self::MemberSetAside(event) => event.at,
            Self::MemberReadmitted(event) => event.at,
            Self::Leased(event) => event.at,
            Self::Confirmed(event) => event.at,
            Self::Renewed(event) => event.at,
            Self::Released(event) => event.at,
            Self::Expired(event) => event.at,
            Self::SlotClosed(event) => event.at,
        }
    }

    /// Whether it can record that time ran out, or follow from that.
    pub(super) fn is_expiry(&self) -> bool {
        match self {
            Self::Expired(_) | Self::MemberReadmitted(_) | Self::MemberRemoved(_) => true,
            Self::MemberPut(_)
            | Self::MemberLeaving(_)
            | Self::MemberSetAside(_)
            | Self::Leased(_)
            | Self::Confirmed(_)
            | Self::Renewed(_)
            | Self::Released(_)
            | Self::SlotClosed(_) => false,
        }
    }
}
