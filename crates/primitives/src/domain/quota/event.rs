//! What happens to a quota: the kernel's events, and its closing.

use interlock_kernel::quota::{
    self, Abandoned, Claimed, Configured, Expired, InDoubt, Renewed, Settled, Started,
    WorkerRetired,
};
use serde::{Deserialize, Serialize};

use super::super::Closed;

/// A fact about a quota. One list of all, so that a feed shows each as itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// It takes no more commands.
    Closed(Closed),
}

impl QuotaEvent {
    /// The event as the kernel's quota knows it; `None` for what only the entity knows.
    pub(super) fn of_kernel(&self) -> Option<quota::QuotaEvent> {
        Some(match self {
            Self::Configured(event) => quota::QuotaEvent::Configured(event.clone()),
            Self::Claimed(event) => quota::QuotaEvent::Claimed(event.clone()),
            Self::Started(event) => quota::QuotaEvent::Started(event.clone()),
            Self::Renewed(event) => quota::QuotaEvent::Renewed(event.clone()),
            Self::Settled(event) => quota::QuotaEvent::Settled(event.clone()),
            Self::Abandoned(event) => quota::QuotaEvent::Abandoned(event.clone()),
            Self::Expired(event) => quota::QuotaEvent::Expired(event.clone()),
            Self::InDoubt(event) => quota::QuotaEvent::InDoubt(event.clone()),
            Self::WorkerRetired(event) => quota::QuotaEvent::WorkerRetired(event.clone()),
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

impl From<quota::QuotaEvent> for QuotaEvent {
    fn from(event: quota::QuotaEvent) -> Self {
        match event {
            quota::QuotaEvent::Configured(event) => Self::Configured(event),
            quota::QuotaEvent::Claimed(event) => Self::Claimed(event),
            quota::QuotaEvent::Started(event) => Self::Started(event),
            quota::QuotaEvent::Renewed(event) => Self::Renewed(event),
            quota::QuotaEvent::Settled(event) => Self::Settled(event),
            quota::QuotaEvent::Abandoned(event) => Self::Abandoned(event),
            quota::QuotaEvent::Expired(event) => Self::Expired(event),
            quota::QuotaEvent::InDoubt(event) => Self::InDoubt(event),
            quota::QuotaEvent::WorkerRetired(event) => Self::WorkerRetired(event),
        }
    }
}
