//! A simulated disk under the shipping runtime: a store that is an actor of its own.
//!
//! A commit has three scheduling points (it is submitted, it happens, its outcome is told), and others may go
//! on, or the process crash, between any two. Besides, it may be refused, come late, or have an unknown outcome,
//! kept or lost. It survives whole or not at all. So it is with every other write, and reads wait for their turn,
//! too.
//!
//! A crash may come with a power loss, which takes the newest rows that were written lazily ([`rows`]); the log
//! has what it said it has.
//!
//! One process has the disk at a time: whoever opens it shuts out those before, even if they only slept.

mod rows;

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

pub(crate) use self::rows::{RowEvent, standing};
use self::rows::{Rows, now};
use crate::{
    coverage,
    faults::{self, Count, FULL, Faults, JUMP_MS, LATE, Luck, MISHAPS, Mishap, Trouble},
    history,
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
    /// What happened to the rows.
    happened: Arc<Mutex<Rows>>,
    /// What it was told to drop of the log, for whoever compares the whole of it.
    dropped: Arc<Mutex<Vec<Chunk>>>,
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
            happened: Arc::default(),
            dropped: Arc::default(),
            replaced: Arc::new(watch::Sender::new(0)),
        }
    }

    /// What a process sees that begins now. Those before it can write no more.
    #[must_use]
    pub fn open(&self, process: &Sim) -> Mount {
        Mount { memory: self.reopen(), process: process.clone(), disk: self.clone() }
    }

    /// A crash may be a power loss.
    pub fn crashed(&self) {
        let mut rows = lock(&self.happened);
        let power: Count = |faults| &mut faults.power;
        let losses: Vec<(Count, usize)> = rows.losses().map(|groups| (power, groups)).collect();
        if let Some(groups) = self.luck.worsens(&losses) {
            self.touch_rows(Access::Write);
            rows.lose(&lock(&self.memory), groups);
        }
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

    /// All that ever was in the log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn log(&self) -> Result<Vec<Chunk>, StoreError> {
        let kept = history::read(&self.look())?;
        Ok([lock(&self.dropped).clone(), kept].concat())
    }

    /// The end of what is durable of the log.
    #[must_use]
    pub fn end(&self) -> Position {
        self.touch_log(Access::Read);
        let memory = lock(&self.memory).clone();
        let span = memory.span().now_or_never().expect("memory answers at once");
        span.expect("whoever opened it last may read it").end
    }

    /// How much has happened to the rows.
    #[must_use]
    pub fn row_events_count(&self) -> usize {
        self.touch_rows(Access::Read);
        lock(&self.happened).events().len()
    }

    /// What happened to the rows, in order.
    #[must_use]
    pub fn row_events(&self) -> Vec<RowEvent> {
        self.touch_rows(Access::Read);
        lock(&self.happened).events().to_vec()
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

    /// A write that is no commit, and what befalls it.
    async fn troubled<T>(
        &self,
        trouble: Option<Trouble>,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match trouble {
            None => write.await,
            Some(Trouble::Fails) => Err(failed()),
            Some(Trouble::Doubted) => write.await.and(Err(failed())),
            Some(Trouble::Late) => {
                self.world.sleep(LATE).await;
                write.await
            }
            Some(Trouble::ToldLate) => {
                let outcome = write.await;
                self.world.sleep(LATE).await;
                outcome
            }
        }
    }

    async fn append(self, memory: MemoryStore, chunk: Chunk, mishap: Option<Mishap>) -> Append {
        if self.is_full() {
            return Append::Refused(full());
        }
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

fn failed() -> StoreError {
    StoreError::Failed("as the audit wants it".to_owned())
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

    /// The same of a write that is no commit; what befalls it counts into this number.
    fn write_or_fail<T: Send + 'static>(
        &self,
        name: &'static str,
        count: Count,
        write: impl FnOnce(Disk, MemoryStore, Option<Trouble>) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<Result<T, StoreError>> {
        let trouble = self.disk.luck.strikes(&Trouble::all(count));
        let (disk, memory) = (self.disk.clone(), self.memory.clone());
        let written = self.write(name, async move {
            let writes = async { write(disk.clone(), memory, trouble) };
            disk.troubled(trouble, writes).await
        });
        Box::pin(async move { written.await.unwrap_or_else(|| Err(gone())) })
    }

    /// Reads when it is its turn.
    fn look<T: Send + 'static>(
        &self,
        object: u64,
        read: impl FnOnce(&MemoryStore) -> StoreFuture<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let (memory, process, world) =
            (self.memory.clone(), self.process.clone(), self.disk.world.clone());
        Box::pin(async move {
            process.give_way().await;
            world.touches(object, Access::Read);
            read(&memory).await
        })
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
        self.write_or_fail(
            "settle",
            |faults| &mut faults.commits,
            |disk, memory, _| {
                disk.touch_log(Access::Write);
                now(memory.settle())
            },
        )
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        self.look(self.disk.log, move |memory| memory.read(at, bytes_max))
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        self.write_or_fail(
            "truncate",
            |faults| &mut faults.commits,
            move |disk, memory, _| {
                disk.touch_log(Access::Write);
                let mut dropped = history::read(&memory)?;
                dropped.retain(|chunk| chunk.end() <= below);
                now(memory.truncate(below))?;
                lock(&disk.dropped).extend(dropped);
                Ok(())
            },
        )
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        self.write_or_fail(
            "rows",
            |faults| &mut faults.rows,
            move |disk, memory, trouble| {
                if disk.is_full() {
                    return Err(full());
                }
                disk.touch_rows(Access::Write);
                let is_doubted = trouble == Some(Trouble::Doubted);
                let event = if is_doubted { RowEvent::Doubted } else { RowEvent::Written };
                lock(&disk.happened).write(&memory, (changes, durability), event)
            },
        )
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        let (table, key) = (table.to_owned(), key.to_owned());
        self.look(self.disk.rows, move |memory| memory.row(&table, &key))
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        self.look(self.disk.rows, move |memory| memory.scan(scan))
    }

    fn close(&self) -> StoreFuture<()> {
        self.disk.touch_log(Access::Write);
        self.disk.touch_rows(Access::Write);
        self.memory.close()
    }
}
