//! Runs of battles: what is counted is what the logs say, each battle once, whoever is killed, and whatever the server of
//! the battles forgets.

use interlock_kernel::{
    ids::{Key, Worker},
    quota::CLAIM_TTL,
    time::Millis,
};

use super::Own;
use crate::{
    cases::{
        battles::{
            hand::{Bench, Hand},
            showdown::{Fate, Showdown},
            twin::{judge, machine, open, plan, shown},
        },
        parts::{key, lives, survives},
    },
    faults::Faults,
    node::Node,
    stage::{Actor, Stage},
};

pub(super) const OWN: &[Own] = &[
    Own {
        name: "a run is counted as its logs say",
        faults: "everything, killed workers, a restart of their server",
        scenario: &counted,
    },
    Own {
        name: "a run ends though a worker of it never comes back",
        faults: "everything, a worker that is killed for good, a restart of their server",
        scenario: &left,
    },
];

/// However a battle may end.
const FATES: &[Fate] = &[Fate::Win, Fate::Loss, Fate::Tie, Fate::Forfeit];

/// What is asked for at first, and then.
const TARGETS: [u64; 2] = [2, 3];

/// Two workers, of whom each may be killed; somebody wants more of them while they play; and their server may restart.
async fn counted(stage: Stage) {
    let (node, run, showdown) = (machine(&stage, Faults::ONE), key("night"), shown(&stage));
    let [first, target] = TARGETS;
    let mut owner = node.client(&stage.extra("owner"), "owner");
    open(&mut owner, &run, plan(first, None), CLAIM_TTL).await;
    for number in 1..=2 {
        let ground = (node.clone(), run.clone(), showdown.clone());
        stage.actor(&format!("worker {number}"), |actor| async move {
            let bench = bench(&actor, ground, number, target);
            let life = |life| Hand::new(&bench, format!("w{number}-{life}")).works();
            lives(&bench.actor, life).await;
        });
    }
    may_restart(&stage, &showdown);
    stage.extra("owner").sleep(Millis::from_secs(20)).await;
    open(&mut owner, &run, plan(target, None), CLAIM_TTL).await;
    stage.all_done().await;
    last(&stage, &node, &run, &showdown, target).await;
}

/// Two workers, of whom one may be killed and does not come back while the run lasts; and their server may restart.
async fn left(stage: Stage) {
    let (node, run, showdown) = (machine(&stage, Faults::ONE), key("night"), shown(&stage));
    let [_, target] = TARGETS;
    let mut owner = node.client(&stage.extra("owner"), "owner");
    open(&mut owner, &run, plan(target, None), CLAIM_TTL).await;
    for number in 1..=2 {
        let ground = (node.clone(), run.clone(), showdown.clone());
        stage.actor(&format!("worker {number}"), |actor| async move {
            // It may have kept a log, and not have said so.
            let bench = bench(&actor, ground, number, target + 1);
            let life = Hand::new(&bench, format!("w{number}")).works();
            if number > 1 {
                return life.await;
            }
            let process = actor.stage().world().process(1);
            if !survives(&process, life).await {
                actor.says(|| "is killed".to_owned());
            }
        });
    }
    may_restart(&stage, &showdown);
    stage.all_done().await;
    judge(&stage, &node, &run, &showdown, target).await;
    // It comes back when all is over.
    last(&stage, &node, &run, &showdown, target).await;
}

fn may_restart(stage: &Stage, showdown: &Showdown) {
    let server = showdown.clone();
    stage.actor("server", |actor| async move {
        actor.sleep(Millis::from_secs(30)).await;
        if actor.stage().world().fault(1) == 1 {
            server.restarts();
            actor.says(|| "restarts, and all battles are gone".to_owned());
        }
    });
}

fn bench(
    actor: &Actor,
    (node, run, showdown): (Node, Key, Showdown),
    number: u32,
    target: u64,
) -> Bench {
    let worker = Worker::new(&format!("w{number}")).expect("a valid name");
    let (actor, account) = (actor.clone(), format!("bot{number}"));
    Bench { actor, node, run, worker, account, showdown, fates: FATES, target }
}

/// The same command once more goes on with what is left. Then all is judged.
async fn last(stage: &Stage, node: &Node, run: &Key, showdown: &Showdown, target: u64) {
    for number in 1..=2 {
        let ground = (node.clone(), run.clone(), showdown.clone());
        let bench =
            bench(&stage.extra(&format!("worker {number}, at last")), ground, number, target);
        Hand::new(&bench, format!("w{number}-at-last")).works().await;
    }
    judge(stage, node, run, showdown, target).await;
}
