//! Which member a lease gets.
//!
//! A member fits when it is active and not aside, has room, carries all the labels that were asked for, and
//! is not to be avoided.
//! Of those that fit, one with the oldest lease of the same `sticky` comes first; otherwise the best by the
//! pool's [`Ranking`].

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use serde::{Deserialize, Serialize};

use super::{
    Criterion, MemberRecord, MemberState, Pool, Reason, Rule, RunnerUp, Use,
    lapsed::{Lapsed, Truth},
};
use crate::{
    ids::{Holder, Member},
    time::{Millis, Time},
};

/// What a lease is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRequest {
    /// Who will hold it.
    pub holder: Holder,
    /// How long it lasts, at first and after renewals that name no time.
    pub ttl_ms: Millis,
    /// Go where the oldest lease with the same string is, while that member fits.
    pub sticky: Option<String>,
    /// Labels that the member must carry.
    pub labels: BTreeMap<String, String>,
    /// Members that will not do: they were tried.
    pub avoid: BTreeSet<Member>,
}

impl LeaseRequest {
    /// A request for any member.
    #[must_use]
    pub fn new(holder: Holder, ttl_ms: Millis) -> Self {
        Self { holder, ttl_ms, sticky: None, labels: BTreeMap::new(), avoid: BTreeSet::new() }
    }
}

/// How the fitting members are ordered; the first is taken. Ties go on to the next criterion, the last one
/// is the name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ranking {
    /// Least (used + 1) / weight; then the oldest last grant, never granted first.
    #[default]
    LeastLoaded,
    /// Lowest tier; then the fewest used; then the preferred; then the longest unused, never used first.
    HealthiestFirst,
}

/// A member that fits.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    member: &'a Member,
    record: &'a MemberRecord,
    truth: Truth,
}

impl Pool {
    /// The member for a request, and why; `None` if nothing fits.
    pub(super) fn choose<'a>(
        &'a self,
        request: &LeaseRequest,
        lapsed: &'a Lapsed,
    ) -> Option<(&'a Member, Reason)> {
        if self.roomy.is_empty() && lapsed.members.is_empty() {
            // Thousands may wait and be asked after every change: most of them end here.
            return None;
        }
        let lapsed_only = lapsed.members.keys().filter(|member| !self.roomy.contains(*member));
        let names = self.roomy.iter().chain(lapsed_only);
        let fitting = names.filter_map(|name| self.candidate(name, request, lapsed));
        let sticky = self.oldest_sticky(request, lapsed.now);
        let comes_before = |one: &Candidate<'_>, other: &Option<Candidate<'_>>| {
            other.as_ref().is_none_or(|other| self.compare(one, other).0.is_lt())
        };
        let mut count = 0;
        let (mut stuck, mut best, mut second) = (None, None, None);
        for candidate in fitting {
            count += 1;
            if sticky == Some(candidate.member) {
                stuck = Some(candidate);
            }
            if comes_before(&candidate, &best) {
                second = best.replace(candidate);
            } else if comes_before(&candidate, &second) {
                second = Some(candidate);
            }
        }
        let best = best?;
        let (chosen, rule) = match (stuck, second) {
            (Some(stuck), _) => (stuck, Rule::Sticky),
            (None, None) => (best, Rule::Only),
            (None, Some(second)) => {
                let by = self.compare(&best, &second).1;
                (best, Rule::Before(second.runner_up(by)))
            }
        };
        Some((chosen.member, chosen.reason(rule, count)))
    }

    fn candidate<'a>(
        &'a self,
        member: &'a Member,
        request: &LeaseRequest,
        lapsed: &Lapsed,
    ) -> Option<Candidate<'a>> {
        let record = &self.members[member];
        let truth = lapsed.truth(member, record);
        let wanted = !request.avoid.contains(member);
        let admits = wanted && record.admits_at(lapsed.now) && truth.in_use.total() < record.limit;
        let carries = |(name, value)| record.labels.get(name) == Some(value);
        (admits && request.labels.iter().all(carries)).then_some(Candidate {
            member,
            record,
            truth,
        })
    }

    /// The member with the oldest lease of the same string.
    fn oldest_sticky(&self, request: &LeaseRequest, now: Time) -> Option<&Member> {
        let leases = self.sticky.get(request.sticky.as_ref()?)?;
        let live = leases.iter().map(|lease| &self.leases[lease]);
        live.filter(|lease| lease.phase.until().is_some_and(|until| now < until))
            .map(|lease| &lease.member)
            .next()
    }

    /// The order of two members, and the criterion that made it.
    fn compare(&self, one: &Candidate<'_>, other: &Candidate<'_>) -> (Ordering, Criterion) {
        let (a, b) = (one.record, other.record);
        let (used, others) = (one.truth.in_use.total(), other.truth.in_use.total());
        let by_ranking: &[(Ordering, Criterion)] = match self.rules.ranking {
            Ranking::LeastLoaded => &[
                (one.load_by(b.weight).cmp(&other.load_by(a.weight)), Criterion::LeastLoaded),
                (a.last_grant.cmp(&b.last_grant), Criterion::LongestUngranted),
            ],
            Ranking::HealthiestFirst => &[
                (a.standing.tier.cmp(&b.standing.tier), Criterion::Healthiest),
                (used.cmp(&others), Criterion::FewestUsed),
                (b.standing.preferred.cmp(&a.standing.preferred), Criterion::Preferred),
                (one.truth.last_use.cmp(&other.truth.last_use), Criterion::LongestUnused),
            ],
        };
        let decisive = by_ranking.iter().copied().find(|(order, _)| order.is_ne());
        decisive.unwrap_or_else(|| (one.member.cmp(other.member), Criterion::Name))
    }
}

impl Candidate<'_> {
    /// Its load with one lease more, times the other's weight: a/v < b/w exactly when a·w < b·v.
    fn load_by(&self, other_weight: NonZeroU32) -> u64 {
        (u64::from(self.truth.in_use.total()) + 1) * u64::from(other_weight.get())
    }

    fn reason(&self, rule: Rule, fitting: u32) -> Reason {
        let in_use = self.truth.in_use;
        Reason {
            rule,
            fitting,
            pending: in_use.pending,
            active: in_use.active,
            closing: in_use.closing,
            limit: self.record.limit,
            weight: self.record.weight,
        }
    }

    fn runner_up(&self, by: Criterion) -> RunnerUp {
        let Use { pending, active, closing } = self.truth.in_use;
        let (member, weight) = (self.member.clone(), self.record.weight);
        RunnerUp { by, member, pending, active, closing, weight }
    }
}

impl MemberRecord {
    /// Whether it would take a lease at `now` if it had room.
    fn admits_at(&self, now: Time) -> bool {
        self.state == MemberState::Active && self.aside_until.is_none_or(|until| until <= now)
    }
}
