//! Folding events into a pool, and recounting it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    AfterLease, Due, Lease, LeaseId, Leased, MemberPut, MemberRecord, MemberState, Phase, Pool,
    PoolEvent, Use,
};
use crate::{ids::Member, time::Time};

impl Pool {
    /// Folds one event into the state.
    ///
    /// Panics if a member would be over its limit, a token would not grow, an event does not fit its lease
    /// or member, or a decision was not preceded by the expiries it rests on.
    pub fn apply(&mut self, event: &PoolEvent) {
        let at = event.at();
        let due = !event.is_expiry() && self.expiries.any_due(at);
        assert!(!due, "what is over is recorded before anything else");
        match event {
            PoolEvent::MemberPut(put) => self.apply_put(put),
            PoolEvent::MemberLeaving(leaving) => {
                self.take_back(&leaving.member);
                self.change(&leaving.member, |record| {
                    record.leaving = true;
                    record.state = MemberState::Draining;
                });
            }
            PoolEvent::MemberRemoved(removed) => {
                self.take_back(&removed.member);
                let record =
                    self.members.remove(&removed.member).expect("only a member is removed");
                assert_eq!(record.in_use.total(), 0, "a member in use stays");
                self.roomy.remove(&removed.member);
            }
            PoolEvent::MemberSetAside(aside) => {
                self.take_back(&aside.member);
                self.change(&aside.member, |record| record.aside_until = Some(aside.until));
                self.expiries.add(aside.until, Due::Aside(aside.member.clone()));
            }
            PoolEvent::MemberReadmitted(readmitted) => self.take_back(&readmitted.member),
            PoolEvent::Leased(leased) => self.apply_leased(leased),
            PoolEvent::Confirmed(confirmed) => {
                self.extend(confirmed.lease, true, confirmed.expires_at);
            }
            PoolEvent::Renewed(renewed) => self.extend(renewed.lease, false, renewed.expires_at),
            PoolEvent::Released(released) => self.end(released.lease),
            PoolEvent::Expired(expired) => self.end(expired.lease),
            PoolEvent::SlotClosed(closed) => {
                let lease = self.leases.remove(&closed.lease).expect("a closing slot has a lease");
                assert_eq!(lease.phase, Phase::Closing, "a lease that is held is not closed");
                self.free(&lease);
            }
        }
        self.expiries.watch(at);
    }

    fn apply_put(&mut self, put: &MemberPut) {
        if self.members.contains_key(&put.member) {
            self.change(&put.member, |record| record.put(put));
            return;
        }
        self.members.insert(put.member.clone(), MemberRecord::new(put));
        self.change(&put.member, |_| ());
    }

    fn apply_leased(&mut self, leased: &Leased) {
        assert_eq!(leased.token, self.granted.next(), "tokens grow without gaps");
        assert_eq!(leased.token, leased.lease.token(), "a lease's id is its token's number");
        assert!(self.roomy.contains(&leased.member), "only a member with room is leased");
        self.granted = leased.token;
        self.uses += 1;
        let (uses, phase) = (self.uses, Phase::Pending(leased.expires_at));
        self.change(&leased.member, |record| {
            record.in_use = record.in_use.with(phase);
            assert!(record.in_use.total() <= record.limit, "never over the limit");
            record.last_grant = uses;
            record.last_use = uses;
        });
        self.expiries.add(leased.expires_at, Due::Lease(leased.lease));
        if let Some(sticky) = &leased.sticky {
            self.sticky.entry(sticky.clone()).or_default().insert(leased.lease);
        }
        let lease = Lease {
            member: leased.member.clone(),
            holder: leased.holder.clone(),
            sticky: leased.sticky.clone(),
            ttl_ms: leased.ttl_ms,
            phase,
        };
        self.leases.insert(leased.lease, lease);
    }

    fn extend(&mut self, id: LeaseId, confirms: bool, until: Time) {
        let lease = self.leases.get_mut(&id).expect("only a live lease gets more time");
        let (before, after) = match lease.phase {
            Phase::Pending(_) if !confirms => (lease.phase, Phase::Pending(until)),
            Phase::Pending(_) | Phase::Active(_) => (lease.phase, Phase::Active(until)),
            Phase::Closing => panic!("lease {id} is over: nobody holds it"),
        };
        lease.phase = after;
        let member = lease.member.clone();
        self.change(&member, |record| record.in_use = record.in_use.without(before).with(after));
        self.unwatch(id, before);
        self.expiries.add(until, Due::Lease(id));
    }

    fn end(&mut self, id: LeaseId) {
        let lease = self.leases.remove(&id).expect("only a live lease ends");
        assert_ne!(lease.phase, Phase::Closing, "a lease ends once");
        self.unwatch(id, lease.phase);
        if let Some(sticky) = &lease.sticky {
            let leases = self.sticky.get_mut(sticky).expect("a sticky lease is listed");
            leases.remove(&id);
            if leases.is_empty() {
                self.sticky.remove(sticky);
            }
        }
        match self.rules.after_lease {
            AfterLease::Free => self.free(&lease),
            AfterLease::Closing => {
                self.change(&lease.member, |record| {
                    record.in_use = record.in_use.closing(lease.phase);
                });
                self.leases.insert(id, Lease { phase: Phase::Closing, ..lease });
            }
        }
    }

    fn free(&mut self, lease: &Lease) {
        self.uses += 1;
        let uses = self.uses;
        self.change(&lease.member, |record| {
            record.in_use = record.in_use.without(lease.phase);
            record.last_use = uses;
        });
    }

    /// A member is no longer aside.
    fn take_back(&mut self, member: &Member) {
        let aside = self.members.get(member).and_then(|record| record.aside_until);
        if let Some(until) = aside {
            self.expiries.remove(until, Due::Aside(member.clone()));
            self.change(member, |record| record.aside_until = None);
        }
    }

    fn unwatch(&mut self, id: LeaseId, phase: Phase) {
        let until = phase.until().expect("only what is held expires");
        self.expiries.remove(until, Due::Lease(id));
    }

    /// Changes a member, and keeps the list of those with room right.
    fn change(&mut self, member: &Member, change: impl FnOnce(&mut MemberRecord)) {
        let record = self.members.get_mut(member).expect("an event is about a member of the pool");
        change(record);
        match (record.has_room(), self.roomy.contains(member)) {
            (true, false) => {
                self.roomy.insert(member.clone());
            }
            (false, true) => {
                self.roomy.remove(member);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Recounts everything that [`Pool::apply`] only follows; for tests and drift gauges. O(leases).
    pub fn check(&self) {
        let mut uses: BTreeMap<&Member, Use> = BTreeMap::new();
        let mut expiries: BTreeSet<(Time, Due)> = BTreeSet::new();
        let mut sticky: BTreeMap<String, BTreeSet<LeaseId>> = BTreeMap::new();
        for (id, lease) in &self.leases {
            assert!(id.token() <= self.granted, "a lease was granted");
            let in_use = uses.entry(&lease.member).or_default();
            *in_use = in_use.with(lease.phase);
            if let Some(until) = lease.phase.until() {
                expiries.insert((until, Due::Lease(*id)));
                if let Some(string) = &lease.sticky {
                    sticky.entry(string.clone()).or_default().insert(*id);
                }
            }
        }
        for (name, record) in &self.members {
            let counted = uses.remove(name).unwrap_or_default();
            assert_eq!(counted, record.in_use, "the use of {name} counts its leases");
            assert!(
                !record.leaving || counted.total() > 0,
                "a leaving member goes with its last use"
            );
            assert_eq!(record.has_room(), self.roomy.contains(name), "{name} has room or not");
            assert!(record.last_grant <= record.last_use && record.last_use <= self.uses);
            expiries.extend(record.aside_until.map(|until| (until, Due::Aside(name.clone()))));
        }
        assert!(uses.is_empty(), "every lease is on a member");
        assert!(
            self.roomy.iter().all(|name| self.members.contains_key(name)),
            "no stranger has room"
        );
        assert_eq!(sticky, self.sticky, "sticky leases are listed");
        assert!(self.expiries.iter().eq(expiries.iter()), "what expires is indexed");
    }
}

impl Phase {
    /// When it is over for its holder, if it is not already.
    #[must_use]
    pub fn until(self) -> Option<Time> {
        match self {
            Phase::Pending(until) | Phase::Active(until) => Some(until),
            Phase::Closing => None,
        }
    }
}
