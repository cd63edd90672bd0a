//! Runs as earlier versions stored them.

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{Old, Stored},
    quota::{ClaimId, Quota},
    time::Time,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Battle, Ledger, Plan, Run, Stopwatch, Tallies};
use crate::domain::overhead::Overheads;

/// Form 1, which knew neither how long was played nor what decisions cost.
#[derive(Deserialize)]
struct Ledger1 {
    plan: Plan,
    opened: Time,
    quota: Quota,
    live: BTreeMap<ClaimId, Battle>,
    tallies: Tallies,
}

impl From<Ledger1> for Ledger {
    fn from(Ledger1 { plan, opened, quota, live, tallies }: Ledger1) -> Self {
        let (stopwatch, overheads) = (Stopwatch::default(), Overheads::default());
        Self { plan, opened, quota, live, tallies, stopwatch, overheads }
    }
}

/// Reads what was stored in form 1. All but states are as they were.
pub(super) fn read(schema: u16, stored: Stored<'_>) -> Option<Old<Run>> {
    fn of<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
        postcard::from_bytes(bytes).ok()
    }
    if schema != 1 {
        return None;
    }
    match stored {
        Stored::State(bytes) => {
            let ledger: Option<Ledger1> = of(bytes)?;
            Some(Old::State(Run(ledger.map(Ledger::from))))
        }
        Stored::Events(bytes) => of(bytes).map(Old::Events),
        Stored::Reply(bytes) => of(bytes).map(Old::Reply),
        // The one that timers keep.
        Stored::Command(bytes) => of(bytes).map(Old::Command),
        Stored::Effect(bytes) => of(bytes).map(Old::Effect),
    }
}
