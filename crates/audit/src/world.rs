//! The simulated world: one thread, a clock of its own, and a [`Chooser`] that is asked about everything.
//!
//! Tasks run from one await to the next. Between two such steps the world asks who goes on: one of the tasks
//! that can, or the clock (which wakes the next sleepers although others could go on), or a crash of a
//! process that may crash. When no task can go on, time jumps to the next sleepers.
//!
//! Invariants:
//!
//! - Two runs with the same answers take the same steps, and commit and answer the same ([`Record::trace`] tells).
//! - After [`CALM_AFTER`] steps every answer is the calm one and tasks take turns, so that whatever ends at
//!   all ends then; who has not ended after [`STEPS_MAX`] steps or [`TIME_MAX`] never does.
//! - A thread has one world at a time, the newest; so nothing in it is locked, and a handle is three numbers.
//!
//! It simulates no parallel steps: code between two awaits is taken to be atomic, as it is for tasks that
//! share nothing but channels and locks.

mod footprint;
mod sleep;
mod state;
mod steps;

use std::{
    cell::RefCell,
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use interlock_kernel::time::{Millis, Time};
use interlock_runtime::env::{Access, Task, Witness, World};
use rustc_hash::FxHasher;

pub use self::footprint::Footprint;
pub(crate) use self::{footprint::Object, state::mix};
use self::{
    sleep::Sleep,
    state::{Process, State},
};
use crate::choice::{Choice, Chooser, Kind};

/// Steps after which nothing unusual is chosen any more.
pub const CALM_AFTER: u64 = 5_000;
/// Steps after which a run that has not ended never does.
pub const STEPS_MAX: u64 = 100_000;
/// Simulated time after which a run that has not ended never does.
pub const TIME_MAX: Duration = Duration::from_hours(2);
/// The wall clock at the start: 2026-01-01T00:00:00Z.
pub const EPOCH: Time = Time(1_767_225_600_000);

thread_local! {
    /// This thread's newest world.
    static WORLD: RefCell<State> = const { RefCell::new(State::void()) };
}

/// A simulated world, seen from one of its processes. A clone is the same process.
///
/// It lives on the thread that made it, until another is made there.
#[derive(Clone)]
pub struct Sim {
    /// Its number among all worlds.
    world: u64,
    process: usize,
    /// Whose work is done here: an outside process may do another's.
    works_for: usize,
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
    /// A hash of all steps, of what was drawn, committed and answered: two runs with the same answers have the
    /// same.
    pub trace: u64,
}

impl Sim {
    /// A world that asks `chooser`.
    #[must_use]
    pub fn new(chooser: Box<dyn Chooser>) -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(1);
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        // What a run left that did not come to its end may still look for its world as it falls.
        let left = WORLD.with_borrow_mut(|state| state.begin(world, chooser));
        drop(left);
        Self { world, process: 0, works_for: 0 }
    }

    /// Its state, unless it is over or elsewhere.
    fn reach<T>(&self, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        let looked = WORLD.try_with(|state| {
            let mut state = state.borrow_mut();
            (state.world == self.world).then(|| look(&mut state))
        });
        looked.ok().flatten()
    }

    /// Its state. Whoever looks at it neither wakes nor drops anybody.
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        self.reach(look)
            .expect("a world is used on its own thread, and before the next one begins there")
    }

    /// Another process in the same world, which may crash so many times: then its tasks are gone at whatever
    /// await they had come to.
    #[must_use]
    pub fn process(&self, crashes: u32) -> Self {
        let process = self.with(|state| {
            state.touch(Object::Processes, Access::Write);
            state.processes.push(Process { crashes_left: crashes, ..Process::default() });
            let process = state.processes.len() - 1;
            if crashes > 0 {
                state.crashable.push(process);
            }
            process
        });
        Self { world: self.world, process, works_for: process }
    }

    /// What no process of this world takes along when it crashes.
    #[must_use]
    pub fn outside(&self) -> Self {
        Self { process: 0, ..self.clone() }
    }

    /// How often this process has crashed.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.with(|state| {
            state.touch(Object::Process(self.process), Access::Read);
            state.processes[self.process].generation
        })
    }

    /// Ends when this process has crashed more often than that.
    pub async fn crashed(&self, times: u64) {
        std::future::poll_fn(|cx| {
            self.with(|state| {
                state.touch(Object::Process(self.process), Access::Read);
                let process = &mut state.processes[self.process];
                if process.generation > times {
                    return Poll::Ready(());
                }
                process.watchers.push(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    /// Whether a fault strikes here, and which: 0 is none.
    #[must_use]
    pub fn fault(&self, kinds: usize) -> usize {
        self.with(|state| {
            state.touch(Object::Faults, Access::Write);
            state.ask(Kind::Fault, &[], kinds + 1)
        })
    }

    /// Asks how bad it is that something has failed. 0: not worse than that; otherwise which of so many kinds.
    #[must_use]
    pub fn damage(&self, kinds: usize) -> usize {
        self.with(|state| {
            state.touch(Object::Faults, Access::Write);
            state.ask(Kind::Damage, &[], kinds + 1)
        })
    }

    /// How often the clock may overtake those who could go on: as often as it likes, unless told. Told 0,
    /// time passes only while everybody rests.
    pub fn overtakes(&self, times: u32) {
        self.change(|state| state.overtakes_left = times);
    }

    /// Touches what tells who is still playing.
    pub(crate) fn touches_playing(&self, access: Access) {
        self.reach(|state| state.touch(Object::Playing, access));
    }

    /// Sets the wall clock forward or back; the monotonic one goes on as before.
    pub fn shift_wall(&self, ms: i64) {
        self.with(|state| {
            state.touch(Object::Wall, Access::Write);
            state.wall_skew += ms;
        });
    }

    /// Whether every answer is the calm one from now on.
    pub(crate) fn be_calm(&self, is_calm: bool) {
        self.change(|state| state.is_calm = is_calm);
    }

    /// Lets no task of this process go on, wherever it is, while time and all others do.
    pub fn pause(&self) {
        self.change(|state| state.pause(self.process));
    }

    /// Lets the tasks of a paused process go on.
    pub fn resume(&self) {
        self.change(|state| state.resume(self.process));
    }

    /// Changes what everybody may do.
    fn change(&self, change: impl FnOnce(&mut State)) {
        self.with(|state| {
            state.touched.touch_everything();
            change(state);
        });
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
    pub fn note(&self, what: impl Hash) {
        let mut hasher = FxHasher::default();
        what.hash(&mut hasher);
        self.with(|state| state.note(hasher.finish()));
    }

    /// What the run was like so far. Its choices are told once.
    #[must_use]
    pub fn record(&self) -> Record {
        self.with(|state| Record {
            choices: std::mem::take(&mut state.choices),
            steps: state.steps,
            faults: state.faults,
            trace: state.trace,
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl World for Sim {
    fn now(&self) -> Duration {
        self.with(|state| state.now)
    }

    fn wall(&self) -> Time {
        self.with(|state| {
            state.touch(Object::Wall, Access::Read);
            let wall = EPOCH + Millis(millis(state.now));
            Time(wall.0.saturating_add_signed(state.wall_skew))
        })
    }

    fn random(&self) -> u64 {
        self.with(|state| {
            state.touch(Object::Random, Access::Write);
            state.draw()
        })
    }

    fn spawn(&self, name: &'static str, task: Task) {
        // Whoever spawns a task can leave something of its own with it.
        self.with(|state| state.spawn(self, name, state.memory, task));
    }

    fn spawn_apart(&self, name: &'static str, task: Task) {
        self.with(|state| {
            let memory = state.new_memory(self.process);
            state.spawn(self, name, memory, task);
        });
    }

    fn sleep(&self, span: Duration) -> Task {
        Box::pin(Sleep::new(self, self.now() + span))
    }

    fn witness(&self) -> Option<Arc<dyn Witness>> {
        self.with(|state| state.watches).then(|| Arc::new(self.clone()) as Arc<dyn Witness>)
    }
}

/// What falls with its world, or after it, may still say what it touches.
impl Witness for Sim {
    fn object(&self) -> u64 {
        self.with(|state| {
            state.objects += 1;
            state.objects
        })
    }

    fn touches(&self, object: u64, access: Access) {
        self.reach(|state| state.touch(Object::Shared(object), access));
    }

    fn touches_anything(&self) {
        self.reach(|state| state.touched.touch_everything());
    }
}
