//! How many events a second go through both phases: commands of 64 events each, one write and one read
//! handler for every event, a store in memory.
//!
//! ```text
//! cargo bench -p interlock-runtime --bench two_phases [-- millions of events]
//! ```
//!
//! The clock runs from the first command to the last handler's return, so deciding, encoding and committing
//! are in it. An inversion is an event whose read handler ran before its write handler: there must be none.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, missing_docs)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Key,
};
use interlock_runtime::{
    Builder, Meta, Runtime,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};
use serde::{Deserialize, Serialize};

const EVENTS_PER_COMMAND: u64 = 64;
const METERS: u32 = 64;
const CALLERS_PER_METER: u64 = 8;

/// Counts ticks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Meter {
    ticks: u64,
}

/// Ticks a number of times.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Tick {
    meter: u32,
    times: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ticked {
    meter: u32,
    number: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Event {
    Ticked(Ticked),
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("it never refuses")]
struct Refused;

impl Entity for Meter {
    const TYPE: &'static str = "meter";
    type Command = Tick;
    type Event = Event;
    type Reply = u64;
    type Rejection = Refused;
    type Effect = Never;

    fn decide(&self, tick: &Tick, _: &Context<'_>) -> Verdict<Self> {
        let numbers = self.ticks + 1..=self.ticks + tick.times;
        let ticked = |number| Event::Ticked(Ticked { meter: tick.meter, number });
        Ok(Decision::events(numbers.map(ticked).collect(), self.ticks + tick.times))
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Ticked(ticked) => self.ticks = ticked.number,
        }
    }

    fn command_name(_: &Tick) -> &'static str {
        "tick"
    }

    fn event_name(_: &Event) -> &'static str {
        "ticked"
    }
}

interlock_kernel::handlers! {
    struct MeterHandlers for Meter {
        Event::Ticked => ticked: Ticked,
    }
}

/// What the handlers saw: per meter the newest tick of phase 1, and how often phase 2 was ahead of it.
#[derive(Default)]
struct Seen {
    written: Vec<AtomicU64>,
    read: AtomicU64,
    inversions: AtomicU64,
}

fn handlers(seen: &Arc<Seen>) -> MeterHandlers {
    let written = seen.clone();
    let write = Write::new("write", move |event: &Ticked, _: &Origin| {
        written.written[event.meter as usize].store(event.number, Ordering::Relaxed);
        Ok(Reaction::none())
    });
    let seen = seen.clone();
    let read = Read::new("read", move |event: &Ticked, _: &Origin| {
        if seen.written[event.meter as usize].load(Ordering::Relaxed) < event.number {
            seen.inversions.fetch_add(1, Ordering::Relaxed);
        }
        // One task runs all handlers: nothing is lost between load and store.
        seen.read.store(seen.read.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    });
    MeterHandlers { ticked: On { write: vec![write], read: vec![read] } }
}

/// Sends commands to all meters until so many events have been read; returns how long that took in seconds.
async fn drive(runtime: &Runtime, commands: u64) -> f64 {
    let began = Instant::now();
    let callers = u64::from(METERS) * CALLERS_PER_METER;
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let meters = runtime.handle::<Meter>();
            let meter = u32::try_from(caller % u64::from(METERS)).unwrap();
            let key = Key::new(&format!("m{meter}")).unwrap();
            tokio::spawn(async move {
                for _ in 0..commands / callers {
                    let tick = Tick { meter, times: EVENTS_PER_COMMAND };
                    meters.send(&key, tick, Meta::default()).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    runtime.stop().await;
    began.elapsed().as_secs_f64()
}

fn main() {
    // Cargo says `--bench` when it measures; otherwise it only tests that this runs.
    let measures = std::env::args().any(|argument| argument == "--bench");
    let asked = std::env::args().find_map(|argument| argument.parse::<u64>().ok());
    let millions = asked.unwrap_or(if measures { 16 } else { 1 });
    let callers = u64::from(METERS) * CALLERS_PER_METER;
    let commands = millions * 1_000_000 / EVENTS_PER_COMMAND / callers * callers;
    let written = (0..METERS).map(|_| AtomicU64::new(0)).collect();
    let seen = Arc::new(Seen { written, ..Seen::default() });
    let table = handlers(&seen);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let seconds = tokio.block_on(async {
        let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
        let runtime = Builder::new(env).entity_with::<Meter, _>(table, None).start();
        drive(&runtime.await.unwrap(), commands).await
    });
    let read = seen.read.load(Ordering::Relaxed);
    assert_eq!(read, commands * EVENTS_PER_COMMAND, "every event was read once");
    println!(
        "{:.2} M events/s through both phases ({read} events of {commands} commands in {seconds:.2} s), \
         {} inversions",
        read as f64 / seconds / 1e6,
        seen.inversions.load(Ordering::Relaxed),
    );
}
