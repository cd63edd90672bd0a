//! Job: one run at a time, not too often.
//!
//! A run is a lease: it has a holder, ends by itself at its expiry, and carries a fencing token that only
//! grows, by which whatever the run writes to can refuse a holder that outstayed its lease.
//!
//! Invariants: at most one run is in progress; a run begins no earlier than its own `min_interval` after
//! the start before it, however that run ended; tokens only grow.
//!
//! A run is over **at** its expiry, to the millisecond, whether or not a timer has said so yet: every
//! decision takes `now` and treats an overdue run as expired.
//!
//! Runs are numbered, so an id tells by itself whether its run ever began; ended runs need no memory.
//!
//! ```
//! use interlock_kernel::{ids::Holder, job::{Event, Job}, time::{Millis, Time}};
//!
//! let (mut job, holder) = (Job::default(), Holder::new("h")?);
//! let (interval, ttl) = (Millis::from_secs(300), Millis::from_secs(60));
//! let start = job.start(&holder, interval, ttl, Time(0))?;
//! job.apply(&Event::Started(start.started));
//! assert!(job.running(Time(59_999)).is_some());
//! assert!(job.running(Time(60_000)).is_none());
//! assert!(job.start(&holder, interval, ttl, Time(299_999)).is_err());
//! assert!(job.start(&holder, interval, ttl, Time(300_000)).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: the timer that makes an expiry a fact while nobody asks, and limits of durations.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Holder, Outcome, Token},
    serial::serial_ids,
    time::{Millis, Time},
};

serial_ids! {
    /// A run's id: its number, from 1, within its job. Written `r17`.
    RunId = "r";
}

/// The state: the run in progress, and the one that ended last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Runs that ever began: the number of the last one.
    started: u64,
    running: Option<Run>,
    last: Option<Ended>,
}

/// A run in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which run.
    pub run: RunId,
    /// Who runs it.
    pub holder: Holder,
    /// Higher than every token of this job before.
    pub token: Token,
    /// When it began.
    pub started_at: Time,
    /// How long it was given at its start; a renewal that names no time gives as much again.
    pub ttl_ms: Millis,
    /// The first moment at which it is over, unless renewed.
    pub expires_at: Time,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which run.
    pub run: RunId,
    /// What its holder said, or `expired`.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Time,
    /// When it was finished, or its expiry.
    pub ended_at: Time,
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A run began.
    Started(Run),
    /// A run got more time.
    Renewed(Renewed),
    /// A run's holder ended it.
    Finished(Ended),
    /// A run's time ran out. It ended at its expiry, whenever that was noticed.
    Expired(Ended),
}

/// A run got more time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Which run.
    pub run: RunId,
    /// Its token, as before.
    pub token: Token,
    /// Its new expiry.
    pub expires_at: Time,
}

/// What it takes to start a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The run before, if it is over but no event has said so yet.
    pub expired: Option<Ended>,
    /// The new run.
    pub started: Run,
}

/// Why a run cannot start, go on or be finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Another run is in progress.
    #[error("run {run} is in progress until {until}")]
    Running {
        /// That run.
        run: RunId,
        /// Its expiry.
        until: Time,
        /// From now until then.
        retry_after: Millis,
    },
    /// The last start is too recent for the asked interval.
    #[error("the last run started at {last}: with this interval the next can start at {earliest}")]
    TooSoon {
        /// When the last run started.
        last: Time,
        /// When the next one can.
        earliest: Time,
        /// From now until then.
        retry_after: Millis,
    },
    /// The run ended or expired.
    #[error("run {0} is over")]
    Over(RunId),
    /// The job never had such a run.
    #[error("the job never had such a run")]
    Unknown,
}

impl Job {
    /// The run in progress at `now`.
    #[must_use]
    pub fn running(&self, now: Time) -> Option<&Run> {
        self.running.as_ref().filter(|run| now < run.expires_at)
    }

    /// The run that ended last, as things stand at `now`.
    #[must_use]
    pub fn last(&self, now: Time) -> Option<Cow<'_, Ended>> {
        match self.overdue(now) {
            Some(ended) => Some(Cow::Owned(ended)),
            None => self.last.as_ref().map(Cow::Borrowed),
        }
    }

    /// The run whose time has run out, if no event has said so yet: what a timer turns into
    /// [`Event::Expired`].
    #[must_use]
    pub fn overdue(&self, now: Time) -> Option<Ended> {
        let run = self.running.as_ref().filter(|run| run.expires_at <= now)?;
        let outcome = Outcome::new("expired").expect("it follows the rule of names");
        Some(run.end(outcome, run.expires_at))
    }

    /// Whether a run ever began.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.started > 0
    }

    /// Starts a run of `ttl`, unless one is in progress or the last start is less than `min_interval` ago.
    pub fn start(
        &self,
        holder: &Holder,
        min_interval: Millis,
        ttl: Millis,
        now: Time,
    ) -> Result<Start, Rejection> {
        if let Some(run) = self.running(now) {
            let retry_after = run.expires_at.since(now);
            return Err(Rejection::Running { run: run.run, until: run.expires_at, retry_after });
        }
        if let Some(last) = self.last_start() {
            let earliest = last + min_interval;
            if now < earliest {
                let retry_after = earliest.since(now);
                return Err(Rejection::TooSoon { last, earliest, retry_after });
            }
        }
        let run = RunId(self.started).next();
        let started = Run {
            run,
            holder: holder.clone(),
            token: Token(run.0),
            started_at: now,
            ttl_ms: ttl,
            expires_at: now + ttl,
        };
        Ok(Start { expired: self.overdue(now), started })
    }

    /// Gives a run `ttl` from now, or as long as it got at its start.
    pub fn renew(&self, run: RunId, ttl: Option<Millis>, now: Time) -> Result<Renewed, Rejection> {
        let run = self.in_progress(run, now)?;
        let expires_at = now + ttl.unwrap_or(run.ttl_ms);
        Ok(Renewed { run: run.run, token: run.token, expires_at })
    }

    /// Ends a run.
    pub fn finish(&self, run: RunId, outcome: Outcome, now: Time) -> Result<Ended, Rejection> {
        self.in_progress(run, now).map(|run| run.end(outcome, now))
    }

    /// Folds an event into the state. Panics if two runs would be in progress, a token would not grow, or
    /// the event is about another run than the one in progress.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Started(run) => {
                assert!(self.running.is_none(), "one run at a time");
                assert_eq!(run.run, RunId(self.started).next(), "runs are numbered without gaps");
                assert_eq!(run.token, Token(run.run.0), "a run's token is its number");
                assert!(self.last_start() <= Some(run.started_at), "time goes forward");
                self.started = run.run.0;
                self.running = Some(run.clone());
            }
            Event::Renewed(renewed) => {
                let run = self.running.as_mut().filter(|run| run.run == renewed.run);
                run.expect("only the run in progress is renewed").expires_at = renewed.expires_at;
            }
            Event::Finished(ended) | Event::Expired(ended) => {
                let run = self.running.take().map(|run| run.run);
                assert_eq!(run, Some(ended.run), "only the run in progress ends");
                self.last = Some(ended.clone());
            }
        }
    }

    /// Checks every invariant; for tests.
    pub fn check(&self) {
        let newest = RunId(self.started);
        if let Some(run) = &self.running {
            assert_eq!(run.run, newest, "the newest run is the one in progress");
            assert!(run.started_at <= run.expires_at, "a run ends after it began");
        }
        match &self.last {
            Some(ended) => {
                let before = u64::from(self.running.is_some());
                assert_eq!(ended.run, RunId(self.started - before), "every run before has ended");
                assert!(ended.started_at <= ended.ended_at, "a run ends after it began");
            }
            None => assert!(self.started <= 1, "every run but the first has one before it"),
        }
        assert_eq!(self.last_start().is_some(), self.has_started(), "a start has a time");
    }

    fn last_start(&self) -> Option<Time> {
        let running = self.running.as_ref().map(|run| run.started_at);
        running.or(self.last.as_ref().map(|ended| ended.started_at))
    }

    fn in_progress(&self, run: RunId, now: Time) -> Result<&Run, Rejection> {
        if run.0 > self.started {
            return Err(Rejection::Unknown);
        }
        self.running(now).filter(|running| running.run == run).ok_or(Rejection::Over(run))
    }
}

impl Run {
    fn end(&self, outcome: Outcome, at: Time) -> Ended {
        Ended { run: self.run, outcome, started_at: self.started_at, ended_at: at }
    }
}

impl RunId {
    fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("2^64 runs outlast every deployment"))
    }
}
