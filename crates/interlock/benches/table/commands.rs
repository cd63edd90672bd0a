//! Durable commands in-process.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use interlock_kernel::ids::{CommandId, Key};
use interlock_runtime::{
    Builder, Handle, Meta, Runtime,
    env::{Env, tokio::Tokio},
    store::sqlite::{SqliteOptions, SqliteStore},
};

use crate::counter::{Command, Counter, Seen, handlers};

/// Starts a runtime on SQLite in this folder, with two phases on.
pub async fn start(folder: &Path) -> (Runtime, Arc<Seen>) {
    let store =
        SqliteStore::open(&SqliteOptions::new(folder)).expect("a temporary folder is writable");
    let env = Env::new(Tokio::current(), Arc::new(store));
    let seen = Arc::new(Seen::default());
    let builder = Builder::new(env).entity_with::<Counter, _>(handlers(&seen), None);
    (builder.start().await.expect("an empty store opens"), seen)
}

/// Writes one command with an id to each of so many entities.
pub async fn preload(counters: &Handle<Counter>, entities: u64) {
    const CALLERS: u64 = 512;
    let caller = |caller: u64| {
        let counters = counters.clone();
        tokio::spawn(async move {
            for entity in (caller..entities).step_by(usize::try_from(CALLERS).expect("small")) {
                let key = Key::new(&format!("e-{entity}")).expect("a valid key");
                let id = CommandId::new(&format!("preload-{entity:012}")).expect("a valid id");
                let add = Command::Add { note: note() };
                counters.send(&key, add, Meta::id(id)).await.expect("nothing fails here");
            }
        })
    };
    for caller in (0..CALLERS).map(caller).collect::<Vec<_>>() {
        caller.await.expect("callers do not panic");
    }
}

/// How commands choose their entity.
#[derive(Clone, Copy)]
pub enum Spread {
    /// Caller n writes to entity n.
    Hot,
    /// Every command to a random one of so many.
    Uniform(u64),
}

fn note() -> String {
    "n".repeat(130)
}

/// Commands a second of so many callers at once.
pub async fn per_second(
    counters: &Handle<Counter>,
    callers: u64,
    spread: Spread,
    round: u64,
    span: Duration,
) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let caller = |caller: u64| {
        let (counters, stop, done) = (counters.clone(), stop.clone(), done.clone());
        tokio::spawn(async move {
            let mut random = caller.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round << 17;
            let hot = Key::new(&format!("hot-{caller}")).expect("a valid key");
            for n in 0_u64.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let key = match spread {
                    Spread::Hot => hot.clone(),
                    Spread::Uniform(entities) => {
                        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let chosen = (random >> 20) % entities;
                        Key::new(&format!("e-{chosen}")).expect("a valid key")
                    }
                };
                let id = CommandId::new(&format!("{round}-{caller}-{n:012}")).expect("a valid id");
                let receipt =
                    counters.send(&key, Command::Add { note: note() }, Meta::id(id)).await;
                assert!(!receipt.expect("nothing fails here").replayed, "every id is new");
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let callers: Vec<_> = (0..callers).map(caller).collect();
    tokio::time::sleep(span).await;
    let count = done.load(Ordering::Relaxed);
    let took = begin.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("callers do not panic");
    }
    #[allow(clippy::cast_precision_loss)]
    {
        count as f64 / took
    }
}

/// The median time of a command with one caller, in microseconds.
pub async fn p50_us(counters: Handle<Counter>, round: u64, span: Duration) -> f64 {
    let key = Key::new("alone").expect("a valid key");
    let (begin, mut times) = (Instant::now(), Vec::new());
    for n in 0_u64.. {
        if begin.elapsed() >= span {
            break;
        }
        let id = CommandId::new(&format!("p{round}-{n:012}")).expect("a valid id");
        let start = Instant::now();
        let receipt = counters.send(&key, Command::Add { note: note() }, Meta::id(id)).await;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        assert!(receipt.is_ok(), "nothing fails here");
    }
    crate::pairs::median(&mut times)
}
