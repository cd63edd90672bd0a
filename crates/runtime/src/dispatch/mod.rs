//! The two-phase bus: who hears of committed events, in which order.
//!
//! ```text
//! committed record ─► phase 1: write handlers ─► their commands and rows are written ─► phase 2: read handlers
//! ```
//!
//! Invariants:
//! - For every event, phase 1 of all its handlers ends before phase 2 of any begins.
//! - Records of one entity are handled in order, one at a time; other entities go on meanwhile.
//! - A write handler that fails is tried again, then its record is parked ([`dead`]) and the entity's later
//!   records wait behind it, in the log.
//! - Nothing is skipped after a crash: the cursor ([`cursor`]) says exactly which records are done, and rows
//!   are written in one group with the cursor that says so.
//!
//! Records without anything to wait for are handled on the spot ([`Phases::begin`]); only the others become
//! futures ([`under_way`]).
//!
//! Not here: undoing what a handler did, and any order between records of different entities.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use interlock_kernel::{
    bus::{HandlerTable, Origin},
    entity::Entity,
    ids::{Key, Position},
};
use rustc_hash::FxHashMap;

mod backlog;
mod cursor;
pub mod dead;
mod group;
mod phases;
mod replay;
mod under_way;

pub(crate) use self::backlog::Backlog;
pub use self::cursor::low;

use self::{
    cursor::{Cursor, Left},
    dead::{Address, Parked},
    group::{Asker, Group, Writing},
    phases::{Failure, Phases, Progress},
    under_way::{Ended, UnderWay},
};
use crate::{
    engine::message::{LaneId, Parcel},
    env::{Env, Receiver, Sender, Task, WatchReceiver},
    limits,
    status::{Status, TypeStatus},
    store::StoreError,
};

/// A committed record with its events.
#[derive(Debug)]
pub(crate) struct Committed<E: Entity> {
    /// Whose record it is, and which.
    pub origin: Origin,
    /// What happened.
    pub events: Vec<E::Event>,
}

impl<E: Entity> Committed<E> {
    fn address(&self) -> Address {
        let Origin { key, version, position, at, .. } = self.origin.clone();
        Address { key, position, version, at }
    }
}

/// Asks a dispatcher for something.
pub(crate) enum Ask {
    /// Handle a parked entity's records again.
    Retry(Key, Asker),
}

/// What a dispatcher needs to know of the runtime.
pub(crate) struct Surroundings {
    pub env: Env,
    pub lanes: Arc<BTreeMap<&'static str, LaneId>>,
    pub internal: Sender<Parcel>,
    pub status: Arc<Status>,
    pub backlog: Arc<Backlog>,
    /// Everything below is committed, and handed over.
    pub committed: WatchReceiver<Position>,
    /// The log's end when the runtime started: records below it are read from the log.
    pub end: Position,
    /// The oldest record kept.
    pub first: Position,
}

pub(crate) struct Dispatcher<E: Entity, T: HandlerTable<E>> {
    phases: Arc<Phases<T>>,
    around: Surroundings,
    input: Receiver<Vec<Committed<E>>>,
    asks: Receiver<Ask>,
    /// Entities with a record under way.
    busy: FxHashMap<Key, Busy<E>>,
    parked: Parked,
    under_way: FuturesUnordered<UnderWay<E>>,
    cursor: Cursor,
    /// While the log is read again: entities whose records are not done from here on.
    behind: FxHashMap<Key, Position>,
    /// What is to be written next.
    group: Group<E>,
    writing: Option<Writing<E>>,
    /// Ends when the next look at the cursor is due.
    tick: Task,
    /// When the cursor last moved over what others committed.
    moved: Duration,
    stage: Stage,
    /// The store failed while the runtime was stopping: nothing more is written.
    unwritable: bool,
}

/// What a dispatcher is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Reading again what the last run left.
    Replaying,
    /// Handling what the engine hands over.
    Serving,
    /// The rest cannot be handled in order: it is left to the next start.
    Over,
}

/// An entity with a record under way.
struct Busy<E: Entity> {
    queue: VecDeque<Waiting<E>>,
    /// The record under way was left to the next start, and so are those behind it.
    left: bool,
}

/// A record that waits for its entity's earlier ones.
enum Waiting<E: Entity> {
    Here(Committed<E>),
    /// It is read when its turn comes.
    InLog(Position),
}

impl<E: Entity> Default for Busy<E> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), left: false }
    }
}

impl<E: Entity> Waiting<E> {
    /// What it adds to the backlog.
    fn weight(&self) -> usize {
        match self {
            Waiting::Here(record) => record.events.len(),
            Waiting::InLog(_) => 1,
        }
    }
}

/// How far a record came at once.
enum Came {
    /// To its end.
    Through,
    /// It stays in the log behind a dead letter.
    Nowhere,
    /// It waits for something.
    Halfway,
}

enum Happened<E: Entity> {
    Batch(Option<Vec<Committed<E>>>),
    Ended(Ended<E>),
    Wrote(Result<(), StoreError>),
    Tick,
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
        let parked = Parked::open(store.as_ref(), E::TYPE).await?;
        let phases = Phases {
            table,
            entity: E::TYPE,
            env: around.env.clone(),
            lanes: around.lanes.clone(),
            internal: around.internal.clone(),
            status: around.status.clone(),
            backlog: around.backlog.clone(),
        };
        let (tick, moved) = (around.env.sleep(limits::CURSOR_PAUSE), around.env.now());
        Ok(Self {
            phases: Arc::new(phases),
            around,
            input,
            asks,
            busy: FxHashMap::default(),
            parked,
            under_way: FuturesUnordered::new(),
            cursor,
            behind: FxHashMap::default(),
            group: Group::default(),
            writing: None,
            tick,
            moved,
            stage: Stage::Replaying,
            unwritable: false,
        })
    }

    /// Runs until the engine has gone and everything it handed over is handled.
    pub(crate) async fn run(mut self) {
        self.stage = match self.replay().await {
            Ok(stage) => stage,
            Err(error) => {
                tracing::error!(entity = E::TYPE, %error, "handlers cannot read the log; they rest until the next start");
                Stage::Over
            }
        };
        let mut gone = false;
        loop {
            if gone {
                self.see_all();
            }
            self.start_writing(gone);
            if gone && self.under_way.is_empty() && self.writing.is_none() {
                return;
            }
            gone |= self.turn(!gone).await;
        }
    }

    /// Waits for one thing to happen and deals with it. True: the engine has gone.
    async fn turn(&mut self, serves: bool) -> bool {
        let waiting = self.under_way.len() + self.group.len();
        let takes = serves && waiting < limits::DISPATCH_IN_FLIGHT;
        let Self { input, asks, under_way, writing, tick, .. } = self;
        let happened = tokio::select! {
            biased;
            result = async { writing.as_mut().expect("checked").done.as_mut().await },
                if writing.is_some() => Happened::Wrote(result),
            Some(ended) = under_way.next(), if !under_way.is_empty() => Happened::Ended(ended),
            Some(ask) = asks.recv(), if serves => Happened::Asked(ask),
            batch = input.recv(), if takes => Happened::Batch(batch),
            () = tick.as_mut() => Happened::Tick,
        };
        match happened {
            Happened::Batch(Some(batch)) => self.take(batch),
            Happened::Batch(None) => return true,
            Happened::Ended(ended) => self.ended(ended),
            Happened::Wrote(result) => self.wrote(result),
            Happened::Tick => self.look_at_cursor(),
            Happened::Asked(Ask::Retry(key, reply)) => self.retry(key, reply),
        }
        false
    }

    fn status(&self) -> &TypeStatus {
        self.phases.status()
    }

    fn take(&mut self, batch: Vec<Committed<E>>) {
        if self.stage == Stage::Over {
            let events = batch.iter().map(|record| record.events.len()).sum();
            self.lighten(events);
            self.status().lost.fetch_add(count(events), Ordering::Relaxed);
            return;
        }
        // Many records at once: the details of some will do.
        let sample = batch.len() > 64;
        let (mut through, mut nowhere) = (0, 0);
        for (index, record) in batch.into_iter().enumerate() {
            self.cursor.saw(record.origin.position);
            let events = record.events.len();
            match self.handle(record, !sample || index % 16 == 0) {
                Came::Through => through += events,
                Came::Nowhere => nowhere += events,
                Came::Halfway => {}
            }
        }
        self.finished(through);
        self.lighten(nowhere);
    }

    /// Handles a record now, or puts it behind those of its entity that are under way.
    fn handle(&mut self, record: Committed<E>, detail: bool) -> Came {
        let Origin { key, position, .. } = &record.origin;
        if !self.busy.is_empty()
            && let Some(busy) = self.busy.get_mut(key)
        {
            if busy.left {
                return Came::Nowhere;
            }
            busy.queue.push_back(Waiting::Here(record));
            return Came::Halfway;
        }
        if self.parked.holds(key, *position) {
            return Came::Nowhere;
        }
        self.begin(record, detail)
    }

    /// Lets a record go as far as it comes.
    fn begin(&mut self, record: Committed<E>, detail: bool) -> Came {
        let progress = self.phases.begin(&record, detail);
        let left = match &progress {
            Progress::Done => return Came::Through,
            Progress::Wants(_) | Progress::Failed(_) => Left::Both,
            Progress::Reads(_) => Left::Read,
        };
        self.cursor.open(record.origin.position, left);
        if !self.busy.contains_key(&record.origin.key) {
            self.busy.insert(record.origin.key.clone(), Busy::default());
        }
        self.go_on(record, progress);
        Came::Halfway
    }

    fn go_on(&mut self, record: Committed<E>, progress: Progress) {
        match progress {
            Progress::Wants(wants) if wants.sends.is_empty() => self.add_rows(record, wants.rows),
            progress @ (Progress::Done
            | Progress::Wants(_)
            | Progress::Failed(_)
            | Progress::Reads(_)) => {
                self.under_way.push(self.phases.clone().go_on(record, progress));
            }
        }
    }

    fn ended(&mut self, ended: Ended<E>) {
        match ended {
            Ended::Wrote(record, rows) if rows.is_empty() => self.read(record),
            Ended::Wrote(record, rows) => self.add_rows(record, rows),
            Ended::Read(record) => self.done(&record),
            Ended::Failed(address, weight, failure) => self.park(address, weight, &failure),
            Ended::Left(key, weight) => self.leave(&key, weight),
            Ended::Loaded(record) => {
                self.around.backlog.add(record.events.len());
                self.lighten(1);
                let key = record.origin.key.clone();
                if let Some(busy) = self.busy.get_mut(&key) {
                    busy.queue.push_front(Waiting::Here(record));
                }
                self.next(&key);
            }
            Ended::Found(key, Ok(found), asker) => self.retry_found(&key, found, asker),
            Ended::Found(key, Err(error), asker) => {
                self.parked.abandon_retry(&key);
                // Who asked may have gone.
                let _ = asker.send(Err(error));
            }
        }
    }

    /// Phase 1 is over, and written.
    fn read(&mut self, record: Committed<E>) {
        self.cursor.open(record.origin.position, Left::Read);
        match self.phases.read(&record, true) {
            Progress::Done => self.done(&record),
            progress @ (Progress::Wants(_) | Progress::Failed(_) | Progress::Reads(_)) => {
                self.go_on(record, progress);
            }
        }
    }

    /// Phase 2 of a record that was under way is over: those behind it follow.
    fn done(&mut self, record: &Committed<E>) {
        let Origin { key, position, .. } = &record.origin;
        self.close(key, *position);
        self.finished(record.events.len());
        self.next(key);
    }

    /// Lets the records behind one that is done follow, as far as they come.
    fn next(&mut self, key: &Key) {
        while let Some(busy) = self.busy.get_mut(key) {
            match busy.queue.pop_front() {
                None => {
                    self.busy.remove(key);
                }
                Some(Waiting::Here(record)) => {
                    let (position, events) = (record.origin.position, record.events.len());
                    match self.begin(record, true) {
                        Came::Through => {
                            self.close(key, position);
                            self.finished(events);
                        }
                        Came::Nowhere | Came::Halfway => return,
                    }
                }
                Some(Waiting::InLog(position)) => {
                    self.cursor.open(position, Left::Both);
                    return self.under_way.push(self.phases.clone().load(key.clone(), position));
                }
            }
        }
    }

    /// Notes that a record is done.
    fn close(&mut self, key: &Key, position: Position) {
        match self.behind.get_mut(key) {
            Some(mark) => {
                self.cursor.close(*mark);
                self.cursor.open(position, Left::Followers);
                *mark = position;
            }
            None => self.cursor.close(position),
        }
    }

    /// A write handler failed for good: the record becomes a dead letter.
    fn park(&mut self, address: Address, weight: usize, failure: &Failure) {
        let Failure { handler, error } = failure;
        tracing::error!(entity = E::TYPE, key = %address.key, handler, %error, "a write handler failed again; the event is parked");
        self.status().dead.fetch_add(1, Ordering::Relaxed);
        let (key, position) = (address.key.clone(), address.position);
        self.group.letters.push(self.parked.park(address, failure));
        self.close(&key, position);
        self.lighten(weight);
        let behind = self.busy.remove(&key).map(|busy| busy.queue).unwrap_or_default();
        self.lighten(behind.iter().map(Waiting::weight).sum());
    }

    /// The runtime stops: a record and those behind it are left to the next start.
    fn leave(&mut self, key: &Key, weight: usize) {
        self.lighten(weight);
        let Some(busy) = self.busy.get_mut(key) else { return };
        busy.left = true;
        let behind = std::mem::take(&mut busy.queue);
        self.lighten(behind.iter().map(Waiting::weight).sum());
    }

    /// Counts events whose handlers have run.
    fn finished(&self, events: usize) {
        self.lighten(events);
        self.status().handled.fetch_add(count(events), Ordering::Relaxed);
    }

    fn lighten(&self, weight: usize) {
        self.around.backlog.sub(weight);
    }

    /// Begins to handle a parked entity's records again.
    fn retry(&mut self, key: Key, asker: Asker) {
        match self.parked.begin_retry(&key) {
            Ok(parked) => self.under_way.push(self.phases.clone().find(key, parked, asker)),
            // Who asked may have gone.
            Err(error) => drop(asker.send(Err(error))),
        }
    }

    /// The letter goes in the same write that opens its record again.
    fn retry_found(&mut self, key: &Key, mut positions: Vec<Position>, asker: Asker) {
        let (meanwhile, change) = self.parked.end_retry(key);
        self.group.letters.push(change);
        self.group.retried.push(asker);
        positions.extend(meanwhile);
        positions.sort_unstable();
        positions.dedup();
        // What is beyond is still to be taken in.
        positions.retain(|position| *position <= self.cursor.seen());
        self.around.backlog.add(positions.len());
        let queue = positions.into_iter().map(Waiting::InLog).collect();
        self.busy.insert(key.clone(), Busy { queue, left: false });
        self.next(key);
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).expect("lengths fit")
}
