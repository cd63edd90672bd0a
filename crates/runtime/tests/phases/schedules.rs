//! Handlers of every kind, under many schedules and crashes.

use std::{collections::BTreeSet, sync::atomic::Ordering, time::Duration};

use interlock_kernel::bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write};
use interlock_runtime::{
    Runtime,
    env::World,
    store::{Scan, Store},
};

use crate::common::{
    Command, Computer, Filled, Journal, Pass, Relay, Tank, id, key, on_computer, on_filled, start,
};

fn row_key(origin: &Origin) -> Vec<u8> {
    format!("{}@{:06}", origin.key, origin.version.0).into_bytes()
}

fn level_row(event: &Filled, origin: &Origin) -> RowChange {
    let value = event.level.to_string().into_bytes();
    RowChange::Put { table: "levels".to_owned(), key: row_key(origin), value }
}

fn tag(origin: &Origin) -> String {
    format!("{}@{}", origin.key, origin.version)
}

/// A write handler of every kind, and read handlers that check what phase 1 promised.
fn busy_handlers(computer: &Computer, journal: &Journal, seed: u64) -> On<Filled> {
    let noted = |name, journal: Journal, react: fn(&Filled, &Origin) -> Reaction| {
        Write::new(name, move |event: &Filled, origin: &Origin| {
            journal.note(1, name, origin);
            Ok(react(event, origin))
        })
    };
    let flaky = journal.clone();
    let shaky = Write::new("shaky", move |_: &Filled, origin: &Origin| {
        flaky.note(1, "shaky", origin);
        match flaky.attempts("shaky", origin) {
            1 if (origin.version.0 + seed).is_multiple_of(3) => {
                Err(HandlerError("not now".to_owned()))
            }
            2 if (origin.version.0 + seed).is_multiple_of(6) => panic!("not now either"),
            _ => Ok(Reaction::none()),
        }
    });
    let write = vec![
        noted("plain", journal.clone(), |_, _| Reaction::none()),
        noted("row", journal.clone(), |event, origin| {
            Reaction::none().row(level_row(event, origin))
        }),
        noted("send", journal.clone(), |_, origin| {
            let to = |lane: u64| key(&format!("r{}", lane % 3));
            let pass = |hops| Pass { tag: tag(origin), hops };
            let first = Reaction::none().send::<Relay<0>>(to(origin.version.0), pass(2));
            first.send::<Relay<1>>(to(origin.version.0 + 1), pass(4))
        }),
        shaky,
    ];
    let plain = journal.clone();
    let plain =
        Read::new("plain", move |_: &Filled, origin: &Origin| plain.note(2, "plain", origin));
    let (world, disk, early) = (computer.world.clone(), computer.clone(), journal.early.clone());
    let journal = journal.clone();
    let later = Read::later("later", move |_: &Filled, origin: &Origin| {
        journal.note(2, "later", origin);
        let (disk, row, early) = (disk.disk(), row_key(origin), early.clone());
        let us = World::random(&world) % 2_000;
        let sleep = World::sleep(&world, Duration::from_micros(us));
        async move {
            sleep.await;
            match disk.row("levels", &row).await {
                Ok(Some(_)) if us % 5 == 0 => Err(HandlerError("not now".to_owned())),
                Ok(Some(_)) => Ok(()),
                Ok(None) => {
                    early.store(true, Ordering::Relaxed);
                    Ok(())
                }
                // The computer has crashed since.
                Err(_) => Ok(()),
            }
        }
    });
    On { write, read: vec![plain, later] }
}

/// Fills `count` tanks `times` times, from clients that do not wait for each other.
async fn fill(computer: &Computer, runtime: &Runtime, count: u64, times: u64) {
    let (sender, mut done) = computer.env().channel(64);
    for client in 0..3 {
        let (tanks, sender, computer) =
            (runtime.handle::<Tank>(), sender.clone(), computer.clone());
        computer.clone().spawn(async move {
            for number in 0..times {
                computer.idle(10).await;
                let tank = key(&format!("t{}", computer.dice(count)));
                let fill = tanks.send(&tank, Command::Fill(1), id(&format!("{client}-{number}")));
                fill.await.unwrap();
            }
            sender.send(()).await.unwrap();
        });
    }
    for _ in 0..3 {
        done.recv().await.unwrap();
    }
}

#[test]
fn phase_1_of_all_handlers_ends_before_phase_2_of_any_begins_and_records_keep_their_order() {
    for seed in 0..40 {
        on_computer(seed, move |computer| async move {
            let journal = Journal::default();
            let handlers = busy_handlers(&computer, &journal, seed);
            let runtime = start(&computer, on_filled(handlers)).await;
            fill(&computer, &runtime, 4, 15).await;
            let tanks = runtime.handle::<Tank>();
            for tank in ["t0", "t1", "t2", "t3"] {
                let versions = tanks.view(&key(tank)).await.unwrap().version;
                runtime.recount("tank", &key(tank)).await.unwrap();
                while journal.versions("later", &format!("tank/{tank}")).last() != Some(&versions.0)
                {
                    computer.pause(1).await;
                }
            }
            runtime.stop().await;
            journal.check_order();
            assert!(
                !journal.early.load(Ordering::Relaxed),
                "phase 2 began before the row was there"
            );
            let tanks = &runtime.status().types["tank"];
            assert_eq!(tanks.handled.load(Ordering::Relaxed), 45);
            assert_eq!(tanks.drift.load(Ordering::Relaxed), 0);
        });
    }
}

#[test]
fn commands_and_rows_of_write_handlers_happen_exactly_once_across_crashes() {
    for seed in 0..60 {
        on_computer(seed, move |computer| async move {
            let journal = Journal::default();
            let begin = |computer: Computer| {
                let handlers = on_filled(busy_handlers(&computer, &journal, seed));
                async move { start(&computer, handlers).await }
            };
            for life in 0..4 {
                let runtime = begin(computer.clone()).await;
                let tanks = runtime.handle::<Tank>();
                for client in 0..3_u64 {
                    let (tanks, computer) = (tanks.clone(), computer.clone());
                    computer.clone().spawn(async move {
                        for number in 0..5 {
                            let name = id(&format!("{life}-{client}-{number}"));
                            let tank = key(&format!("t{}", client % 2));
                            // After the crash nobody answers.
                            let _ = tanks.send(&tank, Command::Fill(1), name).await;
                            computer.idle(20).await;
                        }
                    });
                }
                computer.idle(400).await;
                computer.crash();
            }
            let runtime = begin(computer.clone()).await;
            check_exactly_once(&computer, &runtime).await;
            runtime.stop().await;
            assert!(
                !journal.early.load(Ordering::Relaxed),
                "phase 2 began before the row was there"
            );
        });
    }
}

/// Every fill has its row, and every relay that it is passed to gets it. (That none gets it twice is the
/// relay's own invariant: it would be set aside.)
async fn check_exactly_once(computer: &Computer, runtime: &Runtime) {
    let mut tags = BTreeSet::new();
    for tank in ["t0", "t1"] {
        let fills = runtime.handle::<Tank>().view(&key(tank)).await.unwrap().version.0;
        tags.extend((1..=fills).map(|version| format!("{tank}@{version}")));
    }
    let passed = |hops: &[u32]| -> BTreeSet<(String, u32)> {
        tags.iter().flat_map(|tag| hops.iter().map(|hops| (tag.clone(), *hops))).collect()
    };
    let (at_first, at_second) = (passed(&[2, 0, 3, 1]), passed(&[1, 4, 2, 0]));
    for patience in (0..100).rev() {
        computer.pause(100).await;
        let (first, second) = (came::<0>(runtime).await, came::<1>(runtime).await);
        let rows = computer.disk().scan(Scan::table("levels")).await.unwrap();
        if patience == 0 || (&first, &second, rows.len()) == (&at_first, &at_second, tags.len()) {
            assert_eq!(first, at_first, "both ways lead here");
            assert_eq!(second, at_second, "both ways lead there");
            assert_eq!(rows.len(), tags.len());
            return;
        }
    }
}

async fn came<const N: usize>(runtime: &Runtime) -> BTreeSet<(String, u32)> {
    let relays = runtime.handle::<Relay<N>>();
    let mut came = BTreeSet::new();
    for relay in ["r0", "r1", "r2"] {
        came.extend(relays.view(&key(relay)).await.unwrap().state.came.clone());
    }
    came
}
