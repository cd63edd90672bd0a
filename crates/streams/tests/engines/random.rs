//! Random histories, held against what the engines themselves may have open.
//!
//! The model knows nothing of pools: for each slot it only knows until when its engine may have a session
//! open, by the engine's own rules.

use std::collections::BTreeMap;

use interlock_kernel::{
    ids::Member,
    kit::{Alone, Answer},
    pool::LeaseId,
    time::{Millis, Time},
};
use interlock_streams::domain::engines::{Command, Ending, Engines, Reply, Session};
use proptest::prelude::*;

use crate::support::{RULES, acquire, begin, release, spec, started};

#[derive(Debug, Clone)]
enum Op {
    Restart,
    Acquire(u8),
    Started(u64),
    Flowing(u64),
    Renew(u64),
    Release(u64, Session),
    StopSucceeds(usize),
    StopFails(usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let lease = 1..12_u64;
    let session =
        prop_oneof![Just(Session::None), Just(Session::Perhaps), Just(Session::Unanswered)];
    prop_oneof![
        1 => Just(Op::Restart),
        6 => (0..8_u8).prop_map(Op::Acquire),
        4 => lease.clone().prop_map(Op::Started),
        3 => lease.clone().prop_map(Op::Flowing),
        3 => lease.clone().prop_map(Op::Renew),
        4 => (lease, session).prop_map(|(lease, session)| Op::Release(lease, session)),
        3 => (0..8_usize).prop_map(Op::StopSucceeds),
        2 => (0..8_usize).prop_map(Op::StopFails),
        5 => (1..9_000_u64).prop_map(Op::Pass),
    ]
}

/// What an engine may have open for one slot.
struct Slot {
    engine: Member,
    since: Time,
    /// While somebody holds it: when that ends unless renewed.
    held_until: Option<Time>,
    known: bool,
    /// Once nobody holds it: from when on the engine has surely ended it.
    over_at: Time,
}

impl Slot {
    fn let_go(&mut self, at: Time, answered: bool) {
        if self.held_until.take().is_some() {
            let opened =
                if answered || self.known { at } else { at.max(self.since + RULES.start_timeout) };
            self.over_at = opened + RULES.engine_idle;
        }
    }
}

fn id(number: u64) -> LeaseId {
    LeaseId::parse(&format!("l{number}")).unwrap()
}

struct World {
    engines: Alone<Engines>,
    slots: BTreeMap<LeaseId, Slot>,
    answered: usize,
}

impl World {
    fn new() -> Self {
        let mut world = Self { engines: Alone::new(), slots: BTreeMap::new(), answered: 0 };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.engines.send(begin(&[spec("a", 1, false), spec("b", 2, true), spec("c", 2, false)]));
        let now = self.engines.now();
        self.slots.values_mut().for_each(|slot| slot.let_go(now, false));
    }

    fn says_yes(&mut self, command: Command) -> Option<Reply> {
        let sent = self.engines.send(command);
        match self.engines.answer(sent) {
            Answer::Reply(reply, _) => Some(reply.clone()),
            Answer::Rejected(_) => None,
            Answer::Waiting => panic!("nobody waits"),
        }
    }

    fn held(&mut self, lease: LeaseId) -> Option<&mut Slot> {
        self.slots.get_mut(&lease).filter(|slot| slot.held_until.is_some())
    }

    fn step(&mut self, op: Op) {
        let now = self.engines.now();
        match op {
            Op::Restart => self.begin(),
            Op::Acquire(stream) => {
                if let Some(Reply::Granted(grant)) =
                    self.says_yes(acquire(&format!("s{stream}"), &[]))
                {
                    let held_until = Some(now + RULES.lease_ttl);
                    let slot = Slot {
                        engine: grant.engine,
                        since: now,
                        held_until,
                        known: false,
                        over_at: now,
                    };
                    self.slots.insert(grant.lease, slot);
                }
            }
            Op::Started(lease) => {
                let lease = id(lease);
                // An engine answers only for a session that it still has.
                if self.slots.get(&lease).is_some_and(|slot| !slot.known) {
                    self.says_yes(started(lease));
                    let slot = self.slots.get_mut(&lease).expect("just seen");
                    slot.known = true;
                }
            }
            Op::Flowing(lease) => {
                if self.says_yes(Command::Flowing { lease: id(lease) }).is_some() {
                    self.renewed(id(lease), now);
                }
            }
            Op::Renew(lease) => {
                if self.says_yes(Command::Renew { lease: id(lease) }).is_some() {
                    self.renewed(id(lease), now);
                }
            }
            Op::Release(lease, session) => {
                let lease = id(lease);
                self.says_yes(release(lease, Ending::Cancelled, session));
                if let Some(slot) = self.held(lease) {
                    if session == Session::None && !slot.known {
                        self.slots.remove(&lease);
                    } else {
                        slot.let_go(now, session != Session::Unanswered);
                    }
                }
            }
            Op::StopSucceeds(which) => {
                if let Some(lease) = self.stop(which) {
                    self.slots.remove(&lease);
                    self.says_yes(Command::Stopped { lease });
                }
            }
            Op::StopFails(which) => {
                if let Some(lease) = self.stop(which) {
                    self.says_yes(Command::StopFailed { lease });
                }
            }
            Op::Pass(span) => {
                self.engines.pass(Millis(span));
                let now = self.engines.now();
                for slot in self.slots.values_mut() {
                    if let Some(until) = slot.held_until.filter(|until| *until <= now) {
                        slot.let_go(until, false);
                    }
                }
            }
        }
        self.check();
    }

    fn renewed(&mut self, lease: LeaseId, now: Time) {
        let slot = self.held(lease).expect("only who holds a slot keeps it");
        slot.held_until = Some(now + RULES.lease_ttl);
    }

    /// The lease of a stop that was asked for.
    fn stop(&self, which: usize) -> Option<LeaseId> {
        let stops = self.engines.effects();
        let count = stops.len().checked_sub(1)?;
        Some(stops[count - which.min(count)].lease)
    }

    fn check(&self) {
        let now = self.engines.now();
        let mut open: BTreeMap<&Member, u32> = BTreeMap::new();
        for slot in self.slots.values() {
            if slot.held_until.is_some() || now < slot.over_at {
                *open.entry(&slot.engine).or_default() += 1;
            }
        }
        for (name, member) in self.engines.state().pool().members() {
            let open = open.get(name).copied().unwrap_or(0);
            assert!(
                open <= member.in_use.total(),
                "{name} may have {open} open, {:?}",
                member.in_use
            );
            assert!(member.in_use.total() <= member.limit);
        }
        self.engines.state().pool().check();
    }

    /// Nobody does anything any more, and no engine can be asked to stop: all is free in the end.
    fn comes_to_rest(&mut self) {
        while self.answered < self.engines.effects().len() {
            let lease = self.engines.effects()[self.answered].lease;
            self.says_yes(Command::StopFailed { lease });
            self.answered += 1;
        }
    }
}

proptest! {
    #[test]
    fn no_history_brings_an_engine_over_its_limit_or_loses_a_slot(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in ops {
            world.step(op);
        }
        for _ in 0..3 {
            world.comes_to_rest();
            world.step(Op::Pass(RULES.start_timeout.0 + RULES.engine_idle.0 + RULES.lease_ttl.0));
        }
        prop_assert!(world.engines.state().uses().is_empty());
        prop_assert!(world.engines.state().pool().leases().is_empty());
        world.engines.check_replay();
    }
}
