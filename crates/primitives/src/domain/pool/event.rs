//! What happens to a pool: the kernel's events, and its closing.

use interlock_kernel::pool::{
    self, Confirmed, Expired, Leased, MemberLeaving, MemberPut, MemberReadmitted, MemberRemoved,
    MemberSetAside, Released, Renewed, SlotClosed,
};
use serde::{Deserialize, Serialize};

use super::super::Closed;

/// A fact about a pool. One list of all, so that a feed shows each as itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PoolEvent {
    /// A member was created or changed.
    MemberPut(MemberPut),
    /// A member takes no leases any more, and goes with the end of its last use.
    MemberLeaving(MemberLeaving),
    /// A member is gone.
    MemberRemoved(MemberRemoved),
    /// A member takes no leases for a while. No command of this entity makes it.
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
    /// The slot of a lease that is over is free. No command of this entity makes it.
    SlotClosed(SlotClosed),
    /// It takes no more commands.
    Closed(Closed),
}

impl PoolEvent {
    /// The event as the kernel's pool knows it; `None` for what only the entity knows.
    pub(super) fn of_kernel(&self) -> Option<pool::PoolEvent> {
        Some(match self {
            Self::MemberPut(event) => pool::PoolEvent::MemberPut(event.clone()),
            Self::MemberLeaving(event) => pool::PoolEvent::MemberLeaving(event.clone()),
            Self::MemberRemoved(event) => pool::PoolEvent::MemberRemoved(event.clone()),
            Self::MemberSetAside(event) => pool::PoolEvent::MemberSetAside(event.clone()),
            Self::MemberReadmitted(event) => pool::PoolEvent::MemberReadmitted(event.clone()),
            Self::Leased(event) => pool::PoolEvent::Leased(event.clone()),
            Self::Confirmed(event) => pool::PoolEvent::Confirmed(event.clone()),
            Self::Renewed(event) => pool::PoolEvent::Renewed(event.clone()),
            Self::Released(event) => pool::PoolEvent::Released(event.clone()),
            Self::Expired(event) => pool::PoolEvent::Expired(event.clone()),
            Self::SlotClosed(event) => pool::PoolEvent::SlotClosed(event.clone()),
            Self::Closed(Closed {}) => return None,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        match self.of_kernel() {
            Some(event) => event.name(),
            None => "closed",
        }
    }
}

impl From<pool::PoolEvent> for PoolEvent {
    fn from(event: pool::PoolEvent) -> Self {
        match event {
            pool::PoolEvent::MemberPut(event) => Self::MemberPut(event),
            pool::PoolEvent::MemberLeaving(event) => Self::MemberLeaving(event),
            pool::PoolEvent::MemberRemoved(event) => Self::MemberRemoved(event),
            pool::PoolEvent::MemberSetAside(event) => Self::MemberSetAside(event),
            pool::PoolEvent::MemberReadmitted(event) => Self::MemberReadmitted(event),
            pool::PoolEvent::Leased(event) => Self::Leased(event),
            pool::PoolEvent::Confirmed(event) => Self::Confirmed(event),
            pool::PoolEvent::Renewed(event) => Self::Renewed(event),
            pool::PoolEvent::Released(event) => Self::Released(event),
            pool::PoolEvent::Expired(event) => Self::Expired(event),
            pool::PoolEvent::SlotClosed(event) => Self::SlotClosed(event),
        }
    }
}
