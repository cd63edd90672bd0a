//! The two phases of one record.

use std::{
    collections::BTreeMap,
    future::Future,
    marker::PhantomData,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};
use interlock_kernel::{
    bus::{HandlerError, HandlerTable, On, Origin, Outgoing, Reaction, ReadRun, RowChange, Visit},
    entity::Entity,
    ids::{Caller, CommandId},
    time::Millis,
};

use super::Committed;
use crate::{
    engine::message::{Body, Foreign, LaneId, Parcel, Settled},
    env::{Env, Sender},
    fold::caught,
    limits,
    status::{HandlerRun, Status, TypeStatus},
};

/// What both phases need.
pub(super) struct Phases<E: Entity, T: HandlerTable<E>> {
    pub table: T,
    pub env: Env,
    pub lanes: Arc<BTreeMap<&'static str, LaneId>>,
    pub internal: Sender<Parcel>,
    pub status: Arc<Status>,
    pub entity: PhantomData<fn(E)>,
}

/// What a record waits for.
pub(super) enum Stage {
    /// Phase 1: what its write handlers want done, or why one of them could not say.
    Write(Result<Vec<Wanted>, Failure>),
    /// Phase 2: read handlers that are not done.
    Read(Vec<Pending>),
}

/// What one write handler wants done.
pub(super) struct Wanted {
    handler: &'static str,
    /// The event's place in the record.
    event: usize,
    reaction: Reaction,
}

/// A read handler that waits for something.
pub(super) struct Pending {
    handler: &'static str,
    event: usize,
    place: usize,
    future: Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>,
}

/// A write handler that could not do its work.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub handler: &'static str,
    pub error: HandlerError,
}

/// How a record came out of what it waited for.
pub(super) enum Ended<E: Entity> {
    /// Phase 1: all commands are committed or refused; these rows are to be written.
    Wrote(Committed<E>, Vec<RowChange>),
    /// Phase 2 is over.
    Read(Committed<E>),
    /// Phase 1 failed for good.
    Failed(Committed<E>, Failure),
}

pub(super) type UnderWay<E> = Pin<Box<dyn Future<Output = Ended<E>> + Send>>;

impl<E: Entity, T: HandlerTable<E>> Phases<E, T> {
    fn status(&self) -> &TypeStatus {
        &self.status.types[E::TYPE]
    }

    fn origin(record: &Committed<E>) -> Origin {
        Origin {
            entity: E::TYPE,
            key: record.key.clone(),
            version: record.version,
            position: record.position,
            at: record.at,
        }
    }

    /// Runs both phases, as far as nothing has to be waited for. `None`: the record is done.
    pub(super) fn on_the_spot(&self, record: &Committed<E>, timed: bool) -> Option<Stage> {
        let began = timed.then(|| self.env.now());
        let wanted = self.write(record, timed);
        if let Some(began) = began {
            self.status().write_times.add(self.env.now().saturating_sub(began));
        }
        match wanted {
            Ok(wanted) if wanted.is_empty() => self.read(record, timed),
            wanted => Some(Stage::Write(wanted)),
        }
    }

    /// Asks the write handlers what they want done.
    fn write(&self, record: &Committed<E>, timed: bool) -> Result<Vec<Wanted>, Failure> {
        let origin = Self::origin(record);
        let mut wanted = Vec::new();
        let mut clock = Clock::new(&self.env, timed && record.events.len() <= 8);
        for (event, payload) in record.events.iter().enumerate() {
            let visit = AskWrite { origin: &origin, event, wanted: &mut wanted, clock: &mut clock };
            self.table.route(payload, visit)?;
        }
        self.note(record, 1, clock);
        Ok(wanted)
    }

    /// Runs the read handlers. `None`: all are done.
    pub(super) fn read(&self, record: &Committed<E>, timed: bool) -> Option<Stage> {
        let origin = Self::origin(record);
        let began = timed.then(|| self.env.now());
        let mut pending = Vec::new();
        let mut clock = Clock::new(&self.env, timed && record.events.len() <= 8);
        for (event, payload) in record.events.iter().enumerate() {
            let visit = AskRead {
                origin: &origin,
                event,
                only: None,
                pending: &mut pending,
                clock: &mut clock,
            };
            self.table.route(payload, visit);
        }
        self.note(record, 2, clock);
        if let Some(began) = began {
            self.status().read_times.add(self.env.now().saturating_sub(began));
        }
        (!pending.is_empty()).then_some(Stage::Read(pending))
    }

    /// Notes how long handlers took, and warns of slow ones.
    fn note(&self, record: &Committed<E>, phase: u8, clock: Clock<'_>) {
        if clock.calls.is_empty() {
            return;
        }
        let run = |(name, took): (&'static str, Duration)| {
            self.slow(record, name, took);
            HandlerRun { name, phase, ms: took.as_secs_f64() * 1e3, outcome: "done" }
        };
        let runs = clock.calls.into_iter().map(run).collect();
        self.status().runs.note(record.position, runs);
    }

    fn slow(&self, record: &Committed<E>, handler: &'static str, took: Duration) {
        if took >= limits::SLOW_HANDLER.as_duration() {
            self.status().slow.fetch_add(1, Ordering::Relaxed);
            let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(entity = E::TYPE, key = %record.key, handler, ms, "a handler is slow");
        }
    }

    /// Waits for what a record waits for.
    pub(super) fn go_on(self: Arc<Self>, record: Committed<E>, stage: Stage) -> UnderWay<E> {
        match stage {
            Stage::Write(wanted) => Box::pin(async move { self.finish_write(record, wanted).await }),
            Stage::Read(pending) => Box::pin(async move {
                join_all(pending.into_iter().map(|p| self.finish_read(&record, p))).await;
                Ended::Read(record)
            }),
        }
    }

    async fn finish_write(
        &self,
        record: Committed<E>,
        first: Result<Vec<Wanted>, Failure>,
    ) -> Ended<E> {
        let mut wanted = first;
        let mut pause = limits::HANDLER_BACKOFF;
        for _ in 1..limits::HANDLER_ATTEMPTS {
            if wanted.is_ok() {
                break;
            }
            self.env.sleep(pause).await;
            pause = Millis(pause.0 * 2);
            wanted = self.write(&record, true);
        }
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(failure) => return Ended::Failed(record, failure),
        };
        let began = self.env.now();
        let sent = wanted.into_iter().map(|wanted| self.send_all(&record, wanted));
        let rows = join_all(sent).await.into_iter().flatten().collect();
        self.status().write_times.add(self.env.now().saturating_sub(began));
        Ended::Wrote(record, rows)
    }

    /// Sends one handler's commands in order; returns its rows.
    async fn send_all(&self, record: &Committed<E>, wanted: Wanted) -> Vec<RowChange> {
        let Wanted { handler, event, reaction } = wanted;
        let began = self.env.now();
        let mut outcome = "done";
        let sends = reaction.sends.len();
        for place in 0..sends {
            if !self.send_one(record, handler, event, place, sends).await {
                outcome = "refused";
            }
        }
        let took = self.env.now().saturating_sub(began);
        if sends > 0 {
            self.slow(record, handler, took);
            let ms = took.as_secs_f64() * 1e3;
            let run = HandlerRun { name: handler, phase: 1, ms, outcome };
            self.status().runs.note(record.position, vec![run]);
        }
        reaction.rows
    }

    /// Sends a command until it is committed (true) or refused (false). A command is consumed by sending, so
    /// every try asks the handler, a pure function, for it again.
    async fn send_one(
        &self,
        record: &Committed<E>,
        handler: &'static str,
        event: usize,
        place: usize,
        sends: usize,
    ) -> bool {
        loop {
            let again = self.write(record, false).ok().and_then(|wanted| {
                let mut same = wanted.into_iter().filter(|w| w.handler == handler && w.event == event);
                same.next().map(|wanted| wanted.reaction.sends)
            });
            let Some(mut commands) = again.filter(|commands| commands.len() == sends) else {
                tracing::error!(entity = E::TYPE, key = %record.key, handler, "a write handler is not pure");
                return false;
            };
            match self.send_command(record, handler, event, place, commands.swap_remove(place)).await {
                Settled::Committed => return true,
                Settled::Refused(why) => {
                    tracing::debug!(entity = E::TYPE, key = %record.key, handler, why, "a handler's command was refused");
                    return false;
                }
                Settled::Again(_) => self.env.sleep(limits::STORE_BACKOFF).await,
            }
        }
    }

    async fn send_command(
        &self,
        record: &Committed<E>,
        handler: &'static str,
        event: usize,
        place: usize,
        command: Outgoing,
    ) -> Settled {
        let Some(lane) = self.lanes.get(command.to) else {
            return Settled::Refused(format!("there is no entity type {}", command.to));
        };
        let id = format!("{}/{}@{}.{event}.{place}", E::TYPE, record.key, record.version);
        let (done, ended) = self.env.once();
        let body = Body::Foreign(Foreign {
            key: command.key,
            command: command.command,
            caller: Caller::new(&format!("on:{handler}")),
            id: CommandId::new(&id).expect("type, key and numbers are short and visible"),
            done,
        });
        if self.internal.send(Parcel { lane: *lane, body }).await.is_err() {
            return Settled::Again("the runtime is stopping".to_owned());
        }
        ended.await.unwrap_or_else(|_| Settled::Again("the runtime is stopping".to_owned()))
    }

    /// Waits for a read handler, trying it again when it fails.
    async fn finish_read(&self, record: &Committed<E>, pending: Pending) {
        let Pending { handler, event, place, mut future } = pending;
        let began = self.env.now();
        let mut pause = limits::HANDLER_BACKOFF;
        let mut outcome = "failed";
        for attempt in 1..=limits::HANDLER_ATTEMPTS {
            let result = AssertUnwindSafe(future).catch_unwind().await;
            match result {
                Ok(Ok(())) => {
                    outcome = "done";
                    break;
                }
                Ok(Err(error)) => {
                    tracing::warn!(entity = E::TYPE, key = %record.key, handler, attempt, %error, "a read handler failed");
                }
                Err(_) => {
                    tracing::warn!(entity = E::TYPE, key = %record.key, handler, attempt, "a read handler panicked");
                }
            }
            self.env.sleep(pause).await;
            pause = Millis(pause.0 * 2);
            match self.read_again(record, event, place) {
                Some(again) => future = again,
                None => {
                    outcome = "done";
                    break;
                }
            }
        }
        let took = self.env.now().saturating_sub(began);
        self.slow(record, handler, took);
        let run = HandlerRun { name: handler, phase: 2, ms: took.as_secs_f64() * 1e3, outcome };
        self.status().runs.note(record.position, vec![run]);
    }

    fn read_again(
        &self,
        record: &Committed<E>,
        event: usize,
        place: usize,
    ) -> Option<Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>> {
        let origin = Self::origin(record);
        let mut pending = Vec::new();
        let mut clock = Clock::new(&self.env, false);
        let visit = AskRead {
            origin: &origin,
            event,
            only: Some(place),
            pending: &mut pending,
            clock: &mut clock,
        };
        self.table.route(&record.events[event], visit);
        pending.pop().map(|pending| pending.future)
    }
}

/// Measures handler calls, if asked to.
struct Clock<'a> {
    env: &'a Env,
    timed: bool,
    calls: Vec<(&'static str, Duration)>,
}

impl<'a> Clock<'a> {
    fn new(env: &'a Env, timed: bool) -> Self {
        Self { env, timed, calls: Vec::new() }
    }

    fn call<T>(&mut self, handler: &'static str, run: impl FnOnce() -> T) -> T {
        if !self.timed {
            return run();
        }
        let began = self.env.now();
        let result = run();
        self.calls.push((handler, self.env.now().saturating_sub(began)));
        result
    }
}

struct AskWrite<'a, 'b> {
    origin: &'a Origin,
    event: usize,
    wanted: &'a mut Vec<Wanted>,
    clock: &'a mut Clock<'b>,
}

impl Visit for AskWrite<'_, '_> {
    type Out = Result<(), Failure>;

    fn on<Ev>(self, on: &On<Ev>, event: &Ev) -> Self::Out {
        for write in &on.write {
            let handler = write.name();
            let result = self.clock.call(handler, || caught(|| write.react(event, self.origin)));
            let reaction = match result {
                Ok(Ok(reaction)) => reaction,
                Ok(Err(error)) => return Err(Failure { handler, error }),
                Err(panic) => {
                    let error = HandlerError(format!("it panicked: {panic}"));
                    return Err(Failure { handler, error });
                }
            };
            if !(reaction.sends.is_empty() && reaction.rows.is_empty()) {
                self.wanted.push(Wanted { handler, event: self.event, reaction });
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
            let result = self.clock.call(handler, || caught(|| read.show(event, self.origin)));
            let future = match result {
                Ok(ReadRun::Done) => continue,
                Ok(ReadRun::Later(future)) => future,
                Ok(ReadRun::Failed(error)) => Box::pin(std::future::ready(Err(error))),
                Err(panic) => {
                    let error = HandlerError(format!("it panicked: {panic}"));
                    Box::pin(std::future::ready(Err(error)))
                }
            };
            self.pending.push(Pending { handler, event: self.event, place, future });
        }
    }
}
