//! Runs as earlier versions stored them.

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{Old, Stored},
    ids::Worker,
    quota::{ClaimId, Quota},
    time::Time,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Battle, Ledger, Plan, Room, Run, Stopwatch, Tallies};
use crate::domain::overhead::Overheads;

/// Form 1, which knew neither how long was played nor what decisions cost.
#[derive(Deserialize)]
struct Ledger1 {
    plan: Plan,
    opened: Time,
    quota: Quota,
    live: BTreeMap<ClaimId, Battle2>,
    tallies: Tallies,
}

/// Form 2, which knew neither since when a battle was in doubt nor who had taken one up.
#[derive(Deserialize)]
struct Ledger2 {
    plan: Plan,
    opened: Time,
    quota: Quota,
    live: BTreeMap<ClaimId, Battle2>,
    tallies: Tallies,
    stopwatch: Stopwatch,
    overheads: Overheads,
}

#[derive(Deserialize)]
struct Battle2 {
    worker: Worker,
    team: Option<String>,
    since: Time,
    room: Option<Room>,
}

impl From<Ledger1> for Ledger2 {
    fn from(Ledger1 { plan, opened, quota, live, tallies }: Ledger1) -> Self {
        let (stopwatch, overheads) = (Stopwatch::default(), Overheads::default());
        Self { plan, opened, quota, live, tallies, stopwatch, overheads }
    }
}

impl From<Ledger2> for Ledger {
    fn from(old: Ledger2) -> Self {
        let Ledger2 { plan, opened, quota, live, tallies, stopwatch, overheads } = old;
        let battle = |(claim, Battle2 { worker, team, since, room }): (ClaimId, Battle2)| {
            // Not before it was claimed; more is not known.
            let in_doubt = quota.in_doubt().any(|other| other == claim).then_some(since);
            (claim, Battle { worker, team, since, room, in_doubt })
        };
        let live = live.into_iter().map(battle).collect();
        let (taken_up, watched) = (BTreeMap::new(), BTreeMap::new());
        Self { plan, opened, quota, live, tallies, stopwatch, overheads, taken_up, watched }
    }
}

/// Reads what was stored in an older form. All but states are as they were.
pub(super) fn read(schema: u16, stored: Stored<'_>) -> Option<Old<Run>> {
    fn of<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
        postcard::from_bytes(bytes).ok()
    }
    if ![1, 2].contains(&schema) {
        return None;
    }
    match stored {
        Stored::State(bytes) => {
            let ledger: Option<Ledger2> = if schema == 1 {
                of::<Option<Ledger1>>(bytes)?.map(Ledger2::from)
            } else {
                of(bytes)?
            };
            Some(Old::State(Run(ledger.map(Ledger::from))))
        }
        Stored::Events(bytes) => of(bytes).map(Old::Events),
        Stored::Reply(bytes) => of(bytes).map(Old::Reply),
        // The one that timers keep.
        Stored::Command(bytes) => of(bytes).map(Old::Command),
        Stored::Effect(bytes) => of(bytes).map(Old::Effect),
    }
}
