//! What a handler may rely on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use interlock_kernel::{
    bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write},
    ids::Version,
    time::Millis,
};
use interlock_runtime::{
    Builder, Meta, Runtime,
    env::World,
    feed::From,
    store::{StoreError, memory::AppendFault},
};

use crate::common::{
    Command, Computer, Filled, Journal, Pass, Passed, Relay, RelayHandlers, Tank, fill, key,
    on_computer, on_filled, seeded, start, tanks_and_relays,
};

/// One write handler that always wants the same, and a read handler that is noted.
fn always(
    journal: &Journal,
    react: impl Fn(&Origin) -> Reaction + Send + Sync + 'static,
) -> On<Filled> {
    let journal = journal.clone();
    let write = Write::new("write", move |_: &Filled, origin: &Origin| Ok(react(origin)));
    let read =
        Read::new("read", move |_: &Filled, origin: &Origin| journal.note(2, "read", origin));
    On { write: vec![write], read: vec![read] }
}

async fn until_read(computer: &Computer, journal: &Journal, tank: &str, version: u64) {
    while journal.versions("read", &format!("tank/{tank}")).last() != Some(&version) {
        computer.pause(1).await;
    }
}

fn slow(runtime: &Runtime) -> u64 {
    runtime.status().types["tank"].slow.load(Ordering::Relaxed)
}

#[test]
fn a_target_that_refuses_is_broken_or_unknown_ends_phase_1() {
    for tag in ["refused", "broken", "unknown"] {
        on_computer(1, move |computer| async move {
            let journal = Journal::default();
            let handlers = always(&journal, move |_| {
                let pass = Pass { tag: tag.to_owned(), hops: 0 };
                match tag {
                    // No runtime of these tests has this type.
                    "unknown" => Reaction::none().send::<Relay<2>>(key("r"), pass),
                    _ => Reaction::none().send::<Relay<0>>(key("r"), pass),
                }
            });
            let runtime = start(&computer, on_filled(handlers)).await;
            fill(&runtime, "t", 2).await;
            until_read(&computer, &journal, "t", 2).await;
            assert_eq!(runtime.dead_letters().await.unwrap(), [], "{tag}");
            runtime.stop().await;
        });
    }
}

#[test]
fn phase_1_lasts_until_a_waiting_target_has_decided() {
    on_computer(2, |computer| async move {
        let journal = Journal::default();
        let handlers = always(&journal, |origin| match origin.key.as_str() {
            "source" => {
                let drain = Command::Drain { amount: 1, wait: Millis(60_000) };
                Reaction::none().send::<Tank>(key("target"), drain)
            }
            _ => Reaction::none(),
        });
        let runtime = start(&computer, on_filled(handlers)).await;
        fill(&runtime, "source", 2).await;
        fill(&runtime, "other", 1).await;
        until_read(&computer, &journal, "other", 1).await;
        computer.pause(1_000).await;
        assert_eq!(journal.versions("read", "tank/source"), [0; 0], "its phase 1 goes on");
        fill(&runtime, "target", 2).await;
        until_read(&computer, &journal, "source", 2).await;
        let target = runtime.handle::<Tank>().view(&key("target")).await.unwrap();
        assert_eq!(target.state.level, 0);
        runtime.stop().await;
    });
}

#[test]
fn a_read_handler_that_hangs_holds_up_its_own_entity_only_and_not_for_ever() {
    on_computer(3, |computer| async move {
        let (journal, calls) = (Journal::default(), Journal::default());
        let (noted, hangs) = (journal.clone(), calls.clone());
        let later = Read::later("read", move |_: &Filled, origin: &Origin| {
            hangs.note(2, "read", origin);
            let stuck = origin.key.as_str() == "stuck" && origin.version == Version(1);
            let (noted, origin) = (noted.clone(), origin.clone());
            async move {
                if stuck {
                    std::future::pending::<()>().await;
                }
                noted.note(2, "read", &origin);
                Ok(())
            }
        });
        let runtime = start(&computer, on_filled(On { write: vec![], read: vec![later] })).await;
        fill(&runtime, "stuck", 2).await;
        fill(&runtime, "free", 2).await;
        until_read(&computer, &journal, "free", 2).await;
        assert_eq!(journal.versions("read", "tank/stuck"), [0; 0]);
        until_read(&computer, &journal, "stuck", 2).await;
        assert_eq!(
            calls.versions("read", "tank/stuck"),
            [1, 1, 1, 1, 1, 2],
            "five tries, then the next"
        );
        runtime.stop().await;
    });
}

#[test]
fn rows_are_written_in_one_group_with_the_cursor_even_when_a_write_fails() {
    for seed in 0..20 {
        on_computer(seed, |computer| async move {
            let journal = Journal::default();
            let handlers = always(&journal, |origin| {
                let row = |half: &str| RowChange::Put {
                    table: "halves".to_owned(),
                    key: format!("{}@{}-{half}", origin.key, origin.version).into_bytes(),
                    value: Vec::new(),
                };
                Reaction::none().row(row("left")).row(row("right"))
            });
            let runtime = start(&computer, on_filled(handlers)).await;
            for _ in 0..3 {
                computer.disk().fail_next_rows(StoreError::Full("no room".to_owned()));
            }
            for tank in ["a", "b", "c"] {
                fill(&runtime, tank, 3).await;
            }
            for tank in ["a", "b", "c"] {
                until_read(&computer, &journal, tank, 3).await;
            }
            runtime.stop().await;
            let mut rows = Vec::new();
            for group in computer.groups() {
                let table = |change: &RowChange| match change {
                    RowChange::Put { table, .. } => table.clone(),
                    RowChange::Delete { .. } | RowChange::DeleteRange { .. } => String::new(),
                };
                let tables: Vec<String> = group.iter().map(table).collect();
                let halves = tables.iter().filter(|table| *table == "halves").count();
                if halves > 0 {
                    assert_eq!(tables.last().unwrap(), "cursors");
                    assert_eq!(halves % 2, 0, "a record's rows are written together");
                    rows.push(halves);
                }
            }
            assert_eq!(rows.iter().sum::<usize>(), 18, "each row is written once: {rows:?}");
        });
    }
}

#[test]
fn phase_2_sees_a_state_at_least_as_new_as_the_event() {
    for seed in 0..20 {
        on_computer(seed, |computer| async move {
            let old = Arc::new(AtomicBool::new(false));
            let runtime: Arc<std::sync::OnceLock<Runtime>> = Arc::default();
            let (world, seen) = (runtime.clone(), old.clone());
            let later = Read::later("read", move |event: &Filled, origin: &Origin| {
                let tanks = world.get().unwrap().handle::<Tank>();
                let (seen, event, origin) = (seen.clone(), event.clone(), origin.clone());
                async move {
                    let view = tanks.view(&origin.key).await.unwrap();
                    let is_old = view.version < origin.version || view.state.level < event.level;
                    seen.fetch_or(is_old, Ordering::Relaxed);
                    Ok(())
                }
            });
            let handlers = on_filled(On { write: vec![], read: vec![later] });
            let started = start(&computer, handlers).await;
            runtime.set(started.clone()).ok().unwrap();
            for tank in ["a", "b"] {
                let (started, computer) = (started.clone(), computer.clone());
                computer.spawn(async move { fill(&started, tank, 20).await });
            }
            while started.status().types["tank"].handled.load(Ordering::Relaxed) < 40 {
                computer.pause(1).await;
            }
            assert!(!old.load(Ordering::Relaxed));
        });
    }
}

#[test]
fn slow_handlers_are_counted() {
    on_computer(4, |computer| async move {
        let world = computer.world.clone();
        let sync = Write::new("sync", move |event: &Filled, _: &Origin| {
            world.spend(Duration::from_millis(if event.amount == 1 { 150 } else { 50 }));
            Ok(Reaction::none())
        });
        let world = computer.world.clone();
        let later = Read::later("later", move |event: &Filled, _: &Origin| {
            let sleep =
                world.sleep(Duration::from_millis(if event.amount == 2 { 150 } else { 50 }));
            async move {
                sleep.await;
                Ok(())
            }
        });
        let runtime =
            start(&computer, on_filled(On { write: vec![sync], read: vec![later] })).await;
        for (amount, counted) in [(1, 1), (2, 2), (3, 2)] {
            let fill = Command::Fill(amount);
            runtime.handle::<Tank>().send(&key("t"), fill, Meta::default()).await.unwrap();
            computer.pause(1_000).await;
            assert_eq!(slow(&runtime), counted, "after {amount}");
        }
    });
}

#[test]
fn a_handler_of_an_idle_type_does_not_hold_the_log_back() {
    on_computer(5, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        let pass = |hops| Pass { tag: format!("{hops}"), hops };
        runtime.handle::<Relay<0>>().send(&key("r"), pass(0), Meta::default()).await.unwrap();
        fill(&runtime, "t", 100).await;
        computer.pause(2 * 61_000).await;
        let compacted = runtime.compact(Millis(1_000)).await.unwrap();
        assert!(compacted.dropped > 90 || compacted.first.0 > 90, "{compacted:?}");
    });
}

#[test]
#[should_panic(expected = "two write handlers of passed have one name")]
fn two_write_handlers_of_an_event_cannot_share_a_name() {
    seeded(1, |env| async move {
        let write = || Write::new("same", |_: &Passed, _: &Origin| Ok(Reaction::none()));
        let twice = RelayHandlers { passed: On { write: vec![write(), write()], read: vec![] } };
        drop(Builder::new(env).entity_with::<Relay<0>, _>(twice, None));
    });
}

#[test]
fn one_handlers_commands_about_one_record_arrive_in_order() {
    for seed in 0..20 {
        on_computer(seed, |computer| async move {
            let write = Write::new("count", |event: &Filled, _: &Origin| {
                let pass = Pass { tag: "n".to_owned(), hops: u32::try_from(event.level).unwrap() };
                Ok(Reaction::none().send::<Relay<0>>(key("ordered"), pass))
            });
            let quiet = RelayHandlers { passed: On::nobody() };
            let handlers = on_filled(On { write: vec![write], read: vec![] });
            let runtime = Builder::new(computer.env())
                .entity_with::<Tank, _>(handlers, None)
                .entity_with::<Relay<0>, _>(quiet, None)
                .start();
            let runtime = runtime.await.unwrap();
            for _ in 0..2 {
                let full = StoreError::Full("no room".to_owned());
                computer.disk().fail_next_append(AppendFault::Refused(full));
            }
            let tanks = runtime.handle::<Tank>();
            while tanks.send(&key("t"), Command::Drip(12), Meta::default()).await.is_err() {}
            runtime.stop().await;
            computer.crash();
            let runtime = tanks_and_relays(&computer).await;
            let mut feed = Vec::new();
            let mut events = runtime.feed(From::Start, None).await.unwrap();
            while feed.len() < 24 {
                feed.extend(events.next().await.unwrap().unwrap());
            }
            let hops: Vec<String> = feed
                .iter()
                .filter(|event| event.entity == "ra")
                .map(|event| event.data.get().to_owned())
                .collect();
            let expected: Vec<String> =
                (1..=12).map(|hops| format!("{{\"tag\":\"n\",\"hops\":{hops}}}")).collect();
            assert_eq!(hops, expected);
        });
    }
}

#[test]
fn a_failing_handler_is_asked_again_and_then_goes_on() {
    on_computer(6, |computer| async move {
        let journal = Journal::default();
        let (writes, reads) = (journal.clone(), journal.clone());
        let write = Write::new("write", move |_: &Filled, origin: &Origin| {
            writes.note(1, "write", origin);
            match writes.attempts("write", origin) {
                1..=2 => Err(HandlerError("not yet".to_owned())),
                3..=4 => panic!("not yet either"),
                _ => Ok(Reaction::none()),
            }
        });
        let read =
            Read::new("read", move |_: &Filled, origin: &Origin| reads.note(2, "read", origin));
        let runtime =
            start(&computer, on_filled(On { write: vec![write], read: vec![read] })).await;
        fill(&runtime, "t", 1).await;
        until_read(&computer, &journal, "t", 1).await;
        assert_eq!(journal.versions("write", "tank/t").len(), 5);
        assert_eq!(runtime.dead_letters().await.unwrap(), []);
    });
}
