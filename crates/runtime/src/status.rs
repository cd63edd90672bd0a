//! What the runtime counts about itself, for pages and metrics.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use interlock_kernel::ids::Position;

use crate::limits;

/// Powers of two of microseconds, from 1 µs to half an hour.
const BUCKETS: usize = 32;

/// How often something took how long.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// A moment's copy of a [`Histogram`]; all times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Timings {
    /// How often.
    pub count: u64,
    /// In total.
    pub sum_us: u64,
    /// Half took at most this, to the next power of two.
    pub p50_us: u64,
    /// 99 of 100 took at most this, to the next power of two.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (64 - us.leading_zeros() as usize).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// A moment's copy.
    #[must_use]
    pub fn read(&self) -> Timings {
        let buckets: Vec<u64> = self.buckets.iter().map(|b| b.load(Ordering::Relaxed)).collect();
        let count: u64 = buckets.iter().sum();
        let quantile = |percent: u64| {
            let wanted = (count * percent).div_ceil(100);
            let mut seen = 0;
            let bucket = buckets.iter().position(|in_bucket| {
                seen += in_bucket;
                seen >= wanted && wanted > 0
            });
            bucket.map_or(0, |bucket| 1_u64 << bucket)
        };
        Timings {
            count,
            sum_us: self.sum_us.load(Ordering::Relaxed),
            p50_us: quantile(50),
            p99_us: quantile(99),
            max_us: self.max_us.load(Ordering::Relaxed),
        }
    }
}

/// Counters of the whole runtime.
#[derive(Debug, Default)]
pub struct Status {
    /// Commands that reached their entity.
    pub commands: AtomicU64,
    /// Commands that the domain refused.
    pub rejections: AtomicU64,
    /// Repeats answered from the log.
    pub replays: AtomicU64,
    /// Entities read from the store.
    pub loads: AtomicU64,
    /// Commits.
    pub commits: AtomicU64,
    /// Records committed.
    pub records: AtomicU64,
    /// Commits that the store refused.
    pub refused_commits: AtomicU64,
    /// Entities that are set aside.
    pub poisoned: AtomicUsize,
    /// Entities in memory.
    pub resident: AtomicUsize,
    /// What they are estimated to take.
    pub resident_bytes: AtomicUsize,
    /// How long commits take, from hand-over to answer.
    pub commit_times: Histogram,
    /// What is counted per entity type.
    pub types: BTreeMap<&'static str, TypeStatus>,
}

/// Counters of one entity type.
#[derive(Debug, Default)]
pub struct TypeStatus {
    /// Entities in memory.
    pub resident: AtomicUsize,
    /// Events whose handlers have run.
    pub handled: AtomicU64,
    /// Events lost to their handlers until the next start, which must stay zero.
    pub lost: AtomicU64,
    /// Events parked as dead letters.
    pub dead: AtomicU64,
    /// Handler calls slower than [`limits::SLOW_HANDLER`].
    pub slow: AtomicU64,
    /// Entities whose state in memory differs from a recount of the log, which must stay zero.
    pub drift: AtomicU64,
    /// Entities recounted so far.
    pub recounted: AtomicU64,
    /// Phase 1, per event record.
    pub write_times: Histogram,
    /// Phase 2, per event record.
    pub read_times: Histogram,
    /// The newest records' handlers, for timelines.
    pub runs: Runs,
}

/// How one handler's call went.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct HandlerRun {
    /// The handler.
    pub name: &'static str,
    /// 1: write, 2: read.
    pub phase: u8,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// `done`, `refused`, `failed`, `parked`.
    pub outcome: &'static str,
}

/// Handler calls of the newest [`limits::TIMINGS_KEPT`] records. In memory only.
#[derive(Debug, Default)]
pub struct Runs(Mutex<BTreeMap<Position, Vec<HandlerRun>>>);

impl Runs {
    /// Notes handler calls of a record.
    pub fn note(&self, position: Position, runs: Vec<HandlerRun>) {
        if runs.is_empty() {
            return;
        }
        let mut kept = self.0.lock().expect("nothing panics while it holds the runs");
        kept.entry(position).or_default().extend(runs);
        while kept.len() > limits::TIMINGS_KEPT {
            kept.pop_first();
        }
    }

    /// Handler calls of a record.
    #[must_use]
    pub fn of(&self, position: Position) -> Vec<HandlerRun> {
        let kept = self.0.lock().expect("nothing panics while it holds the runs");
        kept.get(&position).cloned().unwrap_or_default()
    }
}

impl Status {
    /// Counters for these entity types.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = &'static str>) -> Self {
        let types = types.into_iter().map(|name| (name, TypeStatus::default())).collect();
        Self { types, ..Self::default() }
    }

    pub(crate) fn began_commit(&self, records: u32) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(u64::from(records), Ordering::Relaxed);
    }

    pub(crate) fn ended_commit(&self, took: Duration) {
        self.commit_times.add(took);
    }

    pub(crate) fn note_lost_feed(&self, entity: &str) {
        if let Some(status) = self.types.get(entity) {
            status.lost.fetch_add(1, Ordering::Relaxed);
        }
        tracing::error!(entity, "handlers are gone; their events wait for the next start");
    }
}
