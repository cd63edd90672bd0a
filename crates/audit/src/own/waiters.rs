//! Those who wait for a slot: none does while one is free that fits, which is checked wherever somebody waits
//! ([`crate::ledger`]).

use interlock_kernel::{
    ids::{Holder, Member},
    pool::{LeaseRequest, MemberChange},
    time::Millis,
};
use interlock_primitives::domain::pool::{PoolCommand, PoolEntity, PoolReply};
use interlock_runtime::SendError;

use super::{EVERYTHING, Own};
use crate::{
    cases::parts::{key, node, unexpected},
    node::Node,
    stage::{Actor, Stage},
};

pub(super) const OWN: &[Own] =
    &[Own { name: "waiters for the slots of a pool", faults: EVERYTHING, scenario: &waiters }];

/// Four players and two slots: most wait, and each lets go or falls silent.
async fn waiters(stage: Stage) {
    let node = node::<PoolEntity>(&stage);
    let mut setup = node.client(&stage.extra("setup"), "setup");
    for name in ["m1", "m2"] {
        let change = MemberChange { limit: Some(1), ..MemberChange::default() };
        let member = Member::new(name).expect("a valid name");
        let put = PoolCommand::PutMember { member, change };
        if let Err(error) = setup.send::<PoolEntity>(&key("pool"), put).await {
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
    let held = match client.send::<PoolEntity>(&key("pool"), lease).await.map(|told| told.reply) {
        Ok(PoolReply::Leased(held)) => held,
        Ok(other) => unreachable!("a lease is asked for, not {other:?}"),
        Err(SendError::Rejected { rejection, .. }) => return actor.says(|| rejection.to_string()),
        Err(error) => unexpected(&error),
    };
    actor.says(|| format!("gets {} on {}", held.lease, held.member));
    // B falls silent.
    if name != "B" {
        let release = PoolCommand::Release { lease: Some(held.lease), token: held.token };
        if client.send::<PoolEntity>(&key("pool"), release).await.is_ok() {
            actor.says(|| format!("lets go of {}", held.lease));
        }
    }
}
