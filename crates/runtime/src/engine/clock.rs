//! Log time: the wall clock, but never back.
//!
//! When the wall clock is set back, log time goes on at the pace of the monotonic clock until the wall clock
//! has caught up: timers, waits and leases keep ending.

use std::time::Duration;

use interlock_kernel::time::{Millis, Time};

use crate::env::Env;

/// See the module's text.
pub(crate) struct LogClock {
    /// The log time of a moment at which the wall clock was not behind.
    anchor: Time,
    /// The same moment on the monotonic clock.
    began: Duration,
}

impl LogClock {
    /// A clock that goes on from the log's newest time.
    pub(crate) fn new(newest: Time, env: &Env) -> Self {
        Self { anchor: newest, began: env.now() }
    }

    /// Log time now.
    pub(crate) fn now(&mut self, env: &Env) -> Time {
        let (monotonic, wall) = (env.now(), env.wall());
        let passed = monotonic.saturating_sub(self.began).as_millis();
        let time = self.anchor + Millis(u64::try_from(passed).unwrap_or(u64::MAX));
        if wall <= time {
            return time;
        }
        (self.anchor, self.began) = (wall, monotonic);
        wall
    }
}
