//! A bounded queue from callers that must not block to threads that do.
//!
//! A full queue refuses: to let callers wait for room would let them overtake each other. Whoever ends it
//! need not wait until its callers let go of it, as with a channel.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard},
};

use crate::store::{StoreError, closed};

#[derive(Debug)]
pub(super) struct Queue<J> {
    jobs_max: usize,
    state: Mutex<State<J>>,
    not_empty: Condvar,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    ending: Option<Ending>,
}

/// What a thread finds in the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<J> {
    Job(J),
    /// Nothing more will come.
    End(Ending),
}

/// How a thread leaves its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As they are.
    Abrupt,
    /// With the WAL copied into the database.
    Tidy,
}

impl<J> Queue<J> {
    pub(super) fn new(jobs_max: usize) -> Self {
        let state = State { jobs: VecDeque::new(), ending: None };
        Self { jobs_max, state: Mutex::new(state), not_empty: Condvar::new() }
    }

    /// Puts a job at the queue's end.
    pub(super) fn push(&self, job: J) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.ending.is_some() {
            return Err(closed());
        }
        if state.jobs.len() >= self.jobs_max {
            return Err(StoreError::Failed(format!("{} calls wait already", self.jobs_max)));
        }
        state.jobs.push_back(job);
        drop(state);
        self.not_empty.notify_one();
        Ok(())
    }

    /// The oldest job; blocks while there is none.
    pub(super) fn pop(&self) -> Next<J> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Next::Job(job);
            }
            if let Some(ending) = state.ending {
                return Next::End(ending);
            }
            state = self.not_empty.wait(state).expect("no code panics while it holds the lock");
        }
    }

    /// The oldest job, if there is one now.
    pub(super) fn try_pop(&self) -> Option<J> {
        self.lock().jobs.pop_front()
    }

    /// Takes no further jobs. Those that are in it are done before the threads end.
    pub(super) fn end(&self, ending: Ending) {
        let mut state = self.lock();
        state.ending.get_or_insert(ending);
        drop(state);
        self.not_empty.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().expect("no code panics while it holds the lock")
    }
}
