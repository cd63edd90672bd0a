//! A run: one step after the other until its main task is done. The world is let go of while others work in it.

use std::task::{Context, Waker};

use interlock_runtime::env::{Task, World};

use super::{
    Sim, Step, Stuck,
    state::{Running, Spawned, State},
};
use crate::coverage;

impl Sim {
    /// Runs everything until `main` is done. Then all other tasks are dropped.
    ///
    /// # Errors
    /// It does not come to that.
    pub fn run(&self, main: Task) -> Result<(), Stuck> {
        self.spawn("main", main);
        let ended = self.steps();
        self.drop_tasks(|_| true);
        if self.with(|state| state.is_observed) {
            coverage::ended();
        }
        let wakers = self.with(State::end);
        drop(wakers);
        ended
    }

    fn steps(&self) -> Result<(), Stuck> {
        while let Some(step) = self.with(State::next_step)? {
            match step {
                Step::Task(id) => self.poll(id),
                Step::Clock => self.with(State::next_morning).into_iter().for_each(Waker::wake),
                Step::Crash(process) => self.crash(process),
            }
        }
        Ok(())
    }

    fn poll(&self, id: u32) {
        // None: dropped by a crash since it was woken.
        let Some(mut running) = self.with(|state| state.begin_step(id)) else { return };
        let Running { task, waker } = &mut running;
        let poll = task.as_mut().poll(&mut Context::from_waker(waker));
        let over = self.with(|state| state.rest(id, running, poll.is_ready()));
        // What a task drops may wake others.
        drop(over);
    }

    fn crash(&self, process: usize) {
        self.with(|state| state.begin_crash(process));
        self.drop_tasks(|spawned| spawned.process == process);
        let watchers = self.with(|state| {
            state.resume(process);
            let process = &mut state.processes[process];
            process.generation += 1;
            std::mem::take(&mut process.watchers)
        });
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Drops tasks, and what they spawn in falling.
    fn drop_tasks(&self, falls: impl Fn(&Spawned) -> bool) {
        loop {
            let fallen = self.with(|state| state.fell(&falls));
            if fallen.is_empty() {
                return;
            }
            for (memory, running) in fallen {
                self.with(|state| state.memory = memory);
                drop(running);
            }
        }
    }
}
