//! One database file and the connections of this process to it.
//!
//! There are one writing connection, which its thread owns, and a few beside it (the readers' and the
//! checkpoints'), which live in [`Slot`]s so that the writer can take them all away.
//!
//! **After a failed fsync** nothing that SQLite holds to be on the disk need be there: the operating
//! system may mark the pages that it could not write as clean, and the next fsync then succeeds without
//! writing them. They can still be read, from its cache, until they cannot. A crash of the process hides
//! the failure from the next one. So whenever a WAL was left behind, by an error or by another process,
//! [`Database::open_afresh`] closes every connection, writes the WAL's bytes once more and syncs them, and
//! only then opens it. Closing them all also makes SQLite forget which pages it had copied into the
//! database file, so that the next checkpoint copies them all again, for the same reason. What SQLite then
//! finds valid in the WAL is what the disk has, and what it does not find never comes back.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    config::DbConfig,
    hooks::Wal,
    wal::CheckpointMode::{PASSIVE, TRUNCATE},
};

use super::{disk::Disk, failure::store_error, limits};
use crate::store::StoreError;

/// What is particular to a file.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) file: &'static str,
    /// Raised when the tables change.
    pub(super) format: i64,
    /// Creates the tables.
    pub(super) tables: &'static str,
    /// `FULL`: every commit is synced. `NORMAL`: only checkpoints are.
    pub(super) synchronous: &'static str,
    pub(super) cache_kib: u32,
}

/// Every file has this table.
const META: &str =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

/// A connection that someone beside the writer uses, opened when it is needed.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Option<Connection>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.0.lock().expect("no code panics while it holds the lock")
    }
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) path: PathBuf,
    layout: &'static Layout,
    disk: Arc<dyn Disk>,
    readers: [Slot; limits::READERS],
    checkpoints: Slot,
    /// Frames in the WAL after the latest commit.
    frames: Arc<AtomicU32>,
    /// Something failed in a way that leaves open what the disk has.
    in_doubt: AtomicBool,
    /// Checkpoints fail at present; remembered to say so once.
    struggling: AtomicBool,
}

/// How far a checkpoint came, in frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) in_wal: u32,
    pub(super) copied: u32,
}

impl Database {
    pub(super) fn new(folder: &Path, layout: &'static Layout, disk: Arc<dyn Disk>) -> Self {
        Self {
            path: folder.join(layout.file),
            layout,
            disk,
            readers: Default::default(),
            checkpoints: Slot::default(),
            frames: Arc::default(),
            in_doubt: AtomicBool::new(false),
            struggling: AtomicBool::new(false),
        }
    }

    /// Opens the writing connection on what is certainly on the disk. The caller has dropped the one that
    /// it had; this drops all others.
    pub(super) fn open_afresh(&self) -> Result<Connection, StoreError> {
        let mut slots: Vec<_> = self.readers.iter().map(Slot::lock).collect();
        slots.push(self.checkpoints.lock());
        for slot in &mut slots {
            **slot = None;
        }
        let wal = self.wal_path();
        self.disk.rewrite(&wal).map_err(|error| StoreError::of_file(&wal, &error))?;
        let writer = self.open_writer()?;
        self.in_doubt.store(false, Ordering::Release);
        Ok(writer)
    }

    /// To be called by a writer that lets go of its connection because of a doubtful outcome. Without any
    /// connection SQLite would read the WAL anew, and checkpoint what is not on the disk.
    pub(super) fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Release);
    }

    /// Whether the writer must open afresh before it goes on.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// Frames in the WAL after the latest commit.
    pub(super) fn frames(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Reads on the connection of the reader with that number.
    pub(super) fn read<T>(
        &self,
        reader: usize,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        self.on(&mut self.readers[reader].lock(), flags, work)
            .map_err(|error| store_error(&self.path, &error))
    }

    /// Copies what can be copied from the WAL into the database file, without stopping anyone. `None` if
    /// that failed, which hurts nobody: the WAL keeps what it has, and grows.
    ///
    /// While there is doubt none is tried, until the writer has opened afresh: it could succeed without
    /// writing the pages that an earlier one failed to write, and the WAL, which has them, would start over.
    pub(super) fn checkpoint(&self) -> Option<Pass> {
        let mut slot = self.checkpoints.lock();
        if self.is_in_doubt() {
            return None;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let pass = self.on(&mut slot, flags, |connection| {
            let (in_wal, copied) = connection.wal_checkpoint_v2(None::<&str>, PASSIVE)?;
            Ok(Pass {
                in_wal: u32::try_from(in_wal).unwrap_or(0),
                copied: u32::try_from(copied).unwrap_or(0),
            })
        });
        match pass {
            Ok(pass) => {
                if self.struggling.swap(false, Ordering::Relaxed) {
                    tracing::info!(file = %self.path.display(), "checkpoints succeed again");
                }
                Some(pass)
            }
            Err(error) => {
                let is_harmless = matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy)
                );
                if !is_harmless {
                    self.doubt();
                }
                if !self.struggling.swap(true, Ordering::Relaxed) {
                    let error = store_error(&self.path, &error);
                    tracing::warn!(%error, "a checkpoint failed; the WAL grows until one succeeds");
                }
                None
            }
        }
    }

    /// Closes the connections beside the writer, then the writer's, leaving no WAL if possible.
    pub(super) fn close(&self, writer: Connection) {
        for slot in self.readers.iter().chain([&self.checkpoints]) {
            *slot.lock() = None;
        }
        // Otherwise the WAL stays where it is, and the next process reads it.
        if !self.is_in_doubt() && writer.wal_checkpoint_v2(None::<&str>, TRUNCATE).is_ok() {
            let _ = writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false);
        } else {
            tracing::warn!(file = %self.path.display(), "closed without a last checkpoint");
        }
    }

    fn wal_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }

    fn on<T>(
        &self,
        slot: &mut Option<Connection>,
        flags: OpenFlags,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect(flags)?,
        };
        // A connection that saw an error is not kept: the next one may find the trouble over.
        let done = work(&connection)?;
        *slot = Some(connection);
        Ok(done)
    }

    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        // No connection is used by two threads at once, so SQLite's own mutex is not needed.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match self.disk.vfs() {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs)?,
            None => Connection::open_with_flags(&self.path, flags)?,
        };
        connection.busy_timeout(limits::BUSY_TIMEOUT)?;
        // The last connection to close would checkpoint and delete the WAL; see the module's text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.execute_batch(&format!(
            "PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{};",
            self.layout.cache_kib
        ))?;
        Ok(connection)
    }

    fn open_writer(&self) -> Result<Connection, StoreError> {
        let failed = |error: rusqlite::Error| store_error(&self.path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut writer = self.connect(flags).map_err(failed)?;
        if writer.is_readonly("main").map_err(failed)? {
            return Err(StoreError::ReadOnly(self.path.display().to_string()));
        }
        let mode: String =
            writer.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
        if mode != "wal" {
            let text = format!("{}: no WAL is possible here", self.path.display());
            return Err(StoreError::Failed(text));
        }
        self.frames.store(0, Ordering::Relaxed);
        let frames = Arc::clone(&self.frames);
        let remember = move |_: &mut Wal, count| {
            frames.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        writer.wal_hook(Some(remember)).map_err(failed)?;
        let settings = format!(
            "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = {};",
            limits::WAL_BYTES_KEPT
        );
        writer.execute_batch(&settings).map_err(failed)?;
        self.check_layout(&writer)?;
        let synchronous = format!("PRAGMA synchronous = {}", self.layout.synchronous);
        writer.execute_batch(&synchronous).map_err(failed)?;
        Ok(writer)
    }

    /// Creates the tables of a new file; refuses those of a newer binary.
    fn check_layout(&self, writer: &Connection) -> Result<(), StoreError> {
        let failed = |error: rusqlite::Error| store_error(&self.path, &error);
        let is_new: bool = writer
            .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
            .map_err(failed)?;
        let Layout { format, tables, .. } = *self.layout;
        if is_new {
            let create = format!(
                "BEGIN IMMEDIATE; {META} {tables}
                 INSERT INTO meta VALUES ('format', {format}); COMMIT;"
            );
            return writer.execute_batch(&create).map_err(failed);
        }
        let found: i64 = writer
            .query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0))
            .map_err(failed)?;
        if found > format {
            return Err(StoreError::Newer(format!(
                "{} has format {found}; this binary reads up to {format}",
                self.path.display()
            )));
        }
        Ok(())
    }
}
