//! What the service does now and then: improvement cycles (plan, do, check, act), and remembering.

use std::collections::BTreeMap;

use interlock_kernel::{
    ids::{Holder, Outcome, Version},
    time::{Millis, Time},
};
use interlock_primitives::domain::{
    job::{JobCommand, JobEntity, JobReply},
    turn::TurnEntity,
};
use interlock_runtime::SendError;

use super::super::{
    Flaw,
    parts::{Shared, key, lives, node, post, said, unexpected},
};
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

/// Scenario 6, "Single-threaded execution, no overlapping cycles": the interval is looked up before an await and
/// written down after it. Without the flaw it is written down before.
pub(super) async fn overlap(stage: Stage, flaw: Flaw) {
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
            if !flaw.is_present() {
                cycles.lock().last = Some(actor.now());
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

/// A cycle is a job's run: one at a time, and not too often. Whoever is killed holds it until its time is over.
pub(super) async fn overlap_twin(stage: Stage) {
    let node = node::<JobEntity>(&stage);
    let starts = Shared::<Vec<Time>>::default();
    let shown = starts.clone();
    stage.show(move || format!("{} cycles", shown.lock().len()));
    for name in ["cycle-A", "cycle-B"] {
        let (node, starts) = (node.clone(), starts.clone());
        stage.actor(name, |actor| async move {
            let life = |life| {
                let client = node.client(&actor, &format!("{name}-{life}"));
                Cycle { actor: actor.clone(), client, name, starts: starts.clone() }.lives()
            };
            lives(&actor, life).await;
        });
    }
    stage.all_done().await;
    let mut starts = starts.get();
    starts.sort_unstable();
    for pair in starts.windows(2) {
        let between = pair[1].since(pair[0]);
        stage.check(between >= MIN_INTERVAL, || format!("two cycles began within {between:?}"));
    }
    let job = node.state::<JobEntity>(&key("improvement")).await;
    let ran =
        job.view(Version(1), Time(0)).is_ok_and(|job| job.running.is_some() || job.last.is_some());
    stage.check(ran, || "no cycle could run".to_owned());
}

/// Somebody who improves macros.
struct Cycle {
    actor: Actor,
    client: Client,
    name: &'static str,
    starts: Shared<Vec<Time>>,
}

impl Cycle {
    async fn lives(mut self) {
        self.runs().await;
        self.actor.sleep(MIN_INTERVAL).await;
        self.runs().await;
    }

    async fn runs(&mut self) {
        let Self { actor, client, name, starts } = self;
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
            Err(SendError::Rejected { .. }) => {
                actor.says(|| "took too long: does not act".to_owned());
            }
            Err(error) => unexpected(&error),
        }
    }
}

/// What two processes remember.
const MEMORIES: [(&str, &str); 2] =
    [("process A", "orcs fear fire"), ("process B", "the bridge is down")];

fn check_remembered(stage: &Stage, memory: &[&str]) {
    for (process, what) in MEMORIES {
        let forgotten = || format!("the memory of {process} is lost: {what}");
        stage.check(memory.contains(&what), forgotten);
    }
}

/// A table in SQLite, and how often it was written.
#[derive(Default)]
struct Memory {
    rows: BTreeMap<usize, &'static str>,
    commits: u64,
}

/// Scenario 9, `await self.db.insert_memory(memory)`, from two processes (scenario 3: "Single connection per Python
/// process"). A transaction reads which number is free; if the other has written since, its insert finds the
/// database busy. Then scenario 3's "Automatic retry on database busy errors" inserts again, and the number is no
/// longer free. Without the flaw all of the transaction is done again.
pub(super) async fn lost_memory(stage: Stage, flaw: Flaw) {
    let memory = Shared::<Memory>::default();
    let shown = memory.clone();
    stage.show(move || {
        let of = |(number, what): (&usize, &&str)| format!("{number}: {what}");
        shown.lock().rows.iter().map(of).collect::<Vec<_>>().join(", ")
    });
    for (process, what) in MEMORIES {
        let memory = memory.clone();
        stage.actor(process, |actor| async move { remember(&actor, &memory, what, flaw).await });
    }
    stage.all_done().await;
    check_remembered(&stage, &Vec::from_iter(memory.lock().rows.values().copied()));
}

async fn remember(actor: &Actor, memory: &Shared<Memory>, what: &'static str, flaw: Flaw) {
    let begin = || {
        let Memory { rows, commits } = &*memory.lock();
        (rows.len() + 1, *commits)
    };
    let (mut number, mut seen) = begin();
    actor.says(|| format!("BEGIN; the next number is {number}"));
    loop {
        actor.step().await;
        {
            let mut memory = memory.lock();
            if memory.commits == seen {
                memory.rows.insert(number, what);
                memory.commits += 1;
                break;
            }
        }
        actor.says(|| "the database is busy: ROLLBACK, tries again".to_owned());
        let (free, newest) = begin();
        seen = newest;
        if !flaw.is_present() {
            number = free;
        }
    }
    actor.says(|| format!("INSERT OR REPLACE number {number}; COMMIT"));
}

/// A log is a sequence of turns: whoever loses the next number tries the one after it. Whoever is killed begins
/// with the first again, and finds its own if it is there.
pub(super) async fn lost_memory_twin(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    for (process, what) in MEMORIES {
        let node = node.clone();
        stage.actor(process, |actor| async move {
            let life = |life| {
                let client = node.client(&actor, &format!("{}-{life}", process.replace(' ', "-")));
                append(actor.clone(), client, what)
            };
            lives(&actor, life).await;
        });
    }
    stage.all_done().await;
    // Turns that are over tell their winners.
    let mut reader = node.client(&stage.extra("afterwards"), "afterwards");
    let mut memory = Vec::<String>::new();
    for number in 1..=2 {
        memory.push(said(&post(&mut reader, &key("memory"), number, "nothing").await.value));
    }
    check_remembered(&stage, &Vec::from_iter(memory.iter().map(String::as_str)));
}

async fn append(actor: Actor, mut client: Client, what: &'static str) {
    let mut number = 1;
    loop {
        let result = post(&mut client, &key("memory"), number, what).await;
        if said::<String>(&result.value) == what {
            return actor.says(|| format!("stores number {number}: {what}"));
        }
        actor.says(|| format!("number {number} is taken"));
        number += 1;
    }
}
