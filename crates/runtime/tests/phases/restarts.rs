//! Restarts with a lot left to do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use interlock_kernel::{
    bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write},
    ids::Version,
};
use interlock_runtime::{
    Meta, Runtime,
    store::{Scan, Store},
};

use crate::common::{
    Command, Computer, Filled, Journal, Pass, Relay, Tank, fill, key, on_computer, on_filled, start,
};

/// Fills write rows and tell relays, but not while the switch is on.
async fn begin(computer: &Computer, broken: &Arc<AtomicBool>) -> Runtime {
    let broken = broken.clone();
    let write = Write::new("write", move |_: &Filled, origin: &Origin| {
        if broken.load(Ordering::Relaxed) {
            return Err(HandlerError("not yet".to_owned()));
        }
        let tag = format!("{}@{:03}", origin.key, origin.version.0);
        let row = RowChange::Put {
            table: "rows".to_owned(),
            key: tag.clone().into_bytes(),
            value: vec![],
        };
        let reaction = Reaction::none().row(row);
        Ok(match origin.version.0 % 2 {
            0 => reaction,
            _ => reaction.send::<Relay<0>>(key("sink"), Pass { tag, hops: 0 }),
        })
    });
    start(computer, on_filled(On { write: vec![write], read: vec![] })).await
}

#[test]
fn crashes_while_the_log_is_read_again_lose_nothing_that_waits_behind_others() {
    for seed in 0..25 {
        on_computer(seed, |computer| async move {
            let broken = Arc::new(AtomicBool::new(true));
            let runtime = begin(&computer, &broken).await;
            // Records that wait behind one that fails, far apart in the log.
            for _ in 0..12 {
                for tank in ["a", "b"] {
                    let (runtime, tank) = (runtime.clone(), tank.to_owned());
                    computer.spawn(async move { fill(&runtime, &tank, 1).await });
                }
                let note = Command::Note("x".repeat(300_000));
                runtime.handle::<Tank>().send(&key("big"), note, Meta::default()).await.unwrap();
            }
            // Their cursor is written at least once.
            computer.pause(40).await;
            broken.store(false, Ordering::Relaxed);
            computer.crash();
            for _ in 0..6 {
                begin(&computer, &broken).await;
                computer.idle(60).await;
                computer.crash();
            }
            let runtime = begin(&computer, &broken).await;
            let sink = runtime.handle::<Relay<0>>();
            for _ in 0..100 {
                computer.pause(50).await;
            }
            let rows = computer.disk().scan(Scan::table("rows")).await.unwrap();
            assert_eq!(rows.len(), 24, "each fill has its row");
            assert_eq!(sink.view(&key("sink")).await.unwrap().version, Version(12));
            assert_eq!(runtime.dead_letters().await.unwrap(), []);
        });
    }
}

#[test]
fn more_records_than_may_be_under_way_wait_their_turn_also_across_a_crash() {
    on_computer(1, |computer| async move {
        let count = 3 * interlock_runtime::limits::DISPATCH_IN_FLIGHT as u64;
        let handlers = |journal: &Journal, stuck: bool| {
            let journal = journal.clone();
            let read = Read::later("read", move |_: &Filled, origin: &Origin| {
                let (journal, origin) = (journal.clone(), origin.clone());
                async move {
                    if stuck {
                        std::future::pending::<()>().await;
                    }
                    journal.note(2, "read", &origin);
                    Ok(())
                }
            });
            on_filled(On { write: vec![], read: vec![read] })
        };
        let runtime = start(&computer, handlers(&Journal::default(), true)).await;
        for number in 0..count {
            let runtime = runtime.clone();
            computer.spawn(async move { fill(&runtime, &format!("{number}"), 1).await });
        }
        // Long enough for the cursor to be written, more than once.
        computer.pause(2_000).await;
        computer.crash();
        let journal = Journal::default();
        let runtime = start(&computer, handlers(&journal, false)).await;
        computer.pause(2_000).await;
        runtime.stop().await;
        assert_eq!(journal.calls().len() as u64, count, "every record was shown, once");
    });
}
