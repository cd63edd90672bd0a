//! A simulated disk under the shipping runtime: a store that is an actor of its own.
//!
//! A commit has three scheduling points (it is submitted, it happens, its outcome is told), and others may go
//! on, or the process crash, between any two. Besides, it may be refused, or have an unknown outcome, kept or
//! lost. It survives whole or not at all. Reads wait for their turn, too.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use interlock_kernel::{bus::RowChange, ids::Position};
use interlock_runtime::{
    env::World,
    store::{
        Append, Chunk, Durability, Row, Scan, Span, Store, StoreError, StoreFuture,
        memory::MemoryStore,
    },
};

use crate::world::Sim;

/// What survives crashes.
#[derive(Clone)]
pub struct Disk {
    memory: Arc<Mutex<MemoryStore>>,
    /// Commits that may still fail.
    faults_left: Arc<Mutex<u32>>,
}

impl Disk {
    /// An empty disk, of whose commits at most so many fail.
    #[must_use]
    pub fn new(faults: u32) -> Self {
        Self {
            memory: Arc::new(Mutex::new(MemoryStore::new())),
            faults_left: Arc::new(Mutex::new(faults)),
        }
    }

    /// What a process sees that begins now. Those before it can write no more.
    #[must_use]
    pub fn open(&self, process: &Sim) -> Mount {
        let mut memory = lock(&self.memory);
        *memory = memory.reopen();
        Mount {
            memory: memory.clone(),
            process: process.clone(),
            faults_left: self.faults_left.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

/// The disk as one life of a process sees it.
pub struct Mount {
    memory: MemoryStore,
    process: Sim,
    faults_left: Arc<Mutex<u32>>,
}

/// How a commit goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Refused,
    UnknownLost,
    UnknownWritten,
}

impl Mount {
    fn fate(&self) -> Fate {
        let mut left = lock(&self.faults_left);
        if *left == 0 {
            return Fate::Well;
        }
        let fate = match self.process.fault(3) {
            0 => return Fate::Well,
            1 => Fate::Refused,
            2 => Fate::UnknownLost,
            _ => Fate::UnknownWritten,
        };
        *left -= 1;
        fate
    }

    /// Runs a write as the disk's own task, which a crash of the process does not stop.
    fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(MemoryStore) -> StoreFuture<T> + Send + 'static,
    ) -> StoreFuture<Option<T>> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (memory, disk) = (self.memory.clone(), self.process.outside());
        let turn = disk.clone();
        let work = async move {
            let written = write(memory).await;
            turn.give_way().await;
            // The process may have crashed.
            let _ = sender.send(written);
        };
        disk.spawn("disk", Box::pin(work));
        Box::pin(async move { receiver.await.ok() })
    }
}

impl Store for Mount {
    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.memory.span()
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        let fate = self.fate();
        let failed = || StoreError::Failed("as the audit wants it".to_owned());
        let outcome = self.write(move |memory| match fate {
            Fate::Refused => Box::pin(async move { Append::Refused(failed()) }),
            Fate::UnknownLost => Box::pin(async move { Append::Unknown(failed()) }),
            Fate::UnknownWritten => {
                let written = memory.append(chunk);
                Box::pin(async move {
                    match written.await {
                        Append::Done => Append::Unknown(failed()),
                        refused @ (Append::Refused(_) | Append::Unknown(_)) => refused,
                    }
                })
            }
            Fate::Well => memory.append(chunk),
        });
        Box::pin(async move {
            let closed = || StoreError::Failed("the disk is gone".to_owned());
            outcome.await.unwrap_or_else(|| Append::Unknown(closed()))
        })
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.memory.settle()
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        let (memory, process) = (self.memory.clone(), self.process.clone());
        Box::pin(async move {
            process.give_way().await;
            memory.read(at, bytes_max).await
        })
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        self.memory.truncate(below)
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        let written = self.write(move |memory| memory.write_rows(changes, durability));
        Box::pin(async move {
            let closed = || StoreError::Failed("the disk is gone".to_owned());
            written.await.unwrap_or_else(|| Err(closed()))
        })
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.memory.row(table, key)
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        self.memory.scan(scan)
    }

    fn close(&self) -> StoreFuture<()> {
        self.memory.close()
    }
}
