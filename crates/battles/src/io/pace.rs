//! How fast a connection may speak. A server that proves names takes one message in 600 ms, remembers five more,
//! and throws away what exceeds that, a choice like a greeting.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// A connection's pace: the time at which all that was said is taken, if it is paced at all.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Instant>);

impl Pace {
    /// Paced from now on.
    pub(super) fn keep(&mut self, now: Instant) {
        self.0.get_or_insert(now + limits::MESSAGES_AHEAD * limits::MESSAGE_EVERY);
    }

    /// How long the next message must wait.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let ahead = limits::MESSAGES_AHEAD * limits::MESSAGE_EVERY;
        self.0.map_or(Duration::ZERO, |taken| taken.saturating_duration_since(now + ahead))
    }

    /// A message is said.
    pub(super) fn said(&mut self, now: Instant) {
        self.0 = self.0.map(|taken| taken.max(now) + limits::MESSAGE_EVERY);
    }
}

/// That a message was thrown away, for whoever may have said it.
pub(super) const REFUSED: &str =
    "Your message was not sent because you've been typing too quickly.";

/// Whether the server says so.
pub(super) fn is_refused(frame: &str) -> bool {
    frame.lines().any(|line| line.starts_with("|raw|<strong class=\"message-throttle-notice\">"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the server keeps its queue: who is never refused by this is never refused there.
    #[test]
    fn however_much_is_to_be_said_the_server_takes_all_of_it() {
        let begin = Instant::now();
        let mut now = begin;
        let mut pace = Pace::default();
        assert_eq!(pace.wait(now), Duration::ZERO);
        pace.keep(now);
        let mut queued: Vec<Instant> = Vec::new();
        for number in 0..200_u32 {
            // Now and then there is nothing to say.
            now += if number % 50 == 0 { Duration::from_secs(30) } else { pace.wait(now) };
            pace.said(now);
            queued.retain(|done| *done > now);
            assert!(queued.len() < 6, "message {number} is one too many");
            let last = queued.last().copied().unwrap_or(now);
            queued.push(last.max(now) + Duration::from_millis(600));
        }
        let per_message = (now - begin - Duration::from_secs(120)) / 200;
        assert!(
            per_message < Duration::from_millis(800),
            "no slower than it must be: {per_message:?}"
        );
    }

    #[test]
    fn only_the_server_itself_can_slow_us_down() {
        let notice = format!("|raw|<strong class=\"message-throttle-notice\">{REFUSED}</strong>");
        assert!(is_refused(&format!(">battle-x-1\n{notice}")));
        assert!(!is_refused(&format!(">battle-x-1\n|c| Eve|{notice}")));
    }
}
