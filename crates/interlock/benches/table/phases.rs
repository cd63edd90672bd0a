//! The two phases of the production dispatcher, on the memory store.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use interlock_kernel::ids::Key;
use interlock_runtime::{
    Builder, Meta,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};

use crate::counter::{Command, Counter, Seen, handlers};

/// Events of one command.
const BURST: u64 = 256;
/// Commands under way at once.
const CALLERS: u64 = 64;

/// Events a second through both phases, and inversions.
pub async fn per_second(span: Duration) -> (f64, u64) {
    let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
    let seen = Arc::new(Seen::default());
    let runtime = Builder::new(env).entity_with::<Counter, _>(handlers(&seen), None).start().await;
    let runtime = runtime.expect("an empty store opens");
    let counters = runtime.handle::<Counter>();
    let begin = Instant::now();
    let caller = |caller: u64| {
        let counters = counters.clone();
        tokio::spawn(async move {
            let key = Key::new(&format!("burst-{caller}")).expect("a valid key");
            while begin.elapsed() < span {
                let burst = Command::Burst { events: BURST };
                counters.send(&key, burst, Meta::default()).await.expect("nothing fails here");
            }
        })
    };
    for caller in (0..CALLERS).map(caller).collect::<Vec<_>>() {
        caller.await.expect("callers do not panic");
    }
    // Stopping waits for the handlers, so everything counted has passed both phases.
    runtime.stop().await;
    let took = begin.elapsed().as_secs_f64();
    let events = seen.read.load(Ordering::Relaxed);
    assert_eq!(events, seen.write.load(Ordering::Relaxed), "both phases ran for every event");
    #[allow(clippy::cast_precision_loss)]
    {
        (events as f64 / took, seen.inversions.load(Ordering::Relaxed))
    }
}
