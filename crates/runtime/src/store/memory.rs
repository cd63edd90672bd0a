//! A store in memory, for tests, audits and entities that may be forgotten.
//!
//! A [`MemoryStore`] is a handle; what it remembers lives as long as any handle does. So a restart is
//! played by dropping the runtime and giving a handle from [`MemoryStore::reopen`] to the next one, and a
//! failure by [`MemoryStore::fail_next_append`].
//!
//! Invariants: every call does its work at once, and its future is ready; a handle that was closed, or that came before a `reopen`, can no longer read or write, as a dead process cannot.
//!
//! It keeps everything it is given until it is told to drop it; the bounds are the caller's.

use std::{
    collections::{BTreeMap, VecDeque},
    future,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use interlock_kernel::{bus::RowChange, ids::Position};

use super::{
    Append, Chunk, Direction, Durability, Row, Scan, Span, Store, StoreError, StoreFuture,
    check_next, closed, unsettled,
};

/// A handle to a store in memory. A clone is the same handle.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    memory: Arc<Mutex<Memory>>,
    /// Which opening this handle belongs to; a lower one than the memory's is closed.
    opening: u64,
}

/// How an append is to fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendFault {
    /// As [`Append::Refused`].
    Refused(StoreError),
    /// As [`Append::Unknown`], and the chunk turns out to be there.
    UnknownWritten(StoreError),
    /// As [`Append::Unknown`], and the chunk turns out to be lost.
    UnknownLost(StoreError),
}

type Table = BTreeMap<Vec<u8>, Bytes>;

#[derive(Debug)]
struct Memory {
    opening: u64,
    chunks: VecDeque<Chunk>,
    end: Position,
    unsettled: bool,
    tables: BTreeMap<String, Table>,
    append_faults: VecDeque<AppendFault>,
    settle_faults: VecDeque<StoreError>,
    row_faults: VecDeque<StoreError>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let memory = Memory {
            opening: 0,
            chunks: VecDeque::new(),
            end: Position(1),
            unsettled: false,
            tables: BTreeMap::new(),
            append_faults: VecDeque::new(),
            settle_faults: VecDeque::new(),
            row_faults: VecDeque::new(),
        };
        Self { memory: Arc::new(Mutex::new(memory)), opening: 0 }
    }

    /// What a restarted process would open: the same memory, whatever became of the handles before,
    /// which are closed now.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let mut memory = self.lock();
        memory.opening += 1;
        memory.unsettled = false;
        Self { memory: Arc::clone(&self.memory), opening: memory.opening }
    }

    /// Makes the next append that would succeed fail; several calls line up.
    pub fn fail_next_append(&self, fault: AppendFault) {
        self.lock().append_faults.push_back(fault);
    }

    /// Makes the next settling fail; several calls line up.
    pub fn fail_next_settle(&self, error: StoreError) {
        self.lock().settle_faults.push_back(error);
    }

    /// Makes the next group of rows fail, unwritten; several calls line up.
    pub fn fail_next_rows(&self, error: StoreError) {
        self.lock().row_faults.push_back(error);
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no code panics while it holds the lock")
    }

    /// Does the work, unless this handle is closed.
    fn now<T>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut memory = self.lock();
        if memory.opening == self.opening { work(&mut memory) } else { Err(closed()) }
    }
}

impl Store for MemoryStore {
    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        ready(self.now(|memory| Ok(memory.span())))
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        ready(self.now(|memory| Ok(memory.append(chunk))).unwrap_or_else(Append::Refused))
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        ready(self.now(|memory| match memory.settle_faults.pop_front() {
            Some(error) => Err(error),
            None => {
                memory.unsettled = false;
                Ok(memory.span())
            }
        }))
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        ready(self.now(|memory| Ok(memory.read(at, bytes_max))))
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        ready(self.now(|memory| {
            if memory.unsettled {
                return Err(unsettled());
            }
            while memory.chunks.front().is_some_and(|chunk| chunk.end() <= below) {
                memory.chunks.pop_front();
            }
            Ok(())
        }))
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        _durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        ready(self.now(|memory| match memory.row_faults.pop_front() {
            Some(error) => Err(error),
            None => {
                changes.into_iter().for_each(|change| memory.apply(change));
                Ok(())
            }
        }))
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        ready(
            self.now(|memory| Ok(memory.tables.get(table).and_then(|rows| rows.get(key)).cloned())),
        )
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        ready(self.now(|memory| Ok(memory.scan(&scan))))
    }

    fn close(&self) -> StoreFuture<()> {
        let mut memory = self.lock();
        if memory.opening == self.opening {
            memory.opening += 1;
        }
        ready(())
    }
}

fn ready<T: Send + 'static>(value: T) -> StoreFuture<T> {
    Box::pin(future::ready(value))
}

impl Memory {
    fn span(&self) -> Span {
        Span { first: self.chunks.front().map_or(self.end, |chunk| chunk.first), end: self.end }
    }

    fn append(&mut self, chunk: Chunk) -> Append {
        if let Err(error) = check_next(&chunk, self.end, self.unsettled) {
            return Append::Refused(error);
        }
        match self.append_faults.pop_front() {
            None => {
                self.push(chunk);
                Append::Done
            }
            Some(AppendFault::Refused(error)) => Append::Refused(error),
            Some(AppendFault::UnknownWritten(error)) => {
                self.push(chunk);
                self.unsettled = true;
                Append::Unknown(error)
            }
            Some(AppendFault::UnknownLost(error)) => {
                self.unsettled = true;
                Append::Unknown(error)
            }
        }
    }

    fn push(&mut self, chunk: Chunk) {
        self.end = chunk.end();
        self.chunks.push_back(chunk);
    }

    fn read(&self, at: Position, bytes_max: usize) -> Vec<Chunk> {
        let start = self.chunks.partition_point(|chunk| chunk.end() <= at);
        let mut found: Vec<Chunk> = Vec::new();
        let mut bytes = 0;
        for chunk in self.chunks.range(start..) {
            bytes += chunk.bytes.len();
            let begins_too_late = found.is_empty() && chunk.first > at;
            let is_too_much = !found.is_empty() && bytes > bytes_max;
            if begins_too_late || is_too_much {
                break;
            }
            found.push(chunk.clone());
        }
        found
    }

    fn apply(&mut self, change: RowChange) {
        match change {
            RowChange::Put { table, key, value } => {
                let value = Bytes::from(value);
                // Not the entry API: it would allocate the name anew for a table that is there.
                match self.tables.get_mut(&table) {
                    Some(rows) => rows.insert(key, value),
                    None => self.tables.entry(table).or_default().insert(key, value),
                };
            }
            RowChange::Delete { table, key } => {
                if let Some(rows) = self.tables.get_mut(&table) {
                    rows.remove(&key);
                }
            }
            RowChange::DeleteRange { table, from, to } => {
                if let Some(rows) = self.tables.get_mut(&table)
                    && from < to
                {
                    rows.extract_if(from..to, |_, _| true).for_each(drop);
                }
            }
        }
    }

    fn scan(&self, scan: &Scan) -> Vec<Row> {
        let Some(rows) = self.tables.get(&scan.table) else { return Vec::new() };
        if scan.to.as_ref().is_some_and(|to| *to <= scan.from) {
            return Vec::new();
        }
        let to = scan.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = rows.range::<[u8], _>((Bound::Included(scan.from.as_slice()), to));
        let row = |(key, value): (&Vec<u8>, &Bytes)| (key.clone(), value.clone());
        match scan.direction {
            Direction::Up => range.map(row).take(scan.limit).collect(),
            Direction::Down => range.rev().map(row).take(scan.limit).collect(),
        }
    }
}
