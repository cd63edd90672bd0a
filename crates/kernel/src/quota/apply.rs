//! Folding events into a quota, and recounting it.

use super::{
    Claim, ClaimId, Configured, Ending, Phase, Quota, QuotaEvent,
    share::{Count, Counts},
};
use crate::{ids::Outcome, time::Time};

/// Endings forgotten per event at most: more than one event adds, so that the memory shrinks, and few
/// enough for no event to be slow.
const FORGOTTEN_PER_EVENT: usize = 4;

impl Quota {
    /// Folds one event into the state.
    ///
    /// Panics if more would be used than the limit, a share would be overrun, an event does not fit its
    /// claim, or a decision was not preceded by the expiries it rests on.
    pub fn apply(&mut self, event: &QuotaEvent) {
        let at = event.at();
        let due = !event.is_expiry() && self.expiries.any_due(at);
        assert!(!due, "what is over is recorded before anything else");
        match event {
            QuotaEvent::Configured(configured) => self.apply_configured(configured),
            QuotaEvent::Claimed(claimed) => {
                assert_eq!(claimed.claim.0, self.granted + 1, "claims are numbered without gaps");
                self.granted += 1;
                self.totals.add(Count::Claimed);
                self.workers.claimed(&claimed.worker, claimed.share, self.limit);
                self.expiries.add(claimed.expires_at, claimed.claim);
                let phase = Phase::Open(claimed.expires_at);
                let worker = claimed.worker.clone();
                let claim = Claim { worker, ttl_ms: claimed.ttl_ms, phase };
                self.claims.insert(claimed.claim, claim);
            }
            QuotaEvent::Started(started) => self.extend(started.claim, true, started.expires_at),
            QuotaEvent::Renewed(renewed) => self.extend(renewed.claim, false, renewed.expires_at),
            QuotaEvent::Settled(settled) => {
                let outcome = settled.outcome.clone();
                self.end(settled.claim, Ending::Settled(outcome), at);
            }
            QuotaEvent::Abandoned(abandoned) => self.end(abandoned.claim, Ending::Abandoned, at),
            QuotaEvent::Expired(expired) => self.end(expired.claim, Ending::Expired, at),
            QuotaEvent::InDoubt(in_doubt) => self.doubt(in_doubt.claim),
            QuotaEvent::WorkerRetired(retired) => self.workers.retire(&retired.worker),
        }
        // It panics when more is used than the limit.
        let _ = self.remaining();
        self.expiries.watch(at);
        self.forget(at);
    }

    fn apply_configured(&mut self, configured: &Configured) {
        self.limit = configured.limit;
        self.claim_ttl_ms = configured.claim_ttl_ms;
        self.retention_ms = configured.retention_ms;
        self.workers.set_split(configured.workers);
    }

    fn extend(&mut self, id: ClaimId, starts: bool, until: Time) {
        let claim = self.claims.get_mut(&id).expect("only a live claim gets more time");
        let (before, after) = match claim.phase {
            Phase::Open(before) if !starts => (Some(before), Phase::Open(until)),
            Phase::Open(before) | Phase::Started(before) => (Some(before), Phase::Started(until)),
            Phase::InDoubt => (None, Phase::Started(until)),
        };
        claim.phase = after;
        match before {
            Some(before) => self.expiries.remove(before, id),
            None => self.move_count(id, Count::InDoubt, Count::Claimed),
        }
        self.expiries.add(until, id);
    }

    fn doubt(&mut self, id: ClaimId) {
        let claim = self.claims.get_mut(&id).expect("only a live claim is in doubt");
        let Phase::Started(until) = claim.phase else {
            panic!("claim {id} had not started: it is not in doubt")
        };
        claim.phase = Phase::InDoubt;
        self.expiries.remove(until, id);
        self.move_count(id, Count::Claimed, Count::InDoubt);
    }

    fn move_count(&mut self, id: ClaimId, from: Count, to: Count) {
        self.totals.remove(from);
        self.totals.add(to);
        self.workers.moved(&self.claims[&id].worker, from, Some(to));
    }

    fn end(&mut self, id: ClaimId, ending: Ending, at: Time) {
        let claim = self.claims.remove(&id).expect("only a live claim ends");
        let (from, until) = claim.phase.count();
        if let Some(until) = until {
            self.expiries.remove(until, id);
        }
        self.totals.remove(from);
        let to = match &ending {
            Ending::Settled(outcome) => {
                self.totals.add(Count::Settled);
                self.count_outcome(outcome);
                Some(Count::Settled)
            }
            Ending::Expired => {
                assert!(matches!(claim.phase, Phase::Open(_)), "a started claim is in doubt");
                None
            }
            Ending::Abandoned => None,
        };
        self.workers.moved(&claim.worker, from, to);
        self.endings.insert(id, ending);
        self.ended.push_back((at, id));
    }

    fn count_outcome(&mut self, outcome: &Outcome) {
        *self.outcomes.entry(outcome.clone()).or_default() += 1;
    }

    fn forget(&mut self, now: Time) {
        for _ in 0..FORGOTTEN_PER_EVENT {
            let old = self.ended.front().filter(|(at, _)| *at + self.retention_ms < now);
            let Some((_, claim)) = old.copied() else { break };
            self.ended.pop_front();
            self.endings.remove(&claim).expect("every ending has its time");
        }
    }

    /// Recounts everything that [`Quota::apply`] only follows; for tests and drift gauges. O(claims).
    pub fn check(&self) {
        let mut live = Counts::default();
        for (id, claim) in &self.claims {
            let (count, until) = claim.phase.count();
            live.add(count);
            assert!(!self.endings.contains_key(id), "a claim is live or ended");
            assert!((1..=self.granted).contains(&id.0), "a claim was granted");
            if let Some(until) = until {
                assert!(self.expiries.contains(until, *id), "what expires is indexed");
            }
        }
        let live = Counts { settled: self.totals.settled, ..live };
        assert_eq!(live, self.totals, "the totals count the claims");
        assert_eq!(
            self.outcomes.values().sum::<u64>(),
            self.totals.settled,
            "outcomes are counted"
        );
        assert_eq!(self.expiries.len() as u64, self.totals.claimed, "what expires is live");
        assert_eq!(self.ended.len(), self.endings.len(), "every ending has its time");
        assert!(self.ended.iter().is_sorted_by_key(|(at, _)| *at), "endings are in order");
        let claims =
            self.claims.values().map(|claim| (claim.worker.clone(), claim.phase.count().0));
        self.workers.check(self.totals, claims);
        let _ = self.remaining();
    }
}

impl Phase {
    /// What a claim in this phase counts as, and when that ends.
    fn count(self) -> (Count, Option<Time>) {
        match self {
            Phase::Open(until) | Phase::Started(until) => (Count::Claimed, Some(until)),
            Phase::InDoubt => (Count::InDoubt, None),
        }
    }
}
