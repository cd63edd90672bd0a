//! What a scenario is played on: actors in columns, a state that is shown beside them, and violations.
//!
//! A scenario is an `async` function of a [`Stage`]. It lets actors play ([`Stage::actor`]), waits until all
//! of them are done ([`Stage::all_done`]), and says what must hold ([`Stage::check`]). Actors say what they do
//! in the words of their domain; when a schedule fails, their words become its timeline.

use std::{
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
    time::Duration,
};

use interlock_kernel::{ids::Key, time::Millis};
use interlock_runtime::{
    env::{
        Access, OnceReceiver, OnceSender, Receiver, Sender, Task, WatchReceiver, Witness, World,
    },
    fold,
};

use crate::{ledger::CrossChecked, node::Node, timeline::Timeline, world::Sim};

/// Where one run of a scenario plays.
#[derive(Clone)]
pub struct Stage {
    world: Sim,
    set: Arc<Set>,
}

struct Set {
    /// Whether anybody will read what is said.
    records: bool,
    play: Mutex<Play>,
    playing: Mutex<Playing>,
}

/// Actors that are still playing, and who waits for them.
#[derive(Default)]
struct Playing {
    actors: usize,
    waits: Vec<Waker>,
}

#[derive(Default)]
struct Play {
    timeline: Timeline,
    show: Option<Box<dyn Fn() -> String + Send>>,
    afterwards: Vec<Task>,
    at_end: Vec<AtEnd>,
    violation: Option<String>,
    cross_checked: CrossChecked,
}

impl Play {
    /// The state that is shown now. Whoever panicked may have left it unreadable: then it is not.
    fn shown(&self) -> String {
        let Some(show) = &self.show else { return String::new() };
        fold::caught(show).unwrap_or_default()
    }
}

/// One who plays: a request, a player, a process. Its words make a column of the timeline.
#[derive(Clone)]
pub struct Actor {
    stage: Stage,
    column: usize,
}

/// What is checked when a run has ended. An error: what is wrong.
type AtEnd = Box<dyn FnOnce() -> Result<CrossChecked, String> + Send>;

/// Counts an actor as playing until it is dropped, however it ends.
struct Plays(Stage);

impl Drop for Plays {
    fn drop(&mut self) {
        let waits = {
            let mut playing = self.0.playing_now(Access::Merge);
            playing.actors -= 1;
            if playing.actors > 0 { Vec::new() } else { std::mem::take(&mut playing.waits) }
        };
        waits.into_iter().for_each(Waker::wake);
    }
}

/// State that tasks share, seen by the world: it knows who looks at it and who changes it.
///
/// Whoever holds it awaits nothing. What is inside must be plain data, which its [`Hash`] vouches for: no
/// lock, cell or channel through which it could be reached behind the world's back.
pub struct Shared<T> {
    value: Arc<Mutex<T>>,
    witness: Option<Arc<dyn Witness>>,
    object: u64,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        let Self { value, witness, object } = self;
        Self { value: value.clone(), witness: witness.clone(), object: *object }
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(world: &Sim, value: T) -> Self {
        let witness = world.witness();
        let object = witness.as_ref().map_or(0, |witness| witness.object());
        Self { value: Arc::new(Mutex::new(value)), witness, object }
    }

    fn touch(&self, access: Access) -> MutexGuard<'_, T> {
        if let Some(witness) = &self.witness {
            witness.touches(self.object, access);
        }
        self.value.lock().expect("no code panics while it holds the lock")
    }

    /// To change it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.touch(Access::Write)
    }

    /// A copy, to look at.
    #[must_use]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.touch(Access::Read).clone()
    }
}

/// What an actor may be given that shares no memory with others but what the world sees.
pub trait Apart: sealed::Apart + Send + 'static {}

mod sealed {
    pub trait Apart {}
}

macro_rules! apart {
    ($($held:ty),*) => {
        $(impl sealed::Apart for $held {} impl Apart for $held {})*
    };
}

apart!((), bool, u8, u16, u32, u64, usize, i64, &'static str, String, Key, Millis, Node);

macro_rules! apart_with {
    ($($end:ident),*) => {
        $(
            impl<T: Apart> sealed::Apart for $end<T> {}
            impl<T: Apart + Sync> Apart for $end<T> {}
        )*
    };
}

apart_with!(Option, Vec, Sender, Receiver, OnceSender, OnceReceiver, WatchReceiver);

impl<T: Send> sealed::Apart for Shared<T> {}
impl<T: Send + 'static> Apart for Shared<T> {}
impl<A: Apart, B: Apart> sealed::Apart for (A, B) {}
impl<A: Apart, B: Apart> Apart for (A, B) {}
impl<A: Apart, B: Apart, C: Apart> sealed::Apart for (A, B, C) {}
impl<A: Apart, B: Apart, C: Apart> Apart for (A, B, C) {}

impl Stage {
    pub(crate) fn new(world: Sim, records: bool) -> Self {
        let (play, playing) = (Mutex::default(), Mutex::default());
        Self { world, set: Arc::new(Set { records, play, playing }) }
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.set.play.lock().expect("no code panics while it holds the lock")
    }

    fn playing_now(&self, access: Access) -> MutexGuard<'_, Playing> {
        self.world.touches_playing(access);
        self.set.playing.lock().expect("no code panics while it holds the lock")
    }

    /// The world that it plays in.
    #[must_use]
    pub fn world(&self) -> &Sim {
        &self.world
    }

    /// Shows this beside what actors say: the state that they fight over.
    pub fn show(&self, state: impl Fn() -> String + Send + 'static) {
        if self.set.records {
            self.play().show = Some(Box::new(state));
        }
    }

    /// The same, if nobody shows anything yet; whoever does later is shown instead.
    pub(crate) fn show_unless_told(&self, state: impl Fn() -> String + Send + 'static) {
        if self.play().show.is_none() {
            self.show(state);
        }
    }

    /// Lets somebody play.
    pub fn actor<F>(&self, name: &str, plays: impl FnOnce(Actor) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let actor = self.extra(name);
        let task = self.playing(plays(actor));
        self.world.spawn("actor", Box::pin(task));
    }

    /// Lets somebody play who holds nothing but what is given here, which the compiler checks: `plays`
    /// captures nothing. The world then knows what each of its steps touches, and an exhaustive search has
    /// far fewer orders to try.
    pub fn actor_with<T: Apart, F>(&self, name: &str, given: T, plays: fn(Actor, T) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let actor = self.extra(name);
        let task = self.playing(plays(actor, given));
        self.world.spawn_apart("actor", Box::pin(task));
    }

    pub(crate) fn playing(
        &self,
        played: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.playing_now(Access::Merge).actors += 1;
        let playing = Plays(self.clone());
        async move {
            let _playing = playing;
            played.await;
        }
    }

    /// Lets something happen calmly, without a choice, until everybody rests: what is searched begins after it.
    pub async fn set_up<T>(&self, happens: impl Future<Output = T>) -> T {
        self.world.be_calm(true);
        let happened = happens.await;
        self.world.sleep(Duration::from_nanos(1)).await;
        self.world.be_calm(false);
        happened
    }

    /// Something that actors share, which the world sees; plain data.
    #[must_use]
    pub fn shared<T: Hash>(&self, value: T) -> Shared<T> {
        Shared::new(&self.world, value)
    }

    /// A column for somebody whom nobody waits for.
    #[must_use]
    pub fn extra(&self, name: &str) -> Actor {
        let column = if self.set.records { self.play().timeline.column(name) } else { 0 };
        Actor { stage: self.clone(), column }
    }

    /// Ends when every actor has.
    pub async fn all_done(&self) {
        std::future::poll_fn(|cx| {
            let mut playing = self.playing_now(Access::Write);
            if playing.actors == 0 {
                return Poll::Ready(());
            }
            playing.waits.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// What must hold. The first violation of a run is the one that is reported.
    pub fn check(&self, holds: bool, violation: impl FnOnce() -> String) {
        if !holds {
            self.violation(violation());
        }
    }

    /// Something that must not happen has happened.
    pub fn violation(&self, violation: String) {
        let mut play = self.play();
        play.timeline.goes_wrong();
        play.violation.get_or_insert(violation);
    }

    /// Lets this happen when the play is over, calmly: what ends by itself may end.
    pub(crate) fn afterwards(&self, happens: impl Future<Output = ()> + Send + 'static) {
        self.play().afterwards.push(Box::pin(happens));
    }

    /// What is left to happen when the play is over.
    pub(crate) async fn wind_down(self) {
        let left = std::mem::take(&mut self.play().afterwards);
        if left.is_empty() {
            return;
        }
        self.world.be_calm(true);
        for happens in left {
            happens.await;
        }
    }

    /// Checks this when the play is over and nobody is left to change anything.
    pub fn at_end(&self, check: impl FnOnce() -> Result<(), String> + Send + 'static) {
        self.cross_check(|| check().map(|()| CrossChecked::default()));
    }

    /// The same, of histories of which some may be too much to check.
    pub(crate) fn cross_check(
        &self,
        check: impl FnOnce() -> Result<CrossChecked, String> + Send + 'static,
    ) {
        self.play().at_end.push(Box::new(check));
    }

    /// The play is over.
    pub(crate) fn end(&self) {
        let checks = std::mem::take(&mut self.play().at_end);
        for check in checks {
            match check() {
                Ok(cross_checked) => self.play().cross_checked += cross_checked,
                Err(wrong) => self.violation(wrong),
            }
        }
    }

    pub(crate) fn take(&self) -> (Option<String>, Timeline, CrossChecked) {
        let now = self.world.now();
        let mut play = self.play();
        let state = play.shown();
        play.timeline.ends(now, state);
        play.show = None;
        play.at_end.clear();
        play.afterwards.clear();
        (play.violation.take(), std::mem::take(&mut play.timeline), play.cross_checked)
    }
}

impl Actor {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// An await: others may go on here.
    pub async fn step(&self) {
        self.stage.world.give_way().await;
    }

    /// An await that takes so long.
    pub async fn sleep(&self, span: Millis) {
        self.stage.world.sleep(span.as_duration()).await;
    }

    /// Simulated time since the start.
    #[must_use]
    pub fn now(&self) -> Millis {
        let ms = self.stage.world.now().as_millis();
        Millis(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    /// Says what it does; asked only if somebody will read it.
    pub fn says(&self, words: impl FnOnce() -> String) {
        if !self.stage.set.records {
            return;
        }
        let now = self.stage.world.now();
        let words = words();
        let mut play = self.stage.play();
        let state = play.shown();
        play.timeline.row(now, self.column, words, state);
    }
}
