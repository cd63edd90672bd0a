//! The simulated world: one thread, a clock of its own, and a [`Chooser`] that is asked about everything.
//!
//! Tasks run from one await to the next. Between two such steps the world asks who goes on: one of the tasks
//! that can, or the clock (which wakes the next sleepers although others could go on), or a crash of a
//! process that may crash. When no task can go on, time jumps to the next sleepers.
//!
//! Invariants:
//!
//! - Two runs with the same answers take the same steps ([`Record::trace`] tells).
//! - After [`CALM_AFTER`] steps every answer is the calm one and tasks take turns, so that whatever ends at
//!   all ends then; who has not ended after [`STEPS_MAX`] steps or [`TIME_MAX`] never does.
//!
//! It simulates no parallel steps: code between two awaits is taken to be atomic, as it is for tasks that
//! share nothing but channels and locks.

mod state;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use interlock_kernel::time::{Millis, Time};
use interlock_runtime::env::{Task, World};

pub(crate) use self::state::mix;
use self::state::{Alarm, Next, Process, Shared, Sleep, Spawned, lock};
use crate::{
    choice::{Choice, Chooser, Kind},
    coverage,
};

/// Steps after which nothing unusual is chosen any more.
pub const CALM_AFTER: u64 = 5_000;
/// Steps after which a run that has not ended never does.
pub const STEPS_MAX: u64 = 100_000;
/// Simulated time after which a run that has not ended never does.
pub const TIME_MAX: Duration = Duration::from_hours(2);
/// The wall clock at the start: 2026-01-01T00:00:00Z.
pub const EPOCH: Time = Time(1_767_225_600_000);

/// A simulated world, seen from one of its processes. A clone is the same process.
#[derive(Clone)]
pub struct Sim {
    process: usize,
    /// Whose work is done here: an outside process may do another's.
    works_for: usize,
    shared: Arc<Mutex<Shared>>,
}

/// Why a run ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// Nobody can go on and nobody sleeps.
    Deadlock,
    /// It goes on for ever.
    Endless,
}

/// What a run was like.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its choices.
    pub choices: Vec<Choice>,
    /// Steps taken.
    pub steps: u64,
    /// Faults chosen, among them clocks that overtook.
    pub faults: u32,
    /// A hash of all steps: two runs with the same answers have the same.
    pub trace: u64,
}

impl Sim {
    /// A world that asks `chooser`.
    #[must_use]
    pub fn new(chooser: Box<dyn Chooser>) -> Self {
        let shared = Shared {
            now: Duration::ZERO,
            wall_skew: 0,
            random: 0,
            steps: 0,
            tasks: Vec::new(),
            ready: Vec::new(),
            last: 0,
            sleepers: BTreeMap::new(),
            sleeps: 0,
            processes: vec![Process::default()],
            chooser,
            choices: Vec::new(),
            faults: 0,
            trace: 0,
            is_observed: coverage::is_on(),
        };
        Self { process: 0, works_for: 0, shared: Arc::new(Mutex::new(shared)) }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Another process in the same world, which may crash so many times: then its tasks are gone at whatever
    /// await they had come to.
    #[must_use]
    pub fn process(&self, crashes: u32) -> Self {
        let mut shared = self.lock();
        let process = shared.processes.len();
        shared.processes.push(Process { crashes_left: crashes, ..Process::default() });
        Self { process, works_for: process, shared: self.shared.clone() }
    }

    /// What no process of this world takes along when it crashes.
    #[must_use]
    pub fn outside(&self) -> Self {
        Self { process: 0, works_for: self.works_for, shared: self.shared.clone() }
    }

    /// How often this process has crashed.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.lock().processes[self.process].generation
    }

    /// Ends when this process has crashed more often than that.
    pub async fn crashed(&self, times: u64) {
        std::future::poll_fn(|cx| {
            let mut shared = self.lock();
            let process = &mut shared.processes[self.process];
            if process.generation > times {
                return Poll::Ready(());
            }
            process.watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether a fault strikes here, and which: 0 is none.
    #[must_use]
    pub fn fault(&self, kinds: usize) -> usize {
        self.lock().ask(Kind::Fault, &[], kinds + 1)
    }

    /// Sets the wall clock forward or back; the monotonic one goes on as before.
    pub fn shift_wall(&self, ms: i64) {
        self.lock().wall_skew += ms;
    }

    /// Lets no task of this process go on, wherever it is, while time and all others do.
    pub fn pause(&self) {
        self.lock().pause(self.process);
    }

    /// Lets the tasks of a paused process go on.
    pub fn resume(&self) {
        self.lock().resume(self.process);
    }

    /// An await at which nothing is waited for: others may go on here.
    pub async fn give_way(&self) {
        let mut given = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut given, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Adds something to the trace, for runs that must be told apart.
    pub fn note(&self, what: u64) {
        self.lock().note(what);
    }

    /// Runs everything until `main` is done. Then all other tasks are dropped.
    pub fn run(&self, main: impl Future<Output = ()> + Send + 'static) -> Result<(), Stuck> {
        self.spawn("main", Box::pin(main));
        let ended = loop {
            if self.lock().tasks[0].is_over {
                break Ok(());
            }
            if let Err(stuck) = self.step() {
                break Err(stuck);
            }
        };
        self.drop_tasks(|_| true);
        // Wakers hold the world, and the world holds wakers.
        if self.lock().is_observed {
            coverage::ended();
        }
        let left = {
            let mut shared = self.lock();
            let processes = std::mem::take(&mut shared.processes);
            (std::mem::take(&mut shared.tasks), std::mem::take(&mut shared.sleepers), processes)
        };
        drop(left);
        ended
    }

    /// What the run was like so far.
    #[must_use]
    pub fn record(&self) -> Record {
        let shared = self.lock();
        Record {
            choices: shared.choices.clone(),
            steps: shared.steps,
            faults: shared.faults,
            trace: shared.trace,
        }
    }

    fn step(&self) -> Result<(), Stuck> {
        let mut shared = self.lock();
        shared.steps += 1;
        if shared.steps > STEPS_MAX || shared.now > TIME_MAX {
            return Err(Stuck::Endless);
        }
        match shared.next() {
            Next::Nothing => return Err(Stuck::Deadlock),
            Next::Clock => {
                let sleepers = shared.next_morning();
                shared.note(1 << 32);
                drop(shared);
                sleepers.into_iter().for_each(Waker::wake);
            }
            Next::Crash(process) => {
                shared.note((2 << 32) + process as u64);
                drop(shared);
                self.crash(process);
            }
            Next::Step(id) => {
                shared.note(u64::from(id));
                drop(shared);
                self.poll(id);
            }
        }
        Ok(())
    }

    fn poll(&self, id: u32) {
        let mut shared = self.lock();
        shared.last = id;
        let spawned = &mut shared.tasks[id as usize];
        spawned.is_ready = false;
        spawned.steps += 1;
        // Dropped by a crash since it was woken.
        let Some(mut task) = spawned.task.take() else { return };
        let waker = spawned.waker.clone();
        drop(shared);
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut shared = self.lock();
        let spawned = &mut shared.tasks[id as usize];
        let mut over = None;
        if poll.is_ready() || spawned.is_over {
            spawned.is_over = true;
            over = Some(task);
        } else {
            spawned.task = Some(task);
        }
        shared.observe_wait(id);
        // What a task drops may wake others.
        drop(shared);
        drop(over);
    }

    fn crash(&self, process: usize) {
        {
            let mut shared = self.lock();
            shared.observe_crash(process);
            shared.processes[process].crashes_left -= 1;
        }
        self.drop_tasks(|spawned| spawned.process == process);
        let watchers = {
            let mut shared = self.lock();
            shared.resume(process);
            let process = &mut shared.processes[process];
            process.generation += 1;
            std::mem::take(&mut process.watchers)
        };
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Drops tasks, and what they spawn in falling.
    fn drop_tasks(&self, falls: impl Fn(&Spawned) -> bool) {
        loop {
            let fallen: Vec<Task> = {
                let mut shared = self.lock();
                let fall = |spawned: &mut Spawned| {
                    let falls = !spawned.is_over && falls(spawned);
                    spawned.is_over |= falls;
                    falls.then(|| spawned.task.take()).flatten()
                };
                let fallen = shared.tasks.iter_mut().filter_map(fall).collect();
                let Shared { ready, tasks, .. } = &mut *shared;
                ready.retain(|id| !tasks[*id as usize].is_over);
                fallen
            };
            if fallen.is_empty() {
                return;
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl World for Sim {
    fn now(&self) -> Duration {
        self.lock().now
    }

    fn wall(&self) -> Time {
        let shared = self.lock();
        let wall = EPOCH + Millis(millis(shared.now));
        Time(wall.0.saturating_add_signed(shared.wall_skew))
    }

    fn random(&self) -> u64 {
        self.lock().draw()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        let mut shared = self.lock();
        let id = u32::try_from(shared.tasks.len()).expect("fewer than 4 billion tasks");
        let waker = Waker::from(Arc::new(Alarm { task: id, shared: self.shared.clone() }));
        shared.tasks.push(Spawned {
            name,
            steps: 0,
            works_for: self.works_for,
            process: self.process,
            is_ready: false,
            is_over: false,
            waker,
            task: Some(task),
        });
        shared.wake(id);
        shared.observe_wait(id);
    }

    fn sleep(&self, span: Duration) -> Task {
        let at = self.now() + span;
        Box::pin(Sleep { at, shared: self.shared.clone(), registered: None })
    }
}
