//! The body of `GET /quotas/{key}`.

use std::collections::BTreeMap;

use interlock_kernel::{
    ids::{Outcome, Version, Worker},
    quota::{Limit, WorkerUse},
    time::Time,
};
use serde::Serialize;

use super::{QuotaEntity, QuotaRejection};

/// The quota's counts: claimed + in_doubt + settled + remaining = limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuotaView {
    /// How many.
    pub limit: Limit,
    /// Open or started.
    pub claimed: u64,
    /// Started, and nobody knows what became of them.
    pub in_doubt: u64,
    /// Ended with an outcome.
    pub settled: u64,
    /// What is left.
    pub remaining: Limit,
    /// How many were settled with each outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Everyone who was ever granted a claim.
    pub workers: BTreeMap<Worker, WorkerView>,
    /// The entity's version.
    pub version: Version,
}

/// What one worker uses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkerView {
    /// Its share; `None` without a split or without a limit.
    pub quota: Option<u64>,
    /// Open or started.
    pub claimed: u64,
    /// Started, and nobody knows what became of them.
    pub in_doubt: u64,
    /// Ended with an outcome.
    pub settled: u64,
    /// Shown only when its name is refused.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

impl QuotaEntity {
    /// What `GET` shows of the entity at this version, as things stand at `now`.
    pub fn view(&self, version: Version, now: Time) -> Result<QuotaView, QuotaRejection> {
        let quota = self.known()?.recorded(now);
        let totals = quota.totals();
        let worker = |(name, used): (&Worker, _)| (name.clone(), WorkerView::from(used));
        Ok(QuotaView {
            limit: quota.limit(),
            claimed: totals.claimed,
            in_doubt: totals.in_doubt,
            settled: totals.settled,
            remaining: quota.remaining(),
            outcomes: quota.outcomes().clone(),
            workers: quota.workers().map(worker).collect(),
            version,
        })
    }
}

impl From<WorkerUse> for WorkerView {
    fn from(WorkerUse { quota, counts, retired }: WorkerUse) -> Self {
        let (claimed, in_doubt, settled) = (counts.claimed, counts.in_doubt, counts.settled);
        Self { quota, claimed, in_doubt, settled, retired }
    }
}
