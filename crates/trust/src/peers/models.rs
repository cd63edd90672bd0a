//! Models that every explorer plays: the same code, and the same scheduling points.
//!
//! A model is a number of tasks over shared state, each of which comes to a *point* where others may go on. As
//! found it acts on an old look; fixed, it looks and acts without a point between, and has as many points.

use std::{
    future::Future,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::{
    ids::Worker,
    json::Json,
    quota::{Configured, Limit, Quota, QuotaChange},
    time::{Millis, Time},
    turn::{Event, Posted, Turn},
};

/// A scheduling point of whoever explores: a switch that no explorer takes for a wish to be slower.
pub trait Points: Send + 'static {
    /// Others may go on here.
    fn point(&self) -> impl Future<Output = ()> + Send;
}

/// What tasks play on.
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Shared<T> {
    /// Whoever holds it comes to no point.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no model panics while it holds the lock")
    }
}

/// A model.
pub trait Model: 'static {
    /// What it is called.
    const NAME: &'static str;
    /// How many tasks play.
    const TASKS: usize;
    /// What they share.
    type State: Default + Send;

    /// What a task does.
    fn play(
        task: usize,
        points: impl Points,
        state: Shared<Self::State>,
    ) -> impl Future<Output = ()> + Send + 'static;

    /// Whether the end is wrong.
    fn is_wrong(state: &Self::State) -> bool;
}

/// Three requests choose among two engines that carry one stream each.
pub struct Assignment<const FIXED: bool>;

#[derive(Default)]
pub struct Engines {
    carried: [u32; 2],
    is_over: bool,
}

impl Engines {
    /// Takes the first engine that is free, as things are or as they were.
    fn choose(&mut self, looked: Option<[u32; 2]>) {
        let counts = looked.unwrap_or(self.carried);
        if let Some(free) = counts.iter().position(|count| *count < 1) {
            self.carried[free] += 1;
            self.is_over |= self.carried[free] > 1;
        }
    }
}

impl<const FIXED: bool> Model for Assignment<FIXED> {
    const NAME: &'static str = "stream assignment, 3 requests";
    const TASKS: usize = 3;
    type State = Engines;

    async fn play(_: usize, points: impl Points, state: Shared<Engines>) {
        points.point().await;
        let looked = state.lock().carried;
        points.point().await;
        state.lock().choose((!FIXED).then_some(looked));
        points.point().await;
    }

    fn is_wrong(engines: &Engines) -> bool {
        engines.is_over
    }
}

/// Four tasks of twenty steps; one opens a window for a step, in which another opens one, in which a third
/// must not look.
pub struct Deep<const FIXED: bool>;

#[derive(Default)]
pub struct Windows {
    open: [bool; 2],
    is_seen: bool,
}

impl<const FIXED: bool> Model for Deep<FIXED> {
    const NAME: &'static str = "two narrow windows, 4 tasks of 20 steps";
    const TASKS: usize = 4;
    type State = Windows;

    async fn play(task: usize, points: impl Points, state: Shared<Windows>) {
        for step in 0..20 {
            points.point().await;
            let mut windows = state.lock();
            match (task, step) {
                (0, 6) => windows.open[0] = true,
                (0, 7) => windows.open[0] = false,
                (1, 10) => windows.open[1] = windows.open[0],
                (1, 11) => windows.open[1] = false,
                (2, 14) => windows.is_seen |= windows.open[1] && !FIXED,
                _ => {}
            }
        }
    }

    fn is_wrong(windows: &Windows) -> bool {
        windows.is_seen
    }
}

/// Three workers claim the last of a quota: the kernel's own, read, decided on and written back whole.
pub struct Claim<const FIXED: bool>;

pub struct Claims {
    quota: Quota,
    granted: u32,
}

const NOW: Time = Time(1_000);

impl Default for Claims {
    fn default() -> Self {
        let change =
            QuotaChange { limit: Some(Limit::Of(1)), ..QuotaChange::keep(Millis::from_secs(60)) };
        let configured: Configured = change.create(NOW).expect("it has a limit");
        Self { quota: Quota::new(&configured), granted: 0 }
    }
}

impl Claims {
    /// Claims one, decided on the quota as it is or as it was.
    fn claim(&mut self, worker: &Worker, looked: Option<Quota>) {
        let mut quota = looked.unwrap_or_else(|| self.quota.clone());
        if let Ok(step) = quota.claim(worker, NOW) {
            step.events.iter().for_each(|event| quota.apply(event));
            self.granted += 1;
        }
        self.quota = quota;
    }
}

impl<const FIXED: bool> Model for Claim<FIXED> {
    const NAME: &'static str = "quota, 3 claims of the last one";
    const TASKS: usize = 3;
    type State = Claims;

    async fn play(task: usize, points: impl Points, state: Shared<Claims>) {
        let worker = Worker::new(&format!("w{task}")).expect("a valid name");
        points.point().await;
        let looked = state.lock().quota.clone();
        points.point().await;
        state.lock().claim(&worker, (!FIXED).then_some(looked));
        points.point().await;
    }

    fn is_wrong(claims: &Claims) -> bool {
        claims.granted > 1
    }
}

/// Two clicks answer one turn: the kernel's own, read, decided on and written back whole.
pub struct DoubleClick<const FIXED: bool>;

#[derive(Default)]
pub struct Clicks {
    turn: Turn,
    won: u32,
}

impl Clicks {
    /// Answers the first turn, decided on the turns as they are or as they were.
    fn click(&mut self, value: &Json, looked: Option<Turn>) {
        let mut turn = looked.unwrap_or_else(|| self.turn.clone());
        if let Ok(Posted::Wins(won)) = turn.post(NonZeroU64::MIN, value) {
            turn.apply(&Event::Won(won));
            self.won += 1;
        }
        self.turn = turn;
    }
}

impl<const FIXED: bool> Model for DoubleClick<FIXED> {
    const NAME: &'static str = "double click on a turn";
    const TASKS: usize = 2;
    type State = Clicks;

    async fn play(task: usize, points: impl Points, state: Shared<Clicks>) {
        let value = Json::parse(&task.to_string()).expect("a number is JSON");
        points.point().await;
        let looked = state.lock().turn.clone();
        points.point().await;
        state.lock().click(&value, (!FIXED).then_some(looked));
        points.point().await;
    }

    fn is_wrong(clicks: &Clicks) -> bool {
        clicks.won > 1
    }
}
