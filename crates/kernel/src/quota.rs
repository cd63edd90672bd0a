//! Quota: never more than N.
//!
//! A claim takes one of N and is settled, once, with an outcome. A claim that is abandoned, or whose holder
//! vanished before it started, comes back; one that had started and whose holder vanished is *in doubt*: it
//! goes on counting until somebody who knows settles or abandons it, or takes it up again by renewing it.
//!
//! ```text
//!  claim ──► open ──start──► started ──expiry──► in doubt
//!             │                 │ ◄─────renew─────── │
//!             ├─expiry─► free   ├─► settled ◄────────┤
//!             └─► settled, free └─► free (abandoned) ◄┘
//! ```
//!
//! Invariants: claimed + in doubt + settled + remaining = limit at every moment (claimed: open or started);
//! with a split, no worker gets more than its share; the sums over workers are the totals. A claim is over
//! **at** its expiry, recorded or not.
//!
//! ```
//! use interlock_kernel::{ids::Worker, quota::{Limit, Quota, QuotaChange}, time::{Millis, Time}};
//!
//! let change = QuotaChange { limit: Some(Limit::Of(1)), ..QuotaChange::keep(Millis::from_secs(86_400)) };
//! let mut quota = Quota::new(&change.create(Time(0)).expect("it names a limit"));
//! let worker = Worker::new("w0").expect("a name");
//!
//! let step = quota.claim(&worker, Time(0)).expect("one is left");
//! step.events.iter().for_each(|event| quota.apply(event));
//! assert_eq!(quota.remaining(), Limit::Of(0));
//! assert!(quota.claim(&worker, Time(59_999)).is_err());
//! assert!(quota.claim(&worker, Time(60_000)).is_ok(), "the first claim is over");
//! ```
//!
//! Deliberately absent: a number that means "unlimited" ([`Limit::Unlimited`] is a word), waiting for a
//! claim to come back, and deciding what became of a claim in doubt.

mod apply;
mod event;
mod limit;
mod refusal;
mod share;
mod view;

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
};

use serde::{Deserialize, Serialize};

pub use self::{
    event::{
        Abandoned, Claimed, Configured, Expired, InDoubt, QuotaEvent, Renewed, Settled, Started,
        WorkerRetired,
    },
    limit::Limit,
    refusal::QuotaRefusal,
    share::{Counts, WorkerUse},
};
use self::{
    refusal::DOUBT_RETRY,
    share::{Freed, NoShare, Workers},
};
use crate::{
    expiry::{Expiries, Step, end_of},
    ids::{Outcome, Worker},
    limits,
    serial::serial_ids,
    time::{Millis, Time},
};

serial_ids! {
    /// A claim's id: its number among the grants of its quota. Written `c17`.
    ClaimId = "c";
}

impl ClaimId {
    /// Which grant of its quota it was, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

/// How long a claim lasts unless the quota says otherwise.
pub const CLAIM_TTL: Millis = Millis::from_secs(60);

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    limit: Limit,
    claim_ttl_ms: Millis,
    /// How long the endings of claims are remembered, at least.
    retention_ms: Millis,
    /// The number of the last grant.
    granted: u64,
    totals: Counts,
    outcomes: BTreeMap<Outcome, u64>,
    workers: Workers,
    /// Open, started and in doubt.
    claims: BTreeMap<ClaimId, Claim>,
    expiries: Expiries<ClaimId>,
    /// How claims ended, and when, in that order.
    endings: BTreeMap<ClaimId, Ending>,
    ended: VecDeque<(Time, ClaimId)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    worker: Worker,
    ttl_ms: Millis,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Until then; afterwards it is free.
    Open(Time),
    /// Until then; afterwards it is in doubt.
    Started(Time),
    InDoubt,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Ending {
    Settled(Outcome),
    Abandoned,
    Expired,
}

/// What a `PUT` names; what it does not name stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaChange {
    /// How many; needed to create a quota.
    pub limit: Option<Limit>,
    /// Among how many workers it is split.
    pub workers: Option<NonZeroU32>,
    /// How long a new claim lasts.
    pub claim_ttl_ms: Option<Millis>,
    /// How long endings are remembered, at least: as long as command ids.
    pub retention_ms: Millis,
}

/// A granted claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub claim: ClaimId,
    /// Whose it is.
    pub worker: Worker,
    /// Which grant of the quota it is, from 1.
    pub number: u64,
    /// What is left after it.
    pub remaining: Limit,
    /// The first moment at which it is over.
    pub expires_at: Time,
}

/// A claim that got more time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    /// Its id.
    pub claim: ClaimId,
    /// Whose it is.
    pub worker: Worker,
    /// Which grant of the quota it was.
    pub number: u64,
    /// Whether it has started: its expiry makes it in doubt.
    pub started: bool,
    /// The first moment at which it is over.
    pub expires_at: Time,
}

impl QuotaChange {
    /// A change that names nothing.
    #[must_use]
    pub fn keep(retention_ms: Millis) -> Self {
        Self { limit: None, workers: None, claim_ttl_ms: None, retention_ms }
    }

    /// The first configuration of a quota; `None` without a limit.
    #[must_use]
    pub fn create(&self, now: Time) -> Option<Configured> {
        Some(Configured {
            limit: self.limit?,
            workers: self.workers,
            claim_ttl_ms: self.claim_ttl_ms.unwrap_or(CLAIM_TTL),
            retention_ms: self.retention_ms,
            at: now,
        })
    }
}

/// Decisions.
impl Quota {
    /// A quota of which nothing is claimed.
    #[must_use]
    pub fn new(configured: &Configured) -> Self {
        Self {
            limit: configured.limit,
            claim_ttl_ms: configured.claim_ttl_ms,
            retention_ms: configured.retention_ms,
            granted: 0,
            totals: Counts::default(),
            outcomes: BTreeMap::new(),
            workers: Workers::new(configured.workers),
            claims: BTreeMap::new(),
            expiries: Expiries::default(),
            endings: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Changes the configuration.
    pub fn configure(
        &self,
        change: &QuotaChange,
        now: Time,
    ) -> Result<Step<QuotaEvent, ()>, QuotaRefusal> {
        let limit = change.limit.unwrap_or(self.limit);
        let used = self.totals.used() - self.freed(now).total;
        if limit < Limit::Of(used) {
            return Err(QuotaRefusal::LimitBelowUsed { limit, used });
        }
        let workers = change.workers.or(self.split());
        if workers != self.split() && self.granted > 0 {
            return Err(QuotaRefusal::Started);
        }
        let configured = Configured {
            limit,
            workers,
            claim_ttl_ms: change.claim_ttl_ms.unwrap_or(self.claim_ttl_ms),
            retention_ms: change.retention_ms,
            at: now,
        };
        if configured == self.configured(now) {
            return Ok(Step::unchanged(()));
        }
        Ok(self.step(now, QuotaEvent::Configured(configured), None, None, ()))
    }

    /// Takes one of what is left.
    pub fn claim(
        &self,
        worker: &Worker,
        now: Time,
    ) -> Result<Step<QuotaEvent, Grant>, QuotaRefusal> {
        if self.workers.is_retired(worker) {
            return Err(QuotaRefusal::WorkerRetired(worker.clone()));
        }
        let freed = self.freed(now);
        let remaining = match self.limit.less(self.totals.used() - freed.total) {
            Limit::Of(0) => return Err(self.nothing_left(&freed, now)),
            Limit::Of(left) => Limit::Of(left - 1),
            Limit::Unlimited => Limit::Unlimited,
        };
        let placed = self.workers.place(worker, self.limit, &freed);
        let share = placed.map_err(|why| self.no_share(worker, why, &freed, now))?;
        let claim = ClaimId(self.granted + 1);
        let expires_at = end_of(now, self.claim_ttl_ms);
        let claimed = Claimed {
            claim,
            worker: worker.clone(),
            share,
            ttl_ms: self.claim_ttl_ms,
            expires_at,
            at: now,
        };
        let number = claim.number();
        let grant = Grant { claim, worker: worker.clone(), number, remaining, expires_at };
        Ok(self.step(now, QuotaEvent::Claimed(claimed), None, Some(expires_at), grant))
    }

    /// Says that the claimed thing has begun: from now on, its expiry makes the claim in doubt. Its time
    /// begins anew. Repeated, it renews.
    pub fn start(
        &self,
        claim: ClaimId,
        now: Time,
    ) -> Result<Step<QuotaEvent, Extended>, QuotaRefusal> {
        let (worker, ttl, _) = self.held(claim, now)?;
        let expires_at = end_of(now, ttl);
        let event = Started { claim, worker: worker.clone(), expires_at, at: now };
        let answer = Extended::new(claim, worker, true, expires_at);
        Ok(self.step(now, QuotaEvent::Started(event), Some(claim), Some(expires_at), answer))
    }

    /// Begins a claim's time anew: `ttl` from now, or as long as it got at first. What is in doubt has a holder again.
    pub fn renew(
        &self,
        claim: ClaimId,
        ttl: Option<Millis>,
        now: Time,
    ) -> Result<Step<QuotaEvent, Extended>, QuotaRefusal> {
        let (worker, own_ttl, started) = self.held(claim, now)?;
        let expires_at = end_of(now, ttl.unwrap_or(own_ttl));
        let event = Renewed { claim, worker: worker.clone(), expires_at, at: now };
        let answer = Extended::new(claim, worker, started, expires_at);
        Ok(self.step(now, QuotaEvent::Renewed(event), Some(claim), Some(expires_at), answer))
    }

    /// Ends a claim with an outcome. The same outcome again changes nothing.
    pub fn settle(
        &self,
        claim: ClaimId,
        outcome: &Outcome,
        now: Time,
    ) -> Result<Step<QuotaEvent, ()>, QuotaRefusal> {
        let live = match self.ending(claim, now) {
            Some(Ending::Settled(settled)) if settled == outcome => {
                return Ok(Step::unchanged(()));
            }
            Some(ending) => return Err(QuotaRefusal::ended(claim, ending)),
            None => self.claims.get(&claim).ok_or(QuotaRefusal::UnknownClaim)?,
        };
        let is_new = !self.outcomes.contains_key(outcome);
        if is_new && self.outcomes.len() >= limits::QUOTA_OUTCOMES {
            return Err(QuotaRefusal::TooManyOutcomes);
        }
        let (worker, outcome) = (live.worker.clone(), outcome.clone());
        let event = QuotaEvent::Settled(Settled { claim, worker, outcome, at: now });
        Ok(self.step(now, event, Some(claim), None, ()))
    }

    /// Gives a claim back. Again, it changes nothing.
    pub fn abandon(&self, claim: ClaimId, now: Time) -> Result<Step<QuotaEvent, ()>, QuotaRefusal> {
        let live = match self.ending(claim, now) {
            Some(Ending::Abandoned) => return Ok(Step::unchanged(())),
            Some(ending) => return Err(QuotaRefusal::ended(claim, ending)),
            None => self.claims.get(&claim).ok_or(QuotaRefusal::UnknownClaim)?,
        };
        let event = Abandoned { claim, worker: live.worker.clone(), at: now };
        Ok(self.step(now, QuotaEvent::Abandoned(event), Some(claim), None, ()))
    }

    /// Refuses a worker's name from now on and leaves its share to the next new name. Its claims stay its
    /// own. Again, it changes nothing.
    pub fn retire(&self, worker: &Worker, now: Time) -> Result<Step<QuotaEvent, ()>, QuotaRefusal> {
        if self.workers.is_retired(worker) {
            return Ok(Step::unchanged(()));
        }
        if !self.workers.knows(worker) {
            return Err(QuotaRefusal::UnknownWorker(worker.clone()));
        }
        let event = QuotaEvent::WorkerRetired(WorkerRetired { worker: worker.clone(), at: now });
        Ok(self.step(now, event, None, None, ()))
    }

    /// Records what is over: what the timer asks for.
    #[must_use]
    pub fn expire(&self, now: Time) -> Step<QuotaEvent, ()> {
        let events = self.due(now);
        let alarm = if events.is_empty() {
            self.expiries.alarm_again(now)
        } else {
            self.expiries.alarm(now, None, None)
        };
        Step { events, answer: (), alarm }
    }
}

impl Quota {
    fn step<A>(
        &self,
        now: Time,
        event: QuotaEvent,
        ended: Option<ClaimId>,
        until: Option<Time>,
        answer: A,
    ) -> Step<QuotaEvent, A> {
        let mut events = self.due(now);
        events.push(event);
        Step { events, answer, alarm: self.expiries.alarm(now, ended.as_ref(), until) }
    }

    /// What comes back at `now` by expiries that are not recorded yet.
    fn freed(&self, now: Time) -> Freed {
        let mut freed = Freed::default();
        for claim in self.expiries.due(now).map(|claim| &self.claims[claim]) {
            if matches!(claim.phase, Phase::Open(_)) {
                freed.add(self.workers.share_of(&claim.worker));
            }
        }
        freed
    }

    fn nothing_left(&self, freed: &Freed, now: Time) -> QuotaRefusal {
        let outstanding = self.totals.claimed + self.totals.in_doubt - freed.total;
        if outstanding == 0 {
            return QuotaRefusal::Exhausted;
        }
        QuotaRefusal::AllClaimed { retry_after: self.retry_after(now, |_| true) }
    }

    fn no_share(&self, worker: &Worker, why: NoShare, freed: &Freed, now: Time) -> QuotaRefusal {
        let worker = worker.clone();
        let shares = match why {
            NoShare::OneTooMany => return QuotaRefusal::TooManyWorkers(worker),
            NoShare::Full(shares) => shares,
        };
        if !shares.iter().any(|share| self.workers.is_outstanding(*share, freed)) {
            return QuotaRefusal::WorkerQuotaReached(worker);
        }
        let is_of_these = |holder: &Worker| {
            self.workers.share_of(holder).is_some_and(|share| shares.contains(&share))
        };
        let retry_after = self.retry_after(now, is_of_these);
        QuotaRefusal::WorkerQuotaClaimed { worker, retry_after }
    }

    /// Until the next claim of such workers expires, or a fixed time if none does.
    fn retry_after(&self, now: Time, of: impl Fn(&Worker) -> bool) -> Millis {
        let mut next =
            self.expiries.pending(now).filter(|(_, claim)| of(&self.claims[claim].worker));
        next.next().map_or(DOUBT_RETRY, |(until, _)| until.since(now))
    }

    /// How a claim ended, as things stand at `now`; `None` if it is unknown or has not ended.
    fn ending(&self, claim: ClaimId, now: Time) -> Option<&Ending> {
        match self.claims.get(&claim) {
            Some(live) => match live.phase {
                Phase::Open(until) => (until <= now).then_some(&Ending::Expired),
                Phase::Started(_) | Phase::InDoubt => None,
            },
            None => self.endings.get(&claim),
        }
    }

    /// A claim that somebody holds, or may hold again: whose it is, how long it lasts, whether it has started.
    fn held(&self, claim: ClaimId, now: Time) -> Result<(&Worker, Millis, bool), QuotaRefusal> {
        if let Some(ending) = self.ending(claim, now) {
            return Err(QuotaRefusal::ended(claim, ending));
        }
        let live = self.claims.get(&claim).ok_or(QuotaRefusal::UnknownClaim)?;
        match live.phase {
            Phase::Open(_) => Ok((&live.worker, live.ttl_ms, false)),
            Phase::Started(_) | Phase::InDoubt => Ok((&live.worker, live.ttl_ms, true)),
        }
    }
}

impl Extended {
    fn new(claim: ClaimId, worker: &Worker, started: bool, expires_at: Time) -> Self {
        Self { claim, worker: worker.clone(), number: claim.number(), started, expires_at }
    }
}
