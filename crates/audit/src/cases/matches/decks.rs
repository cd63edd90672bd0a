//! Decks that two players revise at once.
//!
//! As found, each handler copies the latest snapshot of the game, changes one deck in it, and appends the
//! copy. The twin decides each revision on the latest state of a barrier, whose third party never comes, so
//! that decks can be revised.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use interlock_kernel::ids::Version;

use super::{BarrierEntity, BarrierHandlers, PLAYERS, arrive, key, lock, open, party, start, text};
use crate::{
    cases::{Case, Flaw},
    stage::{Actor, Stage},
};

pub(super) const LOST: Case = Case {
    name: "a deck is lost between two copies of a snapshot",
    document: "004",
    as_found: &|stage| as_found(stage, Flaw::Present),
    repaired: &|stage| as_found(stage, Flaw::Absent),
    interlock: &interlock,
};

/// The decks, by player.
type Snapshot = BTreeMap<&'static str, &'static str>;

fn shown(snapshot: &Snapshot) -> String {
    PLAYERS.map(|player| snapshot.get(player).copied().unwrap_or("-")).join(", ")
}

async fn as_found(stage: Stage, flaw: Flaw) {
    let first: Snapshot = PLAYERS.into_iter().zip(["A1", "B1"]).collect();
    let history = Arc::new(Mutex::new(vec![first]));
    let state = history.clone();
    stage.show(move || lock(&state).iter().map(shown).collect::<Vec<_>>().join(" | "));
    for (player, deck) in PLAYERS.into_iter().zip(["A2", "B2"]) {
        stage.actor(player, |actor| revise(actor, history.clone(), (player, deck), flaw));
    }
    stage.all_done().await;
    let latest = lock(&history).last().cloned().unwrap_or_default();
    for (player, deck) in PLAYERS.into_iter().zip(["A2", "B2"]) {
        let lost =
            || format!("{player}'s deck {deck} is lost: the latest snapshot is {}", shown(&latest));
        stage.check(latest.get(player) == Some(&deck), lost);
    }
}

/// Copies the latest snapshot and appends the copy. Without the flaw nobody comes in between, as by `SELECT FOR
/// UPDATE`.
async fn revise(
    actor: Actor,
    history: Arc<Mutex<Vec<Snapshot>>>,
    (player, deck): (&'static str, &'static str),
    flaw: Flaw,
) {
    // db.Games.Include(g => g.StateHistory)
    actor.step().await;
    let mut snapshot = lock(&history).last().cloned().unwrap_or_default();
    actor.says(|| format!("copies the snapshot {}", shown(&snapshot)));
    snapshot.insert(player, deck);
    // db.SaveChangesAsync()
    if flaw.is_present() {
        actor.step().await;
    }
    let appended = shown(&snapshot);
    lock(&history).push(snapshot);
    actor.says(|| format!("appends {appended}"));
}

async fn interlock(stage: Stage) {
    let node = start(&stage, |builder, _| {
        builder.entity_with::<BarrierEntity, _>(BarrierHandlers::nobody(), None)
    });
    let mut core = node.client(&stage.extra("core"), "core");
    let [one, other] = PLAYERS;
    open(&mut core, &stage, "game-1", &[one, other, "referee"]).await;
    for (player, decks) in PLAYERS.into_iter().zip([["A1", "A2"], ["B1", "B2"]]) {
        let mut client = node.client(&stage.extra(player), &player.replace(' ', "-"));
        stage.actor(player, |actor| async move {
            for deck in decks {
                arrive(&mut client, &actor, "game-1", player, deck).await;
            }
        });
    }
    stage.all_done().await;
    let game = node.state::<BarrierEntity>(&key("game-1")).await;
    let Ok(view) = game.view(Version(0)) else {
        return stage.violation("the game is gone".to_owned());
    };
    for (player, deck) in PLAYERS.into_iter().zip(["A2", "B2"]) {
        let kept = view.values.get(&party(player)).is_some_and(|kept| **kept == text(deck));
        stage.check(kept, || format!("{player}'s deck {deck} is lost: {:?}", view.values));
    }
}
