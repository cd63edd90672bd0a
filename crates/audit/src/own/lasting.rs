//! A history longer than its snapshots.

use interlock_primitives::domain::turn::TurnEntity;

use super::{EVERYTHING, Own};
use crate::{
    cases::parts::{key, node, post},
    stage::Stage,
};

pub(super) const OWN: &[Own] = &[Own {
    name: "a history outlives its snapshots",
    faults: EVERYTHING,
    scenario: &long_history,
}];

/// More records than lie between two snapshots.
const TURNS: u64 = 70;

/// Every turn has the winner that was told.
async fn long_history(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    stage.actor("player", |actor| async move {
        let mut client = node.client(&actor, "player");
        for turn in 1..=TURNS {
            let result = post(&mut client, &key("story"), turn, "a move").await;
            let lost = || format!("turn {turn} is taken before it is played");
            actor.stage().check(result.won, lost);
        }
    });
    stage.all_done().await;
}
