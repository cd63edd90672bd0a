//! A store that refuses commits, or does not say how they ended: nothing is half kept, nothing is told that
//! is not durable, service goes on.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, sync::atomic::Ordering};

use common::{Command, Computer, Event, Filled, Tank, TooLittle, id, key, on_computer};
use interlock_kernel::{
    ids::{Position, Version},
    time::Millis,
};
use interlock_runtime::{
    Builder, Meta, Receipt, Runtime, SendError,
    env::OnceReceiver,
    record::{self, Record},
    store::{Store, StoreError, memory::AppendFault},
};

type Answer = Result<Receipt<u64>, SendError<TooLittle>>;

fn no_room() -> StoreError {
    StoreError::Full("no room".to_owned())
}

fn refused() -> AppendFault {
    AppendFault::Refused(no_room())
}

async fn start(computer: &Computer) -> Runtime {
    Builder::new(computer.env()).entity::<Tank>().start().await.unwrap()
}

/// Sends without waiting for the answer, which comes through the channel.
fn post(
    computer: &Computer,
    runtime: &Runtime,
    tank: &'static str,
    command: Command,
) -> OnceReceiver<Answer> {
    let (sender, receiver) = computer.env().once();
    let tanks = runtime.handle::<Tank>();
    computer.spawn(async move {
        let _ = sender.send(tanks.send(&key(tank), command, Meta::default()).await);
    });
    receiver
}

async fn level(runtime: &Runtime, tank: &str) -> u64 {
    runtime.handle::<Tank>().view(&key(tank)).await.unwrap().state.level
}

fn unavailable(answer: Answer) {
    assert_eq!(answer.unwrap_err(), SendError::Unavailable(no_room()));
}

#[test]
fn a_refused_commit_keeps_nothing_and_frees_the_id() {
    on_computer(1, |computer| async move {
        let runtime = start(&computer).await;
        let tanks = runtime.handle::<Tank>();
        tanks.send(&key("t"), Command::Fill(1), Meta::default()).await.unwrap();
        computer.disk().fail_next_append(refused());
        unavailable(tanks.send(&key("t"), Command::Fill(2), id("x")).await);
        assert_eq!(level(&runtime, "t").await, 1);
        let again = tanks.send(&key("t"), Command::Fill(3), id("x")).await.unwrap();
        assert_eq!((again.reply, again.version, again.replayed), (4, Version(2), false));
        assert!(runtime.recount("tank", &key("t")).await.unwrap());
    });
}

#[test]
fn everything_decided_on_a_refused_commit_is_refused_with_it() {
    for seed in 0..20 {
        on_computer(seed, |computer| async move {
            let runtime = start(&computer).await;
            computer.disk().fail_next_append(refused());
            let first = post(&computer, &runtime, "t", Command::Fill(5));
            // The first commit is under way; these collect in the next, or rest on the first.
            while runtime.status().commits.load(Ordering::Relaxed) == 0 {
                computer.world.give_way().await;
            }
            let drain = Command::Drain { amount: 4, wait: Millis(0) };
            let second = post(&computer, &runtime, "t", drain);
            let too_much = Command::Drain { amount: 9, wait: Millis(0) };
            let rejected = post(&computer, &runtime, "t", too_much);
            let other = post(&computer, &runtime, "u", Command::Fill(1));
            unavailable(first.await.unwrap());
            for answer in [second, rejected, other] {
                match answer.await.unwrap() {
                    Err(SendError::Unavailable(_)) => {}
                    // It was only decided when the refusal was known.
                    Err(SendError::Rejected { rejection, .. }) => assert_eq!(rejection.level, 0),
                    Ok(receipt) => assert_eq!(receipt.reply, 1, "that of the other tank"),
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(level(&runtime, "t").await, 0);
            let tanks = runtime.handle::<Tank>();
            let now = tanks.send(&key("t"), Command::Fill(2), Meta::default()).await.unwrap();
            assert_eq!((now.reply, now.version), (2, Version(1)));
        });
    }
}

#[test]
fn a_commit_of_unknown_outcome_is_settled_by_what_the_log_holds() {
    for (fault, kept) in [
        (AppendFault::UnknownWritten as fn(StoreError) -> AppendFault, true),
        (AppendFault::UnknownLost, false),
    ] {
        on_computer(3, move |computer| async move {
            let runtime = start(&computer).await;
            let tanks = runtime.handle::<Tank>();
            computer.disk().fail_next_append(fault(no_room()));
            // The store cannot say at once, either.
            computer.disk().fail_next_settle(no_room());
            computer.disk().fail_next_settle(no_room());
            let answer = tanks.send(&key("t"), Command::Fill(2), id("x")).await;
            assert_eq!(answer.is_ok(), kept);
            assert_eq!(level(&runtime, "t").await, if kept { 2 } else { 0 });
            let again = tanks.send(&key("t"), Command::Fill(2), id("x")).await.unwrap();
            assert_eq!((again.reply, again.version, again.replayed), (2, Version(1), kept));
            computer.crash();
            let runtime = start(&computer).await;
            assert_eq!(level(&runtime, "t").await, 2);
        });
    }
}

#[test]
fn those_who_wait_go_on_waiting_after_a_refused_commit_but_no_longer_than_they_wanted() {
    on_computer(4, |computer| async move {
        let runtime = start(&computer).await;
        let drain = |amount| Command::Drain { amount, wait: Millis(1_000) };
        let patient = post(&computer, &runtime, "t", drain(3));
        let hopeless = post(&computer, &runtime, "t", drain(100));
        computer.pause(900).await;
        computer.disk().fail_next_append(refused());
        unavailable(post(&computer, &runtime, "t", Command::Fill(1)).await.unwrap());
        post(&computer, &runtime, "t", Command::Fill(3)).await.unwrap().unwrap();
        assert_eq!(patient.await.unwrap().unwrap().reply, 0);
        computer.pause(90).await;
        let began = computer.env().now();
        let rejection = TooLittle { level: 0 };
        let over = SendError::Rejected { rejection, version: Version(2) };
        assert_eq!(hopeless.await.unwrap().unwrap_err(), over);
        assert!((computer.env().now() - began).as_millis() < 50, "its second was over");
    });
}

#[test]
fn one_who_waited_and_can_proceed_on_the_state_read_again_does() {
    for seed in 0..20 {
        on_computer(seed, |computer| async move {
            let runtime = start(&computer).await;
            computer.disk().fail_next_append(refused());
            let fills =
                [1, 2, 3].map(|amount| post(&computer, &runtime, "t", Command::Fill(amount)));
            let rest = post(&computer, &runtime, "t", Command::Rest { wait: Millis(60_000) });
            let mut kept = 0;
            for fill in fills {
                kept += u64::from(fill.await.unwrap().is_ok());
            }
            let is_empty = kept == 0;
            let rested = match rest.await.unwrap() {
                Ok(_) => true,
                // It was decided before the commit that was refused.
                Err(SendError::Unavailable(_)) => false,
                Err(_) => {
                    assert!(!is_empty, "nobody filled the tank, and still it waited in vain");
                    false
                }
            };
            kept += u64::from(rested);
            computer.crash();
            let runtime = start(&computer).await;
            let view = runtime.handle::<Tank>().view(&key("t")).await.unwrap();
            assert_eq!(view.version, Version(kept));
        });
    }
}

/// What a client of a random history did, and was told.
struct Sent {
    tank: String,
    amount: u64,
    answers: Vec<Answer>,
}

/// Sends fills of amounts that no other command has, some again with the same id.
async fn client(computer: Computer, runtime: Runtime, number: u64) -> Vec<Sent> {
    let tanks = runtime.handle::<Tank>();
    let mut sent = Vec::new();
    for turn in 0..6 {
        let (tank, amount) = (format!("t{}", computer.dice(3)), number * 100 + turn + 1);
        let mut answers = Vec::new();
        for _ in 0..=computer.dice(3) {
            let fill = Command::Fill(amount);
            let answer = tanks.send(&key(&tank), fill, id(&format!("{number}-{turn}"))).await;
            let stored = computer.disk().span().await.unwrap().end;
            assert!(answer.is_err() || stored > Position(1), "nothing is told before it is stored");
            answers.push(answer);
            computer.idle(8).await;
        }
        sent.push(Sent { tank: tank.clone(), amount, answers });
        let Ok(view) = tanks.view(&key(&tank)).await else { continue };
        let stored = computer.disk().span().await.unwrap().end;
        assert!(view.head < stored, "a view shows {} of a log that ends at {stored}", view.head);
    }
    sent
}

/// What the log says: tank → amount → (version, level after it).
async fn history(runtime: &Runtime) -> BTreeMap<String, BTreeMap<u64, (Version, u64)>> {
    let store = runtime.env().store().clone();
    let span = store.span().await.unwrap();
    let mut found: BTreeMap<String, BTreeMap<u64, (Version, u64)>> = BTreeMap::new();
    let mut at = span.first;
    while at < span.end {
        for chunk in store.read(at, 1 << 20).await.unwrap() {
            for item in record::records(&chunk).unwrap() {
                let (_, Record::Decided(decided)) = item.unwrap() else { continue };
                let events: Vec<Event> = postcard::from_bytes(decided.events.0).unwrap();
                for event in events {
                    let Event::Filled(Filled { amount, level }) = event else { continue };
                    let tank = found.entry(decided.head.key.to_owned()).or_default();
                    let twice = tank.insert(amount, (decided.head.version, level));
                    assert_eq!(twice, None, "{amount} was filled in twice");
                }
            }
            at = chunk.end();
        }
    }
    found
}

#[test]
fn whatever_the_store_answers_every_answer_is_true() {
    for seed in 0..150 {
        on_computer(seed, |computer| async move {
            let runtime = start(&computer).await;
            let (sender, mut done) = computer.env().channel(8);
            for number in 0..5 {
                let (computer, runtime, sender) =
                    (computer.clone(), runtime.clone(), sender.clone());
                computer.clone().spawn(async move {
                    let sent = client(computer, runtime, number).await;
                    assert!(sender.send(sent).await.is_ok());
                });
            }
            let mut sent = Vec::new();
            for _ in 0..5 {
                loop {
                    tokio::select! {
                        biased;
                        more = done.recv() => {
                            sent.extend(more.unwrap());
                            break;
                        }
                        () = computer.idle(20) => {}
                    }
                    computer.disk().fail_next_append(match computer.dice(12) {
                        0 => refused(),
                        1 => AppendFault::UnknownWritten(no_room()),
                        2 => AppendFault::UnknownLost(no_room()),
                        _ => continue,
                    });
                }
            }
            check(&sent, &history(&runtime).await);
            for (tank, amounts) in history(&runtime).await {
                let sum: u64 = amounts.keys().sum();
                assert!(runtime.recount("tank", &key(&tank)).await.unwrap());
                assert_eq!(level(&runtime, &tank).await, sum);
            }
        });
    }
}

/// A command is in the log if and only if one of its tries was answered, and all answers agree with the log.
fn check(sent: &[Sent], history: &BTreeMap<String, BTreeMap<u64, (Version, u64)>>) {
    for Sent { tank, amount, answers } in sent {
        let found = history.get(tank).and_then(|amounts| amounts.get(amount));
        let mut answered = answers.iter().flatten().peekable();
        assert_eq!(found.is_some(), answered.peek().is_some(), "{tank} {amount}: {answers:?}");
        for (number, receipt) in answered.enumerate() {
            let told = (receipt.version, receipt.reply);
            assert_eq!(Some(&told), found, "{tank} {amount}: {answers:?}");
            assert_eq!(receipt.replayed, number > 0, "{tank} {amount}: {answers:?}");
        }
    }
}
