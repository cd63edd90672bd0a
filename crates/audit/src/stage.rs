//! What a scenario is played on: actors in columns, a state that is shown beside them, and violations.
//!
//! A scenario is an `async` function of a [`Stage`]. It lets actors play ([`Stage::actor`]), waits until all
//! of them are done ([`Stage::all_done`]), and says what must hold ([`Stage::check`]). Actors say what they do
//! in the words of their domain; when a schedule fails, their words become its timeline.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::time::Millis;
use interlock_runtime::env::World;
use tokio::sync::watch;

use crate::{timeline::Timeline, world::Sim};

/// Where one run of a scenario plays.
#[derive(Clone)]
pub struct Stage {
    world: Sim,
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether anybody will read what is said.
    records: bool,
    play: Mutex<Play>,
    /// Actors that are still playing.
    playing: watch::Sender<usize>,
}

#[derive(Default)]
struct Play {
    timeline: Timeline,
    show: Option<Box<dyn Fn() -> String + Send>>,
    at_end: Vec<AtEnd>,
    violation: Option<String>,
}

/// One who plays: a request, a player, a process. Its words make a column of the timeline.
#[derive(Clone)]
pub struct Actor {
    stage: Stage,
    column: usize,
}

/// What is checked when a run has ended. An error: what is wrong.
type AtEnd = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// Counts an actor as playing until it is dropped, however it ends.
struct Playing(Arc<Shared>);

impl Drop for Playing {
    fn drop(&mut self) {
        self.0.playing.send_modify(|playing| *playing -= 1);
    }
}

impl Stage {
    pub(crate) fn new(world: Sim, records: bool) -> Self {
        let shared = Shared { records, play: Mutex::default(), playing: watch::Sender::new(0) };
        Self { world, shared: Arc::new(shared) }
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.shared.play.lock().expect("no code panics while it holds the lock")
    }

    /// The world that it plays in.
    #[must_use]
    pub fn world(&self) -> &Sim {
        &self.world
    }

    /// Shows this beside what actors say: the state that they fight over.
    pub fn show(&self, state: impl Fn() -> String + Send + 'static) {
        if self.shared.records {
            self.play().show = Some(Box::new(state));
        }
    }

    /// Lets somebody play.
    pub fn actor<F>(&self, name: &str, plays: impl FnOnce(Actor) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (actor, playing) = (self.extra(name), Playing(self.shared.clone()));
        self.shared.playing.send_modify(|playing| *playing += 1);
        let played = plays(actor);
        let task = async move {
            let _playing = playing;
            played.await;
        };
        self.world.spawn("actor", Box::pin(task));
    }

    /// A column for somebody whom nobody waits for.
    #[must_use]
    pub fn extra(&self, name: &str) -> Actor {
        let column = if self.shared.records { self.play().timeline.column(name) } else { 0 };
        Actor { stage: self.clone(), column }
    }

    /// Ends when every actor has.
    pub async fn all_done(&self) {
        let mut playing = self.shared.playing.subscribe();
        let ended = playing.wait_for(|playing| *playing == 0).await;
        ended.expect("the stage holds the sender");
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
        play.violation.get_or_insert(violation);
    }

    /// Checks this when the play is over and nobody is left to change anything.
    pub fn at_end(&self, check: impl FnOnce() -> Result<(), String> + Send + 'static) {
        self.play().at_end.push(Box::new(check));
    }

    /// The play is over.
    pub(crate) fn end(&self) {
        let checks = std::mem::take(&mut self.play().at_end);
        for check in checks {
            check().unwrap_or_else(|wrong| self.violation(wrong));
        }
    }

    pub(crate) fn take(&self) -> (Option<String>, Timeline) {
        let mut play = self.play();
        play.show = None;
        play.at_end.clear();
        (play.violation.take(), std::mem::take(&mut play.timeline))
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
        if !self.stage.shared.records {
            return;
        }
        let now = self.stage.world.now();
        let words = words();
        let mut play = self.stage.play();
        let state = play.show.as_ref().map(|show| show()).unwrap_or_default();
        play.timeline.row(now, self.column, words, state);
    }
}
