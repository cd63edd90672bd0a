//! A store in a data folder: two SQLite databases, `log.sqlite` and `rows.sqlite`.
//!
//! The log commits with an fsync each; the rows, which can be made again from it, without. So they are two
//! files, and neither waits for the other's disk work.
//!
//! Threads (SQLite blocks): one writer per file ([`log`], [`rows`]), one beside each that moves the WAL into
//! the database ([`checkpoint`]), and [`limits::READERS`] readers ([`readers`]). Calls reach them through
//! a bounded [`queue`] each, in the order in which they are made, whenever their futures are polled; but a
//! small append that finds the log's writer idle is done at once, on the caller's thread ([`log`]).
//!
//! Invariants:
//!
//! - An append is acknowledged after its commit was synced, and the three outcomes are told apart as
//!   [`failure`] says. After a doubtful one the files are opened as [`database`] says.
//! - A process that ends in any way leaves files that the next one opens by itself.
//! - Errors that pass (a full disk above all) leave nothing behind that has to be reset.
//!
//! It does not look into the bytes, repair damage, or copy itself elsewhere.

mod checkpoint;
mod database;
mod disk;
mod failure;
mod limits;
mod log;
mod queue;
mod readers;
mod rows;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::{
    fs, future, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use interlock_kernel::{bus::RowChange, ids::Position};
use tokio::sync::oneshot;

pub use self::disk::{Disk, RealDisk};
use self::{
    database::Database,
    log::Log,
    queue::{Ending, Queue},
    readers::Reader,
    rows::Rows,
};
use super::{Append, Chunk, Durability, Row, Scan, Span, Store, StoreError, StoreFuture, closed};
use crate::lock::FolderLock;

/// Where and how to open a store.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The data folder; created if need be.
    pub folder: PathBuf,
    /// What a second process that wants the folder is told about this one: an address, usually.
    pub listening_on: String,
    /// WAL frames of 4 KiB after which a writer waits until they are copied into the database.
    pub wal_frames_max: u32,
    /// The way to the files.
    pub disk: Arc<dyn Disk>,
}

impl SqliteOptions {
    /// The usual ones.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            listening_on: "no address yet".into(),
            wal_frames_max: limits::FRAMES_MAX,
            disk: Arc::new(RealDisk),
        }
    }
}

/// A store in a data folder. Dropping it without [`Store::close`] ends its threads after what they are
/// doing, and leaves the files as a killed process would.
#[derive(Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    span: Arc<Mutex<Span>>,
    log: Arc<Queue<log::Job>>,
    /// Taken by its thread when that ends.
    log_writer: Arc<Mutex<Option<Log>>>,
    rows: Arc<Queue<rows::Group>>,
    readers: Arc<Queue<readers::Job>>,
    /// Taken by whoever closes the store.
    open: Mutex<Option<Open>>,
}

/// What an open store has and a closed one has not. The fields are dropped in their order.
#[derive(Debug)]
struct Open {
    readers: Vec<Worker<readers::Job>>,
    log: Worker<log::Job>,
    rows: Worker<rows::Group>,
    lock: FolderLock,
}

/// A thread that works on what is in its queue. Dropping it ends the queue and waits for the thread.
#[derive(Debug)]
struct Worker<J> {
    queue: Arc<Queue<J>>,
    thread: Option<JoinHandle<()>>,
    /// Resolves when the thread is about to end.
    ended: oneshot::Receiver<()>,
}

impl SqliteStore {
    /// Opens the folder, which no other process may hold. Blocks for as long as it takes to read what a
    /// killed process left in the WAL.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`], [`StoreError::ReadOnly`], [`StoreError::Newer`], [`StoreError::Damaged`],
    /// each with the path.
    pub fn open(options: &SqliteOptions) -> Result<Self, StoreError> {
        let folder = &options.folder;
        fs::create_dir_all(folder).map_err(|error| StoreError::of_file(folder, &error))?;
        let lock = FolderLock::take(folder, &options.listening_on)?;
        let database = |layout| Arc::new(Database::new(folder, layout, Arc::clone(&options.disk)));
        let log_file = database(&log::LAYOUT);
        let rows_file = database(&rows::LAYOUT);
        let log = Log::open(Arc::clone(&log_file), options.wal_frames_max)?;
        let rows = Rows::open(Arc::clone(&rows_file), options.wal_frames_max)?;
        sync_names(folder).map_err(|error| StoreError::of_file(folder, &error))?;

        let inner = Inner {
            span: log.shared_span(),
            log_writer: Arc::new(Mutex::new(Some(log))),
            log: Arc::new(Queue::new(limits::LOG_JOBS_QUEUED)),
            rows: Arc::new(Queue::new(limits::ROW_GROUPS_QUEUED)),
            readers: Arc::new(Queue::new(limits::READS_QUEUED)),
            open: Mutex::new(None),
        };
        let log = Arc::clone(&inner.log_writer);
        let readers = (0..limits::READERS).map(|number| {
            let reader = Reader { number, log: log_file.clone(), rows: rows_file.clone() };
            Worker::start("interlock-reader", &inner.readers, |jobs| reader.run(jobs))
        });
        let open = Open {
            readers: readers.collect::<Result<_, _>>()?,
            log: Worker::start("interlock-log", &inner.log, move |jobs| log::run(&log, jobs))?,
            rows: Worker::start("interlock-rows", &inner.rows, |jobs| rows.run(jobs))?,
            lock,
        };
        *inner.open() = Some(open);
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Changes what a second process that wants the folder is told about this one.
    pub fn announce(&self, listening_on: &str) -> Result<(), StoreError> {
        match &mut *self.inner.open() {
            Some(open) => open.lock.announce(listening_on),
            None => Err(closed()),
        }
    }

    /// Sends a job to a thread and waits for its answer.
    fn ask<J: Send + 'static, T: Send + 'static>(
        queue: &Queue<J>,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> J,
    ) -> StoreFuture<Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let sent = queue.push(job(reply));
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(closed()))
        })
    }
}

impl Store for SqliteStore {
    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        let is_open = self.inner.open().is_some();
        let span = *self.inner.span.lock().expect("no code panics while it holds the lock");
        Box::pin(future::ready(if is_open { Ok(span) } else { Err(closed()) }))
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        if let Some(outcome) = self.inner.append_at_once(&chunk) {
            return Box::pin(future::ready(outcome));
        }
        let (reply, outcome) = oneshot::channel();
        let sent = self.inner.log.push(log::Job::Append(chunk, reply));
        Box::pin(async move {
            match sent {
                // No outcome: the thread ended while it had the chunk.
                Ok(()) => outcome.await.unwrap_or_else(|_| Append::Unknown(closed())),
                Err(error) => Append::Refused(error),
            }
        })
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        Self::ask(&self.inner.log, log::Job::Settle)
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        Self::ask(&self.inner.readers, |reply| readers::Job::Log { at, bytes_max, reply })
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        Self::ask(&self.inner.log, |reply| log::Job::Truncate(below, reply))
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        let group = |reply| rows::Group { changes, durability, reply };
        Self::ask(&self.inner.rows, group)
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        let (table, key) = (table.to_owned(), key.to_owned());
        Self::ask(&self.inner.readers, |reply| readers::Job::Row { table, key, reply })
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        Self::ask(&self.inner.readers, |reply| readers::Job::Scan { scan, reply })
    }

    fn close(&self) -> StoreFuture<()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let Some(mut open) = inner.open().take() else { return };
            // The readers first: a writer that tidies up wants to be alone.
            for reader in &mut open.readers {
                reader.end().await;
            }
            open.log.end().await;
            open.rows.end().await;
        })
    }
}

impl Inner {
    /// See [`Log::append_at_once`]; `None` also while the thread is at work.
    fn append_at_once(&self, chunk: &Chunk) -> Option<Append> {
        self.log_writer.try_lock().ok()?.as_mut()?.append_at_once(chunk)
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().expect("no code panics while it holds the lock")
    }
}

impl<J: Send + 'static> Worker<J> {
    fn start(
        name: &str,
        queue: &Arc<Queue<J>>,
        work: impl FnOnce(&Queue<J>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let queue = Arc::clone(queue);
        let (ending, ended) = oneshot::channel();
        let jobs = Arc::clone(&queue);
        let work = move || {
            work(&jobs);
            drop(ending);
        };
        let thread = thread::Builder::new().name(name.into()).spawn(work);
        let thread = thread.map_err(|error| StoreError::Failed(format!("no thread: {error}")))?;
        Ok(Self { queue, thread: Some(thread), ended })
    }

    /// Lets the thread finish, tidily, and waits for it without blocking.
    async fn end(&mut self) {
        self.queue.end(Ending::Tidy);
        // The thread sends nothing: it lets go of its end when it is done.
        let _ = (&mut self.ended).await;
    }
}

impl<J> Drop for Worker<J> {
    fn drop(&mut self) {
        self.queue.end(Ending::Abrupt);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say; its panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// Makes the names of new files survive a power loss: the folder's own, and those in it.
fn sync_names(folder: &Path) -> io::Result<()> {
    let folder = folder.canonicalize()?;
    for folder in [Some(folder.as_path()), folder.parent()].into_iter().flatten() {
        // Where a folder cannot be opened as a file, the system needs no such request.
        if let Ok(names) = fs::File::open(folder) {
            names.sync_all()?;
        }
    }
    Ok(())
}
