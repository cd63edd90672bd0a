//! A computer in the seeded world: it takes its time to write, and can crash.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use interlock_kernel::{bus::RowChange, ids::Position, time::Millis};
use interlock_runtime::{
    env::{Env, World, seeded::Seeded},
    store::{
        Append, Chunk, Durability, Row, Scan, Span, Store, StoreError, StoreFuture,
        memory::MemoryStore,
    },
};

/// A computer: what runs on it is gone after a crash, what it stored is not.
#[derive(Clone)]
pub struct Computer {
    pub world: Seeded,
    running: Arc<Mutex<Running>>,
}

struct Running {
    process: Seeded,
    disk: MemoryStore,
    habits: Arc<Habits>,
}

/// What the disk does besides remembering; outlives crashes.
#[derive(Default)]
struct Habits {
    is_full: AtomicBool,
    groups: Mutex<Vec<Vec<RowChange>>>,
}

/// Runs a test on a computer. It must end within ten minutes of its clock.
pub fn on_computer<F, W, T>(seed: u64, body: F) -> T
where
    F: FnOnce(Computer) -> W,
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let world = Seeded::new(seed);
    let running =
        Running { process: world.process(), disk: MemoryStore::new(), habits: Arc::default() };
    let computer = Computer { world: world.clone(), running: Arc::new(Mutex::new(running)) };
    let body = body(computer);
    let patience = world.sleep(Duration::from_mins(10));
    world.run(async move {
        tokio::select! {
            biased;
            result = body => result,
            () = patience => panic!("seed {seed}: nothing comes of it"),
        }
    })
}

impl Computer {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap()
    }

    /// What a program that runs on it now sees.
    pub fn env(&self) -> Env {
        let running = self.running();
        let store = SlowDisk {
            world: running.process.clone(),
            disk: running.disk.clone(),
            habits: running.habits.clone(),
        };
        Env::new(running.process.clone(), Arc::new(store))
    }

    /// The disk, without its delays; for faults and looks.
    pub fn disk(&self) -> MemoryStore {
        self.running().disk.clone()
    }

    /// Every group of rows written so far.
    pub fn groups(&self) -> Vec<Vec<RowChange>> {
        self.running().habits.groups.lock().unwrap().clone()
    }

    /// From now on the disk takes no commit and no row, or takes them again.
    pub fn fill_disk(&self, is_full: bool) {
        self.running().habits.is_full.store(is_full, Ordering::Relaxed);
    }

    /// Everything that runs on it is gone, in the middle of whatever it did, and can write no more.
    pub fn crash(&self) {
        let old = {
            let mut running = self.running();
            running.disk = running.disk.reopen();
            let next = self.world.process();
            std::mem::replace(&mut running.process, next)
        };
        old.kill();
    }

    /// A number below `end`.
    pub fn dice(&self, end: u64) -> u64 {
        self.world.random() % end
    }

    /// Lets up to so many steps of others happen, or a little time.
    pub async fn idle(&self, steps: u64) {
        for _ in 0..self.dice(steps + 1) {
            self.world.give_way().await;
        }
        if self.dice(2) == 0 {
            self.world.sleep(Duration::from_micros(self.dice(steps * 100 + 1))).await;
        }
    }

    pub async fn pause(&self, ms: u64) {
        self.world.sleep(Duration::from_millis(ms)).await;
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.world.spawn("client", Box::pin(task));
    }
}

/// A memory store that takes up to a few milliseconds for every write, before and after it happens.
struct SlowDisk {
    world: Seeded,
    disk: MemoryStore,
    habits: Arc<Habits>,
}

impl Habits {
    fn check_room(&self) -> Result<(), StoreError> {
        match self.is_full.load(Ordering::Relaxed) {
            true => Err(StoreError::Full("no room".to_owned())),
            false => Ok(()),
        }
    }
}

fn wait(world: &Seeded) -> impl Future<Output = ()> + Send + 'static {
    let us = world.random() % 3_000;
    let sleep = (us >= 1_000).then(|| world.sleep(Duration::from_micros(us)));
    async move {
        if let Some(sleep) = sleep {
            sleep.await;
        }
    }
}

impl Store for SlowDisk {
    fn span(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.disk.span()
    }

    fn append(&self, chunk: Chunk) -> StoreFuture<Append> {
        let (before, after, disk) = (wait(&self.world), wait(&self.world), self.disk.clone());
        let habits = self.habits.clone();
        Box::pin(async move {
            before.await;
            let outcome = match habits.check_room() {
                Ok(()) => disk.append(chunk).await,
                Err(error) => Append::Refused(error),
            };
            after.await;
            outcome
        })
    }

    fn settle(&self) -> StoreFuture<Result<Span, StoreError>> {
        self.disk.settle()
    }

    fn read(&self, at: Position, bytes_max: usize) -> StoreFuture<Result<Vec<Chunk>, StoreError>> {
        let (before, disk) = (wait(&self.world), self.disk.clone());
        Box::pin(async move {
            before.await;
            disk.read(at, bytes_max).await
        })
    }

    fn truncate(&self, below: Position) -> StoreFuture<Result<(), StoreError>> {
        self.disk.truncate(below)
    }

    fn write_rows(
        &self,
        changes: Vec<RowChange>,
        durability: Durability,
    ) -> StoreFuture<Result<(), StoreError>> {
        let (before, after, disk) = (wait(&self.world), wait(&self.world), self.disk.clone());
        let habits = self.habits.clone();
        let write = async move {
            habits.check_room()?;
            disk.write_rows(changes.clone(), durability).await?;
            habits.groups.lock().unwrap().push(changes);
            Ok(())
        };
        if self.world.random().is_multiple_of(2) {
            // A store with threads of its own begins before anybody waits for it.
            let outcome = write.now_or_never().expect("a memory store answers at once");
            return Box::pin(after.map(|()| outcome));
        }
        Box::pin(async move {
            before.await;
            let outcome = write.await;
            after.await;
            outcome
        })
    }

    fn row(&self, table: &str, key: &[u8]) -> StoreFuture<Result<Option<Bytes>, StoreError>> {
        self.disk.row(table, key)
    }

    fn scan(&self, scan: Scan) -> StoreFuture<Result<Vec<Row>, StoreError>> {
        self.disk.scan(scan)
    }

    fn close(&self) -> StoreFuture<()> {
        self.disk.close()
    }
}

/// A millisecond, for sleeps of clients.
pub const MS: Millis = Millis(1);
