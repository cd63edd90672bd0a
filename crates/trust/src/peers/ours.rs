//! The models in the audit's simulated world.

use std::time::Duration;

use interlock_audit::{
    search::{Budget, search},
    stage::{Actor, Stage},
};

use super::{
    Found,
    models::{Model, Points, Shared},
};

impl Points for Actor {
    async fn point(&self) {
        self.step().await;
    }
}

async fn play<M: Model>(stage: Stage) {
    let state = Shared::<M::State>::default();
    for task in 0..M::TASKS {
        stage.actor("task", |actor| M::play(task, actor, state.clone()));
    }
    stage.all_done().await;
    let is_wrong = M::is_wrong(&state.lock());
    stage.check(!is_wrong, || "the end is wrong".to_owned());
}

/// Searches until the bug is found. The time is the search's own, without shrinking.
pub fn find<M: Model>(seed: u64, schedules: u64) -> Found {
    let outcome = search(&play::<M>, Budget { schedules, seed });
    Found { schedules: outcome.schedules, took: outcome.took, found: outcome.failure.is_some() }
}

/// Plays a model without a bug for a while: schedules and time. A search that tried every schedule begins
/// anew.
pub fn rate<M: Model>(span: Duration) -> (u64, Duration) {
    let (mut schedules, mut took, mut seed) = (0, Duration::ZERO, 1);
    while took < span {
        let outcome = search(&play::<M>, Budget { schedules: 2_000, seed });
        assert!(outcome.failure.is_none(), "{} is right", M::NAME);
        schedules += outcome.schedules;
        took += outcome.took;
        seed += 1;
    }
    (schedules, took)
}
