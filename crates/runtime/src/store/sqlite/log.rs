//! The log's writer: the writing connection to `log.sqlite`, and a thread that works on it.
//!
//! One row of one append-only table is one chunk is one commit. An append whose `COMMIT` failed in doubt
//! stops all further ones until [`Job::Settle`] opened the file afresh and read where the log ends.
//!
//! A small chunk after a small one is appended on its caller's own thread while commits are quick: to wake two threads in turn takes about as long as a commit on a fast disk. On a slow one, nobody
//! but the writer's thread ever waits for it more than once in a row.
//!
//! A truncation is done in steps of a few chunks between the appends, so that none waits for it long. The
//! freed pages are used again by later chunks; the file does not shrink.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

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
    /// How large the last append was, in bytes.
    last_bytes: usize,
    /// How long it took.
    last_append: Duration,
}

#[derive(Debug)]
struct Truncation {
    below: Position,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

/// The thread's work, until the queue ends. The log is at hand for [`Log::append_at_once`] whenever the thread
/// has nothing to do.
pub(super) fn run(log: &Mutex<Option<Log>>, jobs: &Queue<Job>) {
    let lock = || log.lock().expect("no code panics while it holds the lock");
    loop {
        // Out of a truncation's steps, or, while there is none, as soon as somebody asks.
        let job = lock().as_mut().and_then(|log| log.truncate_until_asked(jobs));
        match job.map_or_else(|| jobs.pop(), Next::Job) {
            Next::Job(job) => {
                if let Some(log) = lock().as_mut() {
                    log.work(job);
                }
            }
            Next::End(ending) => {
                if let Some(log) = lock().take() {
                    log.end(ending);
                }
                return;
            }
        }
    }
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
            last_bytes: 0,
            last_append: Duration::ZERO,
        })
    }

    /// What the log holds, kept up to date by the thread.
    pub(super) fn shared_span(&self) -> Arc<Mutex<Span>> {
        Arc::clone(&self.span)
    }

    /// Appends a small chunk on the caller's thread, if that is not expected to take long. `None`: it is for
    /// the writer's thread.
    pub(super) fn append_at_once(&mut self, chunk: &Chunk) -> Option<Append> {
        let is_small = |bytes| bytes < limits::SMALL_CHUNK_BYTES;
        let is_quick = self.last_append < limits::QUICK_APPEND
            && is_small(chunk.bytes.len())
            // Otherwise others are at work, who would wait for this thread.
            && is_small(self.last_bytes)
            && self.truncation.is_none()
            && self.writer.is_some()
            && !self.checkpoints.is_due();
        is_quick.then(|| self.append_timed(chunk))
    }

    /// Goes on with a truncation, if one is under way, until there is a job.
    fn truncate_until_asked(&mut self, jobs: &Queue<Job>) -> Option<Job> {
        while self.truncation.is_some() {
            if let Some(job) = jobs.try_pop() {
                return Some(job);
            }
            self.truncate_on();
            self.checkpoints.after_commit();
        }
        None
    }

    /// Does a job of the thread's. What is left of a truncation is for [`Log::truncate_on`].
    fn work(&mut self, job: Job) {
        match job {
            // Whoever no longer listens to an answer does not need it.
            Job::Append(chunk, reply) => {
                let _ = reply.send(self.append_timed(&chunk));
                self.checkpoints.after_commit();
            }
            Job::Settle(reply) => {
                let _ = reply.send(self.settle());
            }
            Job::Truncate(below, reply) => self.begin_truncation(below, reply),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a real disk's time; simulated worlds have other stores"
    )]
    fn append_timed(&mut self, chunk: &Chunk) -> Append {
        let began = Instant::now();
        let outcome = self.append(chunk);
        self.note(chunk.bytes.len(), began.elapsed());
        outcome
    }

    /// Notes how large the last append was, and how long it took.
    pub(super) fn note(&mut self, bytes: usize, span: Duration) {
        (self.last_bytes, self.last_append) = (bytes, span);
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
