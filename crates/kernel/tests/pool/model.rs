//! A pool as anyone would write it down: lists of members and of everything that was ever leased, searched
//! for every question. Expiries happen at once, as time passes.

use std::{cmp::Ordering, collections::BTreeMap, num::NonZeroU32};

use interlock_kernel::{
    ids::Member,
    pool::{
        AfterLease, LeaseRequest, MemberChange, MemberState, PoolRules, Ranking, Standing, Use,
    },
    time::{Millis, Time},
};

pub type Code = &'static str;
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Pending,
    Active,
    Closing,
    Ended,
}

#[derive(Debug, Clone)]
pub struct Lease {
    pub member: Member,
    pub sticky: Option<String>,
    pub ttl: Millis,
    pub phase: Phase,
    pub until: Time,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub name: Member,
    pub limit: u32,
    pub weight: u32,
    pub labels: Labels,
    pub state: MemberState,
    pub standing: Standing,
    pub leaving: bool,
    pub aside_until: Option<Time>,
    pub last_grant: u64,
    pub last_use: u64,
}

#[derive(Debug, Clone)]
pub struct Chosen {
    pub member: Member,
    /// What it was used before.
    pub before: Use,
    /// How many fitted.
    pub fitting: usize,
    /// What would have been taken instead, unless a sticky lease decided.
    pub second: Option<Member>,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub now: Time,
    pub rules: PoolRules,
    pub members: Vec<Record>,
    /// The lease with number n is at n − 1.
    pub leases: Vec<Lease>,
    pub steps: u64,
}

impl Model {
    pub fn new(rules: PoolRules, now: Time) -> Self {
        Self { now, rules, members: Vec::new(), leases: Vec::new(), steps: 0 }
    }

    /// Time passes millisecond by millisecond.
    pub fn pass(&mut self, span: Millis) {
        for _ in 0..span.0 {
            self.now = self.now + Millis(1);
            for index in 0..self.leases.len() {
                let lease = &self.leases[index];
                let is_held = matches!(lease.phase, Phase::Pending | Phase::Active);
                if is_held && lease.until <= self.now {
                    self.end(index);
                }
            }
            for member in &mut self.members {
                member.aside_until = member.aside_until.filter(|until| self.now < *until);
            }
        }
    }

    /// Until something ends; at most a second.
    pub fn pass_to_next(&mut self) {
        if let Some(next) = self.next_end() {
            self.pass(Millis(next.since(self.now).0.min(1_000)));
        }
    }

    pub fn put(&mut self, name: &Member, change: &MemberChange) -> Result<bool, Code> {
        if let Some(index) = self.find_member(name) {
            let member = &mut self.members[index];
            member.limit = change.limit.unwrap_or(member.limit);
            member.weight = change.weight.map_or(member.weight, NonZeroU32::get);
            member.labels = change.labels.clone().unwrap_or(member.labels.clone());
            let state = if member.leaving { MemberState::Active } else { member.state };
            member.state = change.state.unwrap_or(state);
            member.standing = change.standing.unwrap_or(member.standing);
            member.leaving = false;
            return Ok(false);
        }
        self.members.push(Record {
            name: name.clone(),
            limit: change.limit.ok_or("missing_field")?,
            weight: change.weight.map_or(1, NonZeroU32::get),
            labels: change.labels.clone().unwrap_or_default(),
            state: change.state.unwrap_or(MemberState::Active),
            standing: change.standing.unwrap_or_default(),
            leaving: false,
            aside_until: None,
            last_grant: 0,
            last_use: 0,
        });
        Ok(true)
    }

    pub fn remove(&mut self, name: &Member) -> Result<bool, Code> {
        let index = self.find_member(name).ok_or("unknown_member")?;
        let member = &mut self.members[index];
        member.leaving = true;
        member.state = MemberState::Draining;
        member.aside_until = None;
        self.remove_if_done(name);
        Ok(self.find_member(name).is_none())
    }

    pub fn set_aside(&mut self, name: &Member, until: Option<Time>) -> Result<(), Code> {
        let now = self.now;
        let index = self.find_member(name).ok_or("unknown_member")?;
        let member = &mut self.members[index];
        if !member.leaving {
            member.aside_until = until.filter(|until| now < *until);
        }
        Ok(())
    }

    /// What was chosen; or when to ask again.
    pub fn lease(&mut self, wanted: &LeaseRequest) -> Result<Chosen, Millis> {
        let (ttl, sticky, labels) = (wanted.ttl_ms, wanted.sticky.as_ref(), &wanted.labels);
        let mut fitting: Vec<&Record> = self
            .members
            .iter()
            .filter(|member| member.state == MemberState::Active && member.aside_until.is_none())
            .filter(|member| self.used(&member.name) < member.limit)
            .filter(|member| !wanted.avoid.contains(&member.name))
            .filter(|member| labels.iter().all(|(k, v)| member.labels.get(k) == Some(v)))
            .collect();
        fitting.sort_by(|a, b| self.order(a, b));
        let first = self.leases.iter().find(|lease| {
            sticky.is_some()
                && lease.sticky.as_ref() == sticky
                && matches!(lease.phase, Phase::Pending | Phase::Active)
        });
        let stuck = fitting.iter().find(|m| first.is_some_and(|lease| lease.member == m.name));
        let Some(chosen) = stuck.or(fitting.first()) else {
            let next = self.next_end().map(|next| next.since(self.now));
            return Err(next.unwrap_or(Millis(60_000)).min(Millis(60_000)));
        };
        let second = fitting.get(1).filter(|_| stuck.is_none()).map(|second| second.name.clone());
        let (name, fitting) = (chosen.name.clone(), fitting.len());
        let before = self.in_use(&name);
        self.steps += 1;
        let index = self.find_member(&name).expect("it was chosen");
        self.members[index].last_grant = self.steps;
        self.members[index].last_use = self.steps;
        self.leases.push(Lease {
            member: name.clone(),
            sticky: sticky.cloned(),
            ttl,
            phase: Phase::Pending,
            until: self.now + ttl,
        });
        Ok(Chosen { member: name, before, fitting, second })
    }

    pub fn extend(
        &mut self,
        number: u64,
        token: u64,
        ttl: Option<Millis>,
        confirms: bool,
    ) -> Result<Time, Code> {
        let index = self.find_lease(number, token)?;
        let now = self.now;
        let lease = &mut self.leases[index];
        if matches!(lease.phase, Phase::Closing | Phase::Ended) {
            return Err("lease_over");
        }
        if confirms {
            lease.phase = Phase::Active;
        }
        lease.until = now + ttl.unwrap_or(lease.ttl);
        Ok(lease.until)
    }

    /// Whether it changed anything.
    pub fn release(&mut self, number: u64, token: u64) -> Result<bool, Code> {
        let index = self.find_lease(number, token)?;
        if matches!(self.leases[index].phase, Phase::Closing | Phase::Ended) {
            return Ok(false);
        }
        self.end(index);
        Ok(true)
    }

    pub fn closed(&mut self, number: u64) -> Result<bool, Code> {
        let index = self.find_lease(number, number)?;
        match self.leases[index].phase {
            Phase::Pending | Phase::Active => Err("lease_held"),
            Phase::Ended => Ok(false),
            Phase::Closing => {
                self.free(index);
                Ok(true)
            }
        }
    }

    pub fn in_use(&self, name: &Member) -> Use {
        let count = |phase| {
            let those = |lease: &&Lease| lease.member == *name && lease.phase == phase;
            self.leases.iter().filter(those).count() as u32
        };
        Use {
            pending: count(Phase::Pending),
            active: count(Phase::Active),
            closing: count(Phase::Closing),
        }
    }

    fn used(&self, name: &Member) -> u32 {
        let Use { pending, active, closing } = self.in_use(name);
        pending + active + closing
    }

    fn order(&self, a: &Record, b: &Record) -> Ordering {
        let used = |member: &Record| u128::from(self.used(&member.name));
        match self.rules.ranking {
            Ranking::LeastLoaded => {
                let a_load = (used(a) + 1) * 1_000_000 / u128::from(a.weight);
                let b_load = (used(b) + 1) * 1_000_000 / u128::from(b.weight);
                (a_load, a.last_grant, &a.name).cmp(&(b_load, b.last_grant, &b.name))
            }
            Ranking::HealthiestFirst => {
                let rank = |m: &Record| {
                    (m.standing.tier, used(m), !m.standing.preferred, m.last_use, m.name.clone())
                };
                rank(a).cmp(&rank(b))
            }
        }
    }

    fn end(&mut self, index: usize) {
        match self.rules.after_lease {
            AfterLease::Free => self.free(index),
            AfterLease::Closing => self.leases[index].phase = Phase::Closing,
        }
    }

    fn free(&mut self, index: usize) {
        self.steps += 1;
        self.leases[index].phase = Phase::Ended;
        let name = self.leases[index].member.clone();
        let member = self.find_member(&name).expect("a member in use stays");
        self.members[member].last_use = self.steps;
        self.remove_if_done(&name);
    }

    fn remove_if_done(&mut self, name: &Member) {
        let is_done = self.used(name) == 0;
        self.members.retain(|member| !(member.name == *name && member.leaving && is_done));
    }

    fn next_end(&self) -> Option<Time> {
        let held = |lease: &&Lease| matches!(lease.phase, Phase::Pending | Phase::Active);
        let leases = self.leases.iter().filter(held).map(|lease| lease.until);
        leases.chain(self.members.iter().filter_map(|member| member.aside_until)).min()
    }

    fn find_member(&self, name: &Member) -> Option<usize> {
        self.members.iter().position(|member| member.name == *name)
    }

    fn find_lease(&self, number: u64, token: u64) -> Result<usize, Code> {
        if number as usize > self.leases.len() {
            return Err("unknown_lease");
        }
        if token == number { Ok(number as usize - 1) } else { Err("stale_token") }
    }
}
