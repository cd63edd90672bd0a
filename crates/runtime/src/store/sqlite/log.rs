//! The log's writer: a thread that owns the writing connection to `log.sqlite`.
//!
//! One row of one append-only table is one chunk is one commit. An append whose `COMMIT` failed in doubt
//! stops all further ones until [`Job::Settle`] opened the file afresh and read where the log ends.
//!
//! A truncation is done in steps of a few chunks between the appends, so that none waits for it long. The
//! freed pages are used again by later chunks; the file does not shrink.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use interlock_kernel::ids::Position;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::oneshot;

use super::{
    checkpoint::Checkpoints,
    database::{Database, Layout},
    failure::{Failure, store_error, transaction},
    limits,
    queue::{Ending, Next, Queue},
};
use crate::store::{Append, Chunk, Span, StoreError, check_next, unsettled};

pub(super) const LAYOUT: Layout = Layout {
    file: "log.sqlite",
    format: 1,
    tables:
        "CREATE TABLE log(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes BLOB NOT NULL);
             INSERT INTO meta VALUES ('base', 1);",
    synchronous: "FULL",
    cache_kib: 2_048,
};

const INSERT: &str = "INSERT INTO log VALUES (?1, ?2, ?3)";
const OLDEST: &str = "SELECT first, count, length(bytes) FROM log ORDER BY first LIMIT 1";
const NEWEST: &str = "SELECT first, count, length(bytes) FROM log ORDER BY first DESC LIMIT 1";
const DELETE: &str = "DELETE FROM log WHERE first = ?1";
/// Where a log begins that has no chunks.
const BASE: &str = "SELECT value FROM meta WHERE name = 'base'";
const SET_BASE: &str = "UPDATE meta SET value = ?1 WHERE name = 'base'";
/// The chunk that may hold a position, and all after it.
const READ: &str = "SELECT first, count, bytes FROM log
    WHERE first >= (SELECT max(first) FROM log WHERE first <= ?1) ORDER BY first";

/// What the writer can be asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Append(Chunk, oneshot::Sender<Append>),
    Settle(oneshot::Sender<Result<Span, StoreError>>),
    Truncate(Position, oneshot::Sender<Result<(), StoreError>>),
}

/// The writer's side of the log.
#[derive(Debug)]
pub(super) struct Log {
    database: Arc<Database>,
    /// `None` after a failure in doubt: to be opened afresh.
    writer: Option<Connection>,
    checkpoints: Checkpoints,
    span: Arc<Mutex<Span>>,
    unsettled: bool,
    truncation: Option<Truncation>,
}

#[derive(Debug)]
struct Truncation {
    below: Position,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Log {
    pub(super) fn open(database: Arc<Database>, frames_max: u32) -> Result<Self, StoreError> {
        let writer = database.open_afresh()?;
        let span = read_span(&writer).map_err(|error| store_error(&database.path, &error))?;
        let checkpoints = Checkpoints::start(Arc::clone(&database), frames_max)?;
        Ok(Self {
            database,
            writer: Some(writer),
            checkpoints,
            span: Arc::new(Mutex::new(span)),
            unsettled: false,
            truncation: None,
        })
    }

    /// What the log holds, kept up to date by the thread.
    pub(super) fn shared_span(&self) -> Arc<Mutex<Span>> {
        Arc::clone(&self.span)
    }

    /// The thread's work, until the queue ends.
    pub(super) fn run(mut self, jobs: &Queue<Job>) {
        loop {
            match self.next(jobs) {
                // Whoever no longer listens to an answer does not need it.
                Next::Job(Job::Append(chunk, reply)) => {
                    let _ = reply.send(self.append(&chunk));
                    self.checkpoints.after_commit();
                }
                Next::Job(Job::Settle(reply)) => {
                    let _ = reply.send(self.settle());
                }
                Next::Job(Job::Truncate(below, reply)) => self.begin_truncation(below, reply),
                Next::End(ending) => return self.end(ending),
            }
        }
    }

    /// The next job; what is left of a truncation goes in while there is none.
    fn next(&mut self, jobs: &Queue<Job>) -> Next<Job> {
        while self.truncation.is_some() {
            if let Some(job) = jobs.try_pop() {
                return Next::Job(job);
            }
            self.truncate_on();
            self.checkpoints.after_commit();
        }
        jobs.pop()
    }

    fn append(&mut self, chunk: &Chunk) -> Append {
        let end = self.span().end;
        if let Err(error) = check_next(chunk, end, self.unsettled) {
            return Append::Refused(error);
        }
        let Ok(first) = i64::try_from(chunk.first.0) else {
            return Append::Refused(StoreError::Failed(format!("no such position: {end}")));
        };
        if let Err(error) = self.be_ready() {
            return Append::Refused(error);
        }
        match self.transaction(|writer| {
            writer.prepare_cached(INSERT)?.execute(params![first, chunk.count, &*chunk.bytes])
        }) {
            Ok(_) => {
                self.lock_span().end = chunk.end();
                Append::Done
            }
            Err(Failure::Refused(error)) => Append::Refused(error),
            Err(Failure::Unknown(error)) => {
                self.unsettled = true;
                Append::Unknown(error)
            }
        }
    }

    fn settle(&mut self) -> Result<Span, StoreError> {
        if self.unsettled {
            self.writer = None;
            let writer = self.database.open_afresh()?;
            let span = self.read_span(&writer)?;
            self.writer = Some(writer);
            *self.lock_span() = span;
            self.unsettled = false;
        }
        Ok(self.span())
    }

    /// Makes sure that there is a connection without doubts, and that the log is as it was.
    fn be_ready(&mut self) -> Result<(), StoreError> {
        if self.writer.is_some() && !self.database.is_in_doubt() {
            return Ok(());
        }
        self.writer = None;
        let writer = self.database.open_afresh()?;
        let found = self.read_span(&writer)?;
        let mut span = self.lock_span();
        if found.end != span.end {
            return Err(StoreError::Damaged(format!(
                "{}: the log ends at {} instead of {}",
                self.database.path.display(),
                found.end,
                span.end
            )));
        }
        *span = found;
        drop(span);
        self.writer = Some(writer);
        Ok(())
    }

    fn begin_truncation(
        &mut self,
        below: Position,
        reply: oneshot::Sender<Result<(), StoreError>>,
    ) {
        if self.truncation.is_some() {
            let _ = reply.send(Err(StoreError::Failed("another truncation is under way".into())));
        } else {
            self.truncation = Some(Truncation { below, reply });
        }
    }

    /// Drops a few chunks, or ends the truncation.
    fn truncate_on(&mut self) {
        let Some(Truncation { below, reply }) = self.truncation.take() else { return };
        match self.truncate_step(below) {
            Ok(true) => self.truncation = Some(Truncation { below, reply }),
            Ok(false) => {
                let _ = reply.send(Ok(()));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Says whether more is to be done.
    fn truncate_step(&mut self, below: Position) -> Result<bool, StoreError> {
        if self.unsettled {
            return Err(unsettled());
        }
        self.be_ready()?;
        let dropped = self.transaction(|writer| {
            let mut first_kept = None;
            let mut bytes_dropped = 0;
            while let Some(oldest) = read_extent(writer, OLDEST)?
                && oldest.end <= below
                && bytes_dropped < limits::TRUNCATE_STEP_BYTES
            {
                writer.prepare_cached(DELETE)?.execute([number(oldest.first)])?;
                first_kept = Some(oldest.end);
                bytes_dropped += oldest.bytes.max(limits::PAGE_BYTES);
            }
            if let Some(first_kept) = first_kept {
                writer.prepare_cached(SET_BASE)?.execute([number(first_kept)])?;
            }
            Ok(first_kept)
        });
        match dropped.map_err(Failure::into_error)? {
            Some(first_kept) => {
                self.lock_span().first = first_kept;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// A transaction on the writing connection, which is let go if the outcome is unknown.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let writer = self.writer.as_ref().expect("the caller made sure that there is one");
        let done = transaction(writer, &self.database.path, work);
        if let Err(Failure::Unknown(_)) = done {
            self.database.doubt();
            self.writer = None;
        }
        done
    }

    fn end(self, ending: Ending) {
        let Self { database, writer, checkpoints, .. } = self;
        drop(checkpoints);
        match (ending, writer) {
            (Ending::Tidy, Some(writer)) => database.close(writer),
            (Ending::Tidy, None) | (Ending::Abrupt, _) => {}
        }
    }

    fn read_span(&self, writer: &Connection) -> Result<Span, StoreError> {
        read_span(writer).map_err(|error| store_error(&self.database.path, &error))
    }

    fn span(&self) -> Span {
        *self.lock_span()
    }

    fn lock_span(&self) -> MutexGuard<'_, Span> {
        self.span.lock().expect("no code panics while it holds the lock")
    }
}

/// Reads the chunk that holds `at` and those after it; see the trait.
pub(super) fn read(
    connection: &Connection,
    at: Position,
    bytes_max: usize,
) -> rusqlite::Result<Vec<Chunk>> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut bytes_total = 0;
    let mut statement = connection.prepare_cached(READ)?;
    let mut rows = statement.query([number(at)])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(2)?.as_blob()?;
        bytes_total += bytes.len();
        if !chunks.is_empty() && bytes_total > bytes_max {
            break;
        }
        let first = Position(row.get(0)?);
        let chunk = Chunk { first, count: row.get(1)?, bytes: Bytes::copy_from_slice(bytes) };
        if chunks.is_empty() && chunk.end() <= at {
            break;
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}

fn read_span(connection: &Connection) -> rusqlite::Result<Span> {
    let base: u64 = connection.query_row(BASE, [], |row| row.get(0))?;
    let base = Position(base);
    let first = read_extent(connection, OLDEST)?.map_or(base, |oldest| oldest.first);
    let end = read_extent(connection, NEWEST)?.map_or(base, |newest| newest.end);
    Ok(Span { first, end })
}

/// Where a chunk begins and ends, and how large it is.
struct Extent {
    first: Position,
    end: Position,
    bytes: u64,
}

/// The extent of the one chunk that a query finds.
fn read_extent(connection: &Connection, sql: &str) -> rusqlite::Result<Option<Extent>> {
    connection
        .prepare_cached(sql)?
        .query_row([], |row| {
            let (first, count): (u64, u32) = (row.get(0)?, row.get(1)?);
            let end = Position(first + u64::from(count));
            Ok(Extent { first: Position(first), end, bytes: row.get(2)? })
        })
        .optional()
}

/// A position as SQLite stores it. One beyond the largest is nowhere in the log, as the largest is.
fn number(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}
