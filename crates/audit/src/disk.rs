//! A simulated disk under the shipping runtime: a store that is an actor of its own.
//!
//! A commit has three scheduling points (it is submitted, it happens, its outcome is told), and others may go
//! on, or the process crash, between any two. Besides, it may be refused, come late, or have an unknown outcome,
//! kept or lost. It survives whole or not at all. Reads wait for their turn, too.
//!
//! One process has the disk at a time: whoever opens it shuts out those before, even if they only slept.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use interlock_kernel::{bus::RowChange, ids::Position};
use interlock_runtime::{
    env::{Access, Witness, World, channel},
    store::{
        Append, Chunk, Durability, Row, Scan, Span, Store, StoreError, StoreFuture,
        memory::MemoryStore,
    },
};
use tokio::sync::watch;

use crate::{
    coverage,
    faults::{self, FULL, Faults, JUMP_MS, LATE, Luck, MISHAPS, Mishap},
    stage::Shared,
    world::Sim,
};

/// What survives crashes.
#[derive(Clone)]
pub struct Disk {
    world: Sim,
    memory: Arc<Mutex<MemoryStore>>,
    luck: Luck,
    /// What the world knows the log as, and the rows.
    log: u64,
    rows: u64,
    full_until: Shared<Duration>,
    /// Changes of rows that it has written.
    written: Arc<Mutex<Vec<RowChange>>>,
    /// How often another process was to open it. Only its own machine looks, whose tasks share a memory.
    replaced: Arc<watch::Sender<u32>>,
}

impl Disk {
    /// An empty disk, whose commits meet some of these faults.
    #[must_use]
    pub fn new(world: &Sim, faults: Faults) -> Self {
        let memory = MemoryStore::new();
        coverage::disk(&memory);
        Self {
            world: world.outside(),
            memory: Arc::new(Mutex::new(memory)),
            luck: Luck::new(world, faults),
            log: world.object(),
            rows: world.object(),
            full_until: Shared::new(&world.outside(), Duration::ZERO),
            written: Arc::default(),
            replaced: Arc::new(watch::Sender::new(0)),
        }
    }

    /// What a process sees that begins now. Those before it can write no more.
    #[must_use]
    pub fn open(&self, process: &Sim) -> Mount {
        Mount { memory: self.reopen(), process: process.clone(), disk: self.clone() }
    }

    /// What is on it, for whoever looks when all is over.
    #[must_use]
    pub fn reopen(&self) -> MemoryStore {
        self.touch_log(Access::Write);
        self.touch_rows(Access::Write);
        let mut memory = lock(&self.memory);
        *memory = memory.reopen();
        memory.clone()
    }

    /// What is on it, for whoever looks while it is used.
    #[must_use]
    pub fn look(&self) -> MemoryStore {
        self.touch_log(Access::Read);
        self.touch_rows(Access::Read);
        lock(&self.memory).clone()
    }

    /// The end of what is durable of the log.
    #[must_use]
    pub fn end(&self) -> Position {
        self.touch_log(Access::Read);
        let memory = lock(&self.memory).clone();
        let span = memory.span().now_or_never().expect("memory answers at once");
        span.expect("whoever opened it last may read it").end
    }

    /// How many changes of rows it has written.
    #[must_use]
    pub fn rows_written(&self) -> usize {
        self.touch_rows(Access::Read);
        lock(&self.written).len()
    }

    /// The changes of rows that it has written, in order.
    #[must_use]
    pub fn rows(&self) -> Vec<RowChange> {
        self.touch_rows(Access::Read);
        lock(&self.written).clone()
    }

    /// Changes whenever another process is to open it while this one is paused.
    #[must_use]
    pub fn replaced(&self) -> watch::Receiver<u32> {
        self.replaced.subscribe()
    }

    fn touch_log(&self, access: Access) {
        self.world.touches(self.log, access);
    }

    fn touch_rows(&self, access: Access) {
        self.world.touches(self.rows, access);
    }

    fn is_full(&self) -> bool {
        self.world.now() < self.full_until.get()
    }

    /// What is not only about the commit during which it happens.
    fn befalls(&self, process: &Sim, mishap: Mishap) {
        match mishap {
            Mishap::Full => *self.full_until.lock() = self.world.now() + FULL,
            Mishap::Forward => self.world.shift_wall(JUMP_MS),
            Mishap::Back => self.world.shift_wall(-JUMP_MS),
            Mishap::Paused => faults::pause(process),
            Mishap::Replaced => {
                faults::pause(process);
                self.replaced.send_modify(|times| *times += 1);
            }
            Mishap::Refused
            | Mishap::UnknownLost
            | Mishap::UnknownWritten
            | Mishap::WrittenLate
            | Mishap::ToldLate => {}
        }
    }

    /// It happens, unless it is refused.
    async fn put(&self, memory: &MemoryStore, chunk: Chunk) -> Append {
        let outcome = memory.append(chunk).await;
        let is_done = outcome == Append::Done;
        self.touch_log(if is_done { Access::Write } else { Access::Read });
        outcome
    }

    async fn append(self, memory: MemoryStore, chunk: Chunk, mishap: Option<Mishap>) -> Append {
        if self.is_full() {
            return Append::Refused(full());
        }
        let failed = || StoreError::Failed("as the audit wants it".to_owned());
        match mishap {
            Some(Mishap::Refused) => Append::Refused(failed()),
            Some(Mishap::UnknownLost) => Append::Unknown(failed()),
            Some(Mishap::UnknownWritten) => match self.put(&memory, chunk).await {
                Append::Done => Append::Unknown(failed()),
                refused @ (Append::Refused(_) | Append::Unknown(_)) => refused,
            },
            Some(Mishap::WrittenLate) => {
                self.world.sleep(LATE).await;
                self.put(&memory, chunk).await
            }
            Some(Mishap::ToldLate) => {
                let outcome = self.put(&memory, chunk).await;
                self.world.sleep(LATE).await;
                outcome
            }
            Some(
                Mishap::Full | Mishap::Forward | Mishap::Back | Mishap::Paused | Mishap::Replaced,
            )
            | None => self.put(&memory, chunk).await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

fn full() -> StoreError {
    StoreError::Full("as the audit wants it".to_owned())
}

fn gone() -> StoreError {
    StoreError::Failed("the disk is gone".to_owned())
}

/// The disk as one life of a process sees it.
pub struct Mount {
    memory: MemoryStore,
    process: Sim,
    disk: Disk,
}

impl Mount {
    /// Runs a write as the disk's own task, which a crash of the process does not stop.
    fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        write: impl Future<Output = T> + Send + 'static,
    ) -> StoreFuture<Option<T>> {
        let (sender, receiver) = channel::once(self.process.witness().as_ref());
        // A crash of the process strikes beside it, at one of its awaits.
        let world = self.process.outside();
        let turn = world.clone();
        let work = async move {
            let written = write.await;
            turn.give_way().await;
            // The process may have crashed.
            let _ = sender.send(written);
        };
        world.spawn_apart(name, Box::pin(work));
        Box::pin(async move { receiver.await.ok() })
    }
}

impl Store for Mount {
    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.disk.touch_log(Access::Read);
        self.memory.span()
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        let mishap = self.disk.luck.strikes(&MISHAPS);
        if let Some(mishap) = mishap {
            self.disk.befalls(&self.process, mishap);
        }
        self.disk.world.note(&chunk.bytes);
        let append = self.disk.clone().append(self.memory.clone(), chunk, mishap);
        let outcome = self.write("commit", append);
        Box::pin(async move { outcome.await.unwrap_or_else(|| Append::Unknown(gone())) })
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.disk.touch_log(Access::Write);
        self.memory.settle()
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        let (memory, process) = (self.memory.clone(), self.process.clone());
        let disk = self.disk.clone();
        Box::pin(async move {
            process.give_way().await;
            disk.touch_log(Access::Read);
            memory.read(at, bytes_max).await
        })
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        self.disk.touch_log(Access::Write);
        self.memory.truncate(below)
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        let (disk, memory) = (self.disk.clone(), self.memory.clone());
        let written = self.write("rows", async move {
            if disk.is_full() {
                return Err(full());
            }
            disk.touch_rows(Access::Write);
            memory.write_rows(changes.clone(), durability).await?;
            lock(&disk.written).extend(changes);
            Ok(())
        });
        Box::pin(async move { written.await.unwrap_or_else(|| Err(gone())) })
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.disk.touch_rows(Access::Read);
        self.memory.row(table, key)
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        self.disk.touch_rows(Access::Read);
        self.memory.scan(scan)
    }

    fn close(&self) -> StoreFuture<()> {
        self.disk.touch_log(Access::Write);
        self.disk.touch_rows(Access::Write);
        self.memory.close()
    }
}
