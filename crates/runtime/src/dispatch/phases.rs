//! The two phases of one record, as far as nothing has to be waited for.
//!
//! Most handlers are done when their call returns, so most records are done when [`Phases::begin`] returns.
//! What is left of the others goes on in [`super::under_way`].

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use interlock_kernel::{
    bus::{HandlerError, HandlerTable, On, Origin, Outgoing, ReadRun, RowChange, Visit},
    entity::Entity,
};

use super::{Backlog, Committed};
use crate::{
    engine::message::{LaneId, Parcel},
    env::{Env, Sender},
    fold::caught,
    limits,
    status::{HandlerRun, Status, TypeStatus},
};

/// What both phases need.
pub(super) struct Phases<T> {
    pub table: T,
    pub entity: &'static str,
    pub env: Env,
    pub lanes: Arc<BTreeMap<&'static str, LaneId>>,
    pub internal: Sender<Parcel>,
    pub status: Arc<Status>,
    pub backlog: Arc<Backlog>,
}

/// How far a record came at once.
pub(super) enum Progress {
    /// Both phases are over.
    Done,
    /// Phase 1: the write handlers want this done.
    Wants(Wants),
    /// Phase 1: one of them could not say what it wants.
    Failed(Failure),
    /// Phase 2: these read handlers are not done.
    Reads(Vec<Pending>),
}

/// What a record's write handlers want done.
#[derive(Default)]
pub(super) struct Wants {
    pub sends: Vec<Sends>,
    pub rows: Vec<RowChange>,
}

/// The commands of one handler, in order.
pub(super) struct Sends {
    pub handler: &'static str,
    pub commands: Vec<Send>,
}

/// A command, and its place among those of its handler: the event's place in the record, and its own in the
/// reaction to that event.
pub(super) struct Send {
    pub event: usize,
    pub place: usize,
    pub command: Outgoing,
}

/// A read handler that waits for something.
pub(super) struct Pending {
    pub handler: &'static str,
    pub event: usize,
    /// Its place among the event's read handlers.
    pub place: usize,
    pub future: Reading,
}

/// What a read handler waits for.
pub(super) type Reading =
    Pin<Box<dyn Future<Output = Result<(), HandlerError>> + std::marker::Send>>;

/// A write handler that could not do its work.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub handler: &'static str,
    pub error: HandlerError,
}

impl<T> Phases<T> {
    pub(super) fn status(&self) -> &TypeStatus {
        &self.status.types[self.entity]
    }

    /// Whether what cannot be done now is left to the next start.
    pub(super) fn is_stopping(&self) -> bool {
        self.backlog.is_stopping() || self.internal.is_closed()
    }

    /// Runs both phases as far as nothing has to be waited for. `detail`: notes every handler's call.
    pub(super) fn begin<E: Entity>(&self, record: &Committed<E>, detail: bool) -> Progress
    where
        T: HandlerTable<E>,
    {
        if detail {
            return match self.write(record, true) {
                Ok(wants) if wants.is_nothing() => self.read(record, true),
                Ok(wants) => Progress::Wants(wants),
                Err(failure) => Progress::Failed(failure),
            };
        }
        let began = self.env.now();
        let progress = match self.write(record, false) {
            Ok(wants) if wants.is_nothing() => self.read(record, false),
            Ok(wants) => Progress::Wants(wants),
            Err(failure) => Progress::Failed(failure),
        };
        self.watch(&record.origin, "(all)", self.env.now().saturating_sub(began));
        progress
    }

    /// Asks the write handlers what they want done.
    pub(super) fn write<E: Entity>(
        &self,
        record: &Committed<E>,
        detail: bool,
    ) -> Result<Wants, Failure>
    where
        T: HandlerTable<E>,
    {
        let mut wants = Wants::default();
        let mut clock = Clock::new(&self.env, 1, detail, record.events.len());
        let mut result = Ok(());
        for (event, payload) in record.events.iter().enumerate() {
            let only = None;
            let (origin, wants, clock) = (&record.origin, &mut wants, &mut clock);
            result = self.table.route(payload, AskWrite { origin, event, only, wants, clock });
            if result.is_err() {
                break;
            }
        }
        self.note(&record.origin, clock);
        result.map(|()| wants)
    }

    /// Asks one write handler again what it wants done about one event.
    pub(super) fn write_again<E: Entity>(
        &self,
        record: &Committed<E>,
        handler: &'static str,
        event: usize,
    ) -> Option<Sends>
    where
        T: HandlerTable<E>,
    {
        let mut wants = Wants::default();
        let mut clock = Clock::new(&self.env, 1, false, 0);
        let origin = &record.origin;
        let (only, wanted, clock) = (Some(handler), &mut wants, &mut clock);
        let visit = AskWrite { origin, event, only, wants: wanted, clock };
        self.table.route(&record.events[event], visit).ok()?;
        wants.sends.pop()
    }

    /// Runs the read handlers.
    pub(super) fn read<E: Entity>(&self, record: &Committed<E>, detail: bool) -> Progress
    where
        T: HandlerTable<E>,
    {
        let mut pending = Vec::new();
        let mut clock = Clock::new(&self.env, 2, detail, record.events.len());
        for (event, payload) in record.events.iter().enumerate() {
            let only = None;
            let (origin, pending, clock) = (&record.origin, &mut pending, &mut clock);
            self.table.route(payload, AskRead { origin, event, only, pending, clock });
        }
        self.note(&record.origin, clock);
        if pending.is_empty() { Progress::Done } else { Progress::Reads(pending) }
    }

    /// Shows one read handler one event again. `None`: it is done.
    pub(super) fn read_again<E: Entity>(
        &self,
        record: &Committed<E>,
        event: usize,
        place: usize,
    ) -> Option<Reading>
    where
        T: HandlerTable<E>,
    {
        let mut pending = Vec::new();
        let mut clock = Clock::new(&self.env, 2, false, 0);
        let origin = &record.origin;
        let (only, asked, clock) = (Some(place), &mut pending, &mut clock);
        let visit = AskRead { origin, event, only, pending: asked, clock };
        self.table.route(&record.events[event], visit);
        pending.pop().map(|pending| pending.future)
    }

    /// Notes what a phase's calls took.
    fn note(&self, origin: &Origin, clock: Clock<'_>) {
        let Some(began) = clock.began else { return };
        let took = self.env.now().saturating_sub(began);
        let times = match clock.phase {
            1 => &self.status().write_times,
            _ => &self.status().read_times,
        };
        times.add(took);
        self.status().runs.note(origin.position, clock.runs);
        for (handler, took) in clock.slow {
            self.watch(origin, handler, took);
        }
    }

    /// Notes how a handler came out that had to wait.
    pub(super) fn note_wait(&self, origin: &Origin, run: Waited) {
        let Waited { handler, phase, took, outcome } = run;
        self.watch(origin, handler, took);
        let run = HandlerRun { name: handler, phase, ms: took.as_secs_f64() * 1e3, outcome };
        self.status().runs.note(origin.position, vec![run]);
    }

    /// Counts and reports a slow handler.
    fn watch(&self, origin: &Origin, handler: &'static str, took: Duration) {
        if took < limits::SLOW_HANDLER.as_duration() {
            return;
        }
        self.status().slow.fetch_add(1, Ordering::Relaxed);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(entity = self.entity, key = %origin.key, handler, ms, "a handler is slow");
    }
}

/// How a handler came out that had to wait.
pub(super) struct Waited {
    pub handler: &'static str,
    pub phase: u8,
    pub took: Duration,
    pub outcome: &'static str,
}

impl Wants {
    fn is_nothing(&self) -> bool {
        self.sends.is_empty() && self.rows.is_empty()
    }

    fn add(&mut self, handler: &'static str, event: usize, sends: Vec<Outgoing>) {
        let commands = (0..).zip(sends).map(|(place, command)| Send { event, place, command });
        match self.sends.iter_mut().find(|known| known.handler == handler) {
            Some(known) => known.commands.extend(commands),
            None => self.sends.push(Sends { handler, commands: commands.collect() }),
        }
    }
}

/// Records with more events than this are timed as a whole only: a timeline has no room for more.
const EVENTS_TIMED: usize = 8;

/// Measures handler calls, if asked to.
struct Clock<'a> {
    env: &'a Env,
    phase: u8,
    /// When the phase began; none: nothing is measured.
    began: Option<Duration>,
    each: bool,
    runs: Vec<HandlerRun>,
    slow: Vec<(&'static str, Duration)>,
}

impl<'a> Clock<'a> {
    fn new(env: &'a Env, phase: u8, detail: bool, events: usize) -> Self {
        let began = detail.then(|| env.now());
        let each = detail && events <= EVENTS_TIMED;
        Self { env, phase, began, each, runs: Vec::new(), slow: Vec::new() }
    }

    /// Calls a handler; `outcome` says what to note, nothing if it goes on.
    fn call<R>(
        &mut self,
        handler: &'static str,
        run: impl FnOnce() -> R,
        outcome: impl FnOnce(&R) -> Option<&'static str>,
    ) -> R {
        if !self.each {
            return run();
        }
        let began = self.env.now();
        let result = run();
        let took = self.env.now().saturating_sub(began);
        if took >= limits::SLOW_HANDLER.as_duration() {
            self.slow.push((handler, took));
        }
        if let Some(outcome) = outcome(&result) {
            let ms = took.as_secs_f64() * 1e3;
            self.runs.push(HandlerRun { name: handler, phase: self.phase, ms, outcome });
        }
        result
    }
}

struct AskWrite<'a, 'b> {
    origin: &'a Origin,
    event: usize,
    /// Only the handler of this name; all of them if `None`.
    only: Option<&'static str>,
    wants: &'a mut Wants,
    clock: &'a mut Clock<'b>,
}

impl Visit for AskWrite<'_, '_> {
    type Out = Result<(), Failure>;

    fn on<Ev>(self, on: &On<Ev>, event: &Ev) -> Self::Out {
        for write in &on.write {
            let handler = write.name();
            if self.only.is_some_and(|only| only != handler) {
                continue;
            }
            let run = || match caught(|| write.react(event, self.origin)) {
                Ok(result) => result,
                Err(panic) => Err(HandlerError(format!("it panicked: {panic}"))),
            };
            let reaction = self.clock.call(handler, run, |result| match result {
                Ok(reaction) => reaction.sends.is_empty().then_some("done"),
                Err(_) => Some("failed"),
            });
            let reaction = reaction.map_err(|error| Failure { handler, error })?;
            self.wants.rows.extend(reaction.rows);
            if !reaction.sends.is_empty() {
                self.wants.add(handler, self.event, reaction.sends);
            }
        }
        Ok(())
    }
}

struct AskRead<'a, 'b> {
    origin: &'a Origin,
    event: usize,
    /// Only the handler at this place; all of them if `None`.
    only: Option<usize>,
    pending: &'a mut Vec<Pending>,
    clock: &'a mut Clock<'b>,
}

impl Visit for AskRead<'_, '_> {
    type Out = ();

    fn on<Ev>(self, on: &On<Ev>, event: &Ev) {
        for (place, read) in on.read.iter().enumerate() {
            if self.only.is_some_and(|only| only != place) {
                continue;
            }
            let handler = read.name();
            if let Some(observer) = self.clock.env.observer() {
                observer.reads(self.origin, handler);
            }
            let run = || match caught(|| read.show(event, self.origin)) {
                Ok(run) => run,
                Err(panic) => ReadRun::Failed(HandlerError(format!("it panicked: {panic}"))),
            };
            let run = self.clock.call(handler, run, |run| match run {
                ReadRun::Done => Some("done"),
                ReadRun::Later(_) | ReadRun::Failed(_) => None,
            });
            let future: Reading = match run {
                ReadRun::Done => continue,
                ReadRun::Later(future) => future,
                ReadRun::Failed(error) => Box::pin(std::future::ready(Err(error))),
            };
            self.pending.push(Pending { handler, event: self.event, place, future });
        }
    }
}
