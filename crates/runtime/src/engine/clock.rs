//! Log time: it goes on with the monotonic clock, and bends towards the wall clock.
//!
//! Leases, waits and timers end by log time, so a wall clock that jumps must not take them along: while the
//! two differ, log time goes faster or slower by one part in [`BEND`] until they agree: ten seconds of it take
//! between 8.9 and 11.4 seconds, whatever the wall clock does. Only a start takes the wall clock at its word,
//! because nobody else knows how long it was dark; and not even that takes log time back.

use std::time::Duration;

use interlock_kernel::time::Time;

use crate::env::Env;

/// Log time goes at most one part in so many faster or slower than the monotonic clock.
const BEND: u32 = 8;
/// A difference that is told to whoever runs this: past what a clock service mends by itself.
const TOLD: Duration = Duration::from_mins(1);

/// See the module's text.
pub(crate) struct LogClock {
    /// Log time since the epoch, finer than it is told.
    time: Duration,
    /// The same moment on the monotonic clock.
    at: Duration,
    /// Whether the two differ by more than [`TOLD`].
    is_far: bool,
}

impl LogClock {
    /// A clock that goes on from the log's newest time, or from the wall clock's if that is later.
    pub(crate) fn new(newest: Time, env: &Env) -> Self {
        let time = Duration::from_millis(newest.max(env.wall()).0);
        Self { time, at: env.now(), is_far: false }
    }

    /// Log time now.
    pub(crate) fn now(&mut self, env: &Env) -> Time {
        let monotonic = env.now();
        let passed = monotonic.saturating_sub(self.at);
        let straight = self.time.saturating_add(passed);
        let wall = Duration::from_millis(env.wall().0);
        let away = straight.abs_diff(wall);
        let bend = away.min(passed / BEND);
        self.time = if wall < straight { straight - bend } else { straight.saturating_add(bend) };
        self.at = monotonic;
        self.tell(away, wall < straight);
        Time(u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX))
    }

    fn tell(&mut self, away: Duration, is_behind: bool) {
        let was_far = std::mem::replace(&mut self.is_far, away > TOLD);
        if self.is_far && !was_far {
            let way = if is_behind { "behind" } else { "ahead of" };
            tracing::warn!(
                seconds = away.as_secs(),
                "the wall clock is {way} log time, which comes closer by an eighth of what passes; a restart takes \
                 over a wall clock that is ahead"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use interlock_kernel::time::Millis;

    use super::*;
    use crate::{env::seeded::Seeded, store::memory::MemoryStore};

    const NOON: Time = Time(1_800_000_000_000);
    const HOUR: Millis = Millis::from_secs(3_600);

    /// A world at noon, and its environment.
    fn world() -> (Seeded, Env) {
        let world = Seeded::new(1);
        world.set_wall(NOON);
        (world.clone(), Env::new(world, Arc::new(MemoryStore::default())))
    }

    /// Lets time pass, looked at every so often, and says how much of it the log saw.
    fn passes(
        clock: &mut LogClock,
        world: &Seeded,
        env: &Env,
        span: Millis,
        look: Millis,
    ) -> Millis {
        let began = clock.now(env);
        let mut before = began;
        for _ in 0..span.0 / look.0 {
            world.spend(look.as_duration());
            let now = clock.now(env);
            assert!(now >= before, "log time never goes back");
            before = now;
        }
        Millis(before.0 - began.0)
    }

    #[test]
    fn a_start_goes_by_the_later_of_the_log_and_the_wall_clock() {
        let (world, env) = world();
        assert_eq!(LogClock::new(Time(0), &env).now(&env), NOON);
        let ahead = NOON + HOUR;
        let mut clock = LogClock::new(ahead, &env);
        assert_eq!(clock.now(&env), ahead);
        let seen = passes(&mut clock, &world, &env, Millis(8_000), Millis(8_000));
        assert_eq!(seen, Millis(7_000), "an eighth slower, until the wall clock has caught up");
    }

    #[test]
    fn a_wall_clock_that_jumps_takes_log_time_along_slowly() {
        for (jump, seen) in [(NOON + HOUR, 9_000), (NOON - HOUR, 7_000)] {
            for look in [Millis(1), Millis(3), Millis(8_000)] {
                let (world, env) = world();
                let mut clock = LogClock::new(NOON, &env);
                clock.now(&env);
                world.set_wall(jump);
                let span = Millis(8_000 / look.0 * look.0);
                let saw = passes(&mut clock, &world, &env, span, look);
                assert!(saw.0.abs_diff(seen) <= 3, "{saw:?} of 8 s, looked at every {look:?}");
            }
        }
    }

    #[test]
    fn log_time_and_the_wall_clock_agree_in_the_end() {
        for jump in [NOON + HOUR, NOON - HOUR] {
            let (world, env) = world();
            let mut clock = LogClock::new(NOON, &env);
            world.set_wall(jump);
            passes(&mut clock, &world, &env, Millis(9 * HOUR.0), Millis(1_000));
            assert!(clock.now(&env).0.abs_diff(env.wall().0) <= 1);
        }
    }
}
