//! A quota as anyone would write it down: a list of everything that was ever granted, searched from the
//! front for every question. Expiries happen at once, as time passes.

use interlock_kernel::{
    ids::{Outcome, Worker},
    quota::{Counts, Limit, QuotaRefusal, WorkerUse},
    time::{Millis, Time},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Open(Time),
    Started(Time),
    InDoubt,
    Settled(Outcome),
    Abandoned,
    Expired,
}

#[derive(Debug, Clone)]
pub struct Claim {
    pub worker: Worker,
    pub ttl: Millis,
    pub standing: Standing,
    pub ended_at: Time,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub now: Time,
    pub limit: Limit,
    pub split: Option<u32>,
    pub ttl: Millis,
    /// The claim with number n is at n − 1.
    pub claims: Vec<Claim>,
    /// Everyone who ever had each share, in order.
    pub shares: Vec<Vec<Worker>>,
    /// In order of their first grants.
    pub names: Vec<Worker>,
    /// In order of retirement.
    pub retired: Vec<Worker>,
}

pub type Code = &'static str;

impl Model {
    pub fn pass(&mut self, span: Millis) {
        self.now = self.now + span;
        for claim in &mut self.claims {
            match claim.standing {
                Standing::Open(until) if until <= self.now => {
                    claim.standing = Standing::Expired;
                    claim.ended_at = until;
                }
                Standing::Started(until) if until <= self.now => claim.standing = Standing::InDoubt,
                Standing::Open(_)
                | Standing::Started(_)
                | Standing::InDoubt
                | Standing::Settled(_)
                | Standing::Abandoned
                | Standing::Expired => {}
            }
        }
    }

    pub fn configure(
        &mut self,
        limit: Option<Limit>,
        split: Option<u32>,
        ttl: Option<Millis>,
    ) -> Result<(), Code> {
        let limit = limit.unwrap_or(self.limit);
        if let Limit::Of(limit) = limit
            && limit < self.counts(|_| true).used()
        {
            return Err("limit_below_used");
        }
        if split.is_some() && split != self.split && !self.claims.is_empty() {
            return Err("quota_started");
        }
        self.limit = limit;
        self.split = split.or(self.split);
        self.ttl = ttl.unwrap_or(self.ttl);
        Ok(())
    }

    pub fn claim(&mut self, worker: &Worker) -> Result<(u64, Limit, Time), QuotaRefusal> {
        if self.retired.contains(worker) {
            return Err(QuotaRefusal::WorkerRetired(worker.clone()));
        }
        let counts = self.counts(|_| true);
        if self.remaining() == Limit::Of(0) {
            let retry_after = self.retry_after(|_| true);
            let outstanding = counts.claimed + counts.in_doubt > 0;
            return Err(if outstanding {
                QuotaRefusal::AllClaimed { retry_after }
            } else {
                QuotaRefusal::Exhausted
            });
        }
        self.take_share(worker)?;
        if !self.names.contains(worker) {
            self.names.push(worker.clone());
        }
        let until = self.now + self.ttl;
        self.claims.push(Claim {
            worker: worker.clone(),
            ttl: self.ttl,
            standing: Standing::Open(until),
            ended_at: Time::NEVER,
        });
        Ok((self.claims.len() as u64, self.remaining(), until))
    }

    /// Until the first claim of such workers expires.
    fn retry_after(&self, of: impl Fn(&Worker) -> bool) -> Millis {
        let ends = self.claims.iter().filter_map(|claim| match claim.standing {
            Standing::Open(until) | Standing::Started(until) => of(&claim.worker).then_some(until),
            Standing::InDoubt | Standing::Settled(_) | Standing::Abandoned | Standing::Expired => {
                None
            }
        });
        ends.min().map_or(Millis(60_000), |until| until.since(self.now))
    }

    /// Nothing is left of these shares.
    fn full(&self, worker: &Worker, shares: &[usize]) -> QuotaRefusal {
        let had_one = |who: &Worker| {
            shares.iter().any(|share| self.shares.get(*share).is_some_and(|it| it.contains(who)))
        };
        let Counts { claimed, in_doubt, .. } = self.counts(had_one);
        let worker = worker.clone();
        if claimed + in_doubt == 0 {
            return QuotaRefusal::WorkerQuotaReached(worker);
        }
        QuotaRefusal::WorkerQuotaClaimed { worker, retry_after: self.retry_after(had_one) }
    }

    fn take_share(&mut self, worker: &Worker) -> Result<(), QuotaRefusal> {
        let Some(split) = self.split else { return Ok(()) };
        if let Some(share) = self.shares.iter().position(|chain| chain.contains(worker)) {
            let has_room = self.share_has_room(share);
            return if has_room { Ok(()) } else { Err(self.full(worker, &[share])) };
        }
        let is_fresh = self.shares.len() < split as usize;
        let mut places: Vec<usize> = Vec::new();
        for retired in &self.retired {
            let share = self.shares.iter().position(|chain| chain.last() == Some(retired));
            places.extend(share);
        }
        if is_fresh {
            places.push(self.shares.len());
        }
        if places.is_empty() {
            return Err(QuotaRefusal::TooManyWorkers(worker.clone()));
        }
        let share = places.iter().copied().find(|share| self.share_has_room(*share));
        let share = share.ok_or_else(|| self.full(worker, &places))?;
        if share == self.shares.len() {
            self.shares.push(Vec::new());
        }
        self.shares[share].push(worker.clone());
        Ok(())
    }

    pub fn extend(&mut self, number: u64, ttl: Option<Millis>, starts: bool) -> Result<Time, Code> {
        let now = self.now;
        let claim = self.find(number)?;
        let until = now + ttl.unwrap_or(claim.ttl);
        claim.standing = match &claim.standing {
            Standing::Open(_) if !starts => Standing::Open(until),
            Standing::Open(_) | Standing::Started(_) | Standing::InDoubt => {
                Standing::Started(until)
            }
            Standing::Expired => return Err("claim_expired"),
            Standing::Settled(_) => return Err("claim_settled"),
            Standing::Abandoned => return Err("claim_over"),
        };
        Ok(until)
    }

    /// Whether it changed anything.
    pub fn end(&mut self, number: u64, outcome: Option<Outcome>) -> Result<bool, Code> {
        let now = self.now;
        let claim = self.find(number)?;
        match (&claim.standing, &outcome) {
            (Standing::Settled(before), Some(outcome)) if before == outcome => return Ok(false),
            (Standing::Abandoned, None) => return Ok(false),
            (Standing::Settled(_), _) => return Err("claim_settled"),
            (Standing::Abandoned, _) => return Err("claim_over"),
            (Standing::Expired, _) => return Err("claim_expired"),
            (Standing::Open(_) | Standing::Started(_) | Standing::InDoubt, _) => {}
        }
        claim.standing = outcome.map_or(Standing::Abandoned, Standing::Settled);
        claim.ended_at = now;
        Ok(true)
    }

    pub fn retire(&mut self, worker: &Worker) -> Result<bool, Code> {
        if self.retired.contains(worker) {
            return Ok(false);
        }
        if !self.names.contains(worker) {
            return Err("unknown_worker");
        }
        self.retired.push(worker.clone());
        Ok(true)
    }

    pub fn counts(&self, whose: impl Fn(&Worker) -> bool) -> Counts {
        let mut counts = Counts::default();
        for claim in self.claims.iter().filter(|claim| whose(&claim.worker)) {
            match claim.standing {
                Standing::Open(_) | Standing::Started(_) => counts.claimed += 1,
                Standing::InDoubt => counts.in_doubt += 1,
                Standing::Settled(_) => counts.settled += 1,
                Standing::Abandoned | Standing::Expired => {}
            }
        }
        counts
    }

    pub fn remaining(&self) -> Limit {
        match self.limit {
            Limit::Of(limit) => Limit::Of(limit - self.counts(|_| true).used()),
            Limit::Unlimited => Limit::Unlimited,
        }
    }

    pub fn worker(&self, worker: &Worker) -> WorkerUse {
        let retired = self.retired.contains(worker);
        let counts = self.counts(|name| name == worker);
        let share = self.shares.iter().position(|chain| chain.contains(worker));
        let quota = share.and_then(|share| self.share_size(share).map(|size| (share, size)));
        let quota = quota.map(|(share, size)| {
            let before =
                self.counts(|name| name != worker && self.shares[share].contains(name)).used();
            if retired { counts.used() } else { size.saturating_sub(before) }
        });
        WorkerUse { quota, counts, retired }
    }

    fn share_size(&self, share: usize) -> Option<u64> {
        let (Some(split), Limit::Of(limit)) = (self.split, self.limit) else { return None };
        // Deals the limit out, one by one.
        Some((0..limit).filter(|card| card % u64::from(split) == share as u64).count() as u64)
    }

    fn share_has_room(&self, share: usize) -> bool {
        let nobody = Vec::new();
        let chain = self.shares.get(share).unwrap_or(&nobody);
        let used = self.counts(|name| chain.contains(name)).used();
        self.share_size(share).is_none_or(|size| used < size)
    }

    fn find(&mut self, number: u64) -> Result<&mut Claim, Code> {
        let index = usize::try_from(number).expect("small").wrapping_sub(1);
        self.claims.get_mut(index).ok_or("unknown_claim")
    }
}
