//! An index over the log: where the newest record of a hash is, and when it is due.
//!
//! Two indexes are kept of this kind: **heads**, from an entity to its newest record, and **ids**, from a
//! command id to the record that answers it. Both are projections: whatever is lost is read from the log
//! again, from [`Index::covered`] on.
//!
//! Hashes come in random order, at the pace of the commits, over millions of entities. A B-tree pays for that
//! with a random page per write. So this is a log-structured merge tree (O'Neil et al., "The Log-Structured
//! Merge-Tree", 1996):
//!
//! ```text
//!  insert ──► memtable ──► frozen memtable ──► run ─┐
//!             newest, can     being written    run ─┼─► run (a level up) ──► …
//!             be retracted    by a Flush       run ─┘    merged by an Upkeep
//! ```
//!
//! A run is sorted, immutable, and stored as rows; a filter in memory tells which runs are worth asking.
//! The newest version of a hash wins, which is the first one found on the way from left to right.
//!
//! Invariants:
//! - Only committed entries are frozen; an entry that is not committed is in the memtable, and the version
//!   below it is not forgotten before the commit.
//! - The manifest is changed in one group of rows: a crash leaves the old set of runs or the new one.
//! - A run's pages are deleted only after the run left the manifest and the last lookup let go of it.
//!
//! The index never waits: it belongs to the engine's task. What must read or write is handed out as a future
//! that owns what it needs ([`Lookup`], [`Flush`], [`Upkeep`], [`DueScan`]), and its result is handed back.
//!
//! Deliberately not here: pausing writers ([`Index::is_behind`] only says when), retrying, the decision what
//! is expired or forgotten, and any order of entries that callers could rely on.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Weak},
};

use interlock_kernel::{bus::RowChange, ids::Position, time::Time};

use crate::store::{Store, StoreError};

mod filter;
mod flush;
mod lookup;
mod memtable;
mod merge;
mod page;
mod run;
mod shape;
mod tables;
mod upkeep;
mod writer;

use self::{
    filter::Needle,
    memtable::{Memtable, Slots},
    merge::Merged,
    run::{Run, RunRow},
    tables::{RunId, Tables},
    upkeep::{Change, Merge, Sweep, Task, next_merge},
};
pub use self::{
    flush::{Flush, Flushed},
    lookup::Lookup,
    merge::DueScan,
    shape::Shape,
    upkeep::{Upkeep, Upkept},
};

/// Where the newest record of a hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Of an entity's name, or of a command id with its scope. Spread evenly; the pages are sorted by it.
    pub hash: u128,
    /// The record.
    pub position: Position,
    /// When the entity wants to be woken; [`Time::NEVER`]: not at all.
    pub due: Time,
}

impl Entry {
    /// Whether it says that the hash was forgotten.
    fn is_tombstone(&self) -> bool {
        self.position == Position(0)
    }
}

/// What the memory says about a hash.
pub enum Probe {
    /// The index certainly has no entry.
    Absent,
    /// This is the newest entry.
    Here(Entry),
    /// A run may have an entry; this asks.
    Perhaps(Lookup),
}

/// Sizes of an index, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Entries in memory: of the memtable and the frozen one.
    pub memtable_entries: usize,
    /// How many runs there are.
    pub runs: usize,
    /// Entries in runs; a hash counts once per run that has it.
    pub run_entries: u64,
    /// Bytes in memory for the runs' filters and fences.
    pub run_bytes: usize,
}

/// A frozen memtable, until its run is there.
struct Frozen {
    slots: Arc<Slots>,
    id: RunId,
    row: RunRow,
    /// Whether a [`Flush`] of it is under way.
    is_flushing: bool,
}

/// An index, owned by the engine.
pub struct Index {
    tables: Arc<Tables>,
    shape: Shape,
    memtable: Memtable,
    frozen: Option<Frozen>,
    /// Newest first.
    runs: Vec<Arc<Run>>,
    /// Runs that left the manifest, or never got there, and whose pages are still stored.
    retired: Vec<(RunId, Weak<Run>)>,
    /// Whether an [`Upkeep`] is under way.
    is_kept_up: bool,
    next_id: RunId,
}

impl Index {
    /// Opens the index of this name, or begins it, and sweeps what a crash left behind.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Newer`]; [`StoreError::Damaged`], then [`Index::reset`] helps.
    pub async fn open(store: Arc<dyn Store>, name: &'static str) -> Result<Self, StoreError> {
        Self::open_as(store, name, Shape::default()).await
    }

    /// Like [`Index::open`], with other sizes than the usual.
    pub async fn open_as(
        store: Arc<dyn Store>,
        name: &'static str,
        shape: Shape,
    ) -> Result<Self, StoreError> {
        shape.check();
        let tables = Arc::new(Tables::new(store, name));
        let runs = Run::load_all(&tables).await?;
        let ids: BTreeSet<RunId> = runs.iter().map(|run| run.id).collect();
        tables.sweep_others(&ids, shape.sweep_pages).await?;
        let covered = runs.first().map_or(Position(0), |run| run.row.end);
        Ok(Self {
            tables,
            shape,
            memtable: Memtable::new(covered),
            frozen: None,
            runs,
            retired: Vec::new(),
            is_kept_up: false,
            next_id: ids.last().map_or(RunId(1), |last| last.next()),
        })
    }

    /// Drops all runs of the index of this name. Opened again it is empty, covers nothing, and is to be
    /// filled from the log. No other `Index` of this name may be in use.
    pub async fn reset(store: &Arc<dyn Store>, name: &'static str) -> Result<(), StoreError> {
        let tables = Tables::new(store.clone(), name);
        let keys = tables.manifest().await?.into_iter().map(|(key, _)| key);
        let delete = |key| RowChange::Delete { table: tables.runs.clone(), key };
        tables.write(keys.map(delete).collect()).await
    }

    /// Every record below is covered by the runs. After [`Index::open`], the records from here on are to be
    /// inserted; earlier ones must not be.
    ///
    /// Runs are written lazily: after a power loss this may be an earlier position than was seen before.
    #[must_use]
    pub fn covered(&self) -> Position {
        self.runs.first().map_or(Position(0), |run| run.row.end)
    }

    /// Takes in an entry, which becomes the newest of its hash.
    ///
    /// # Panics
    /// When its position is not beyond all that were inserted and not retracted, and all committed ones.
    pub fn insert(&mut self, entry: Entry) {
        self.memtable.insert(entry);
    }

    /// The entries below `end` are committed and can no longer be retracted.
    pub fn commit(&mut self, end: Position) {
        self.memtable.commit(end);
    }

    /// Forgets the entries at or beyond `from`: their commit was refused. Older versions of the same hashes
    /// are back.
    ///
    /// # Panics
    /// When `from` is committed.
    pub fn retract(&mut self, from: Position) {
        self.memtable.retract(from);
    }

    /// Forgets a hash whose newest entry is at `position`, as probe and lookup said; does nothing if a newer
    /// one was inserted since. After a crash the entry may be back.
    ///
    /// # Panics
    /// When `position` is not committed.
    pub fn forget(&mut self, hash: u128, position: Position) {
        assert!(position < self.memtable.committed(), "{position} is not committed");
        let newest = self.in_memory(hash);
        if newest.is_none_or(|entry| entry.position == position) {
            self.memtable.bury(hash);
        }
    }

    /// What is known of a hash without reading.
    #[must_use]
    pub fn probe(&self, hash: u128) -> Probe {
        match self.in_memory(hash) {
            Some(entry) if entry.is_tombstone() => return Probe::Absent,
            Some(entry) => return Probe::Here(entry),
            None => {}
        }
        let needle = Needle::of(hash);
        let candidate = |run: &Arc<Run>| Some((run.clone(), run.page_for(hash, &needle)?));
        let candidates: Vec<(Arc<Run>, u32)> = self.runs.iter().filter_map(candidate).collect();
        if candidates.is_empty() {
            return Probe::Absent;
        }
        Probe::Perhaps(Lookup { tables: self.tables.clone(), hash, candidates })
    }

    fn in_memory(&self, hash: u128) -> Option<Entry> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.slots.get(&hash).copied());
        self.memtable.get(hash).or_else(frozen).map(|slot| slot.entry(hash))
    }

    /// Whether it is time for [`Index::freeze`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.memtable.len() >= self.shape.memtable_entries
    }

    /// Whether flushes or merges have fallen behind so far that no new work should be taken until they
    /// have caught up.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.memtable.len() >= 2 * self.shape.memtable_entries
            || self.runs.len() >= self.shape.runs_max
    }

    /// Freezes what is committed, and hands out the work of writing it. `None`: a flush is under way, or
    /// nothing was committed since the last one. `newest_at`: when the newest committed record was decided.
    ///
    /// After a failed flush this hands out the same work again.
    pub fn freeze(&mut self, newest_at: Time) -> Option<Flush> {
        if self.frozen.is_none() {
            self.frozen = self.take_committed(newest_at);
        }
        let frozen = self.frozen.as_mut()?;
        if mem::replace(&mut frozen.is_flushing, true) {
            return None;
        }
        Some(Flush {
            tables: self.tables.clone(),
            shape: self.shape,
            slots: frozen.slots.clone(),
            id: frozen.id,
            row: frozen.row,
        })
    }

    fn take_committed(&mut self, newest_at: Time) -> Option<Frozen> {
        let end = self.memtable.committed();
        let slots = self.memtable.split();
        // Without entries it may still be worth a run: one that says how far the index has come.
        if slots.is_empty() && end == self.covered() {
            return None;
        }
        let id = self.take_id();
        let row = RunRow::empty(id, 0, newest_at, end);
        Some(Frozen { slots: Arc::new(slots), id, row, is_flushing: false })
    }

    /// Takes back the outcome of a flush.
    ///
    /// # Errors
    /// Why it failed. Nothing is lost: the entries are still in memory, [`Index::freeze`] tries again.
    pub fn flushed(&mut self, done: Flushed) -> Result<(), StoreError> {
        let frozen = self.frozen.as_mut().expect("only a frozen memtable is flushed");
        frozen.is_flushing = false;
        let run = done.0?;
        assert_eq!(run.id, frozen.id, "a flush of another index");
        self.runs.insert(0, Arc::new(run));
        self.frozen = None;
        Ok(())
    }

    /// The next upkeep worth doing: a sweep, or a merge. `None`: nothing is, or upkeep is under way.
    pub fn upkeep(&mut self) -> Option<Upkeep> {
        let unread = self.retired.iter().filter(|(_, run)| run.strong_count() == 0);
        let unused: Vec<RunId> = unread.map(|(id, _)| *id).collect();
        if !unused.is_empty() {
            let used = self.runs.iter().map(|run| (run.id, run.row)).collect();
            return self.begin(|_| Task::Sweep(Sweep { unused, used }));
        }
        let rows: Vec<RunRow> = self.runs.iter().map(|run| run.row).collect();
        let (range, level) = next_merge(&rows, self.shape.fan_out)?;
        self.begin(|index| {
            let newest = rows[range.start];
            Task::Merge(Merge {
                to_the_bottom: range.end == rows.len(),
                inputs: index.runs[range].to_vec(),
                id: index.take_id(),
                row: RunRow::empty(newest.generation, level, newest.newest_at, newest.end),
            })
        })
    }

    /// Drops the runs whose newest record was decided before `decided` and stands below `below`, but never
    /// the newest run, which says how far the index has come. `None`: there are none, or upkeep is under way.
    ///
    /// An entry lives at least as long as asked for, and longer by the time that its run spans: about as
    /// long again if runs are expired steadily, because a merge needs several runs that are still alive.
    pub fn expire(&mut self, decided: Time, below: Position) -> Option<Upkeep> {
        let is_old = |run: &&Arc<Run>| run.row.newest_at < decided && run.row.end <= below;
        let old = self.runs.iter().skip(1).rev().take_while(is_old);
        let old: Vec<RunId> = old.map(|run| run.id).collect();
        if old.is_empty() {
            return None;
        }
        self.begin(|_| Task::Expire(old))
    }

    fn begin(&mut self, task: impl FnOnce(&mut Self) -> Task) -> Option<Upkeep> {
        if mem::replace(&mut self.is_kept_up, true) {
            return None;
        }
        Some(Upkeep { tables: self.tables.clone(), shape: self.shape, task: task(self) })
    }

    /// Takes back the outcome of upkeep.
    ///
    /// # Errors
    /// Why it failed. The index is as before; [`Index::upkeep`] tries again.
    pub fn upkept(&mut self, done: Upkept) -> Result<(), StoreError> {
        assert!(mem::replace(&mut self.is_kept_up, false), "upkeep of another index");
        match done.0 {
            Ok(Change::Replaced { old, new }) => self.replace(&old, new),
            Ok(Change::Swept(swept)) => self.retired.retain(|(id, _)| !swept.contains(id)),
            Err(failure) => {
                self.retired.extend(failure.leftover.map(|run| (run, Weak::new())));
                return Err(failure.error);
            }
        }
        Ok(())
    }

    /// Puts a run in the place of others, which follow each other.
    fn replace(&mut self, old: &[RunId], new: Option<Run>) {
        let is_old = |run: &Arc<Run>| old.contains(&run.id);
        let place =
            self.runs.iter().position(is_old).expect("runs stay until their upkeep is done");
        let retired = self.runs.extract_if(.., |run| is_old(run));
        self.retired.extend(retired.map(|run| (run.id, Arc::downgrade(&run))));
        if let Some(new) = new {
            self.runs.insert(place, Arc::new(new));
        }
    }

    /// A walk over all entries in runs that are due some day; see [`DueScan`].
    #[must_use]
    pub fn due_entries(&self) -> DueScan {
        DueScan::new(Merged::new(self.tables.clone(), &self.shape, &self.runs))
    }

    /// Whether nothing was ever flushed.
    #[must_use]
    pub fn has_no_runs(&self) -> bool {
        self.runs.is_empty()
    }

    /// Sizes, for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            memtable_entries: self.memtable.len()
                + self.frozen.as_ref().map_or(0, |frozen| frozen.slots.len()),
            runs: self.runs.len(),
            run_entries: self.runs.iter().map(|run| run.row.entries).sum(),
            run_bytes: self.runs.iter().map(|run| run.bytes()).sum(),
        }
    }

    fn take_id(&mut self) -> RunId {
        let id = self.next_id;
        self.next_id = id.next();
        id
    }
}
