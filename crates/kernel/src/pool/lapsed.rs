//! What is over and not yet recorded: the difference between the state and the truth at `now`.
//!
//! Decisions rest on the truth. Copying the state to record what is over would cost as much as the state
//! is large; so the difference is worked out beside it, as large as itself.

use std::collections::BTreeMap;

use super::{
    AfterLease, Due, Expired, Lease, MemberReadmitted, MemberRecord, MemberRemoved, Phase, Pool,
    PoolEvent, PoolRules, Use,
};
use crate::{ids::Member, time::Time};

/// The difference at `now`.
#[derive(Debug)]
pub(super) struct Lapsed {
    pub now: Time,
    /// The events that record it, in order.
    pub events: Vec<PoolEvent>,
    /// The members that differ, and how they truly are.
    pub members: BTreeMap<Member, Truth>,
}

/// How a member truly is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    pub in_use: Use,
    pub last_use: u64,
}

impl Truth {
    fn recorded(record: &MemberRecord) -> Self {
        Self { in_use: record.in_use, last_use: record.last_use }
    }
}

impl Lapsed {
    /// How a member truly is.
    pub fn truth(&self, member: &Member, record: &MemberRecord) -> Truth {
        self.members.get(member).copied().unwrap_or_else(|| Truth::recorded(record))
    }

    /// Whether a live lease is over for its holder, and its slot is not free.
    pub fn is_closing(&self, live: &Lease, rules: PoolRules) -> bool {
        match (live.phase, rules.after_lease) {
            (Phase::Closing, _) => true,
            (Phase::Pending(until) | Phase::Active(until), AfterLease::Closing) => {
                until <= self.now
            }
            (Phase::Pending(_) | Phase::Active(_), AfterLease::Free) => false,
        }
    }
}

impl Pool {
    /// What is over at `now` and not yet recorded. Nothing is, most of the time: then this is cheap.
    pub(super) fn lapsed(&self, now: Time) -> Lapsed {
        let mut lapsed = Lapsed { now, events: Vec::new(), members: BTreeMap::new() };
        for (uses, due) in (self.uses + 1..).zip(self.expiries.due(now)) {
            match due {
                Due::Aside(member) => {
                    let truth = lapsed.truth(member, &self.members[member]);
                    lapsed.members.insert(member.clone(), truth);
                    let readmitted = MemberReadmitted { member: member.clone(), at: now };
                    lapsed.events.push(PoolEvent::MemberReadmitted(readmitted));
                }
                Due::Lease(lease) => {
                    let live = &self.leases[lease];
                    let (record, member) = (&self.members[&live.member], live.member.clone());
                    let Truth { in_use, last_use } = lapsed.truth(&member, record);
                    let (in_use, last_use) = match self.rules.after_lease {
                        AfterLease::Free => (in_use.without(live.phase), uses),
                        AfterLease::Closing => (in_use.closing(live.phase), last_use),
                    };
                    lapsed.members.insert(member.clone(), Truth { in_use, last_use });
                    let expired = Expired { lease: *lease, member: member.clone(), at: now };
                    lapsed.events.push(PoolEvent::Expired(expired));
                    if record.leaving && in_use.total() == 0 {
                        let removed = MemberRemoved { member, at: now };
                        lapsed.events.push(PoolEvent::MemberRemoved(removed));
                    }
                }
            }
        }
        lapsed
    }

    /// A member and its true use; `None` if there is no such member, or its removal is what is not yet
    /// recorded.
    pub(super) fn member_at(
        &self,
        member: &Member,
        lapsed: &Lapsed,
    ) -> Option<(&MemberRecord, Use)> {
        let record = self.members.get(member)?;
        let in_use = lapsed.truth(member, record).in_use;
        (!record.leaving || in_use.total() > 0).then_some((record, in_use))
    }
}
