//! The models on loom, which tries every schedule: there is nothing to seed.
//!
//! A point is a read-modify-write of one atomic that all tasks share: loom takes it for a conflict, as it is
//! for the others, who see the state behind it.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use loom::{model::Builder, sync::atomic::AtomicUsize, thread};

use super::{
    Found,
    models::{Model, Points, Shared},
};

/// Longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Switch(loom::sync::Arc<AtomicUsize>);

impl Points for Switch {
    async fn point(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Explores until the bug is found, everything was tried, or patience ends.
pub fn explore<M: Model>() -> Found {
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    let mut builder = Builder::new();
    builder.max_duration = Some(PATIENCE);
    let began = Instant::now();
    let outcome = quietly(move || {
        builder.check(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let state = Shared::<M::State>::default();
            let switch = Switch(loom::sync::Arc::new(AtomicUsize::new(0)));
            let spawn = |task| {
                let play = M::play(task, switch.clone(), state.clone());
                thread::spawn(move || {
                    play.now_or_never().expect("a point switches, it does not wait");
                })
            };
            let tasks: Vec<_> = (0..M::TASKS).map(spawn).collect();
            tasks.into_iter().for_each(|task| task.join().expect("models do not panic"));
            assert!(!M::is_wrong(&state.lock()), "the end is wrong");
        });
    });
    let (schedules, took) = (count.load(Ordering::Relaxed), began.elapsed());
    Found { schedules, took, found: outcome.is_err() }
}

/// Runs something whose panic is its result. Loom stops in no other way.
fn quietly(work: impl FnOnce()) -> Result<(), ()> {
    /// The hook is everybody's.
    static HOOK: Mutex<()> = Mutex::new(());
    let guard = HOOK.lock().expect("whoever holds it catches every panic");
    let usual = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(work)).map_err(drop);
    panic::set_hook(usual);
    drop(guard);
    result
}
