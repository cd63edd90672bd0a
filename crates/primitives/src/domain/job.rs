//! Jobs over HTTP: one run at a time, not too often.
//!
//! The kernel's [`Job`] decides; this entity adds the timer that makes an expiry a fact, closing, error
//! codes and the view for `GET`. It comes into being with its first run.
//!
//! Decisions and views never depend on the timer: a run is over at its expiry, noticed or not. The timer
//! is there for those who wait for the event.

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::{Holder, Outcome, Token, Version},
    job::{self, Ended, Job, Renewed, Run, RunId},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

use super::Closed;

/// The timer that ends a run at its expiry.
const EXPIRY: &str = "expiry";

/// A job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct JobEntity(Job);

/// What can be asked of a job. A run is `None` if its id is not one that a job ever wrote
/// ([`RunId::parse`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobCommand {
    /// Begin a run.
    Start {
        /// Who will run it.
        holder: Holder,
        /// The shortest time since the last start.
        min_interval_ms: Millis,
        /// How long the run may take without renewal.
        ttl_ms: Millis,
    },
    /// Give a run more time.
    Renew {
        /// Which run.
        run: Option<RunId>,
        /// How long from now; as long as at its start unless told.
        ttl_ms: Option<Millis>,
    },
    /// End a run.
    Finish {
        /// Which run.
        run: Option<RunId>,
        /// How it ended.
        outcome: Outcome,
    },
    /// Take no more commands.
    Close,
    /// Sent by the job's own timer: note that the run's time is over.
    Expire,
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobEvent {
    /// A run began.
    Started(Run),
    /// A run got more time.
    Renewed(Renewed),
    /// A run's holder ended it.
    Finished(Ended),
    /// A run's time ran out.
    Expired(Ended),
    /// It takes no more commands.
    Closed(Closed),
}

/// The answer to a [`JobCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JobReply {
    /// The run that began.
    Started(RunLease),
    /// The run with its new expiry.
    Renewed(RunLease),
    /// How the run ended.
    Finished(RunEnd),
    /// It is closed.
    Closed,
    /// No run is overdue any more.
    Expired,
}

/// A run's right to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunLease {
    /// Which run.
    pub run: RunId,
    /// Its fencing token.
    pub token: Token,
    /// When it is over unless renewed.
    pub expires_at: Time,
}

/// A run that was finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// Which run.
    pub run: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub ended_at: Time,
}

/// Why a [`JobCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobRejection {
    /// No run ever began.
    #[error("there is no such job")]
    Unknown,
    /// The run cannot begin, go on or end.
    #[error(transparent)]
    Refused(#[from] job::Rejection),
}

impl JobRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_job",
            Self::Refused(job::Rejection::Running { .. }) => "job_running",
            Self::Refused(job::Rejection::TooSoon { .. }) => "job_too_soon",
            Self::Refused(job::Rejection::Over(_)) => "run_over",
            Self::Refused(job::Rejection::Unknown) => "unknown_run",
        }
    }

    /// How long to wait before asking again, in milliseconds, if waiting helps.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Refused(
                job::Rejection::Running { retry_after, .. }
                | job::Rejection::TooSoon { retry_after, .. },
            ) => Some(retry_after.0),
            Self::Unknown | Self::Refused(job::Rejection::Over(_) | job::Rejection::Unknown) => {
                None
            }
        }
    }
}

/// The body of `GET /jobs/{key}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// The run in progress.
    pub running: Option<RunningView>,
    /// The run that ended last.
    pub last: Option<Ended>,
    /// The entity's version.
    pub version: Version,
}

/// A run in progress.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunningView {
    /// Which run.
    pub run: RunId,
    /// Who runs it.
    pub holder: Holder,
    /// Its fencing token.
    pub token: Token,
    /// When it began.
    pub started_at: Time,
    /// When it is over unless renewed.
    pub expires_at: Time,
}

impl JobEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.check();
    }

    /// What `GET` shows of the entity at this version, as things stand at `now`.
    pub fn view(&self, version: Version, now: Time) -> Result<JobView, JobRejection> {
        self.known()?;
        let running = self.0.running(now).cloned().map(RunningView::from);
        let last = self.0.last(now).map(std::borrow::Cow::into_owned);
        Ok(JobView { running, last, version })
    }

    fn known(&self) -> Result<&Job, JobRejection> {
        if self.0.has_started() { Ok(&self.0) } else { Err(JobRejection::Unknown) }
    }

    fn start(
        &self,
        holder: &Holder,
        min_interval: Millis,
        ttl: Millis,
        now: Time,
    ) -> Result<Decision<Self>, JobRejection> {
        let job::Start { expired, started } = self.0.start(holder, min_interval, ttl, now)?;
        let lease =
            RunLease { run: started.run, token: started.token, expires_at: started.expires_at };
        let expires_at = started.expires_at;
        let mut events: Vec<JobEvent> = expired.map(JobEvent::Expired).into_iter().collect();
        events.push(JobEvent::Started(started));
        let decision = Decision::events(events, JobReply::Started(lease));
        Ok(decision.timer(EXPIRY, expires_at, JobCommand::Expire))
    }

    fn renew(
        &self,
        run: Option<RunId>,
        ttl: Option<Millis>,
        now: Time,
    ) -> Result<Decision<Self>, JobRejection> {
        let job = self.known()?;
        let renewed = job.renew(run.ok_or(job::Rejection::Unknown)?, ttl, now)?;
        let Renewed { run, token, expires_at } = renewed;
        let reply = JobReply::Renewed(RunLease { run, token, expires_at });
        let decision = Decision::event(JobEvent::Renewed(renewed), reply);
        Ok(decision.timer(EXPIRY, expires_at, JobCommand::Expire))
    }

    fn finish(
        &self,
        run: Option<RunId>,
        outcome: &Outcome,
        now: Time,
    ) -> Result<Decision<Self>, JobRejection> {
        let job = self.known()?;
        let ended = job.finish(run.ok_or(job::Rejection::Unknown)?, outcome.clone(), now)?;
        let end =
            RunEnd { run: ended.run, outcome: ended.outcome.clone(), ended_at: ended.ended_at };
        let decision = Decision::event(JobEvent::Finished(ended), JobReply::Finished(end));
        Ok(decision.cancel_timer(EXPIRY))
    }

    fn close(&self) -> Result<Decision<Self>, JobRejection> {
        self.known()?;
        let decision = Decision::event(JobEvent::Closed(Closed {}), JobReply::Closed);
        Ok(decision.cancel_timer(EXPIRY).close())
    }

    fn expire(&self, now: Time) -> Decision<Self> {
        match self.0.overdue(now) {
            Some(ended) => Decision::event(JobEvent::Expired(ended), JobReply::Expired),
            None => Decision::unchanged(JobReply::Expired),
        }
    }
}

impl From<Run> for RunningView {
    fn from(Run { run, holder, token, started_at, ttl_ms: _, expires_at }: Run) -> Self {
        Self { run, holder, token, started_at, expires_at }
    }
}

impl Entity for JobEntity {
    const TYPE: &'static str = "job";
    type Command = JobCommand;
    type Event = JobEvent;
    type Reply = JobReply;
    type Rejection = JobRejection;
    type Effect = Never;

    fn decide(&self, command: &JobCommand, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            JobCommand::Start { holder, min_interval_ms, ttl_ms } => {
                self.start(holder, *min_interval_ms, *ttl_ms, cx.now)?
            }
            JobCommand::Renew { run, ttl_ms } => self.renew(*run, *ttl_ms, cx.now)?,
            JobCommand::Finish { run, outcome } => self.finish(*run, outcome, cx.now)?,
            JobCommand::Close => self.close()?,
            JobCommand::Expire => self.expire(cx.now),
        })
    }

    fn apply(&mut self, event: &JobEvent) {
        let event = match event {
            JobEvent::Started(run) => job::Event::Started(run.clone()),
            JobEvent::Renewed(renewed) => job::Event::Renewed(renewed.clone()),
            JobEvent::Finished(ended) => job::Event::Finished(ended.clone()),
            JobEvent::Expired(ended) => job::Event::Expired(ended.clone()),
            JobEvent::Closed(Closed {}) => return,
        };
        self.0.apply(&event);
    }

    fn command_name(command: &JobCommand) -> &'static str {
        match command {
            JobCommand::Start { .. } => "start",
            JobCommand::Renew { .. } => "renew",
            JobCommand::Finish { .. } => "finish",
            JobCommand::Close => "close",
            JobCommand::Expire => "expire",
        }
    }

    fn event_name(event: &JobEvent) -> &'static str {
        match event {
            JobEvent::Started(_) => "started",
            JobEvent::Renewed(_) => "renewed",
            JobEvent::Finished(_) => "finished",
            JobEvent::Expired(_) => "expired",
            JobEvent::Closed(_) => "closed",
        }
    }
}
