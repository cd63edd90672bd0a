//! The two-phase bus: who hears of committed events, in which order.
//!
//! ```text
//! committed record ─► phase 1: write handlers ─► their commands and rows are durable ─► phase 2: read handlers
//! ```
//!
//! Invariants:
//! - For every event, phase 1 of all its handlers ends before phase 2 of any begins.
//! - Records of one entity are handled in order, one at a time; other entities go on meanwhile.
//! - A write handler that fails is tried again, then its record is parked ([`dead`]) and the entity's later
//!   records wait behind it, in the log.
//! - Nothing is skipped after a crash: the cursor ([`cursor`]) says exactly which records are done.
//!
//! Records without anything to wait for are handled on the spot ([`Dispatcher::on_the_spot`]); only the
//! others become futures.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use interlock_kernel::{
    bus::{HandlerTable, RowChange},
    entity::Entity,
    ids::{Key, Position, Version},
    time::Time,
};
use rustc_hash::FxHashMap;

mod cursor;
pub mod dead;
mod phases;
mod replay;

pub(crate) use self::cursor::low;

use self::{
    cursor::Cursor,
    phases::{Ended, Phases, Stage},
};
use crate::{
    engine::message::{LaneId, Parcel},
    env::{Env, OnceSender, Receiver, Sender, Task},
    limits,
    status::{Status, TypeStatus},
    store::{Durability, StoreError, StoreFuture},
};

/// A committed record with its events.
#[derive(Debug)]
pub struct Committed<E: Entity> {
    /// The entity.
    pub key: Key,
    /// Its version after the record.
    pub version: Version,
    /// The record's place in the log.
    pub position: Position,
    /// When it was decided.
    pub at: Time,
    /// What happened.
    pub events: Vec<E::Event>,
}

/// Asks a dispatcher for something.
pub(crate) enum Ask {
    /// Handle a parked entity's records again.
    Retry(Key, OnceSender<Result<(), String>>),
}

/// What a dispatcher needs to know of the runtime.
pub(crate) struct Surroundings {
    pub env: Env,
    pub lanes: Arc<BTreeMap<&'static str, LaneId>>,
    pub internal: Sender<Parcel>,
    pub status: Arc<Status>,
    pub lag: Arc<AtomicUsize>,
    /// The log's end when the runtime started: records below it are read from the log.
    pub end: Position,
    /// The oldest record kept.
    pub first: Position,
}

pub(crate) struct Dispatcher<E: Entity, T: HandlerTable<E>> {
    phases: Arc<Phases<E, T>>,
    around: Surroundings,
    input: Receiver<Vec<Committed<E>>>,
    asks: Receiver<Ask>,
    /// Entities with a record under way, and the records that wait behind it.
    busy: FxHashMap<Key, VecDeque<Committed<E>>>,
    parked: dead::Parked,
    under_way: FuturesUnordered<phases::UnderWay<E>>,
    cursor: Cursor,
    /// Records whose rows are to be written with the cursor, and then phase 2 begins.
    rows: Vec<(Committed<E>, Vec<RowChange>)>,
    writing: Option<Writing<E>>,
    /// Changes of dead letters that are to be written with the cursor.
    letters: Vec<RowChange>,
    cursor_due: Option<Task>,
}

struct Writing<E: Entity> {
    write: StoreFuture<Result<(), StoreError>>,
    then: Vec<(Committed<E>, Vec<RowChange>)>,
    letters: Vec<RowChange>,
}

enum Happened<E: Entity> {
    Batch(Option<Vec<Committed<E>>>),
    Ended(Ended<E>),
    Wrote(Result<(), StoreError>),
    CursorDue,
    Asked(Ask),
}

impl<E: Entity, T: HandlerTable<E>> Dispatcher<E, T> {
    /// A dispatcher that goes on where the last one stopped.
    pub(crate) async fn open(
        table: T,
        around: Surroundings,
        input: Receiver<Vec<Committed<E>>>,
        asks: Receiver<Ask>,
    ) -> Result<Self, StoreError> {
        let store = around.env.store().clone();
        let cursor = Cursor::read(store.as_ref(), E::TYPE).await?;
        let parked = dead::Parked::open(store.as_ref(), E::TYPE).await?;
        let phases = Phases {
            table,
            env: around.env.clone(),
            lanes: around.lanes.clone(),
            internal: around.internal.clone(),
            status: around.status.clone(),
            entity: std::marker::PhantomData,
        };
        Ok(Self {
            phases: Arc::new(phases),
            around,
            input,
            asks,
            busy: FxHashMap::default(),
            parked,
            under_way: FuturesUnordered::new(),
            cursor,
            rows: Vec::new(),
            writing: None,
            letters: Vec::new(),
            cursor_due: None,
        })
    }

    /// Runs until the engine has gone and everything it handed over is handled.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.replay().await {
            tracing::error!(entity = E::TYPE, %error, "handlers cannot read the log; they wait for the next start");
            return;
        }
        let mut closed = false;
        loop {
            self.start_writing(closed);
            if closed && self.is_still() {
                return;
            }
            let takes = !closed && self.under_way.len() < limits::DISPATCH_IN_FLIGHT;
            closed |= self.turn(takes, !closed).await;
        }
    }

    /// Waits for one thing to happen and deals with it. True: the engine has gone.
    async fn turn(&mut self, takes: bool, asked: bool) -> bool {
        self.start_writing(false);
        let Self { input, asks, under_way, writing, cursor_due, .. } = self;
        let happened = tokio::select! {
            biased;
            result = async { writing.as_mut().expect("checked").write.as_mut().await },
                if writing.is_some() => Happened::Wrote(result),
            Some(ended) = under_way.next(), if !under_way.is_empty() => Happened::Ended(ended),
            Some(ask) = asks.recv(), if asked => Happened::Asked(ask),
            batch = input.recv(), if takes => Happened::Batch(batch),
            () = async { cursor_due.as_mut().expect("checked").as_mut().await },
                if cursor_due.is_some() => Happened::CursorDue,
        };
        match happened {
            Happened::Batch(Some(batch)) => self.take(batch),
            Happened::Batch(None) => return true,
            Happened::Ended(ended) => self.ended(ended),
            Happened::Wrote(result) => self.wrote(result).await,
            Happened::CursorDue => {
                self.cursor_due = None;
                self.cursor.want_write();
            }
            Happened::Asked(Ask::Retry(key, reply)) => {
                let result = self.retry(&key).await;
                drop(reply.send(result));
            }
        }
        false
    }

    fn status(&self) -> &TypeStatus {
        &self.around.status.types[E::TYPE]
    }

    fn is_still(&self) -> bool {
        self.under_way.is_empty()
            && self.rows.is_empty()
            && self.writing.is_none()
            && self.letters.is_empty()
            && !self.cursor.is_dirty()
    }

    fn take(&mut self, batch: Vec<Committed<E>>) {
        let sample = batch.len() > 64;
        for (index, record) in batch.into_iter().enumerate() {
            self.cursor.saw(record.position);
            self.handle(record, !sample || index % 16 == 0);
        }
        if self.cursor.is_dirty() && self.cursor_due.is_none() {
            self.cursor_due = Some(self.around.env.sleep(limits::CURSOR_PAUSE));
        }
    }

    /// Handles a record now, or puts it behind those of its entity that are under way.
    fn handle(&mut self, record: Committed<E>, timed: bool) {
        if !self.busy.is_empty()
            && let Some(queue) = self.busy.get_mut(&record.key)
        {
            self.cursor.open(record.position, false);
            queue.push_back(record);
            return;
        }
        if self.parked.holds(&record.key) {
            // It stays in the log behind the parked record.
            self.finished(&record);
            return;
        }
        match self.phases.on_the_spot(&record, timed) {
            None => self.finished(&record),
            Some(stage) => self.go_on(record, stage),
        }
    }

    /// Lets a record that must wait for something go on by itself.
    fn go_on(&mut self, record: Committed<E>, stage: Stage) {
        self.cursor.open(record.position, matches!(stage, Stage::Read(_)));
        self.busy.entry(record.key.clone()).or_default();
        self.under_way.push(self.phases.clone().go_on(record, stage));
    }

    fn finished(&mut self, record: &Committed<E>) {
        self.around.lag.fetch_sub(record.events.len(), Ordering::Release);
        let events = u64::try_from(record.events.len()).expect("lengths fit");
        self.status().handled.fetch_add(events, Ordering::Relaxed);
    }

    fn ended(&mut self, ended: Ended<E>) {
        match ended {
            Ended::Wrote(record, rows) if rows.is_empty() => self.read(record),
            Ended::Wrote(record, rows) => self.rows.push((record, rows)),
            Ended::Read(record) => {
                self.cursor.close(record.position);
                self.finished(&record);
                self.next(&record.key);
            }
            Ended::Failed(record, failure) => {
                tracing::error!(entity = E::TYPE, key = %record.key, handler = failure.handler,
                    error = %failure.error, "a write handler failed again; the event is parked");
                self.status().dead.fetch_add(1, Ordering::Relaxed);
                self.letters.push(self.parked.park(&record, &failure));
                self.cursor.close(record.position);
                self.finished(&record);
                for waiting in self.busy.remove(&record.key).into_iter().flatten() {
                    self.cursor.close(waiting.position);
                    self.finished(&waiting);
                }
            }
        }
    }

    /// Phase 1 is over and durable.
    fn read(&mut self, record: Committed<E>) {
        self.cursor.open(record.position, true);
        let stage = self.phases.read(&record, true);
        match stage {
            Some(stage) => self.under_way.push(self.phases.clone().go_on(record, stage)),
            None => self.ended(Ended::Read(record)),
        }
    }

    /// A record of this entity is done: those behind it follow.
    fn next(&mut self, key: &Key) {
        while let Some(queue) = self.busy.get_mut(key) {
            let Some(record) = queue.pop_front() else {
                self.busy.remove(key);
                return;
            };
            match self.phases.on_the_spot(&record, true) {
                None => {
                    self.cursor.close(record.position);
                    self.finished(&record);
                }
                Some(stage) => {
                    self.cursor.open(record.position, matches!(stage, Stage::Read(_)));
                    self.under_way.push(self.phases.clone().go_on(record, stage));
                    return;
                }
            }
        }
    }

    /// Writes rows together with the cursor that says that they are written.
    fn start_writing(&mut self, closed: bool) {
        let wanted = !self.rows.is_empty() || !self.letters.is_empty() || self.cursor.wants_write();
        let last = closed && self.under_way.is_empty() && self.cursor.is_dirty();
        if self.writing.is_some() || !(wanted || last) {
            return;
        }
        let then = std::mem::take(&mut self.rows);
        let letters = std::mem::take(&mut self.letters);
        for (record, _) in &then {
            self.cursor.open(record.position, true);
        }
        let mut changes: Vec<RowChange> =
            then.iter().flat_map(|(_, rows)| rows.iter().cloned()).collect();
        changes.extend(letters.iter().cloned());
        changes.push(self.cursor.row(E::TYPE));
        let write = self.around.env.store().write_rows(changes, Durability::Lazy);
        self.writing = Some(Writing { write, then, letters });
    }

    async fn wrote(&mut self, result: Result<(), StoreError>) {
        let Writing { then, letters, .. } = self.writing.take().expect("a write was under way");
        match result {
            Ok(()) => {
                for (record, _) in then {
                    self.read(record);
                }
            }
            Err(error) => {
                tracing::error!(entity = E::TYPE, %error, "query tables cannot be written; trying again");
                self.rows.splice(0..0, then);
                self.letters.splice(0..0, letters);
                self.cursor.unwritten();
                self.around.env.sleep(limits::STORE_BACKOFF).await;
            }
        }
    }
}
