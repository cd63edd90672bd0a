//! The pulse: what the runtime did in each second of the last minutes, for people who look.
//!
//! [`Status`] counts since the start; a rate needs two looks. Every [`limits::PULSE`] the pulse looks, and
//! tells those who watch if there is anything new to see.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, atomic::Ordering},
};

use interlock_runtime::{Runtime, status::Status};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::limits;

/// What happened between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beat {
    /// Commands that reached their entity.
    pub commands: u64,
    /// Commits.
    pub commits: u64,
    /// Records committed.
    pub records: u64,
}

impl Beat {
    /// The totals since the start.
    fn totals(status: &Status) -> Self {
        Self {
            commands: status.commands.load(Ordering::Relaxed),
            commits: status.commits.load(Ordering::Relaxed),
            records: status.records.load(Ordering::Relaxed),
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            commands: self.commands - earlier.commands,
            commits: self.commits - earlier.commits,
            records: self.records - earlier.records,
        }
    }
}

/// The last beats.
#[derive(Debug)]
pub struct Pulse {
    seen: Mutex<Seen>,
    /// Counts the beats that changed what there is to see.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Seen {
    totals: Beat,
    /// Oldest first, always [`limits::PULSE_KEPT`] of them.
    beats: VecDeque<Beat>,
}

impl Default for Pulse {
    fn default() -> Self {
        let beats = VecDeque::from([Beat::default(); limits::PULSE_KEPT]);
        let seen = Mutex::new(Seen { totals: Beat::default(), beats });
        Self { seen, news: watch::Sender::new(0) }
    }
}

impl Pulse {
    /// Looks at the runtime now and then, for ever.
    pub async fn run(&self, runtime: &Runtime) {
        let mut clock = interval(limits::PULSE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            self.beat(Beat::totals(runtime.status()));
        }
    }

    /// The last beats, oldest first.
    #[must_use]
    pub fn beats(&self) -> Vec<Beat> {
        self.seen().beats.iter().copied().collect()
    }

    /// Changes whenever there is something new to see.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn beat(&self, totals: Beat) {
        let is_news = {
            let mut seen = self.seen();
            let beat = totals.since(seen.totals);
            seen.totals = totals;
            seen.beats.push_back(beat);
            seen.beats.pop_front();
            // As long as a past beat moves through the picture, the picture changes.
            seen.beats.iter().any(|beat| *beat != Beat::default())
        };
        self.news.send_if_modified(|count| {
            *count += u64::from(is_news);
            is_news
        });
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nothing panics while it holds the beats")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(commands: u64) -> Beat {
        Beat { commands, ..Beat::default() }
    }

    #[test]
    fn a_beat_is_what_happened_since_the_last_one() {
        let pulse = Pulse::default();
        for total in [5, 5, 12] {
            pulse.beat(totals(total));
        }
        let commands: Vec<_> = pulse.beats().iter().map(|beat| beat.commands).collect();
        assert_eq!(commands.len(), limits::PULSE_KEPT);
        assert_eq!(commands[limits::PULSE_KEPT - 4..], [0, 5, 0, 7]);
    }

    #[test]
    fn there_is_news_as_long_as_something_is_to_be_seen() {
        let pulse = Pulse::default();
        let news = pulse.news();
        pulse.beat(totals(0));
        assert!(!news.has_changed().unwrap(), "nothing happened");
        for beat in 0..limits::PULSE_KEPT {
            let mut news = pulse.news();
            news.mark_unchanged();
            pulse.beat(totals(1));
            assert!(news.has_changed().unwrap(), "beat {beat}");
        }
        let mut news = pulse.news();
        news.mark_unchanged();
        pulse.beat(totals(1));
        assert!(!news.has_changed().unwrap(), "it has moved out of the picture");
    }
}
