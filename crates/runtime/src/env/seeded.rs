//! A world on one thread, with a clock of its own and every choice drawn from a seed: two runs with the
//! same seed take the same steps.
//!
//! Which of the ready tasks runs next is a random choice. Time stands still while any task is ready, then
//! jumps to the next sleeper. Stores used here must answer at once ([`crate::store::memory`]).

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

/// A world that repeats itself.
#[derive(Clone)]
pub struct Seeded {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    now: Duration,
    random: u64,
    next_id: u64,
    ready: Vec<u64>,
    tasks: BTreeMap<u64, (&'static str, Option<Task>)>,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    trace: Vec<(Duration, &'static str)>,
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

    fn wake(&mut self, task: u64) {
        if self.tasks.contains_key(&task) && !self.ready.contains(&task) {
            self.ready.push(task);
        }
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
    /// A world whose every choice follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                now: Duration::ZERO,
                random: seed,
                next_id: 0,
                ready: Vec::new(),
                tasks: BTreeMap::new(),
                sleepers: BTreeMap::new(),
                trace: Vec::new(),
            })),
        }
    }

    /// Runs everything until `main` is done, and returns what it returned.
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

    /// Polls one ready task, or moves the clock to the next sleeper. False: nothing is left to do.
    fn step(&self) -> bool {
        let mut shared = lock(&self.shared);
        if shared.ready.is_empty() {
            let Some(((at, _), waker)) = shared.sleepers.pop_first() else {
                return false;
            };
            shared.now = shared.now.max(at);
            drop(shared);
            waker.wake();
            return true;
        }
        let draw = shared.draw();
        let chosen = usize::try_from(draw % shared.ready.len() as u64).expect("below a length");
        let id = shared.ready.swap_remove(chosen);
        let now = shared.now;
        let Some((name, task)) = shared.tasks.get_mut(&id) else { return true };
        let name = *name;
        let mut task = task.take().expect("a task is polled by one step at a time");
        shared.trace.push((now, name));
        drop(shared);
        let waker = Waker::from(Arc::new(Alarm { task: id, shared: self.shared.clone() }));
        let poll = task.as_mut().poll(&mut Context::from_waker(&waker));
        let mut shared = lock(&self.shared);
        match poll {
            Poll::Ready(()) => {
                shared.tasks.remove(&id);
                shared.ready.retain(|other| *other != id);
            }
            Poll::Pending => {
                if let Some(slot) = shared.tasks.get_mut(&id) {
                    slot.1 = Some(task);
                }
                return true;
            }
        }
        drop(shared);
        true
    }
}

impl World for Seeded {
    fn now(&self) -> Duration {
        lock(&self.shared).now
    }

    fn wall(&self) -> Time {
        // 2026-01-01T00:00:00Z and on.
        let ms = u64::try_from(self.now().as_millis()).unwrap_or(u64::MAX);
        Time(1_767_225_600_000_u64.saturating_add(ms))
    }

    fn random(&self) -> u64 {
        lock(&self.shared).draw()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        let mut shared = lock(&self.shared);
        let id = shared.id();
        shared.tasks.insert(id, (name, Some(task)));
        shared.ready.push(id);
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
