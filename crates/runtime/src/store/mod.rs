//! What the runtime needs of a place that remembers.
//!
//! A store has two faces:
//!
//! - **the log**, the authority: chunks of records, one per commit, appended in the order of their
//!   positions, without gaps. A chunk is durable when its append is [`Append::Done`], and is never half
//!   there.
//! - **rows**, ordered tables of bytes for everything that can be made again from the log: indexes,
//!   cursors, query tables, dead letters. A group of changes is written whole or not at all; after a crash
//!   the rows may be older than the log, never newer than what was synced of it and never mixed.
//!
//! Both are dumb on purpose: what the bytes mean is known to [`crate::record`] and [`crate::index`] alone,
//! so that every store passes the same conformance suite.
//!
//! All calls are asynchronous and may be made at once; a store runs its own threads where it must block.

use std::{future::Future, io, path::Path, pin::Pin};

use bytes::Bytes;
use interlock_kernel::{bus::RowChange, ids::Position};

#[cfg(all(feature = "faults", unix))]
pub mod faults;
pub mod memory;
pub mod sqlite;

/// A future that a store hands out.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a store could not do. Text for people; the runtime acts on the kind of call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no room left; made room is noticed by itself.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The folder or file cannot be written.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// Another process owns the store.
    #[error("the store is in use: {0}")]
    InUse(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A newer binary wrote it.
    #[error("the store was written by a newer version: {0}")]
    Newer(String),
    /// Anything else that the operating system or the database reported.
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    /// The same failure as the operating system reports it about a file.
    pub(crate) fn of_file(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::Full(text)
        } else if matches!(
            kind,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        ) {
            Self::ReadOnly(text)
        } else {
            Self::Failed(text)
        }
    }
}

/// The records of one commit, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The position of its first record.
    pub first: Position,
    /// How many records it holds, at least one.
    pub count: u32,
    /// The records, encoded.
    pub bytes: Bytes,
}

impl Chunk {
    /// The position after its last record.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.first.0 + u64::from(self.count))
    }
}

/// The three outcomes of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Append {
    /// Durable.
    Done,
    /// Certainly not there; the log is as before and goes on.
    Refused(StoreError),
    /// Nobody can say. No further append is accepted until [`Store::settle`] has found out.
    Unknown(StoreError),
}

/// Which positions the log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The oldest kept; equal to `end` when there is none.
    pub first: Position,
    /// The position that the next record gets; 1 in a new log.
    pub end: Position,
}

/// How much a row write promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Whole and in order; after a power loss the newest groups may be missing.
    Lazy,
    /// Like `Lazy`, and this group and all before it survive a power loss.
    Synced,
}

/// Which end of a range a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Up,
    /// Descending keys.
    Down,
}

/// A range of rows to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The table.
    pub table: String,
    /// First key of the range.
    pub from: Vec<u8>,
    /// First key beyond the range; `None`: to the table's end.
    pub to: Option<Vec<u8>>,
    /// Rows to return at most.
    pub limit: usize,
    /// Where to begin.
    pub direction: Direction,
}

impl Scan {
    /// All rows of a table, ascending.
    #[must_use]
    pub fn table(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            from: Vec::new(),
            to: None,
            limit: usize::MAX,
            direction: Direction::Up,
        }
    }
}

/// A row: key and value.
pub type Row = (Vec<u8>, Bytes);

/// A place that remembers. See the module's text for the promises.
pub trait Store: Send + Sync + 'static {
    /// What the log holds.
    fn span(&self) -> StoreFuture<Result<Span, StoreError>>;

    /// Appends one chunk; `chunk.first` must be the log's end. One append is under way at a time.
    fn append(&self, chunk: Chunk) -> StoreFuture<Append>;

    /// After [`Append::Unknown`]: opens the log afresh, makes durable whatever of it is there, and says
    /// what that is. Appends are accepted again once this succeeded; after an error it is to be called again.
    fn settle(&self) -> StoreFuture<Result<Span, StoreError>>;

    /// The chunk that holds `at` and those after it, up to `bytes_max` bytes in total but at least one
    /// chunk; empty if `at` is not in the log.
    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>>;

    /// Drops all chunks that end at or before `below`. After an error they may be there or not.
    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>>;

    /// Writes a group of row changes, in order. After an error it is written whole or not at all, and nobody can
    /// say which: it may be written again.
    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>>;

    /// Reads one row.
    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>>;

    /// Reads a range of rows.
    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>>;

    /// Finishes what was begun and lets go of files and threads. Later calls fail.
    fn close(&self) -> StoreFuture<()>;
}

/// Refuses a chunk that does not continue the log, or comes while nobody knows how the last one ended.
fn check_next(chunk: &Chunk, end: Position, is_unsettled: bool) -> Result<(), StoreError> {
    if is_unsettled {
        return Err(unsettled());
    }
    if chunk.first != end || chunk.count == 0 {
        return Err(StoreError::Failed(format!(
            "a chunk of {} records at {} does not continue a log that ends at {end}",
            chunk.count, chunk.first
        )));
    }
    Ok(())
}

/// What a store answers that cannot write before it is settled.
fn unsettled() -> StoreError {
    StoreError::Failed("an append is not settled yet".into())
}

/// What a call on a closed store answers.
fn closed() -> StoreError {
    StoreError::Failed("it is closed".into())
}
