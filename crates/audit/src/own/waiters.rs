//! Those who wait for a slot: none does while one is free that fits.
//!
//! The pool is the shipping one in a watching shell: whenever a command comes that is not one of those who
//! wait, each of them is asked whether it would still have to.

use std::{cell::RefCell, collections::BTreeMap};

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Refusal, TimerChange, Verdict},
    ids::{CommandId, Holder, Member},
    pool::{LeaseRequest, MemberChange},
    time::{Millis, Time},
};
use interlock_primitives::domain::pool::{
    PoolCommand, PoolEntity, PoolEvent, PoolRejection, PoolReply,
};
use interlock_runtime::SendError;
use serde::{Deserialize, Serialize};

use super::Own;
use crate::{
    cases::parts::{key, unexpected},
    faults::Faults,
    node::Node,
    stage::{Actor, Stage},
};

pub(super) const OWN: &[Own] = &[Own {
    name: "waiters for the slots of a pool",
    faults: "everything but a second process",
    scenario: &waiters,
}];

thread_local! {
    /// Who waits, in this run's only process: a run has one thread.
    static WAITING: RefCell<BTreeMap<CommandId, Waiter>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Clone)]
struct Waiter {
    command: PoolCommand,
    arrived: Time,
    until: Time,
}

/// A pool that is watched.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Watched(PoolEntity);

impl Watched {
    /// Nobody waits who need not.
    fn check_waiters(&self, cx: &Context<'_>) {
        let waiting = WAITING.with_borrow(Clone::clone);
        for (id, waiter) in waiting.iter().filter(|(_, waiter)| cx.now < waiter.until) {
            let cx = Context { arrived: waiter.arrived, id: Some(id), ..*cx };
            let verdict = self.0.decide(&waiter.command, &cx);
            let waits = matches!(verdict, Err(Refusal::Wait { .. }));
            assert!(waits, "{} waits, and a slot is free that fits", id.as_str());
        }
    }
}

impl Entity for Watched {
    const TYPE: &'static str = "watched_pool";
    type Command = PoolCommand;
    type Event = PoolEvent;
    type Reply = PoolReply;
    type Rejection = PoolRejection;
    type Effect = Never;

    fn decide(&self, command: &PoolCommand, cx: &Context<'_>) -> Verdict<Self> {
        let is_known = |id: &CommandId| WAITING.with_borrow(|waiting| waiting.contains_key(id));
        if !cx.id.is_some_and(is_known) {
            self.check_waiters(cx);
        }
        let verdict = self.0.decide(command, cx);
        if let Some(id) = cx.id {
            WAITING.with_borrow_mut(|waiting| match &verdict {
                Err(Refusal::Wait { until }) => {
                    let (command, arrived, until) = (command.clone(), cx.arrived, *until);
                    waiting.insert(id.clone(), Waiter { command, arrived, until });
                }
                Ok(_) | Err(Refusal::Rejected(_)) => {
                    waiting.remove(id);
                }
            });
        }
        let Decision { events, reply, timers, effects: _, closes } = verdict?;
        let timers = timers.into_iter().map(|change| match change {
            TimerChange::Set { name, at, command } => TimerChange::Set { name, at, command },
            TimerChange::Cancel { name } => TimerChange::Cancel { name },
        });
        Ok(Decision { events, reply, timers: timers.collect(), effects: Vec::new(), closes })
    }

    fn apply(&mut self, event: &PoolEvent) {
        self.0.apply(event);
        self.0.check();
    }

    fn command_name(command: &PoolCommand) -> &'static str {
        PoolEntity::command_name(command)
    }

    fn event_name(event: &PoolEvent) -> &'static str {
        PoolEntity::event_name(event)
    }
}

/// Four players and two slots: most wait, and each lets go or falls silent.
async fn waiters(stage: Stage) {
    let faults = Faults { takeovers: 0, ..Faults::ONE };
    let node = Node::start(&stage, faults, |builder| {
        // Who waited in a process that crashed waits no more.
        WAITING.with_borrow_mut(BTreeMap::clear);
        builder.entity::<Watched>()
    });
    let mut setup = node.client(&stage.extra("setup"), "setup");
    for name in ["m1", "m2"] {
        let change = MemberChange { limit: Some(1), ..MemberChange::default() };
        let member = Member::new(name).expect("a valid name");
        let put = PoolCommand::PutMember { member, change };
        if let Err(error) = setup.send::<Watched>(&key("pool"), put).await {
            unexpected(&error);
        }
    }
    for name in ["A", "B", "C", "D"] {
        let node = node.clone();
        stage.actor(name, |actor| async move { player(&actor, &node, name).await });
    }
    stage.all_done().await;
}

async fn player(actor: &Actor, node: &Node, name: &str) {
    let mut client = node.client(actor, name);
    let holder = Holder::new(name).expect("a valid name");
    let request = LeaseRequest::new(holder, Millis::from_secs(10));
    let lease = PoolCommand::Lease { request, wait_ms: Millis::from_secs(40) };
    let held = match client.send::<Watched>(&key("pool"), lease).await.map(|told| told.reply) {
        Ok(PoolReply::Leased(held)) => held,
        Ok(other) => unreachable!("a lease is asked for, not {other:?}"),
        Err(SendError::Rejected { rejection, .. }) => return actor.says(|| rejection.to_string()),
        Err(error) => unexpected(&error),
    };
    actor.says(|| format!("gets {} on {}", held.lease, held.member));
    // B falls silent.
    if name != "B" {
        let release = PoolCommand::Release { lease: Some(held.lease), token: held.token };
        if client.send::<Watched>(&key("pool"), release).await.is_ok() {
            actor.says(|| format!("lets go of {}", held.lease));
        }
    }
}
