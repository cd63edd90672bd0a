//! The single writer: one task that decides everything and commits it in groups.
//!
//! ```text
//! loop: what is due ─► start a commit ─► wait for: commit | read | internal command | command
//! ```
//!
//! While one chunk is being made durable, commands go on being decided on the newest state and collect in
//! the next chunk; it is sent when the first is done, however small. So a lone caller waits for one
//! commit, and many callers share one.
//!
//! Invariants:
//! - At most one append is under way; positions have no gaps.
//! - After a refused commit nothing of it, or decided on it, is left in memory.
//! - Log time never goes back.
//! - Work that arrives on the internal lane is taken even when none is taken from outside, so that handlers
//!   and effects never wait for themselves.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use interlock_kernel::{
    ids::{Key, Position},
    time::Time,
};

mod clock;
mod core;
pub(crate) mod lane;
pub(crate) mod load;
pub mod message;
mod poison;
pub(crate) mod recover;
pub(crate) mod slot;
mod upkeep;

pub(crate) use poison::PoisonList;
pub use poison::TABLE as POISONED;

pub(crate) use self::core::{Core, Due, JobDone};
use self::{
    clock::LogClock,
    lane::AnyLane,
    message::{Body, Parcel},
};
use crate::{
    dispatch::Backlog,
    env::{Env, OnceSender, Receiver, Task, WatchSender},
    index::Index,
    limits,
    record::ChunkBuilder,
    status::Status,
    store::{Append, Span, StoreError, StoreFuture},
};

/// Asks the engine itself for something.
pub(crate) enum Control {
    /// Finish what was begun, make the next start quick, and end.
    Stop(OnceSender<()>),
    /// Command ids decided before that time, below that position, are past their retention.
    Expire(Time, Position),
}

struct InFlight {
    end: Position,
    first: Position,
    began: Duration,
    append: StoreFuture<Append>,
}

pub(crate) struct Engine {
    core: Core,
    lanes: Vec<Box<dyn AnyLane>>,
    names: Vec<&'static str>,
    in_flight: Option<InFlight>,
    inbox: Receiver<Parcel>,
    internal: Receiver<Parcel>,
    jobs: Receiver<JobDone>,
    control: Receiver<Control>,
    committed: WatchSender<Position>,
    upkeep: upkeep::Upkeep,
    clock: LogClock,
    alarm: Option<(Time, Task)>,
    stopping: Option<OnceSender<()>>,
}

/// What the engine is made of.
pub(crate) struct Parts {
    pub env: Env,
    pub span: Span,
    pub heads: Index,
    pub ids: Index,
    pub poisoned: PoisonList,
    pub log_time: Time,
    pub schedule: BTreeSet<(Time, Due)>,
    pub lanes: Vec<Box<dyn AnyLane>>,
    pub names: Vec<&'static str>,
    pub backlog: Arc<Backlog>,
    pub inbox: Receiver<Parcel>,
    pub internal: Receiver<Parcel>,
    pub control: Receiver<Control>,
    pub committed: WatchSender<Position>,
    pub status: Arc<Status>,
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        let (jobs_sender, jobs) = parts.env.channel(limits::LOADS_AT_ONCE);
        let clock = LogClock::new(parts.log_time, &parts.env);
        let core = Core {
            heads: parts.heads,
            ids: parts.ids,
            builder: ChunkBuilder::new(parts.span.end),
            durable: parts.span.end,
            now: parts.log_time,
            schedule: parts.schedule,
            poisoned: parts.poisoned,
            resident_bytes: 0,
            status: parts.status,
            backlog: parts.backlog,
            jobs: jobs_sender,
            jobs_pending: 0,
            tickets: 0,
            env: parts.env,
        };
        Self {
            core,
            lanes: parts.lanes,
            names: parts.names,
            in_flight: None,
            inbox: parts.inbox,
            internal: parts.internal,
            jobs,
            control: parts.control,
            committed: parts.committed,
            upkeep: upkeep::Upkeep::default(),
            clock,
            alarm: None,
            stopping: None,
        }
    }

    /// Runs until [`Control::Stop`].
    pub(crate) async fn run(mut self) {
        self.upkeep.begin(&mut self.core);
        loop {
            self.core.now = self.clock.now(&self.core.env);
            self.wake_due();
            self.start_commit();
            let last = self.stopping.is_some() && self.is_quiet();
            self.upkeep.start(&mut self.core, last);
            self.evict();
            if self.stopping.is_some() && self.is_still() {
                break;
            }
            self.set_alarm();
            self.turn().await;
        }
        if let Some(done) = self.stopping.take() {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// Waits for one thing to happen and deals with it.
    async fn turn(&mut self) {
        let room = self.core.has_room();
        let open = room && !self.core.backlog.is_full();
        let backlog = self.core.backlog.clone();
        let Self { in_flight, jobs, internal, inbox, control, alarm, .. } = self;
        let happened = tokio::select! {
            biased;
            outcome = async { in_flight.as_mut().expect("checked").append.as_mut().await },
                if in_flight.is_some() => Happened::Committed(outcome),
            Some(done) = jobs.recv() => Happened::Done(done),
            Some(control) = control.recv() => Happened::Asked(control),
            Some(parcel) = internal.recv(), if room => Happened::Inside(parcel),
            Some(parcel) = inbox.recv(), if open => Happened::Outside(parcel),
            () = backlog.fell() => Happened::Relieved,
            () = async { alarm.as_mut().expect("checked").1.as_mut().await },
                if alarm.is_some() => Happened::Alarm,
        };
        // However long it waited.
        self.core.now = self.clock.now(&self.core.env);
        match happened {
            Happened::Committed(outcome) => self.settle(outcome).await,
            Happened::Done(done) => self.job_done(done),
            Happened::Asked(Control::Stop(done)) => {
                self.stopping = Some(done);
                self.core.backlog.stop();
                self.inbox.close();
                for lane in &mut self.lanes {
                    lane.stop_waiting();
                }
            }
            Happened::Asked(Control::Expire(decided, below)) => {
                self.upkeep.expire(decided, below);
            }
            Happened::Inside(parcel) => {
                let Self { internal, inbox, lanes, core, .. } = self;
                drain(parcel, internal, lanes, core);
                // Handlers that keep each other busy must not keep callers out.
                if open
                    && core.has_room()
                    && let Ok(parcel) = inbox.try_recv()
                {
                    drain(parcel, inbox, lanes, core);
                }
            }
            Happened::Outside(parcel) => {
                let Self { inbox, lanes, core, .. } = self;
                drain(parcel, inbox, lanes, core);
            }
            Happened::Relieved => {}
            Happened::Alarm => self.alarm = None,
        }
    }

    fn start_commit(&mut self) {
        if self.in_flight.is_some() || self.core.builder.is_empty() {
            return;
        }
        let next = ChunkBuilder::new(self.core.builder.next());
        let chunk = std::mem::replace(&mut self.core.builder, next).seal();
        self.core.status.began_commit(chunk.count);
        self.in_flight = Some(InFlight {
            first: chunk.first,
            end: chunk.end(),
            began: self.core.env.now(),
            append: self.core.env.store().append(chunk),
        });
    }

    /// Deals with the outcome of a commit.
    async fn settle(&mut self, outcome: Append) {
        let InFlight { first, end, began, .. } =
            self.in_flight.take().expect("only a commit under way has an outcome");
        match outcome {
            Append::Done => {
                self.core.status.ended_commit(self.core.env.now().saturating_sub(began));
                self.committed(end);
            }
            Append::Refused(error) => self.refused(first, &error),
            Append::Unknown(error) => {
                tracing::error!(%error, "the outcome of a commit is unknown; reading the log again");
                let span = self.find_out().await;
                if span.end == end {
                    self.committed(end);
                } else {
                    assert_eq!(span.end, first, "a commit was half kept");
                    self.refused(first, &error);
                }
            }
        }
    }

    /// Asks the store what it holds until it can tell.
    async fn find_out(&mut self) -> Span {
        loop {
            match self.core.env.store().settle().await {
                Ok(span) => return span,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read; trying again");
                    self.core.env.sleep(limits::STORE_BACKOFF).await;
                }
            }
        }
    }

    fn committed(&mut self, end: Position) {
        self.core.durable = end;
        self.core.heads.commit(end);
        self.core.ids.commit(end);
        for lane in &mut self.lanes {
            lane.committed(&mut self.core);
        }
        self.committed.send_replace(end);
        self.lanes.iter_mut().for_each(|lane| lane.reply());
    }

    fn refused(&mut self, first: Position, error: &StoreError) {
        tracing::error!(%error, "a commit was refused; nothing of it is kept");
        self.core.status.refused_commits.fetch_add(1, Ordering::Relaxed);
        self.core.builder = ChunkBuilder::new(first);
        self.core.heads.retract(first);
        self.core.ids.retract(first);
        for lane in &mut self.lanes {
            lane.refused(error, &mut self.core);
        }
    }

    fn job_done(&mut self, done: JobDone) {
        self.core.jobs_pending -= 1;
        match done {
            JobDone::Entity(lane, key, result) => {
                self.lanes[usize::from(lane.0)].done(&key, result, &mut self.core);
            }
            JobDone::Whose(position, Err(error)) => {
                tracing::warn!(%error, %position, "a sleeping entity cannot be read; trying again");
                let at = self.core.now + limits::STORE_BACKOFF;
                self.core.schedule.insert((at, Due::Record(position)));
            }
            JobDone::Whose(_, Ok(None)) => {}
            JobDone::Whose(_, Ok(Some((entity, key)))) => {
                let lane = self.names.iter().position(|name| *name == entity);
                if let (Some(lane), Ok(key)) = (lane, Key::new(&key)) {
                    self.lanes[lane].take(Body::Wake(key), &mut self.core);
                }
            }
            JobDone::Upkeep(ended) => self.upkeep.ended(ended, &mut self.core),
            JobDone::Noted => {}
        }
    }

    /// Wakes entities whose time has come, a bounded number at a time.
    fn wake_due(&mut self) {
        for _ in 0..limits::DRAIN_MESSAGES {
            let now = self.core.now;
            let is_due = self.core.schedule.first().is_some_and(|(at, _)| *at <= now);
            if !is_due || !self.core.has_room() || self.stopping.is_some() {
                return;
            }
            match self.core.schedule.pop_first() {
                Some((_, Due::Key(lane, key))) => {
                    self.lanes[usize::from(lane.0)].take(Body::Wake(key), &mut self.core);
                }
                Some((_, Due::Record(position))) => {
                    let store = self.core.env.store().clone();
                    self.core.job(async move {
                        JobDone::Whose(position, recover::whose(store.as_ref(), position).await)
                    });
                }
                None => return,
            }
        }
    }

    /// Keeps one sleep running, to the earliest moment at which somebody is due.
    fn set_alarm(&mut self) {
        if self.stopping.is_some() {
            self.alarm = None;
            return;
        }
        let next = self.core.schedule.first().map(|(at, _)| *at);
        match (next, &self.alarm) {
            (None, _) => self.alarm = None,
            (Some(at), Some((set, _))) if *set == at => {}
            (Some(at), _) => {
                let span = at.since(self.core.now);
                let span = interlock_kernel::time::Millis(span.0.clamp(1, 86_400_000));
                self.alarm = Some((at, self.core.env.sleep(span)));
            }
        }
    }

    fn evict(&mut self) {
        if self.core.resident_bytes > limits::RESIDENT_BYTES {
            for lane in &mut self.lanes {
                lane.evict(&mut self.core);
            }
        }
        let mut all = 0;
        for (lane, name) in self.lanes.iter().zip(&self.names) {
            let resident = lane.resident();
            all += resident;
            if let Some(status) = self.core.status.types.get(name) {
                status.resident.store(resident, Ordering::Relaxed);
            }
        }
        self.core.status.resident.store(all, Ordering::Relaxed);
        self.core.status.poisoned.store(self.core.poisoned.len(), Ordering::Relaxed);
        self.core.status.resident_bytes.store(self.core.resident_bytes, Ordering::Relaxed);
    }

    /// Whether nothing is under way but reads, and upkeep.
    fn is_quiet(&self) -> bool {
        self.in_flight.is_none()
            && self.core.builder.is_empty()
            && self.inbox.is_empty()
            && self.internal.is_empty()
            && self.core.backlog.is_empty()
    }

    /// Whether a stopping engine has nothing left to do.
    fn is_still(&self) -> bool {
        self.is_quiet() && self.core.jobs_pending == 0 && self.upkeep.is_done()
    }
}

enum Happened {
    Committed(Append),
    Done(JobDone),
    Asked(Control),
    Inside(Parcel),
    Outside(Parcel),
    /// Handlers have caught up.
    Relieved,
    Alarm,
}

/// Takes a parcel in, and what queued behind it, as long as there is room.
fn drain(
    first: Parcel,
    queue: &mut Receiver<Parcel>,
    lanes: &mut [Box<dyn AnyLane>],
    core: &mut Core,
) {
    let mut next = Some(first);
    for _ in 0..limits::DRAIN_MESSAGES {
        let Some(Parcel { lane, body }) = next.take() else { return };
        lanes[usize::from(lane.0)].take(body, core);
        if core.has_room() {
            next = queue.try_recv().ok();
        }
    }
    if let Some(Parcel { lane, body }) = next {
        lanes[usize::from(lane.0)].take(body, core);
    }
}
