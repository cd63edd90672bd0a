//! The battles on Interlock: a run of the battles service, with the handlers that it ships with, and workers that do
//! what a fleet's workers do ([`super::hand`]).
//!
//! A worker may be killed at any await, and starts again knowing nothing. What it had claimed comes back; what it had
//! begun is in doubt, until it is played to its end or its log says how that was.
//!
//! In the end the run is judged by the logs of its battles, which have not seen its counts.

use std::{collections::BTreeSet, num::NonZeroU32};

use interlock_battles::{
    domain::run::{Mode, Plan, Run, RunCommand, RunView},
    fleet::logs,
    handlers,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::{CLAIM_TTL, Limit},
    time::Millis,
};
use interlock_runtime::env::World;

use super::{
    Asked, Lets,
    hand::{Bench, Hand},
    showdown::{Fate, Showdown},
};
use crate::{
    cases::parts::{key, lives, unexpected},
    node::{Client, Faults, Node},
    stage::Stage,
};

pub(super) async fn play(stage: Stage, asked: Asked) {
    let (node, run, showdown) = (machine(&stage, Faults::ONE), key("battles"), shown(&stage));
    let mut owner = node.client(&stage.extra("run"), "run");
    // No number switches the shares off.
    let shares = NonZeroU32::new(asked.workers).filter(|_| asked.is_split());
    let target = u64::from(asked.battles);
    open(&mut owner, &run, plan(target, shares), CLAIM_TTL).await;
    for number in 1..=asked.workers {
        let name = format!("w{number}");
        let (node, run, showdown) = (node.clone(), run.clone(), showdown.clone());
        stage.actor(&format!("worker {number}"), |actor| async move {
            let worker = Worker::new(&name).expect("a valid name");
            let (account, fates) = (format!("bot{number}"), asked.fates());
            let bench = Bench { actor, node, run, worker, account, showdown, fates, target };
            let life = |life| Hand::new(&bench, format!("{name}-{life}")).works();
            lives(&bench.actor, life).await;
        });
    }
    stage.all_done().await;
    judge(&stage, &node, &run, &showdown, target).await;
}

impl Asked {
    fn fates(self) -> &'static [Fate] {
        match self.flaw {
            Lets::TieIsUnknown => &[Fate::Win, Fate::Tie],
            Lets::MagicNumber | Lets::ZeroIsNoLimit | Lets::CountIsLate | Lets::RecordingFails => {
                &[Fate::Win]
            }
        }
    }
}

/// A machine with runs, as the service has them.
pub(crate) fn machine(stage: &Stage, faults: Faults) -> Node {
    Node::start(stage, faults, |builder| builder.entity_with::<Run, _>(handlers::run(), None))
}

/// A server, of which it is shown what has been played there.
pub(crate) fn shown(stage: &Stage) -> Showdown {
    let showdown = Showdown::default();
    let state = showdown.clone();
    let words = move |(worker, tally): (&Worker, &interlock_battles::domain::run::Tally)| {
        format!("{worker}: {} of {}", tally.wins, tally.finished())
    };
    stage.show(move || {
        let recounts = state.machines().into_iter().map(|machine| state.recount(&machine, &[]));
        let logs: Vec<String> = recounts
            .flat_map(|recount| recount.workers.iter().map(words).collect::<Vec<_>>())
            .collect();
        format!("won {}", logs.join(", "))
    });
    showdown
}

pub(crate) fn plan(target: u64, shares: Option<NonZeroU32>) -> Plan {
    Plan {
        server: "ws://showdown:8000/showdown/websocket".to_owned(),
        format: "gen9randombattle".to_owned(),
        mode: Mode::Ladder,
        target: Limit::Of(target),
        shares,
    }
}

/// Opens a run, or goes on with it.
pub(crate) async fn open(owner: &mut Client, run: &Key, plan: Plan, claim_ttl_ms: Millis) {
    let retention_ms = Millis::from_secs(86_400);
    let open = RunCommand::Open { plan, claim_ttl_ms, retention_ms };
    if let Err(error) = owner.send::<Run>(run, open).await {
        unexpected(&error);
    }
}

/// All is played, counted once, and counted as the logs say.
pub(crate) async fn judge(stage: &Stage, node: &Node, run: &Key, showdown: &Showdown, target: u64) {
    let state = node.state::<Run>(run).await;
    let view = state.ledger().expect("it was opened").view(stage.world().wall());
    let RunView { total, claimed, in_doubt, .. } = &view;
    let finished = total.finished();
    let wrong =
        || format!("{finished} of {target} are counted, {claimed} claimed, {in_doubt} in doubt");
    stage.check((finished, *claimed, *in_doubt) == (target, 0, 0), wrong);
    let by = view.taken_up.iter().map(|battle| battle.by.clone());
    let machines: BTreeSet<Worker> = view.workers.keys().cloned().chain(by).collect();
    let mut judged = 0;
    for machine in machines {
        let recount = showdown.recount(&machine, &view.taken_up);
        let wrong = || {
            let RunView { workers, taken_up, .. } = &view;
            format!("{machine}'s logs say {recount:?}, counted are {workers:?} {taken_up:?}")
        };
        stage.check(logs::drift(&view, &recount) == 0, wrong);
        judged += finished - logs::elsewhere(&view, &recount);
    }
    stage.check(judged == finished, || format!("{judged} of {finished} are judged by a machine"));
}
