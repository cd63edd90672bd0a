//! What goes on about single records while the dispatcher does other things: commands on their way, failed
//! handlers that are tried again, read handlers that wait, records on their way from the log.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc};

use futures_util::{FutureExt, future::join_all};
use interlock_kernel::{
    bus::{HandlerError, HandlerTable, Outgoing, RowChange},
    entity::Entity,
    ids::{Caller, CommandId, Key, Position},
    time::Millis,
};

use super::{
    Committed,
    dead::Address,
    group::Asker,
    phases::{Failure, Pending, Phases, Progress, Reading, Sends, Waited, Wants},
    replay,
};
use crate::{
    engine::message::{Body, Foreign, Parcel, Settled, ShowError, Shown},
    history::Reader,
    limits,
    record::{self, Record},
};

/// How a record came out of what it waited for.
pub(super) enum Ended<E: Entity> {
    /// Phase 1: all commands are committed or refused; these rows are to be written.
    Wrote(Committed<E>, Vec<RowChange>),
    /// Phase 2 is over.
    Read(Committed<E>),
    /// Phase 1 failed for good.
    Failed(Address, usize, Failure),
    /// The runtime stops, and the record could not be finished.
    Left(Key, usize),
    /// A record of the log is here.
    Loaded(Committed<E>),
    /// These are the records that stand behind a dead letter.
    Found(Key, Result<Vec<Position>, String>, Asker),
}

pub(super) type UnderWay<E> = Pin<Box<dyn Future<Output = Ended<E>> + std::marker::Send>>;

/// The runtime stops before something could be done.
struct Stopping;

impl<T> Phases<T> {
    /// Waits for what a record waits for.
    pub(super) fn go_on<E: Entity>(
        self: Arc<Self>,
        record: Committed<E>,
        progress: Progress,
    ) -> UnderWay<E>
    where
        T: HandlerTable<E>,
    {
        match progress {
            Progress::Done => Box::pin(std::future::ready(Ended::Read(record))),
            Progress::Wants(wants) => Box::pin(async move { self.do_all(record, wants).await }),
            Progress::Failed(failure) => Box::pin(async move {
                match self.ask_again(&record, failure).await {
                    Ok(wants) => self.do_all(record, wants).await,
                    Err(failure) => Ended::Failed(record.address(), record.events.len(), failure),
                }
            }),
            Progress::Reads(pending) => Box::pin(async move {
                let reads = pending.into_iter().map(|pending| self.finish_read(&record, pending));
                join_all(reads).await;
                Ended::Read(record)
            }),
        }
    }

    /// Asks failing write handlers again, with growing pauses.
    async fn ask_again<E: Entity>(
        &self,
        record: &Committed<E>,
        first: Failure,
    ) -> Result<Wants, Failure>
    where
        T: HandlerTable<E>,
    {
        let mut failure = first;
        let mut pause = limits::HANDLER_BACKOFF;
        for attempt in 1..limits::HANDLER_ATTEMPTS {
            let Failure { handler, error } = &failure;
            tracing::warn!(entity = self.entity, key = %record.origin.key, handler, attempt, %error, "a write handler failed");
            self.env.sleep(pause).await;
            pause = Millis(pause.0 * 2);
            match self.write(record, true) {
                Ok(wants) => return Ok(wants),
                Err(again) => failure = again,
            }
        }
        Err(failure)
    }

    /// Sends all commands: handlers side by side, each its own in order.
    async fn do_all<E: Entity>(&self, record: Committed<E>, wants: Wants) -> Ended<E>
    where
        T: HandlerTable<E>,
    {
        let sent = join_all(wants.sends.into_iter().map(|sends| self.send_all(&record, sends)));
        let stopping = sent.await.iter().any(Result::is_err);
        if stopping {
            return Ended::Left(record.origin.key, record.events.len());
        }
        Ended::Wrote(record, wants.rows)
    }

    async fn send_all<E: Entity>(&self, record: &Committed<E>, sends: Sends) -> Result<(), Stopping>
    where
        T: HandlerTable<E>,
    {
        let handler = sends.handler;
        let began = self.env.now();
        let mut outcome = "done";
        for super::phases::Send { event, place, mut command } in sends.commands {
            loop {
                match self.send(record, handler, (event, place), command).await {
                    Settled::Committed => break,
                    Settled::Refused(why) => {
                        tracing::debug!(entity = self.entity, key = %record.origin.key, handler, why, "a handler's command was refused");
                        outcome = "refused";
                        break;
                    }
                    Settled::Again(_) if self.is_stopping() => return Err(Stopping),
                    Settled::Again(_) => self.env.sleep(limits::STORE_BACKOFF).await,
                }
                // A command is consumed by sending it; the handler, a pure function, makes the same again.
                let again = self.write_again(record, handler, event);
                let same = again.and_then(|mut again| {
                    (place < again.commands.len()).then(|| again.commands.swap_remove(place))
                });
                let Some(same) = same else {
                    tracing::error!(entity = self.entity, key = %record.origin.key, handler, "a write handler is not pure");
                    outcome = "failed";
                    break;
                };
                command = same.command;
            }
        }
        let took = self.env.now().saturating_sub(began);
        self.note_wait(&record.origin, Waited { handler, phase: 1, took, outcome });
        Ok(())
    }

    /// Sends one command and waits until it is settled. Its id is made of where it comes from, so that it is
    /// decided once however often it is sent.
    async fn send<E: Entity>(
        &self,
        record: &Committed<E>,
        handler: &'static str,
        (event, place): (usize, usize),
        command: Outgoing,
    ) -> Settled {
        let Some(lane) = self.lanes.get(command.to) else {
            return Settled::Refused(format!("there is no entity type {}", command.to));
        };
        let origin = &record.origin;
        let id = format!("{}/{}@{}.{event}.{place}", self.entity, origin.key, origin.version);
        let (done, ended) = self.env.once();
        let body = Body::Foreign(Foreign {
            key: command.key,
            command: command.command,
            caller: Caller::new(&format!("on:{handler}")),
            id: CommandId::new(&id).expect("the builder refuses types with long names"),
            done,
        });
        let stopping = || Settled::Again("the runtime is stopping".to_owned());
        if self.internal.send(Parcel { lane: *lane, body }).await.is_err() {
            return stopping();
        }
        ended.await.unwrap_or_else(|_| stopping())
    }

    /// Waits for a read handler, trying it again when it fails.
    async fn finish_read<E: Entity>(&self, record: &Committed<E>, pending: Pending)
    where
        T: HandlerTable<E>,
    {
        let Pending { handler, event, place, mut future } = pending;
        let began = self.env.now();
        let mut pause = limits::HANDLER_BACKOFF;
        let mut attempt = 1;
        let outcome = loop {
            let Err(error) = self.within_deadline(future).await else { break "done" };
            tracing::warn!(entity = self.entity, key = %record.origin.key, handler, attempt, %error, "a read handler failed");
            if attempt == limits::HANDLER_ATTEMPTS {
                break "failed";
            }
            attempt += 1;
            self.env.sleep(pause).await;
            pause = Millis(pause.0 * 2);
            match self.read_again(record, event, place) {
                Some(again) => future = again,
                None => break "done",
            }
        };
        let took = self.env.now().saturating_sub(began);
        self.note_wait(&record.origin, Waited { handler, phase: 2, took, outcome });
    }

    async fn within_deadline(&self, future: Reading) -> Result<(), HandlerError> {
        tokio::select! {
            biased;
            result = AssertUnwindSafe(future).catch_unwind() => {
                result.unwrap_or_else(|_| Err(HandlerError("it panicked".to_owned())))
            }
            () = self.env.sleep(limits::READ_HANDLER_DEADLINE) => {
                Err(HandlerError("its deadline passed".to_owned()))
            }
        }
    }

    /// Reads a record of the log that waits behind others of its entity.
    pub(super) fn load<E: Entity>(self: Arc<Self>, key: Key, at: Position) -> UnderWay<E>
    where
        T: HandlerTable<E>,
    {
        Box::pin(async move {
            loop {
                let error = match replay::one::<E>(self.env.store().as_ref(), at).await {
                    Ok(Ok(record)) => return Ended::Loaded(record),
                    Ok(Err((address, failure))) => return Ended::Failed(address, 1, failure),
                    Err(error) => error,
                };
                tracing::error!(entity = self.entity, %key, %at, %error, "a record cannot be read; trying again");
                if self.is_stopping() {
                    return Ended::Left(key, 1);
                }
                self.env.sleep(limits::STORE_BACKOFF).await;
            }
        })
    }

    /// Finds the records of an entity from a parked one on, by walking back from its newest one.
    pub(super) fn find<E: Entity>(
        self: Arc<Self>,
        key: Key,
        parked: Position,
        asker: Asker,
    ) -> UnderWay<E>
    where
        T: HandlerTable<E>,
    {
        Box::pin(async move {
            let found = self.walk(&key, parked).await;
            Ended::Found(key, found, asker)
        })
    }

    async fn walk(&self, key: &Key, parked: Position) -> Result<Vec<Position>, String> {
        let lane = self.lanes[self.entity];
        let (shown, answer) = self.env.once();
        let stopping = ShowError::Stopping;
        let parcel = Parcel { lane, body: Body::Show(key.clone(), shown) };
        self.internal.send(parcel).await.map_err(|_| stopping.to_string())?;
        let shown = answer.await.unwrap_or(Err(stopping));
        let Shown { head, .. } = shown.map_err(|error| error.to_string())?;
        let mut reader = Reader::new(self.env.store().as_ref());
        let (mut at, mut found) = (head, Vec::new());
        while at >= parked {
            let body = reader.body(at).await.map_err(|error| error.to_string())?;
            let body = body.ok_or_else(|| format!("the log has let go of position {at}"))?;
            let record = record::parse(at, &body).map_err(|error| error.to_string())?;
            if let Record::Decided(decided) = &record
                && decided.events_count > 0
            {
                found.push(at);
            }
            at = record.head().prev;
        }
        found.reverse();
        Ok(found)
    }
}
