//! A world on one thread, with a clock of its own and every choice drawn from a seed: two runs with the
//! same seed take the same steps.
//!
//! Which of the ready tasks runs next is a random choice. Time stands still while any task is ready, then
//! jumps to the next sleepers, who all become ready. Stores used here must bring no threads of their own
//! ([`crate::store::memory`]).
//!
//! Tasks belong to a process ([`Seeded::process`]), and a process can be killed ([`Seeded::kill`]): its tasks
//! are gone at whatever await they had come to, as in a crash.
//!
//! Invariant: the order in which tasks are woken during one step has no influence on what follows.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use interlock_kernel::time::Time;

use super::{Task, World};

/// A world that repeats itself. A clone is the same process of the same world.
#[derive(Clone)]
pub struct Seeded {
    process: u64,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    now: Duration,
    wall_at_start: Time,
    random: u64,
    next_id: u64,
    tasks: BTreeMap<u64, Spawned>,
    ready: Vec<u64>,
    /// Those who became ready since the last step, in the order of their wakers' calls.
    woken: Vec<u64>,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    trace: Vec<(Duration, &'static str)>,
}

struct Spawned {
    name: &'static str,
    process: u64,
    is_ready: bool,
    waker: Waker,
    /// Taken out while it is polled.
    task: Option<Task>,
}

impl Shared {
    /// `splitmix64`: a full-period generator that any seed will do for.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn wake(&mut self, id: u64) {
        if let Some(spawned) = self.tasks.get_mut(&id)
            && !std::mem::replace(&mut spawned.is_ready, true)
        {
            self.woken.push(id);
        }
    }

    /// The next to run, by chance.
    fn choose(&mut self) -> Option<u64> {
        // Wakers may be called in an order that nobody controls, such as that of a broadcast.
        self.woken.sort_unstable();
        self.ready.append(&mut self.woken);
        if self.ready.is_empty() {
            return None;
        }
        let draw = self.draw() % self.ready.len() as u64;
        Some(self.ready.swap_remove(usize::try_from(draw).expect("it is below a length")))
    }

    /// Moves the clock to the next sleepers and takes them out.
    fn next_morning(&mut self) -> Vec<Waker> {
        let Some(((at, _), _)) = self.sleepers.first_key_value() else { return Vec::new() };
        let at = *at;
        self.now = self.now.max(at);
        let later = self.sleepers.split_off(&(at, u64::MAX));
        std::mem::replace(&mut self.sleepers, later).into_values().collect()
    }
}

struct Alarm {
    task: u64,
    shared: Arc<Mutex<Shared>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        lock(&self.shared).wake(self.task);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("no task panics while it holds the world")
}

impl Seeded {
    /// A world whose every choice follows from `seed`. Its clock starts at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            now: Duration::ZERO,
            wall_at_start: Time(1_767_225_600_000),
            random: seed,
            next_id: 0,
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            woken: Vec::new(),
            sleepers: BTreeMap::new(),
            trace: Vec::new(),
        };
        Self { process: 0, shared: Arc::new(Mutex::new(shared)) }
    }

    /// Another process in the same world: what is spawned through it can be killed together.
    #[must_use]
    pub fn process(&self) -> Self {
        Self { process: lock(&self.shared).id(), shared: self.shared.clone() }
    }

    /// Kills this process: its tasks are dropped where they are. What is spawned later lives.
    pub fn kill(&self) {
        self.drop_tasks(|spawned| spawned.process == self.process);
    }

    /// Runs everything until `main` is done, and returns what it returned. Then all other tasks are dropped.
    ///
    /// # Panics
    /// When nothing can go on and nobody sleeps although `main` is not done: a deadlock.
    pub fn run<T: Send + 'static>(&self, main: impl Future<Output = T> + Send + 'static) -> T {
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        self.spawn(
            "main",
            Box::pin(async move {
                let value = main.await;
                *slot.lock().expect("only this task writes") = Some(value);
            }),
        );
        loop {
            if let Some(value) = result.lock().expect("only main writes").take() {
                self.drop_tasks(|_| true);
                return value;
            }
            assert!(self.step(), "deadlock: nobody can go on and nobody sleeps");
        }
    }

    /// Every step taken so far: when, and which task.
    #[must_use]
    pub fn trace(&self) -> Vec<(Duration, &'static str)> {
        lock(&self.shared).trace.clone()
    }

    /// Sets the wall clock forward or back; the monotonic one goes on as before.
    pub fn set_wall(&self, wall: Time) {
        let mut shared = lock(&self.shared);
        shared.wall_at_start = wall - interlock_kernel::time::Millis(millis(shared.now));
    }

    /// Moves the clocks on, as if the running task took that long.
    pub fn spend(&self, span: Duration) {
        lock(&self.shared).now += span;
    }

    /// Lets the other ready tasks have a turn, perhaps.
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

    /// Polls one ready task, or moves the clock to the next sleepers. False: nothing is left to do.
    fn step(&self) -> bool {
        let mut shared = lock(&self.shared);
        let Some(id) = shared.choose() else {
            let sleepers = shared.next_morning();
            drop(shared);
            let any = !sleepers.is_empty();
            sleepers.into_iter().for_each(Waker::wake);
            return any;
        };
        let now = shared.now;
        // Killed since it was woken.
        let Some(spawned) = shared.tasks.get_mut(&id) else { return true };
        spawned.is_ready = false;
        let (name, waker) = (spawned.name, spawned.waker.clone());
        let mut task = spawned.task.take().expect("a task is polled by one step at a time");
        shared.trace.push((now, name));
        drop(shared);
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut shared = lock(&self.shared);
        let dropped = match poll {
            Poll::Ready(()) => {
                shared.tasks.remove(&id);
                Some(task)
            }
            Poll::Pending => match shared.tasks.get_mut(&id) {
                Some(spawned) => spawned.task.replace(task),
                // It killed its own process.
                None => Some(task),
            },
        };
        // What a task drops may wake others.
        drop(shared);
        drop(dropped);
        true
    }

    /// Drops tasks, and what they spawn in falling.
    fn drop_tasks(&self, falls: impl Fn(&Spawned) -> bool) {
        loop {
            let fallen: Vec<Spawned> = {
                let mut shared = lock(&self.shared);
                shared.tasks.extract_if(.., |_, spawned| falls(spawned)).map(|(_, it)| it).collect()
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

impl World for Seeded {
    fn now(&self) -> Duration {
        lock(&self.shared).now
    }

    fn wall(&self) -> Time {
        let shared = lock(&self.shared);
        shared.wall_at_start + interlock_kernel::time::Millis(millis(shared.now))
    }

    fn random(&self) -> u64 {
        lock(&self.shared).draw()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        let mut shared = lock(&self.shared);
        let id = shared.id();
        let waker = Waker::from(Arc::new(Alarm { task: id, shared: self.shared.clone() }));
        let spawned =
            Spawned { name, process: self.process, is_ready: false, waker, task: Some(task) };
        shared.tasks.insert(id, spawned);
        shared.wake(id);
    }

    fn sleep(&self, span: Duration) -> Task {
        let at = self.now() + span;
        Box::pin(Sleep { at, shared: self.shared.clone(), registered: None })
    }
}

struct Sleep {
    at: Duration,
    shared: Arc<Mutex<Shared>>,
    registered: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.shared.clone();
        let mut shared = lock(&shared);
        if let Some(id) = self.registered.take() {
            shared.sleepers.remove(&(self.at, id));
        }
        if shared.now >= self.at {
            return Poll::Ready(());
        }
        let id = shared.id();
        shared.sleepers.insert((self.at, id), cx.waker().clone());
        self.registered = Some(id);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.registered {
            lock(&self.shared).sleepers.remove(&(self.at, id));
        }
    }
}
