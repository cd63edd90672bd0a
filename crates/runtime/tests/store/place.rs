//! Places that remember: something that a store can be opened on, again and again.

use std::sync::Arc;

use interlock_runtime::store::{
    Store,
    memory::MemoryStore,
    sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;

/// Where a store can be opened.
pub trait Place {
    /// Opens the store that is here. One that was opened before must have been dropped.
    fn open(&self) -> Arc<dyn Store>;
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
