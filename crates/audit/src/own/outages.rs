//! Times at which something outside fails for a while: the disk, the network, the clock.

use interlock_kernel::{
    ids::{Holder, Member},
    pool::{LeaseRequest, MemberChange},
    time::Millis,
};
use interlock_primitives::domain::pool::{PoolCommand, PoolEntity, PoolReply};
use interlock_runtime::env::World;

use super::{
    Own,
    tally::{Add, Tally},
};
use crate::{
    cases::parts::{key, unexpected},
    faults::{Faults, LATE},
    node::Node,
    stage::Stage,
};

pub(super) const OWN: &[Own] = &[
    Own {
        name: "a disk fails, fills up, and has room again",
        faults: "failing and late commits, a full disk, a crash",
        scenario: &|stage| counted(stage, Faults::DISK),
    },
    Own {
        name: "requests are lost, late, and come twice",
        faults: "several of each client, a crash",
        scenario: &|stage| counted(stage, Faults::NETWORK),
    },
    Own {
        name: "the clock jumps",
        faults: "an hour forward and back, a crash",
        scenario: &|stage| lease_ends(stage, Faults::CLOCK),
    },
    Own {
        name: "the clock jumps while the process lives",
        faults: "an hour forward and back",
        scenario: &|stage| lease_ends(stage, Faults { crashes: 0, ..Faults::CLOCK }),
    },
];

/// What was asked for is done once, whatever fails on the way.
async fn counted(stage: Stage, faults: Faults) {
    let node = Node::start(&stage, faults, |builder| builder.entity::<Tally>());
    let things: Vec<String> =
        ["A", "B"].iter().flat_map(|name| (1..=3).map(move |n| format!("{name}{n}"))).collect();
    for (name, things) in ["client A", "client B"].into_iter().zip(things.chunks(3)) {
        let (node, things) = (node.clone(), things.to_vec());
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, &name.replace(' ', "-"));
            for thing in things {
                match client.send::<Tally>(&key("all"), Add(thing.clone())).await {
                    Ok(_) => actor.says(|| format!("added {thing}")),
                    Err(error) => unexpected(&error),
                }
            }
        });
    }
    stage.all_done().await;
    // Whatever comes late is there by then.
    stage.world().sleep(LATE * 2).await;
    let tally = node.state::<Tally>(&key("all")).await;
    if let Some(wrong) = tally.not_once(&things) {
        stage.violation(wrong);
    }
}

/// A lease of ten seconds whose holder is silent is over for whoever waits, whatever the wall clock says; and not
/// before, but where a crash hides how much time has passed.
async fn lease_ends(stage: Stage, faults: Faults) {
    /// Less than a jump. On a machine as slow as one may be here, ten seconds take a while.
    const SOON: Millis = Millis::from_secs(600);
    /// Ten seconds, less what log time may bend.
    const SPAN: Millis = Millis(8_888);
    let node = Node::start(&stage, faults, |builder| builder.entity::<PoolEntity>());
    let first = stage.extra("first");
    let first_asked = first.now();
    let mut first = node.client(&first, "first");
    let change = MemberChange { limit: Some(1), ..MemberChange::default() };
    let member = Member::new("engine").expect("a valid name");
    let lease = |name: &str, wait_ms| {
        let holder = Holder::new(name).expect("a valid name");
        let request = LeaseRequest::new(holder, Millis::from_secs(10));
        PoolCommand::Lease { request, wait_ms }
    };
    for command in [PoolCommand::PutMember { member, change }, lease("first", Millis(0))] {
        if let Err(error) = first.send::<PoolEntity>(&key("pool"), command).await {
            unexpected(&error);
        }
    }
    let ended = stage.shared(0);
    for name in ["second", "third"] {
        let (node, ended) = (node.clone(), ended.clone());
        stage.actor(name, |actor| async move {
            let began = actor.now();
            let mut client = node.client(&actor, name);
            let wait = lease(name, Millis::from_secs(300));
            match client.send::<PoolEntity>(&key("pool"), wait).await.map(|told| told.reply) {
                Ok(PoolReply::Leased(held)) => {
                    actor.says(|| format!("gets {}", held.lease));
                    let mut ended = ended.lock();
                    *ended += 1;
                    let early = || format!("{ended} leases of 10 s end within {:?}", actor.now());
                    let least = first_asked.0 + *ended * SPAN.0;
                    actor.stage().check(faults.crashes > 0 || actor.now().0 >= least, early);
                }
                Ok(other) => unreachable!("a lease is asked for, not {other:?}"),
                Err(error) => actor.says(|| format!("{error}")),
            }
            let took = Millis(actor.now().0 - began.0);
            let late = || format!("{name} waits {took:?} for leases of 10 s");
            actor.stage().check(took <= SOON, late);
        });
    }
    stage.all_done().await;
}
