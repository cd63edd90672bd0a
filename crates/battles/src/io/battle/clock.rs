//! How long the server waits for a choice, by its own words. Its timer, which we turn on, ends a battle that we keep
//! waiting.
//!
//! ```text
//! |inactive|Time left: 150 sec this turn | 140 sec total | 30 sec grace     to us alone, after each request
//! |inactive|Bot has 20 seconds left this turn.                              to both: each request, when it is short
//! |inactive|Bot has 20 seconds left.                                        to both: as it passes
//! |inactive|Bot reconnected and has 45 seconds left.
//! ```
//!
//! Until a request's own words come, the time for it is guessed from what was left before: never more than there is.

use std::time::{Duration, Instant};

use crate::limits;

/// What is known of the server's timer, as far as it is about us.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When it ends the wait for the present choice; `None`: it has not said, or there is none.
    ends: Option<Instant>,
    /// Its words about the present choice, and when they came.
    said: Option<(Left, Instant)>,
    /// When the present choice was made.
    answered: Option<Instant>,
    /// What is left for a choice before it says so, at least.
    next: Option<Duration>,
}

/// What one line says is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    /// For this choice.
    turn: Duration,
    /// For all, at most, once the grace of the beginning has passed.
    total: Duration,
    /// For all, with it.
    with_grace: Duration,
}

impl Clock {
    /// Takes in a line of the room, which is no history.
    pub(super) fn hear(&mut self, line: &str, name: &str, now: Instant) {
        if let Some(left) = Left::parse(line, name) {
            self.ends = Some(now + left.turn);
            self.said = Some((left, now));
        }
    }

    /// Another choice is asked for.
    pub(super) fn asked(&mut self, now: Instant) {
        let answered = self.answered.take().unwrap_or(now);
        // Its words may have come after the answer.
        if let Some((left, at)) = self.said.take() {
            let unspent = left.with_grace.saturating_sub(answered.saturating_duration_since(at));
            let next = left.turn.min(left.total).min(unspent);
            self.next = Some(next.max(limits::TIMER_TICK));
        }
        self.ends = self.next.map(|left| now + left);
    }

    /// It was made: the server's clock waits for others.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = Some(now);
    }

    /// When the server's time ends, as far as it has said.
    pub(super) fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// When a choice that was asked for at this time must be made: well before the server's time ends, and never later
    /// than [`limits::DECISION`].
    pub(super) fn due(&self, asked: Instant) -> Instant {
        let left = self.ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(asked));
        let early = left.saturating_sub(limits::TIMER_TICK).max(left / 2);
        asked + early.min(limits::DECISION)
    }
}

impl Left {
    fn parse(line: &str, name: &str) -> Option<Self> {
        let text = line.strip_prefix("|inactive|")?;
        if let Some(text) = text.strip_prefix("Time left: ") {
            let mut parts = text.split(" | ");
            let turn = seconds(parts.next()?, " sec this turn")?;
            let total = seconds(parts.next()?, " sec total")?;
            let grace = parts.next().and_then(|part| seconds(part, " sec grace"));
            return Some(Self { turn, total, with_grace: total + grace.unwrap_or_default() });
        }
        let text = text.strip_prefix(name)?;
        let text = text.strip_prefix(" reconnected and").unwrap_or(text);
        let text = text.strip_prefix(" has ")?.trim_end_matches('.');
        let text = text.strip_suffix(" this turn").unwrap_or(text);
        let left = seconds(text, " seconds left")?;
        Some(Self { turn: left, total: left, with_grace: left })
    }
}

fn seconds(text: &str, unit: &str) -> Option<Duration> {
    text.strip_suffix(unit)?.parse().ok().map(|seconds: u32| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[track_caller]
    fn left(line: &str, turn: Option<u64>) {
        let said = Left::parse(&format!("|inactive|{line}"), "Bot has 1");
        assert_eq!(said.map(|left| left.turn.as_secs()), turn, "{line}");
    }

    #[test]
    fn what_is_left_for_us_is_read_in_each_of_its_wordings() {
        left("Time left: 150 sec this turn | 140 sec total | 30 sec grace", Some(150));
        left("Time left: 15 sec this turn | 15 sec total", Some(15));
        left("Bot has 1 has 20 seconds left this turn.", Some(20));
        left("Bot has 1 has 10 seconds left.", Some(10));
        left("Bot has 1 reconnected and has 45 seconds left.", Some(45));
    }

    #[test]
    fn what_is_about_others_or_no_time_is_not_taken_for_it() {
        for line in [
            "Bot has 20 seconds left this turn.",
            "Bot has 1 has 30 seconds to reconnect!",
            "Bot has 1 has 9 has 20 seconds left.",
            "Bot has 1 disconnected and has a minute to reconnect!",
            "Battle timer is ON: inactive players will automatically lose when time's up. (requested by Bot has 1)",
            "Time left: much sec this turn | 15 sec total",
            "Time left: 99999999999999999999 sec this turn | 15 sec total",
        ] {
            left(line, None);
        }
    }

    #[test]
    fn a_choice_is_due_before_the_time_is_over_and_never_later_than_the_bound() {
        let now = Instant::now();
        let mut clock = Clock::default();
        assert_eq!(clock.due(now), now + limits::DECISION);
        for (left, due) in
            [(150, secs(25)), (26, secs(21)), (15, secs(10)), (8, secs(4)), (0, secs(0))]
        {
            clock.hear(
                &format!("|inactive|Time left: {left} sec this turn | 150 sec total"),
                "Bot",
                now,
            );
            assert_eq!(clock.due(now), now + due, "{left} s");
        }
        // It is later already, and was asked before.
        clock.hear("|inactive|Bot has 10 seconds left.", "Bot", now + secs(5));
        assert_eq!(clock.due(now), now + secs(10));
    }

    #[test]
    fn until_the_server_speaks_no_more_is_taken_than_was_left() {
        let begin = Instant::now();
        let after = |said: &str, took: u64| {
            let mut clock = Clock::default();
            clock.asked(begin);
            clock.hear(&format!("|inactive|Time left: {said}"), "Bot", begin);
            clock.answered(begin + secs(took));
            let later = begin + secs(1000);
            clock.asked(later);
            clock.ends.map(|ends| ends - later)
        };
        assert_eq!(after("150 sec this turn | 150 sec total", 20), Some(secs(130)));
        assert_eq!(after("15 sec this turn | 60 sec total", 4), Some(secs(15)), "so much a turn");
        assert_eq!(after("40 sec this turn | 15 sec total | 30 sec grace", 20), Some(secs(15)));
        assert_eq!(after("15 sec this turn | 15 sec total", 14), Some(limits::TIMER_TICK));
        let mut clock = Clock::default();
        clock.asked(begin);
        clock.answered(begin);
        clock.hear("|inactive|Time left: 15 sec this turn | 15 sec total", "Bot", begin + secs(1));
        clock.asked(begin + secs(9));
        assert_eq!(clock.ends, Some(begin + secs(24)), "its words came after a quick answer");
        let mut clock = Clock::default();
        clock.asked(begin);
        clock.answered(begin + secs(9));
        clock.asked(begin);
        assert_eq!(clock.ends, None, "there may be no timer");
    }
}
