//! What can be seen of a run.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use interlock_kernel::{
    ids::Worker,
    quota::{ClaimId, Limit, Quota},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

use super::{Battle, Ledger, Plan, Room, TakenUp, Tallies, Tally};
use crate::domain::overhead::Overhead;

/// A run at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunView {
    /// What is to be played.
    pub plan: Plan,
    /// Since when it is open.
    pub opened: Time,
    /// What is left to claim.
    pub remaining: Limit,
    /// Claims of battles that are searched for or played.
    pub claimed: u64,
    /// Battles that had begun and whose player has vanished.
    pub in_doubt: u64,
    /// How battles ended.
    pub total: Tally,
    /// By worker, with shares.
    pub workers: BTreeMap<Worker, WorkerView>,
    /// By team.
    pub teams: BTreeMap<String, Tally>,
    /// By opponent: those with the most battles.
    #[serde(default)]
    pub opponents: BTreeMap<String, Tally>,
    /// All other opponents together.
    #[serde(default)]
    pub other_opponents: Tally,
    /// The newest rating that the server told.
    pub rating: Option<u32>,
    /// How long battles were searched for or played.
    #[serde(default)]
    pub played_ms: Millis,
    /// Decisions in battles that are over.
    #[serde(default)]
    pub decisions: u64,
    /// What they cost beside waiting and thinking, in microseconds.
    #[serde(default)]
    pub decision_overhead_us: Percentiles,
    /// Battles that are not over, by claim.
    pub live: Vec<LiveBattle>,
    /// Battles that were settled by another worker than their own, on another machine: the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_up: Vec<TakenUp>,
}

/// Percentiles of what decisions cost, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of all.
    pub p50: u64,
    /// Ninety-nine of a hundred.
    pub p99: u64,
}

/// A worker's part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its share; `None`: as many as there are.
    pub quota: Option<u64>,
    /// How its battles ended.
    #[serde(flatten)]
    pub tally: Tally,
    /// What it has claimed and not ended.
    pub claimed: u64,
    /// Whether its name is refused.
    pub retired: bool,
}

/// A battle that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveBattle {
    /// Its claim.
    pub claim: ClaimId,
    /// Who plays it.
    pub worker: Worker,
    /// With which team.
    pub team: Option<String>,
    /// Its room, once it has one.
    pub room: Option<Room>,
    /// How it stands.
    pub phase: Phase,
    /// Since when it is claimed.
    pub since: Time,
    /// How long nobody has known what became of it; `None`: it is not in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_doubt_ms: Option<Millis>,
}

/// How a live battle stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// An opponent is searched for.
    Searching,
    /// It is played.
    Playing,
    /// It had begun, and nobody knows what became of it.
    InDoubt,
}

impl Ledger {
    /// How battles ended.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// The run as it stands at `now`.
    #[must_use]
    pub fn view(&self, now: Time) -> RunView {
        let quota: Cow<'_, Quota> = self.quota.recorded(now);
        let totals = quota.totals();
        let due = self.quota.due(now);
        let gone: Vec<ClaimId> = due.iter().filter_map(super::ended).collect();
        let doubts: BTreeMap<ClaimId, Option<Time>> = due.iter().filter_map(super::doubt).collect();
        let live = self.live.iter().filter(|(claim, _)| !gone.contains(claim));
        let live = live.map(|(claim, battle)| {
            let in_doubt = doubts.get(claim).copied().flatten().or(battle.in_doubt);
            LiveBattle::of(*claim, battle, in_doubt.map(|since| now.since(since)))
        });
        let worker = |(name, used): (&Worker, interlock_kernel::quota::WorkerUse)| {
            let tally = self.tallies.workers().get(name).copied().unwrap_or_default();
            let claimed = used.counts.claimed + used.counts.in_doubt;
            let view = WorkerView { quota: used.quota, tally, claimed, retired: used.retired };
            (name.clone(), view)
        };
        let (opponents, other_opponents) = self.tallies.opponents();
        let Overhead { decisions, p50, p99 } = self.overheads.summary();
        let micros = |cost: Duration| cost.as_micros().try_into().unwrap_or(u64::MAX);
        RunView {
            plan: self.plan.clone(),
            opened: self.opened,
            remaining: quota.remaining(),
            claimed: totals.claimed,
            in_doubt: totals.in_doubt,
            total: self.tallies.total(),
            workers: quota.workers().map(worker).collect(),
            teams: self.tallies.teams().clone(),
            opponents,
            other_opponents,
            rating: self.tallies.rating(),
            played_ms: self.stopwatch.played(),
            decisions,
            decision_overhead_us: Percentiles { p50: micros(p50), p99: micros(p99) },
            live: live.collect(),
            taken_up: self.taken_up.values().cloned().collect(),
        }
    }
}

impl LiveBattle {
    fn of(claim: ClaimId, battle: &Battle, in_doubt_ms: Option<Millis>) -> Self {
        let Battle { worker, team, since, room, in_doubt: _ } = battle.clone();
        let phase = match (&room, in_doubt_ms) {
            (_, Some(_)) => Phase::InDoubt,
            (Some(_), None) => Phase::Playing,
            (None, None) => Phase::Searching,
        };
        Self { claim, worker, team, room, phase, since, in_doubt_ms }
    }
}
