//! Stopping: what was begun is finished, what cannot be finished is left whole to the next start.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    Command, Computer, Filled, Journal, Pass, Relay, Tank, fill, id, key, on_computer, on_filled,
    start,
};
use futures_util::FutureExt;
use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, RowChange, Write},
    ids::Version,
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Meta, Runtime, SendError,
    env::{Env, Receiver, Task, World, tokio::Tokio},
    store::memory::MemoryStore,
};

/// A write handler that sends `react`'s commands, and a read handler; both are noted.
fn noted(journal: &Journal, react: fn(&Origin) -> Reaction) -> On<Filled> {
    let (writes, reads) = (journal.clone(), journal.clone());
    let write = Write::new("write", move |_: &Filled, origin: &Origin| {
        writes.note(1, "write", origin);
        Ok(react(origin))
    });
    let read = Read::new("read", move |_: &Filled, origin: &Origin| reads.note(2, "read", origin));
    On { write: vec![write], read: vec![read] }
}

fn to_relay(origin: &Origin) -> Reaction {
    let tag = format!("{}@{}", origin.key, origin.version);
    Reaction::none().send::<Relay<0>>(key("r"), Pass { tag, hops: 0 })
}

/// Sends this many fills that nobody waits for; tells how many were acknowledged.
fn post_fills(computer: &Computer, runtime: &Runtime, count: u64) -> Receiver<bool> {
    let (sender, receiver) = computer.env().channel(100);
    for number in 0..count {
        let (tanks, sender) = (runtime.handle::<Tank>(), sender.clone());
        computer.spawn(async move {
            let sent = tanks.send(&key("t"), Command::Fill(1), id(&format!("{number}"))).await;
            assert!(sent.is_ok() || sent.as_ref().unwrap_err() == &SendError::Stopping, "{sent:?}");
            sender.send(sent.is_ok()).await.unwrap();
        });
    }
    receiver
}

#[test]
fn a_stop_finishes_what_was_begun_and_the_next_start_repeats_nothing() {
    for seed in 0..30 {
        on_computer(seed, |computer| async move {
            let journal = Journal::default();
            let runtime = start(&computer, on_filled(noted(&journal, to_relay))).await;
            let mut told = post_fills(&computer, &runtime, 40);
            computer.idle(60).await;
            runtime.stop().await;
            let mut acknowledged = 0;
            while let Some(sent) = told.recv().await {
                acknowledged += u64::from(sent);
            }
            let handled: Vec<u64> = (1..=acknowledged).collect();
            assert_eq!(journal.versions("read", "tank/t"), handled);
            computer.crash();
            let runtime = start(&computer, on_filled(noted(&journal, to_relay))).await;
            computer.pause(2_000).await;
            assert_eq!(
                journal.calls().len() as u64,
                2 * acknowledged,
                "no handler was called again"
            );
            let tanks = runtime.handle::<Tank>();
            let kept = tanks.view(&key("t")).await.unwrap().version;
            assert_eq!(kept, Version(acknowledged), "what was not acknowledged was not kept");
            let passed = runtime.handle::<Relay<0>>().view(&key("r")).await.unwrap().version;
            assert_eq!(passed, Version(acknowledged));
        });
    }
}

#[test]
fn who_waits_is_told_that_the_runtime_stops_and_so_is_who_comes_later() {
    on_computer(1, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        let tanks = runtime.handle::<Tank>();
        let (sender, told) = computer.env().once();
        let waiting = tanks.clone();
        computer.spawn(async move {
            let drain = Command::Drain { amount: 1, wait: Millis(300_000) };
            let _ = sender.send(waiting.send(&key("t"), drain, Meta::default()).await);
        });
        while tanks.view(&key("t")).await.unwrap().waiting == 0 {
            computer.pause(1).await;
        }
        let began = computer.env().now();
        runtime.stop().await;
        assert_eq!(told.await.unwrap().unwrap_err(), SendError::Stopping);
        let late = tanks.send(&key("t"), Command::Fill(1), Meta::default()).await;
        assert_eq!(late.unwrap_err(), SendError::Stopping);
        assert!((computer.env().now() - began).as_millis() < 100);
    });
}

#[test]
fn commands_that_would_begin_to_wait_during_a_stop_are_told_so() {
    for seed in 0..30 {
        on_computer(seed, |computer| async move {
            let runtime = start(&computer, on_filled(On::nobody())).await;
            fill(&runtime, "t", 1).await;
            let (sender, mut told) = computer.env().channel(20);
            for _ in 0..20 {
                let (tanks, sender) = (runtime.handle::<Tank>(), sender.clone());
                computer.spawn(async move {
                    let drain = Command::Drain { amount: 9, wait: Millis(300_000) };
                    sender.send(tanks.send(&key("t"), drain, Meta::default()).await).await.unwrap();
                });
            }
            drop(sender);
            computer.idle(20).await;
            runtime.stop().await;
            while let Some(answer) = told.recv().await {
                assert_eq!(answer.unwrap_err(), SendError::Stopping);
            }
        });
    }
}

#[test]
fn a_handlers_command_that_waits_is_left_to_the_next_start() {
    for seed in 0..40 {
        on_computer(seed, wait_for_a_target);
    }
}

async fn wait_for_a_target(computer: Computer) {
    let journal = Journal::default();
    let handlers = || {
        noted(&journal, |origin| {
            if origin.key.as_str() == "target" {
                return Reaction::none();
            }
            let drain = Command::Drain { amount: 1, wait: Millis(300_000) };
            Reaction::none().send::<Tank>(key("target"), drain)
        })
    };
    let runtime = start(&computer, on_filled(handlers())).await;
    for _ in 0..3 {
        let sources = runtime.handle::<Tank>();
        computer.spawn(async move {
            // It may come too late.
            let _ = sources.send(&key("source"), Command::Fill(1), Meta::default()).await;
        });
    }
    computer.idle(60).await;
    runtime.stop().await;
    assert_eq!(journal.versions("read", "tank/source"), [0; 0]);
    computer.crash();
    let runtime = start(&computer, on_filled(handlers())).await;
    let fills = runtime.handle::<Tank>().view(&key("source")).await.unwrap().version.0;
    fill(&runtime, "target", fills).await;
    while journal.versions("read", "tank/source").len() < fills as usize {
        computer.pause(1).await;
    }
    runtime.stop().await;
    assert_eq!(journal.versions("read", "tank/source"), (1..=fills).collect::<Vec<_>>());
    let handled = runtime.status().types["tank"].handled.load(Ordering::Relaxed);
    assert_eq!(handled, 3 * fills, "fills of both, drains of one");
}

#[test]
fn a_stop_ends_although_the_store_takes_no_commit_and_no_row() {
    on_computer(3, |computer| async move {
        let journal = Journal::default();
        let handlers = || {
            noted(&journal, |origin| {
                let row = RowChange::Put {
                    table: "seen".to_owned(),
                    key: origin.version.0.to_be_bytes().to_vec(),
                    value: Vec::new(),
                };
                to_relay(origin).row(row)
            })
        };
        let runtime = start(&computer, on_filled(handlers())).await;
        fill(&runtime, "t", 5).await;
        computer.fill_disk(true);
        runtime.stop().await;
        assert!(journal.versions("read", "tank/t").len() < 5, "it could not all be done");
        computer.crash();
        computer.fill_disk(false);
        let runtime = start(&computer, on_filled(handlers())).await;
        let relays = runtime.handle::<Relay<0>>();
        while relays.view(&key("r")).await.unwrap().version < Version(5) {
            computer.pause(10).await;
        }
        runtime.stop().await;
        assert_eq!(*journal.versions("read", "tank/t").last().unwrap(), 5);
    });
}

#[test]
fn two_who_stop_the_runtime_both_wait_until_it_has_stopped() {
    on_computer(4, |computer| async move {
        let journal = Journal::default();
        let runtime = start(&computer, on_filled(noted(&journal, to_relay))).await;
        fill(&runtime, "t", 20).await;
        let (first, second) = (runtime.clone(), runtime.clone());
        let check = |journal: &Journal| assert_eq!(journal.versions("read", "tank/t").len(), 20);
        futures_util::future::join(
            async {
                first.stop().await;
                check(&journal);
            },
            async {
                second.stop().await;
                check(&journal);
            },
        )
        .await;
        computer.crash();
        let calls = journal.calls().len();
        let runtime = start(&computer, on_filled(noted(&journal, to_relay))).await;
        computer.pause(1_000).await;
        assert_eq!(journal.calls().len(), calls, "the cursor was written");
        runtime.stop().await;
    });
}

/// A world whose random source fails when it is told to, and takes along whoever asks.
struct Fragile {
    tokio: Tokio,
    is_broken: Arc<AtomicBool>,
}

impl World for Fragile {
    fn now(&self) -> Duration {
        self.tokio.now()
    }

    fn wall(&self) -> Time {
        self.tokio.wall()
    }

    fn random(&self) -> u64 {
        assert!(!self.is_broken.load(Ordering::SeqCst), "as the test wants it");
        self.tokio.random()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        self.tokio.spawn(name, task);
    }

    fn sleep(&self, span: Duration) -> Task {
        self.tokio.sleep(span)
    }
}

#[tokio::test]
async fn it_is_known_when_the_engine_has_died_and_what_was_acknowledged_is_there_for_the_next() {
    let (store, is_broken) = (MemoryStore::new(), Arc::new(AtomicBool::new(false)));
    let world = Fragile { tokio: Tokio::current(), is_broken: Arc::clone(&is_broken) };
    let runtime = Builder::new(Env::new(world, Arc::new(store.clone())))
        .entity::<Tank>()
        .start()
        .await
        .unwrap();
    let tanks = runtime.handle::<Tank>();
    tanks.send(&key("a"), Command::Fill(3), Meta::default()).await.unwrap();
    assert!(runtime.ended().now_or_never().is_none(), "it runs");
    is_broken.store(true, Ordering::SeqCst);
    let refused = tanks.send(&key("a"), Command::Fill(4), Meta::default()).await.unwrap_err();
    assert_eq!(refused, SendError::Stopping);
    runtime.ended().await;
    let next = Builder::new(Env::new(Tokio::current(), Arc::new(store.reopen())))
        .entity::<Tank>()
        .start()
        .await
        .unwrap();
    assert_eq!(next.handle::<Tank>().view(&key("a")).await.unwrap().state.level, 3);
    next.stop().await;
    next.ended().await;
}
