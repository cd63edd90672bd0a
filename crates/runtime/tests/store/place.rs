//! Places that remember: something that a store can be opened on, again and again.

use std::{path::Path, sync::Arc};

use interlock_runtime::store::{
    Store, StoreError,
    faults::{FaultDisk, Loss, Survivors},
    memory::{AppendFault, MemoryStore},
    sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;

/// Where a store can be opened.
pub trait Place {
    /// Opens the store that is here. One that was opened before must have been dropped.
    fn open(&self) -> Arc<dyn Store>;
}

/// How an append in doubt turns out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    Written,
    Lost,
}

/// A place where the outcome of an append can be made unknown.
pub trait DoubtfulPlace: Place {
    fn make_next_append_unknown(&self, doubt: Doubt);
    /// Makes the settling of that append fail, once.
    fn make_next_settle_fail(&self);
}

/// Memory.
pub struct Memory(MemoryStore);

impl Memory {
    pub fn new() -> Self {
        Self(MemoryStore::new())
    }
}

impl Place for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.reopen())
    }
}

impl DoubtfulPlace for Memory {
    fn make_next_append_unknown(&self, doubt: Doubt) {
        let error = StoreError::Failed("as told".into());
        self.0.fail_next_append(match doubt {
            Doubt::Written => AppendFault::UnknownWritten(error),
            Doubt::Lost => AppendFault::UnknownLost(error),
        });
    }

    fn make_next_settle_fail(&self) {
        self.0.fail_next_settle(StoreError::Failed("as told".into()));
    }
}

/// A folder.
pub struct Sqlite(TempDir);

impl Sqlite {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Place for Sqlite {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&SqliteOptions::new(self.0.path())).unwrap())
    }
}

/// A folder on a disk that fails as it is told.
pub struct Faulty {
    folder: TempDir,
    pub disk: FaultDisk,
    /// See [`SqliteOptions`].
    pub wal_frames_max: u32,
}

impl Faulty {
    pub fn new() -> Self {
        let usual = SqliteOptions::new("").wal_frames_max;
        Self { folder: TempDir::new().unwrap(), disk: FaultDisk::new(), wal_frames_max: usual }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Opens the store if the disk lets it.
    pub fn try_open(&self) -> Result<SqliteStore, StoreError> {
        let mut options = SqliteOptions::new(self.folder.path());
        options.disk = Arc::new(self.disk.clone());
        options.wal_frames_max = self.wal_frames_max;
        SqliteStore::open(&options)
    }

    /// Cuts the power under the store, and gives it back.
    pub fn cut_power(&self, store: Arc<dyn Store>, survivors: Survivors) {
        self.disk.cut_power();
        drop(store);
        self.disk.restore(survivors).unwrap();
    }
}

impl Place for Faulty {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.try_open().unwrap())
    }
}

impl DoubtfulPlace for Faulty {
    fn make_next_append_unknown(&self, doubt: Doubt) {
        self.disk.fail_next_sync(
            LOG_WAL,
            match doubt {
                Doubt::Written => Loss::Later,
                Doubt::Lost => Loss::Now,
            },
        );
    }

    fn make_next_settle_fail(&self) {
        self.disk.fail_next_sync(LOG_WAL, Loss::Later);
    }
}

/// The file that an append syncs.
pub const LOG_WAL: &str = "log.sqlite-wal";
/// The file that synced rows sync.
pub const ROWS_WAL: &str = "rows.sqlite-wal";
