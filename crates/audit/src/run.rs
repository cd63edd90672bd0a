//! One run of a scenario under one chooser.

use std::{
    cell::Cell,
    future::Future,
    hash::{Hash, Hasher},
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Once,
};

use rustc_hash::FxHasher;

pub use crate::ledger::CrossChecked;
use crate::{
    choice::{Chooser, Replay, Schedule},
    stage::Stage,
    timeline::Timeline,
    world::{Record, Sim, Stuck},
};

/// A scenario's play.
pub type Play = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A scenario: what happens on a stage.
pub trait Scenario: Sync {
    /// Plays it once.
    fn play(&self, stage: Stage) -> Play;
}

impl<F, P> Scenario for F
where
    F: Fn(Stage) -> P + Sync,
    P: Future<Output = ()> + Send + 'static,
{
    fn play(&self, stage: Stage) -> Play {
        Box::pin(self(stage))
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it was like.
    pub record: Record,
    /// What was wrong, if anything was.
    pub violation: Option<String>,
    /// What actors said, if it was recorded.
    pub timeline: Timeline,
    /// What the general check was made of.
    pub cross_checked: CrossChecked,
}

impl Run {
    /// Its answers, without the calm ones at the end.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let mut taken: Vec<u16> = self.record.choices.iter().map(|choice| choice.taken).collect();
        taken.truncate(taken.iter().rposition(|taken| *taken > 0).map_or(0, |last| last + 1));
        Schedule(taken)
    }

    /// What tells it from another run of the same schedule: the questions that it was asked, in few words.
    #[must_use]
    pub fn fits(&self) -> String {
        let mut hasher = FxHasher::default();
        self.record.choices.hash(&mut hasher);
        format!("{} choices, {:x}", self.record.choices.len(), hasher.finish() >> 32)
    }
}

/// Runs a scenario once.
pub fn run(scenario: &dyn Scenario, chooser: Box<dyn Chooser>, records: bool) -> Run {
    let world = Sim::new(chooser);
    let stage = Stage::new(world.clone(), records);
    let (play, ends) = (scenario.play(stage.clone()), stage.clone());
    let play = Box::pin(async move {
        play.await;
        ends.wind_down().await;
    });
    let ended = quietly(|| {
        let ended = world.run(play);
        if ended.is_ok() {
            stage.end();
        }
        ended
    });
    let record = world.record();
    let (violation, mut timeline, cross_checked) = stage.take();
    let violation = match ended {
        Ok(Ok(())) => violation,
        Ok(Err(Stuck::Deadlock)) => {
            violation.or_else(|| Some("nobody can go on, and nothing will wake anybody".to_owned()))
        }
        Ok(Err(Stuck::Endless)) => violation.or_else(|| Some("it never ends".to_owned())),
        Ok(Err(Stuck::Redundant)) => violation,
        Err(panicked) => Some(panicked),
    };
    if violation.is_some() {
        timeline.goes_wrong();
    }
    Run { record, violation, timeline, cross_checked }
}

/// Repeats a schedule.
pub fn replay(scenario: &dyn Scenario, schedule: &Schedule, records: bool) -> Run {
    run(scenario, Box::new(Replay::new(schedule.clone())), records)
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs something whose panics are results, not reports.
fn quietly<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = IS_QUIET.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    IS_QUIET.set(before);
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}
