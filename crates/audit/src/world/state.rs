//! What a world is made of: tasks, those that can go on, sleepers, processes, and the next step.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

use interlock_runtime::env::{Access, Task};

use super::{
    CALM_AFTER, STEPS_MAX, Sim, Step, Stuck, TIME_MAX,
    footprint::{Footprint, Object},
};
use crate::{
    choice::{Choice, Chooser, Kind, Point},
    coverage::{self, Await},
};

/// Choices of a small run: room for them is made at once.
const CHOICES_USUAL: usize = 64;

pub(super) struct State {
    /// Its number among all worlds.
    pub(super) world: u64,
    pub(super) now: Duration,
    /// Wall clock minus epoch minus `now`, in milliseconds.
    pub(super) wall_skew: i64,
    random: u64,
    pub(super) steps: u64,
    tasks: Vec<Spawned>,
    /// In the order of their numbers.
    ready: Vec<u32>,
    /// Those who can go on in the calm order, while the chooser is asked.
    order: Vec<u32>,
    last: u32,
    pub(super) sleepers: BTreeMap<(Duration, u64), Waker>,
    pub(super) sleeps: u64,
    pub(super) processes: Vec<Process>,
    /// Those that may crash.
    pub(super) crashable: Vec<usize>,
    /// `None`: there is no world yet.
    chooser: Option<Box<dyn Chooser>>,
    pub(super) choices: Vec<Choice>,
    pub(super) faults: u32,
    pub(super) trace: u64,
    /// Whether somebody wants to know what it comes to.
    pub(super) is_observed: bool,
    /// How often the clock may still overtake those who could go on.
    pub(super) overtakes_left: u32,
    /// Whether every answer is the calm one for now.
    pub(super) is_calm: bool,
    /// Whether the chooser hears of steps.
    pub(super) watches: bool,
    /// The step that is being taken.
    step: Option<Step>,
    /// What it has touched.
    pub(super) touched: Footprint,
    /// Things that tasks share, so far.
    pub(super) objects: u64,
    /// Whose each memory is; `None`: that of tasks of several processes.
    pub(super) memories: Vec<Option<usize>>,
    /// That of the task that is being polled.
    pub(super) memory: u32,
}

pub(super) struct Spawned {
    pub(super) name: &'static str,
    /// Steps so far.
    pub(super) steps: u32,
    /// Whose work it does.
    pub(super) works_for: usize,
    pub(super) process: usize,
    pub(super) memory: u32,
    pub(super) is_ready: bool,
    pub(super) is_over: bool,
    /// Taken out while it is polled, and when it is over.
    pub(super) running: Option<Running>,
}

/// A task, and what wakes it: made once, and moved as one.
pub(super) struct Running {
    pub(super) task: Task,
    pub(super) waker: Waker,
}

#[derive(Default)]
pub(super) struct Process {
    pub(super) crashes_left: u32,
    pub(super) generation: u64,
    pub(super) watchers: Vec<Waker>,
    pub(super) is_paused: bool,
    /// Tasks that could go on if it were not paused.
    pub(super) held: Vec<u32>,
}

impl Spawned {
    /// Where it waits.
    fn place(&self) -> Await {
        Await::new(self.name, self.steps)
    }
}

impl State {
    /// No world.
    pub(super) const fn void() -> Self {
        Self {
            world: 0,
            now: Duration::ZERO,
            wall_skew: 0,
            random: 0,
            steps: 0,
            tasks: Vec::new(),
            ready: Vec::new(),
            order: Vec::new(),
            last: 0,
            sleepers: BTreeMap::new(),
            sleeps: 0,
            processes: Vec::new(),
            crashable: Vec::new(),
            chooser: None,
            choices: Vec::new(),
            faults: 0,
            trace: 0,
            is_observed: false,
            overtakes_left: u32::MAX,
            is_calm: false,
            watches: false,
            step: None,
            touched: Footprint::NONE,
            objects: 0,
            memories: Vec::new(),
            memory: 0,
        }
    }

    /// Becomes a new world, in the memory of the old one. Returns what is left of that.
    pub(super) fn begin(&mut self, world: u64, chooser: Box<dyn Chooser>) -> Self {
        let mut left = std::mem::replace(self, Self::void());
        if left.tasks.is_empty() {
            std::mem::swap(&mut self.tasks, &mut left.tasks);
        }
        std::mem::swap(&mut self.ready, &mut left.ready);
        std::mem::swap(&mut self.order, &mut left.order);
        std::mem::swap(&mut self.touched, &mut left.touched);
        self.ready.clear();
        self.touched.clear();
        self.world = world;
        self.watches = chooser.watches();
        self.chooser = Some(chooser);
        self.choices.reserve(CHOICES_USUAL);
        self.is_observed = coverage::is_on();
        self.processes.push(Process::default());
        self.memories.push(Some(0));
        left
    }

    /// The run is over. Returns the wakers that are left.
    pub(super) fn end(&mut self) -> Vec<Waker> {
        self.tasks.clear();
        let watchers = self.processes.iter_mut().flat_map(|process| process.watchers.drain(..));
        std::mem::take(&mut self.sleepers).into_values().chain(watchers).collect()
    }

    /// Notes where a task waits, if a crash could strike it there.
    pub(super) fn observe_wait(&self, id: u32) {
        let spawned = &self.tasks[id as usize];
        if self.is_observed
            && !spawned.is_over
            && self.processes[spawned.works_for].crashes_left > 0
        {
            coverage::waits(spawned.place());
        }
    }

    /// Notes where the tasks of a process waited when it crashed.
    pub(super) fn observe_crash(&self, process: usize) {
        if self.is_observed {
            let own = |spawned: &&Spawned| !spawned.is_over && spawned.works_for == process;
            self.tasks.iter().filter(own).for_each(|spawned| coverage::crashed(spawned.place()));
        }
    }

    /// `splitmix64`: a full-period generator that any seed will do for.
    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let drawn = mix(self.random);
        self.note(drawn);
        drawn
    }

    pub(super) fn note(&mut self, what: u64) {
        self.trace = mix(self.trace ^ what);
    }

    pub(super) fn touch(&mut self, object: Object, access: Access) {
        if self.watches {
            self.touched.touch(object, access);
        }
    }

    /// A memory of its own.
    pub(super) fn new_memory(&mut self, process: usize) -> u32 {
        self.memories.push(Some(process));
        u32::try_from(self.memories.len() - 1).expect("fewer than 4 billion tasks")
    }

    pub(super) fn spawn(&mut self, sim: &Sim, name: &'static str, memory: u32, task: Task) {
        let owner = &mut self.memories[memory as usize];
        *owner = owner.filter(|owner| *owner == sim.process);
        self.touch(Object::Process(sim.process), Access::Merge);
        let id = u32::try_from(self.tasks.len()).expect("fewer than 4 billion tasks");
        let waker = Waker::from(Arc::new(Alarm { task: id, sim: sim.clone() }));
        self.tasks.push(Spawned {
            name,
            steps: 0,
            works_for: sim.works_for,
            process: sim.process,
            memory,
            is_ready: false,
            is_over: false,
            running: Some(Running { task, waker }),
        });
        self.wake(id);
        self.observe_wait(id);
    }

    pub(super) fn wake(&mut self, id: u32) {
        self.touch(Object::Task(id), Access::Merge);
        let Some(spawned) = self.tasks.get_mut(id as usize) else { return };
        if spawned.is_over || std::mem::replace(&mut spawned.is_ready, true) {
            return;
        }
        let process = &mut self.processes[spawned.process];
        if process.is_paused {
            process.held.push(id);
        } else {
            let place = self.ready.partition_point(|other| *other < id);
            self.ready.insert(place, id);
        }
    }

    pub(super) fn pause(&mut self, process: usize) {
        let Self { ready, tasks, processes, .. } = self;
        processes[process].is_paused = true;
        let held = ready.extract_if(.., |id| tasks[*id as usize].process == process);
        processes[process].held.extend(held);
    }

    pub(super) fn resume(&mut self, process: usize) {
        self.processes[process].is_paused = false;
        for id in std::mem::take(&mut self.processes[process].held) {
            self.tasks[id as usize].is_ready = false;
            self.wake(id);
        }
    }

    /// Asks the chooser, unless there is nothing to choose or it is time for calm.
    pub(super) fn ask(&mut self, kind: Kind, tasks: &[u32], options: usize) -> usize {
        if options < 2 || self.is_calm || self.steps > CALM_AFTER {
            return 0;
        }
        let chooser = self.chooser.as_mut().expect("a world has a chooser");
        let crashes = if kind.is_failure() { &[][..] } else { &self.crashable };
        let taken = chooser.choose(&Point { kind, tasks, crashes, options });
        let narrow = |number: usize| u16::try_from(number).expect("fewer than 65,536 options");
        let choice = Choice {
            taken: narrow(taken),
            options: narrow(options),
            tasks: narrow(tasks.len()),
            kind,
        };
        self.faults += u32::from(taken >= tasks.len() && taken > 0);
        self.choices.push(choice);
        taken
    }

    /// Tells the chooser what the last step has touched, chooses the next one and notes it. `None`: the main task
    /// is done.
    pub(super) fn next_step(&mut self) -> Result<Option<Step>, Stuck> {
        self.tell_step();
        if self.tasks[0].is_over {
            return Ok(None);
        }
        self.steps += 1;
        if self.steps > STEPS_MAX || self.now > TIME_MAX {
            return Err(Stuck::Endless);
        }
        let step = self.next().ok_or(Stuck::Deadlock)?;
        if let (true, Some(chooser)) = (self.watches, &mut self.chooser)
            && !chooser.goes_on(step)
        {
            return Err(Stuck::Redundant);
        }
        self.touched.clear();
        match step {
            Step::Task(id) => self.note(u64::from(id)),
            Step::Clock => {
                self.note(1 << 32);
                self.touched.touch_everything();
            }
            Step::Crash(process) => self.note((2 << 32) + process as u64),
        }
        self.step = Some(step);
        Ok(Some(step))
    }

    /// Tells the chooser what the last step has touched.
    fn tell_step(&mut self) {
        let (true, Some(step)) = (self.watches, self.step) else { return };
        if let Step::Task(task) = step {
            let process = self.tasks[task as usize].process;
            let Self { touched, tasks, memories, .. } = self;
            touched.goes_with(process, |object, access| match object {
                Object::Task(task) => tasks[task as usize].process == process,
                Object::Memory(memory) => memories[memory as usize] == Some(process),
                Object::Shared(_)
                | Object::Random
                | Object::Wall
                | Object::Processes
                | Object::Process(_)
                | Object::Faults
                | Object::Playing => matches!(access, Access::Read | Access::Receive),
            });
        }
        if let Some(chooser) = &mut self.chooser {
            chooser.took(step, &self.touched);
        }
    }

    /// A process crashes: whoever belongs to it falls, and whoever watches it wakes.
    pub(super) fn begin_crash(&mut self, id: usize) {
        self.observe_crash(id);
        self.touch(Object::Processes, Access::Read);
        self.touch(Object::Process(id), Access::Write);
        let process = &mut self.processes[id];
        process.crashes_left -= 1;
        if process.crashes_left == 0 {
            self.crashable.retain(|other| *other != id);
        }
    }

    /// Takes a task out to be polled.
    pub(super) fn begin_step(&mut self, id: u32) -> Option<Running> {
        self.last = id;
        let spawned = &mut self.tasks[id as usize];
        spawned.is_ready = false;
        spawned.steps += 1;
        let running = spawned.running.take()?;
        self.memory = spawned.memory;
        self.touch(Object::Task(id), Access::Write);
        self.touch(Object::Memory(self.memory), Access::Write);
        Some(running)
    }

    /// Puts a task back that was polled, or returns it if it is over.
    pub(super) fn rest(&mut self, id: u32, running: Running, is_done: bool) -> Option<Running> {
        let spawned = &mut self.tasks[id as usize];
        if !is_done && !spawned.is_over {
            spawned.running = Some(running);
            self.observe_wait(id);
            return None;
        }
        spawned.is_over = true;
        if id == 0 {
            // With `main` everything ends.
            self.touched.touch_everything();
        }
        Some(running)
    }

    /// Takes out tasks that fall, each with its memory.
    pub(super) fn fell(&mut self, falls: impl Fn(&Spawned) -> bool) -> Vec<(u32, Running)> {
        for id in 0..self.tasks.len() {
            let spawned = &self.tasks[id];
            if self.watches && !spawned.is_over && falls(spawned) {
                let id = u32::try_from(id).expect("fewer than 4 billion tasks");
                self.touched.touch(Object::Memory(spawned.memory), Access::Write);
                self.touched.touch(Object::Task(id), Access::Write);
            }
        }
        let fall = |spawned: &mut Spawned| {
            let falls = !spawned.is_over && falls(spawned);
            spawned.is_over |= falls;
            let running = if falls { spawned.running.take() } else { None };
            running.map(|running| (spawned.memory, running))
        };
        let fallen = self.tasks.iter_mut().filter_map(fall).collect();
        let Self { ready, tasks, .. } = self;
        ready.retain(|id| !tasks[*id as usize].is_over);
        fallen
    }

    /// What happens next. `None`: nobody can go on, and nobody sleeps.
    fn next(&mut self) -> Option<Step> {
        let able = self.ready.len();
        if able == 0 {
            return (!self.sleepers.is_empty()).then_some(Step::Clock);
        }
        let later = self.ready.partition_point(|id| *id <= self.last);
        let goes_on = later > 0 && self.ready[later - 1] == self.last;
        if self.steps > CALM_AFTER {
            // Turns, so that nobody who waits in circles keeps the others waiting.
            return Some(Step::Task(self.ready.remove(later % able)));
        }
        // The calm order: the same task first, then those after it, in a circle.
        let start = if goes_on { later - 1 } else { later };
        let has_clock = !self.sleepers.is_empty() && self.overtakes_left > 0;
        let clock = usize::from(has_clock);
        let options = able + clock + self.crashable.len();
        let kind = if goes_on { Kind::Preempt } else { Kind::Switch };
        let taken = if options < 2 { 0 } else { self.ask_who(kind, start, options) };
        Some(if taken < able {
            Step::Task(self.ready.remove((start + taken) % able))
        } else if has_clock && taken == able {
            self.overtakes_left -= 1;
            Step::Clock
        } else {
            Step::Crash(self.crashable[taken - able - clock])
        })
    }

    /// Asks who goes on: those who can, in a circle from `start`, the clock, or a crash.
    fn ask_who(&mut self, kind: Kind, start: usize, options: usize) -> usize {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend_from_slice(&self.ready[start..]);
        order.extend_from_slice(&self.ready[..start]);
        let taken = self.ask(kind, &order, options);
        self.order = order;
        taken
    }

    /// Moves the clock to the next sleepers and takes them out.
    pub(super) fn next_morning(&mut self) -> Vec<Waker> {
        let Some(((at, _), _)) = self.sleepers.first_key_value() else { return Vec::new() };
        let at = *at;
        self.now = self.now.max(at);
        let later = self.sleepers.split_off(&(at, u64::MAX));
        std::mem::replace(&mut self.sleepers, later).into_values().collect()
    }
}

/// The mixing step of `splitmix64`.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Wakes a task.
struct Alarm {
    task: u32,
    sim: Sim,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.sim.reach(|state| state.wake(self.task));
    }
}
