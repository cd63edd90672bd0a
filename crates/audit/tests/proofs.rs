//! What is proven: every order that can show was tried, and nothing is left.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{convert::Infallible, pin::pin};

use futures_util::FutureExt;
use interlock_audit::{
    node::{Faults, Node},
    search::{Outcome, exhaust},
    stage::{Actor, Shared, Stage},
    world::Sim,
};
use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Key,
};
use interlock_runtime::env::{OnceSender, Receiver, Sender, WatchReceiver, World, channel};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn proven(outcome: &Outcome) {
    println!("{} schedules in {:?}", outcome.schedules, outcome.took);
    if let Some(failure) = &outcome.failure {
        panic!("{}\n{}", failure.violation, failure.run.timeline);
    }
    assert!(outcome.exhausted, "more than {} schedules", outcome.schedules);
}

/// Counts; a reply tells the number that its command made.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Counter(u64);

impl Entity for Counter {
    const TYPE: &'static str = "counter";
    type Command = u64;
    type Event = u64;
    type Reply = u64;
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, add: &u64, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(self.0 + add, self.0 + add))
    }

    fn apply(&mut self, number: &u64) {
        self.0 = *number;
    }

    fn command_name(_: &u64) -> &'static str {
        "add"
    }

    fn event_name(_: &u64) -> &'static str {
        "added"
    }
}

/// So many requests on one entity of a started machine that runs the shipping runtime. Time passes only while
/// everybody rests.
async fn requests(stage: Stage, count: u64, crashes: u32) {
    stage.world().overtakes(0);
    let faults = Faults { crashes, ..Faults::NONE };
    let node = Node::start(&stage, faults, |builder| builder.entity::<Counter>());
    drop(stage.set_up(node.runtime()).await);
    let replies: Vec<Shared<u64>> = (0..count).map(|_| stage.shared(0)).collect();
    asks(&stage, (0, node.clone(), replies.clone()));
    stage.all_done().await;
    let number = node.state::<Counter>(&Key::new("one").unwrap()).await.0;
    check(&stage, &replies, count, number);
}

/// Lets the next one ask, and the others after it.
///
/// They differ in nothing but their names. So whoever asks first is called a, and so on: each is there once the one
/// before has asked, and all other orders are these with other names.
fn asks(stage: &Stage, (number, node, replies): (usize, Node, Vec<Shared<u64>>)) {
    let Some(reply) = replies.get(number).cloned() else { return };
    let given = (number, node, (reply, replies));
    stage.actor_with(NAMES[number], given, |actor, (number, node, (reply, replies))| async move {
        let (key, mut client) = (Key::new("one").unwrap(), node.client(&actor, NAMES[number]));
        let mut asking = pin!(client.send::<Counter>(&key, 1));
        assert!((&mut asking).now_or_never().is_none(), "nobody is answered in the same step");
        asks(actor.stage(), (number + 1, node.clone(), replies));
        let made = asking.await.unwrap().reply;
        actor.says(|| format!("makes it {made}"));
        *reply.lock() = made;
    });
}

fn check(stage: &Stage, replies: &[Shared<u64>], count: u64, number: u64) {
    let mut replies: Vec<u64> = replies.iter().map(Shared::get).collect();
    replies.sort_unstable();
    let holds = replies.iter().copied().eq(1..=count) && number == count;
    stage.check(holds, || format!("{count} requests make {number} and are told {replies:?}"));
}

#[test]
fn the_runtime_answers_four_requests_on_one_entity_in_every_order() {
    proven(&exhaust(&|stage| requests(stage, 4, 0), 1_000));
}

#[test]
fn the_runtime_answers_three_requests_once_wherever_it_crashes() {
    proven(&exhaust(&|stage| requests(stage, 3, 1), 300_000));
}

/// A request, with its id, and where the answer goes.
type Request = (u64, OnceSender<u64>);
type Inbox = WatchReceiver<Option<Sender<Request>>>;

/// When a writer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// When it has written.
    Then,
    /// Before: a bug.
    Before,
}

/// A single writer and nothing else: an inbox, a log of ids that survives, group commit.
async fn write(
    world: Sim,
    log: Shared<Vec<u64>>,
    mut inbox: Receiver<Request>,
    answering: Answers,
) {
    while let Some(first) = inbox.recv().await {
        let mut known = log.get();
        let old = known.len();
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some((id, reply)) = next {
            let place = known.iter().position(|known| *known == id);
            let place = place.unwrap_or_else(|| {
                known.push(id);
                known.len() - 1
            });
            answers.push((reply, place as u64 + 1));
            next = inbox.try_recv().ok();
        }
        if answering == Answers::Before {
            answer(&mut answers);
        }
        world.give_way().await;
        if known.len() > old {
            *log.lock() = known;
        }
        answer(&mut answers);
    }
}

fn answer(answers: &mut Vec<(OnceSender<u64>, u64)>) {
    for (reply, number) in answers.drain(..) {
        // Who asked may have gone.
        let _ = reply.send(number);
    }
}

async fn thin(stage: Stage, count: u64, crashes: u32, answering: Answers) {
    stage.world().overtakes(0);
    let (log, mut replies) = (stage.shared(Vec::new()), Vec::new());
    let (show, inbox) = channel::watch(stage.world().witness().as_ref(), None);
    let (process, kept) = (stage.world().process(crashes), log.clone());
    let supervisor = async move {
        loop {
            let lives = process.crashes();
            let (sender, receiver) = channel::bounded(process.witness().as_ref(), 8);
            let writes = write(process.clone(), kept.clone(), receiver, answering);
            process.spawn_apart("writer", Box::pin(writes));
            show.send_replace(Some(sender));
            process.crashed(lives).await;
            show.send_replace(None);
        }
    };
    stage.world().spawn_apart("supervisor", Box::pin(supervisor));
    stage.set_up(std::future::ready(())).await;
    for (name, id) in NAMES.into_iter().zip(0..count) {
        replies.push(stage.shared(0));
        let given = (inbox.clone(), replies[replies.len() - 1].clone(), id);
        stage.actor_with(name, given, |actor, (inbox, reply, id)| async move {
            let number = ask(&actor, inbox, id).await;
            actor.says(|| format!("is number {number}"));
            *reply.lock() = number;
        });
    }
    stage.all_done().await;
    let number = log.get().len() as u64;
    check(&stage, &replies, count, number);
}

/// Sends a request, with the same id again and again, until there is an answer.
async fn ask(actor: &Actor, mut inbox: Inbox, id: u64) -> u64 {
    loop {
        let sender = inbox.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        let (reply, answer) = channel::once(actor.stage().world().witness().as_ref());
        let is_sent = sender.try_send((id, reply)).is_ok();
        drop(sender);
        if is_sent && let Ok(number) = answer.await {
            return number;
        }
        // It has crashed; the next one follows.
        inbox.changed().await.unwrap();
    }
}

#[test]
fn a_thin_writer_answers_four_requests_on_one_entity_in_every_order() {
    proven(&exhaust(&|stage| thin(stage, 4, 0, Answers::Then), 1_000));
}

#[test]
fn a_thin_writer_answers_three_requests_once_wherever_it_crashes() {
    proven(&exhaust(&|stage| thin(stage, 3, 1, Answers::Then), 50_000));
}

#[test]
fn a_writer_that_answers_before_it_writes_is_found_wherever_a_crash_is_tried() {
    let outcome = exhaust(&|stage| thin(stage, 2, 1, Answers::Before), 10_000);
    let violation = outcome.failure.expect("an answer is lost").violation;
    assert!(violation.contains("2 requests make 0"), "{violation}");
}
