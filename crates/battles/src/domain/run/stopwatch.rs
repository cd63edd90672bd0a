//! How long a run was played: the time in which at least one battle was claimed, by whatever machine.
//!
//! Of a player that vanished it counts what passed until its last sign of life, so that the pause until somebody goes
//! on is none of it, unless that comes before the claim's time is over. A battle that was in doubt counts again from
//! when somebody takes it up.

use interlock_kernel::{
    quota::QuotaEvent,
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

/// Runs while battles are claimed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stopwatch {
    /// Until it last stopped.
    before_ms: Millis,
    /// Since when it runs.
    since: Option<Time>,
    /// The newest word of somebody who plays.
    sign: Time,
}

impl Stopwatch {
    /// An event was applied, and this is whether battles are claimed now.
    pub(super) fn hear(&mut self, event: &QuotaEvent, is_played: bool) {
        self.sign = sign(event).map_or(self.sign, |at| at.max(self.sign));
        match (self.since, is_played) {
            (None, true) => self.since = Some(self.sign),
            (Some(_), false) => (self.before_ms, self.since) = (self.played(), None),
            (None, false) | (Some(_), true) => {}
        }
    }

    /// How long it ran, as far as somebody has said.
    pub(super) fn played(&self) -> Millis {
        let now = self.since.map_or(Millis::default(), |since| self.sign.since(since));
        Millis(self.before_ms.0 + now.0)
    }
}

/// When somebody who plays has said this; `None`: it came by itself, or from elsewhere.
fn sign(event: &QuotaEvent) -> Option<Time> {
    match event {
        QuotaEvent::Claimed(event) => Some(event.at),
        QuotaEvent::Started(event) => Some(event.at),
        QuotaEvent::Renewed(event) => Some(event.at),
        QuotaEvent::Settled(event) => Some(event.at),
        QuotaEvent::Abandoned(event) => Some(event.at),
        QuotaEvent::Configured(_)
        | QuotaEvent::Expired(_)
        | QuotaEvent::InDoubt(_)
        | QuotaEvent::WorkerRetired(_) => None,
    }
}
