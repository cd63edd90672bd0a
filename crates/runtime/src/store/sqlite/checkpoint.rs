//! Copying the WAL into the database file, beside the commits.
//!
//! A thread of its own copies what the WAL has whenever it grew by
//! [`limits::FRAMES_BEFORE_CHECKPOINT`]. The WAL starts over once all of it was copied, which a writer
//! that never pauses can put off for ever; so at [`limits::FRAMES_MAX`] the writer itself copies what
//! little is left, between two commits.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::{
    database::{Database, Pass},
    limits,
};
use crate::store::StoreError;

/// The side thread, as its writer sees it. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    frames_max: u32,
    /// At how many frames the writer itself tries next.
    next_attempt: u32,
}

#[derive(Debug)]
struct Shared {
    database: Arc<Database>,
    wish: Mutex<Wish>,
    wished: Condvar,
    /// At how many frames the side thread is wanted next.
    next_pass: AtomicU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Nothing,
    Pass,
    Stop,
}

impl Checkpoints {
    pub(super) fn start(database: Arc<Database>, frames_max: u32) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared {
            database,
            wish: Mutex::new(Wish::Nothing),
            wished: Condvar::new(),
            next_pass: AtomicU32::new(limits::FRAMES_BEFORE_CHECKPOINT),
        });
        let side = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("interlock-checkpoint".into())
            .spawn(move || side.run())
            .map_err(|error| StoreError::Failed(format!("no thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread), frames_max, next_attempt: frames_max })
    }

    /// Whether [`Checkpoints::after_commit`] would have something to do.
    pub(super) fn is_due(&self) -> bool {
        let frames = self.shared.database.frames();
        frames >= self.shared.next_pass.load(Ordering::Relaxed) || frames >= self.frames_max
    }

    /// To be called by the writer after each commit, when its caller has been answered.
    pub(super) fn after_commit(&mut self) {
        let frames = self.shared.database.frames();
        if frames >= self.shared.next_pass.load(Ordering::Relaxed) {
            self.shared.wish(Wish::Pass);
        }
        if frames < self.frames_max {
            self.next_attempt = self.frames_max;
        } else if frames >= self.next_attempt {
            // A reader, or a full disk, may keep the WAL from starting over. It goes on growing then.
            self.next_attempt = frames + limits::FRAMES_BETWEEN_ATTEMPTS;
            self.shared.pass();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.shared.wish(Wish::Stop);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say; its panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let mut wish = self.lock();
            while *wish == Wish::Nothing {
                wish = self.wished.wait(wish).expect("no code panics while it holds the lock");
            }
            if *wish == Wish::Stop {
                return;
            }
            *wish = Wish::Nothing;
            drop(wish);
            self.pass();
        }
    }

    fn pass(&self) {
        let next = match self.database.checkpoint() {
            // The next commit starts the WAL over.
            Some(Pass { in_wal, copied }) if in_wal == copied => 0,
            Some(Pass { in_wal, .. }) => in_wal,
            None => self.database.frames(),
        };
        self.next_pass.store(next + limits::FRAMES_BEFORE_CHECKPOINT, Ordering::Relaxed);
    }

    fn wish(&self, wanted: Wish) {
        let mut wish = self.lock();
        if *wish != Wish::Stop && *wish != wanted {
            *wish = wanted;
            self.wished.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().expect("no code panics while it holds the lock")
    }
}
