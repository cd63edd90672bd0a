//! What the service does now and then: improvement cycles (plan, do, check, act), and remembering.

use std::collections::BTreeMap;

use interlock_kernel::{
    ids::{Holder, Outcome},
    time::{Millis, Time},
};
use interlock_primitives::domain::{
    job::{JobCommand, JobEntity, JobReply},
    turn::TurnEntity,
};
use interlock_runtime::SendError;

use super::super::parts::{Shared, key, node, post, said, unexpected};
use crate::{
    node::Client,
    stage::{Actor, Stage},
};

/// The shortest time between the starts of two cycles.
const MIN_INTERVAL: Millis = Millis::from_secs(300);

/// The cycles of one character.
#[derive(Default)]
struct Cycles {
    last: Option<Millis>,
    /// Those that change its macros now.
    at_work: Vec<&'static str>,
}

/// Scenario 6: the interval is looked up before an await and written down after it.
pub(super) async fn overlap(stage: Stage) {
    let cycles = Shared::<Cycles>::default();
    let shown = cycles.clone();
    stage.show(move || match shown.lock().at_work.join(" and ") {
        at_work if at_work.is_empty() => "nobody at work".to_owned(),
        at_work => format!("at work: {at_work}"),
    });
    for name in ["cycle A", "cycle B"] {
        let cycles = cycles.clone();
        stage.actor(name, |actor| async move {
            let is_recent = |last: Millis| actor.now().0 < last.0 + MIN_INTERVAL.0;
            if cycles.lock().last.is_some_and(is_recent) {
                return actor.says(|| "the last cycle is too recent".to_owned());
            }
            cycles.lock().at_work.push(name);
            actor.says(|| "no recent cycle: plans and checks".to_owned());
            let at_work = cycles.lock().at_work.clone();
            let overlap = || format!("{} improve the same macros", at_work.join(" and "));
            actor.stage().check(at_work.len() == 1, overlap);
            // The language model and the measurements are awaited.
            actor.step().await;
            let mut cycles = cycles.lock();
            cycles.at_work.retain(|other| *other != name);
            cycles.last = Some(actor.now());
            drop(cycles);
            actor.says(|| "acts, and notes the time".to_owned());
        });
    }
    stage.all_done().await;
}

/// A cycle is a job's run: one at a time, and not too often.
pub(super) async fn overlap_twin(stage: Stage) {
    let node = node::<JobEntity>(&stage);
    let starts = Shared::<Vec<Time>>::default();
    let shown = starts.clone();
    stage.show(move || format!("{} cycles", shown.lock().len()));
    for name in ["cycle-A", "cycle-B"] {
        let (node, starts) = (node.clone(), starts.clone());
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            cycle(&actor, &mut client, name, &starts).await;
            actor.sleep(MIN_INTERVAL).await;
            cycle(&actor, &mut client, name, &starts).await;
        });
    }
    stage.all_done().await;
    let mut starts = starts.get();
    starts.sort_unstable();
    stage.check(!starts.is_empty(), || "no cycle could run".to_owned());
    for pair in starts.windows(2) {
        let between = pair[1].since(pair[0]);
        stage.check(between >= MIN_INTERVAL, || format!("two cycles began within {between:?}"));
    }
}

async fn cycle(actor: &Actor, client: &mut Client, name: &str, starts: &Shared<Vec<Time>>) {
    let holder = Holder::new(name).expect("a valid name");
    let ttl_ms = Millis::from_secs(60);
    let start = JobCommand::Start { holder, min_interval_ms: MIN_INTERVAL, ttl_ms };
    let run = match client.send::<JobEntity>(&key("improvement"), start).await {
        Ok(receipt) => {
            starts.lock().push(receipt.at);
            let JobReply::Started(lease) = receipt.reply else { unreachable!("it is a start") };
            lease.run
        }
        Err(SendError::Rejected { rejection, .. }) => {
            return actor.says(|| format!("does not start: {rejection}"));
        }
        Err(error) => unexpected(&error),
    };
    actor.says(|| "starts: plans and checks".to_owned());
    actor.step().await;
    let outcome = Outcome::new("improved").expect("a valid name");
    let finish = JobCommand::Finish { run: Some(run), outcome };
    match client.send::<JobEntity>(&key("improvement"), finish).await {
        Ok(_) => actor.says(|| "acts".to_owned()),
        Err(SendError::Rejected { .. }) => actor.says(|| "took too long: does not act".to_owned()),
        Err(error) => unexpected(&error),
    }
}

/// What two processes remember.
const MEMORIES: [(&str, &str); 2] =
    [("process A", "orcs fear fire"), ("process B", "the bridge is down")];

fn check_remembered(stage: &Stage, memory: &[String]) {
    for (process, what) in MEMORIES {
        let forgotten = || format!("the memory of {process} is lost: {what}");
        stage.check(memory.iter().any(|kept| kept == what), forgotten);
    }
}

/// Scenario 9: what is remembered gets the next free number, which is looked up before an await.
pub(super) async fn lost_memory(stage: Stage) {
    let memory = Shared::<BTreeMap<usize, String>>::default();
    let shown = memory.clone();
    stage.show(move || {
        let of = |(number, what): (&usize, &String)| format!("{number}: {what}");
        shown.lock().iter().map(of).collect::<Vec<_>>().join(", ")
    });
    for (process, what) in MEMORIES {
        let memory = memory.clone();
        stage.actor(process, |actor| async move {
            let next = memory.lock().len() + 1;
            actor.says(|| format!("the next memory is number {next}"));
            // The embedding is computed.
            actor.step().await;
            // INSERT OR REPLACE
            memory.lock().insert(next, what.to_owned());
            actor.says(|| format!("stores number {next}"));
        });
    }
    stage.all_done().await;
    check_remembered(&stage, &memory.get().into_values().collect::<Vec<_>>());
}

/// A log is a sequence of turns: whoever loses the next number tries the one after it.
pub(super) async fn lost_memory_twin(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    let memory = Shared::<Vec<String>>::default();
    let shown = memory.clone();
    stage.show(move || shown.lock().join(", "));
    for (process, what) in MEMORIES {
        let node = node.clone();
        stage.actor(process, |actor| async move {
            let mut client = node.client(&actor, &process.replace(' ', "-"));
            let mut number = 1;
            loop {
                let result = post(&mut client, &key("memory"), number, what).await;
                if result.won {
                    return actor.says(|| format!("stores number {number}: {what}"));
                }
                actor.says(|| format!("number {number} is taken"));
                number = result.next_turn.get();
            }
        });
    }
    stage.all_done().await;
    // Turns that are over tell their winners.
    let mut reader = node.client(&stage.extra("afterwards"), "afterwards");
    for number in 1..=2 {
        let result = post(&mut reader, &key("memory"), number, "nothing").await;
        memory.lock().push(said(&result.value));
    }
    check_remembered(&stage, &memory.get());
}
