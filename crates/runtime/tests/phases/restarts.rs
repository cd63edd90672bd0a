//! Restarts with a lot left to do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, RowChange, Write},
    time::Millis,
};
use interlock_runtime::{
    Meta, Runtime,
    store::{Scan, Store},
};

use crate::common::{
    Command, Computer, Filled, Journal, Tank, fill, key, on_computer, on_filled, start,
};

const ROUNDS: u64 = 12;

/// Most fills write a row; while the switch is on they wait for something first.
async fn begin(computer: &Computer, waits: &Arc<AtomicBool>) -> Runtime {
    let waits = waits.clone();
    let write = Write::new("write", move |_: &Filled, origin: &Origin| {
        if waits.load(Ordering::Relaxed) {
            let drain = Command::Drain { amount: 1, wait: Millis(300_000) };
            return Ok(Reaction::none().send::<Tank>(key("empty"), drain));
        }
        let tag = format!("{}@{:03}", origin.key, origin.version.0);
        let (table, key_of_row) = ("rows".to_owned(), tag.clone().into_bytes());
        let row = RowChange::Put { table, key: key_of_row, value: vec![] };
        // Those of tank `a` have nothing to wait for, but for the first and the last.
        Ok(match (origin.key.as_str(), origin.version.0) {
            ("a", 2..ROUNDS) => Reaction::none(),
            _ => Reaction::none().row(row),
        })
    });
    start(computer, on_filled(On { write: vec![write], read: vec![] })).await
}

#[test]
fn crashes_while_the_log_is_read_again_lose_nothing_that_waits_behind_others() {
    for seed in 0..25 {
        on_computer(seed, |computer| async move {
            let waits = Arc::new(AtomicBool::new(true));
            let runtime = begin(&computer, &waits).await;
            // Records that wait behind others of their entity, far apart in the log.
            for _ in 0..ROUNDS {
                fill(&runtime, "a", 1).await;
                fill(&runtime, "b", 1).await;
                let note = Command::Note("x".repeat(300_000));
                runtime.handle::<Tank>().send(&key("big"), note, Meta::default()).await.unwrap();
            }
            // The cursor is written at least once.
            computer.pause(1_500).await;
            waits.store(false, Ordering::Relaxed);
            computer.crash();
            for _ in 0..6 {
                begin(&computer, &waits).await;
                computer.pause(computer.dice(25)).await;
                computer.idle(9).await;
                computer.crash();
            }
            let runtime = begin(&computer, &waits).await;
            computer.pause(5_000).await;
            let rows = computer.disk().scan(Scan::table("rows")).await.unwrap();
            assert_eq!(rows.len() as u64, 2 + ROUNDS, "each row is there");
            runtime.stop().await;
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
