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

mod footprint;
mod state;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use interlock_kernel::time::{Millis, Time};
use interlock_runtime::env::{Access, Task, Witness, World};

pub use self::footprint::Footprint;
use self::state::{Process, Running, Shared, Sleep, Spawned, lock};
pub(crate) use self::{footprint::Object, state::mix};
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
/// Room for the tasks of a small run, and for its choices: made once.
const TASKS_USUAL: usize = 8;
const CHOICES_USUAL: usize = 64;
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

/// What happens at once, as far as anybody sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A task goes on to its next await.
    Task(u32),
    /// Time moves on to the next sleepers, who wake.
    Clock,
    /// A process crashes.
    Crash(usize),
}

/// Why a run ended before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// The chooser knows all that could still come.
    Redundant,
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
        let watches = chooser.watches();
        let shared = Shared {
            now: Duration::ZERO,
            wall_skew: 0,
            random: 0,
            steps: 0,
            tasks: Vec::with_capacity(TASKS_USUAL),
            ready: Vec::new(),
            order: Vec::new(),
            last: 0,
            sleepers: BTreeMap::new(),
            sleeps: 0,
            processes: vec![Process::default()],
            chooser,
            choices: Vec::with_capacity(CHOICES_USUAL),
            faults: 0,
            trace: 0,
            is_observed: coverage::is_on(),
            overtakes_left: u32::MAX,
            is_calm: false,
            watches,
            touched: Footprint::default(),
            objects: 0,
            memories: 1,
            memory: 0,
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
        shared.touch(Object::Processes, Access::Write);
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
        let mut shared = self.lock();
        shared.touch(Object::Faults, Access::Write);
        shared.ask(Kind::Fault, &[], kinds + 1)
    }

    /// How often the clock may overtake those who could go on: as often as it likes, unless told. Told 0,
    /// time passes only while everybody rests.
    pub fn overtakes(&self, times: u32) {
        let mut shared = self.lock();
        shared.touched.touch_everything();
        shared.overtakes_left = times;
    }

    /// Sets the wall clock forward or back; the monotonic one goes on as before.
    pub fn shift_wall(&self, ms: i64) {
        let mut shared = self.lock();
        shared.touch(Object::Wall, Access::Write);
        shared.wall_skew += ms;
    }

    /// Whether every answer is the calm one from now on.
    pub(crate) fn be_calm(&self, is_calm: bool) {
        let mut shared = self.lock();
        shared.touched.touch_everything();
        shared.is_calm = is_calm;
    }

    /// Lets no task of this process go on, wherever it is, while time and all others do.
    pub fn pause(&self) {
        let mut shared = self.lock();
        shared.touched.touch_everything();
        shared.pause(self.process);
    }

    /// Lets the tasks of a paused process go on.
    pub fn resume(&self) {
        let mut shared = self.lock();
        shared.touched.touch_everything();
        shared.resume(self.process);
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

    /// Runs a task that holds nothing of what its spawner can reach, except through the world.
    pub(crate) fn spawn_apart(&self, name: &'static str, task: Task) {
        let mut shared = self.lock();
        let memory = shared.memories;
        shared.memories += 1;
        shared.spawn(self, name, memory, task);
    }

    /// Adds something to the trace, for runs that must be told apart.
    pub fn note(&self, what: u64) {
        self.lock().note(what);
    }

    /// Runs everything until `main` is done. Then all other tasks are dropped.
    pub fn run(&self, main: Task) -> Result<(), Stuck> {
        self.spawn("main", main);
        let ended = self.steps();
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

    /// What the run was like so far. Its choices are told once.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut shared = self.lock();
        Record {
            choices: std::mem::take(&mut shared.choices),
            steps: shared.steps,
            faults: shared.faults,
            trace: shared.trace,
        }
    }

    /// Takes steps until `main` is done. The world is let go of only while others work in it.
    fn steps(&self) -> Result<(), Stuck> {
        let mut shared = self.lock();
        while !shared.tasks[0].is_over {
            let step = shared.next_step()?;
            shared = match step {
                Step::Task(id) => self.poll(shared, id),
                Step::Clock => {
                    let sleepers = shared.next_morning();
                    drop(shared);
                    sleepers.into_iter().for_each(Waker::wake);
                    self.lock()
                }
                Step::Crash(process) => {
                    drop(shared);
                    self.crash(process);
                    self.lock()
                }
            };
            shared.tell(step);
        }
        Ok(())
    }

    fn poll<'a>(&'a self, mut shared: MutexGuard<'a, Shared>, id: u32) -> MutexGuard<'a, Shared> {
        // None: dropped by a crash since it was woken.
        let Some(mut running) = shared.begin(id) else { return shared };
        drop(shared);
        let Running { task, waker } = &mut running;
        let poll = task.as_mut().poll(&mut Context::from_waker(waker));
        let mut shared = self.lock();
        let Some(over) = shared.rest(id, running, poll.is_ready()) else { return shared };
        // What a task drops may wake others.
        drop(shared);
        drop(over);
        self.lock()
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
            let fallen: Vec<(u32, Task)> = {
                let mut shared = self.lock();
                let fall = |spawned: &mut Spawned| {
                    let falls = !spawned.is_over && falls(spawned);
                    spawned.is_over |= falls;
                    let fallen = if falls { spawned.running.take() } else { None };
                    fallen.map(|fallen| (spawned.memory, fallen.task))
                };
                let fallen = shared.tasks.iter_mut().filter_map(fall).collect();
                let Shared { ready, tasks, .. } = &mut *shared;
                ready.retain(|id| !tasks[*id as usize].is_over);
                fallen
            };
            if fallen.is_empty() {
                return;
            }
            for (memory, task) in fallen {
                self.lock().memory = memory;
                drop(task);
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
        let mut shared = self.lock();
        shared.touch(Object::Wall, Access::Read);
        let wall = EPOCH + Millis(millis(shared.now));
        Time(wall.0.saturating_add_signed(shared.wall_skew))
    }

    fn random(&self) -> u64 {
        let mut shared = self.lock();
        shared.touch(Object::Random, Access::Write);
        shared.draw()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        // Whoever spawns a task can leave something of its own with it.
        let mut shared = self.lock();
        let memory = shared.memory;
        shared.spawn(self, name, memory, task);
    }

    fn sleep(&self, span: Duration) -> Task {
        let at = self.now() + span;
        Box::pin(Sleep { at, shared: self.shared.clone(), registered: None })
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.lock().watches.then(|| Arc::new(self.clone()) as Arc<dyn Witness>)
    }
}

impl Witness for Sim {
    fn object(&self) -> u64 {
        let mut shared = self.lock();
        shared.objects += 1;
        shared.objects
    }

    fn touches(&self, object: u64, access: Access) {
        self.lock().touch(Object::Shared(object), access);
    }

    fn touches_anything(&self) {
        self.lock().touched.touch_everything();
    }
}
