//! What a run has come to, for people and for programs: counts, their parts, and the drift against the logs.

use std::{collections::BTreeMap, io};

use interlock_kernel::{ids::Worker, quota::Limit};
use serde::Serialize;

use super::logs::{self, Logs};
use crate::domain::{
    run::{self, Mode, RunView, Tally, WorkerView},
    score::{Estimate, Score},
};

/// What a run has come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub run: String,
    /// How many battles it is to have.
    pub target: Limit,
    /// How many count.
    pub finished: u64,
    /// How they ended, and how many were void.
    #[serde(flatten)]
    pub total: Tally,
    /// Battles that are searched for or played, or of which nobody knows how they ended.
    pub claimed: u64,
    /// How far these numbers are from the logs of the battles that this machine's workers played.
    pub drift: u64,
    /// Battles that count for workers of other machines, which judge them; not said where there are none.
    #[serde(skip_serializing_if = "is_zero")]
    pub elsewhere: u64,
    /// Battles whose log is here and came too late: the machine was away for so long that others had settled them as
    /// void. They do not count, and are no drift.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: u64,
    /// Where others are watched: battles of the server that could not be read from here, and may have been some of
    /// theirs. See [`super::session::Session::unread`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<u64>,
    /// By worker.
    pub workers: BTreeMap<String, WorkerReport>,
    /// By team.
    pub teams: BTreeMap<String, Part>,
    /// By opponent: those with the most battles.
    pub opponents: BTreeMap<String, Part>,
    /// All other opponents together; not said where there are none.
    #[serde(skip_serializing_if = "is_nobody")]
    pub other_opponents: Tally,
    /// The newest rating that the server told.
    pub rating: Option<u32>,
    /// How long battles were searched for or played, in seconds.
    pub seconds: f64,
    /// Decisions in the battles that are over.
    pub decisions: u64,
    /// What they cost beside waiting and thinking.
    pub decision_overhead_ms: Percentiles,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_nobody(tally: &Tally) -> bool {
    *tally == Tally::default()
}

/// What is counted of a part of the battles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// How many count.
    pub finished: u64,
    /// How they ended.
    #[serde(flatten)]
    pub tally: Tally,
    /// The win rate, with its 95 % interval; null before the first battle.
    pub score: Option<Estimate>,
}

impl From<Tally> for Part {
    fn from(tally: Tally) -> Self {
        Self { finished: tally.finished(), tally, score: Score::from(tally).rate() }
    }
}

/// A worker's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WorkerReport {
    /// Its share; null: as many as there are.
    pub quota: Option<u64>,
    /// How many count.
    pub finished: u64,
    /// How they ended.
    #[serde(flatten)]
    pub tally: Tally,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of all.
    pub p50: f64,
    /// Ninety-nine of a hundred.
    pub p99: f64,
}

impl Report {
    /// From a run and its logs.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn of(run: &str, view: &RunView, logs: &Logs) -> io::Result<Self> {
        let worker = |(name, worker): (&Worker, &WorkerView)| {
            let finished = worker.tally.finished();
            let report = WorkerReport { quota: worker.quota, finished, tally: worker.tally };
            (name.as_str().to_owned(), report)
        };
        let parts = |tallies: &BTreeMap<String, Tally>| {
            tallies.iter().map(|(name, tally)| (name.clone(), Part::from(*tally))).collect()
        };
        let recount = logs.recount(&view.taken_up)?;
        let is_watched = matches!(view.plan.mode, Mode::Watch(_));
        let ms = |micros: u64| micros as f64 / 1e3;
        let run::Percentiles { p50, p99 } = view.decision_overhead_us;
        Ok(Self {
            run: run.to_owned(),
            target: view.plan.target,
            finished: view.total.finished(),
            total: view.total,
            claimed: view.claimed + view.in_doubt,
            drift: logs::drift(view, &recount),
            elsewhere: logs::elsewhere(view, &recount),
            late: logs::late(view, &recount),
            unread: is_watched.then(|| logs.unread()).transpose()?,
            workers: view.workers.iter().map(worker).collect(),
            teams: parts(&view.teams),
            opponents: parts(&view.opponents),
            other_opponents: view.other_opponents,
            rating: view.rating,
            seconds: view.played_ms.as_duration().as_secs_f64(),
            decisions: view.decisions,
            decision_overhead_ms: Percentiles { p50: ms(p50), p99: ms(p99) },
        })
    }
}
