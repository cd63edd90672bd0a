//! The real world: tokio's tasks and timers, the system's clocks.

#![allow(clippy::disallowed_methods)] // the one place that may ask the system

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use interlock_kernel::time::Time;

use super::{Task, World};

/// The real world. Create it within a tokio runtime.
pub struct Tokio {
    start: Moment,
    seed: RandomState,
    drawn: AtomicU64,
    handle: ::tokio::runtime::Handle,
}

impl Tokio {
    /// The real world, on the current tokio runtime.
    #[must_use]
    pub fn current() -> Self {
        Self {
            start: Moment::now(),
            seed: RandomState::new(),
            drawn: AtomicU64::new(0),
            handle: ::tokio::runtime::Handle::current(),
        }
    }
}

impl World for Tokio {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> Time {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self) -> u64 {
        // The standard library's seed comes from the operating system; a keyed hash of a counter under it
        // is random enough for ids and back-off. Nothing secret is made of it.
        self.seed.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed))
    }

    fn spawn(&self, _name: &'static str, task: Task) {
        self.handle.spawn(task);
    }

    fn sleep(&self, span: Duration) -> Task {
        Box::pin(::tokio::time::sleep(span))
    }
}

/// A moment of a clock that never goes back and goes on while the machine is suspended: leases do not outlive a
/// night with the lid closed. (The standard library's stands still then.)
#[cfg(target_os = "linux")]
struct Moment(Duration);

#[cfg(target_os = "linux")]
impl Moment {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Both parts are never below zero.
        Self(Duration::try_from(time).unwrap_or_default())
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// Elsewhere it is the standard library's.
#[cfg(not(target_os = "linux"))]
use std::time::Instant as Moment;
