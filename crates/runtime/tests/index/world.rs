//! A store that fails on demand and an index on top of it.

use std::{
    collections::VecDeque,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use interlock_kernel::{bus::RowChange, ids::Position, time::Time};
use interlock_runtime::{
    index::{Entry, Index, Probe, Shape, Upkeep},
    store::{
        Append, Chunk, Durability, Row, Scan, Span, Store, StoreError, StoreFuture,
        memory::MemoryStore,
    },
};

/// Small enough that a handful of entries makes several groups, runs and levels.
pub const SMALL: Shape = Shape {
    memtable_entries: 4,
    page_entries: 2,
    group_pages: 2,
    fan_out: 2,
    read_ahead_pages: 3,
    sweep_pages: 1,
    runs_max: 8,
};
pub const NAME: &str = "heads";
pub const TABLES: [&str; 3] = ["heads.runs", "heads.groups", "heads.pages"];

/// What becomes of a group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not written, and that is said.
    NotWritten,
    /// It is written, but an error is reported.
    Written,
}

/// A memory store that counts reads, fails on demand, and can lose its newest groups of rows.
pub struct TestStore {
    rows: Mutex<MemoryStore>,
    groups: Mutex<Vec<Vec<RowChange>>>,
    faults: Mutex<VecDeque<Option<Fault>>>,
    row_reads: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl TestStore {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::new(MemoryStore::new()),
            groups: Mutex::new(Vec::new()),
            faults: Mutex::new(VecDeque::new()),
            row_reads: AtomicUsize::new(0),
        })
    }

    /// The next group of rows gets this fault.
    pub fn fail(&self, fault: Fault) {
        self.fail_after(0, fault);
    }

    /// After so many groups of rows, the next one gets this fault.
    pub fn fail_after(&self, writes: usize, fault: Fault) {
        let mut faults = lock(&self.faults);
        faults.extend(std::iter::repeat_n(None, writes));
        faults.push_back(Some(fault));
    }

    /// Plays a restart after a power loss that took the newest `lost` groups of rows.
    pub fn crash(&self, lost: usize) {
        lock(&self.faults).clear();
        let mut groups = lock(&self.groups);
        let kept = groups.len().saturating_sub(lost);
        groups.truncate(kept);
        let rows = MemoryStore::new();
        for group in groups.iter() {
            finish(rows.write_rows(group.clone(), Durability::Lazy)).unwrap();
        }
        *lock(&self.rows) = rows;
    }

    pub fn table(&self, table: &str) -> Vec<Row> {
        finish(self.rows().scan(Scan::table(table))).unwrap()
    }

    pub fn put(&self, table: &str, key: &[u8], value: &[u8]) {
        let (table, key, value) = (table.to_owned(), key.to_vec(), value.to_vec());
        finish(
            self.rows().write_rows(vec![RowChange::Put { table, key, value }], Durability::Lazy),
        )
        .unwrap();
    }

    pub fn delete(&self, table: &str, key: &[u8]) {
        let (table, key) = (table.to_owned(), key.to_vec());
        finish(self.rows().write_rows(vec![RowChange::Delete { table, key }], Durability::Lazy))
            .unwrap();
    }

    pub fn row_reads(&self) -> usize {
        self.row_reads.load(Ordering::Relaxed)
    }

    fn rows(&self) -> MemoryStore {
        lock(&self.rows).clone()
    }
}

impl Store for TestStore {
    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        let fault = lock(&self.faults).pop_front().flatten();
        let error = || Box::pin(async { Err(StoreError::Full("as asked for".into())) });
        if fault == Some(Fault::NotWritten) {
            return error();
        }
        lock(&self.groups).push(changes.clone());
        let write = self.rows().write_rows(changes, durability);
        if fault == Some(Fault::Written) {
            finish(write).unwrap();
            return error();
        }
        write
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.row_reads.fetch_add(1, Ordering::Relaxed);
        self.rows().row(table, key)
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        self.rows().scan(scan)
    }

    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.rows().span()
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        self.rows().append(chunk)
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.rows().settle()
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        self.rows().read(at, bytes_max)
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        self.rows().truncate(below)
    }

    fn close(&self) -> StoreFuture<()> {
        self.rows().close()
    }
}

/// Polls a future at most so often, then drops it.
pub fn poll<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    (0..polls).find_map(|_| match future.as_mut().poll(&mut cx) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

/// Polls a future to its end.
pub fn finish<T>(future: impl Future<Output = T>) -> T {
    poll(future, usize::MAX).expect("nothing here waits for anything outside")
}

pub fn open(store: &Arc<TestStore>) -> Result<Index, StoreError> {
    finish(Index::open_as(store.clone(), NAME, SMALL))
}

/// A hash for a small number, spread like real ones, so that order and number have nothing in common.
pub fn hash(n: u64) -> u128 {
    let mix = |n: u64| {
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    };
    let high = mix((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    u128::from(high) << 64 | u128::from(mix(high))
}

/// The entry of a small number at a position, never due.
pub fn entry(n: u64, position: u64) -> Entry {
    Entry { hash: hash(n), position: Position(position), due: Time::NEVER }
}

/// Inserts entries for these numbers at the positions from `first` on, and commits them.
pub fn fill(index: &mut Index, first: u64, numbers: impl IntoIterator<Item = u64>) {
    let mut position = first;
    for n in numbers {
        index.insert(entry(n, position));
        position += 1;
    }
    index.commit(Position(position));
}

/// Where the index says that a small number is.
pub fn find(index: &Index, n: u64) -> Option<u64> {
    look(index, n).map(|entry| entry.position.0)
}

pub fn look(index: &Index, n: u64) -> Option<Entry> {
    match index.probe(hash(n)) {
        Probe::Absent => None,
        Probe::Here(entry) => Some(entry),
        Probe::Perhaps(lookup) => finish(lookup.run()).unwrap(),
    }
}

/// Flushes what is committed, decided up to `at`.
pub fn flush_at(index: &mut Index, at: u64) -> Result<(), StoreError> {
    let flush = index.freeze(Time(at)).expect("something to flush");
    let flushed = finish(flush.run());
    index.flushed(flushed)
}

pub fn flush(index: &mut Index) {
    flush_at(index, 0).unwrap();
}

pub fn run(index: &mut Index, upkeep: Upkeep) -> Result<(), StoreError> {
    let upkept = finish(upkeep.run());
    index.upkept(upkept)
}

/// Merges and sweeps until there is nothing left to do.
pub fn keep_up(index: &mut Index) {
    while let Some(upkeep) = index.upkeep() {
        run(index, upkeep).unwrap();
    }
}
