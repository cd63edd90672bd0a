//! The models on shuttle: its random scheduler, and its PCT of depth 3.
//!
//! A point is one operation on an uncontended atomic, at which shuttle switches. A `yield_now` would not be
//! the same: its PCT takes that for a wish to come later.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId},
    sync::atomic::AtomicUsize,
    thread,
};

use super::{
    Found,
    models::{Model, Points, Shared},
};

/// How shuttle chooses.
#[derive(Clone, Copy)]
pub enum Way {
    Random,
    Pct,
}

#[derive(Clone)]
struct Switch(Arc<AtomicUsize>);

impl Points for Switch {
    async fn point(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The number of the first schedule that was wrong; 0: none was.
type First = Arc<AtomicU64>;

/// A scheduler that ends at the first bug, without a panic.
struct UntilFound {
    inner: Box<dyn Scheduler>,
    first: First,
}

impl Scheduler for UntilFound {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.first.load(Ordering::Relaxed) > 0 { None } else { self.inner.new_execution() }
    }

    fn next_task(&mut self, tasks: &[&Task], now: Option<TaskId>, yields: bool) -> Option<TaskId> {
        self.inner.next_task(tasks, now, yields)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}

fn explore<M: Model>(way: Way, seed: u64, schedules: u64) -> Found {
    let iterations = usize::try_from(schedules).expect("a few million at most");
    let inner: Box<dyn Scheduler> = match way {
        Way::Random => Box::new(RandomScheduler::new_from_seed(seed, iterations)),
        Way::Pct => Box::new(PctScheduler::new_from_seed(seed, 3, iterations)),
    };
    let (first, count) = (First::default(), Arc::new(AtomicU64::new(0)));
    let scheduler = UntilFound { inner, first: first.clone() };
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let (noted, counted) = (first.clone(), count.clone());
    let began = Instant::now();
    Runner::new(scheduler, config).run(move || {
        let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
        if play::<M>() {
            noted.store(number, Ordering::Relaxed);
        }
    });
    let found = first.load(Ordering::Relaxed) > 0;
    Found { schedules: count.load(Ordering::Relaxed), took: began.elapsed(), found }
}

/// Plays a model once; whether its end is wrong.
fn play<M: Model>() -> bool {
    let (state, switch) = (Shared::<M::State>::default(), Switch(Arc::new(AtomicUsize::new(0))));
    let spawn = |task| {
        let play = M::play(task, switch.clone(), state.clone());
        thread::spawn(move || play.now_or_never().expect("a point switches, it does not wait"))
    };
    let tasks: Vec<_> = (0..M::TASKS).map(spawn).collect();
    tasks.into_iter().for_each(|task| task.join().expect("models do not panic"));
    M::is_wrong(&state.lock())
}

/// Explores until the bug is found.
pub fn find<M: Model>(way: Way, seed: u64, schedules: u64) -> Found {
    explore::<M>(way, seed, schedules)
}

/// Plays a model without a bug for a while: schedules and time.
pub fn rate<M: Model>(span: Duration) -> (u64, Duration) {
    let (mut schedules, mut took, mut seed) = (0, Duration::ZERO, 1);
    while took < span {
        let played = explore::<M>(Way::Random, seed, 2_000);
        assert!(!played.found, "{} is right", M::NAME);
        schedules += played.schedules;
        took += played.took;
        seed += 1;
    }
    (schedules, took)
}
