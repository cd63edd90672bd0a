//! What can be seen of a quota.

use std::{borrow::Cow, collections::BTreeMap, num::NonZeroU32};

use super::{
    Claim, ClaimId, Configured, Counts, Expired, InDoubt, Limit, Phase, Quota, QuotaEvent,
    WorkerUse,
};
use crate::{
    ids::{Outcome, Worker},
    time::Time,
};

impl Quota {
    /// How many.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// Among how many workers it is split.
    #[must_use]
    pub fn split(&self) -> Option<NonZeroU32> {
        self.workers.split()
    }

    /// The configuration, as an event at `at` would tell it.
    #[must_use]
    pub fn configured(&self, at: Time) -> Configured {
        Configured {
            limit: self.limit,
            workers: self.split(),
            claim_ttl_ms: self.claim_ttl_ms,
            retention_ms: self.retention_ms,
            at,
        }
    }

    /// Claims that count.
    #[must_use]
    pub fn totals(&self) -> Counts {
        self.totals
    }

    /// What is left: limit − claimed − in doubt − settled.
    #[must_use]
    pub fn remaining(&self) -> Limit {
        self.limit.less(self.totals.used())
    }

    /// How many claims were settled with each outcome.
    #[must_use]
    pub fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        &self.outcomes
    }

    /// Everyone who was ever granted a claim, by name.
    pub fn workers(&self) -> impl Iterator<Item = (&Worker, WorkerUse)> {
        self.workers.iter(self.limit)
    }

    /// Claims of which nobody knows what became.
    pub fn in_doubt(&self) -> impl Iterator<Item = ClaimId> {
        let is_in_doubt =
            |(id, claim): (&ClaimId, &Claim)| matches!(claim.phase, Phase::InDoubt).then_some(*id);
        self.claims.iter().filter_map(is_in_doubt)
    }

    /// The quota with everything recorded that is over at `now`. O(claims) if something is.
    #[must_use]
    pub fn recorded(&self, now: Time) -> Cow<'_, Self> {
        let due = self.due(now);
        let mut quota = Cow::Borrowed(self);
        if !due.is_empty() {
            let quota = quota.to_mut();
            due.iter().for_each(|event| quota.apply(event));
        }
        quota
    }

    /// The earliest expiry of a claim.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.expiries.next_due()
    }

    /// The expiries over at `now` and not yet recorded, earliest first. Every [`Step`] that changes
    /// something begins with them.
    #[must_use]
    pub fn due(&self, now: Time) -> Vec<QuotaEvent> {
        let event = |claim: &ClaimId| {
            let live = &self.claims[claim];
            let (claim, worker) = (*claim, live.worker.clone());
            match live.phase {
                Phase::Open(_) => QuotaEvent::Expired(Expired { claim, worker, at: now }),
                Phase::Started(_) | Phase::InDoubt => {
                    QuotaEvent::InDoubt(InDoubt { claim, worker, at: now })
                }
            }
        };
        self.expiries.due(now).map(event).collect()
    }
}
