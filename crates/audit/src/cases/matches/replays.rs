//! "All replays are submitted", looked for after each submission.
//!
//! The twin asks nobody: the game is a barrier, the last arrival completes it in the same decision, and its
//! completion finalizes the game through a write handler, exactly once.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use interlock_kernel::{
    barrier::Completed,
    bus::{On, Origin, Reaction, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
    time::Millis,
};
use interlock_runtime::env::World;
use serde::{Deserialize, Serialize};

use super::{BarrierEntity, BarrierHandlers, PLAYERS, arrive, comes, key, lock, open, start};
use crate::{
    cases::Case,
    stage::{Actor, Stage},
};

pub(super) const MISSED: Case = Case {
    name: "all replays are submitted, and no handler sees it",
    document: "004",
    as_found: &|stage| as_found(stage, Looks::BeforeCommit),
    repaired: &|stage| as_found(stage, Looks::AtOnce),
    interlock: &interlock,
};

pub(super) const DOUBLED: Case = Case {
    name: "all replays are submitted, and two handlers see it",
    document: "004",
    as_found: &|stage| as_found(stage, Looks::AfterCommit),
    repaired: &|stage| as_found(stage, Looks::AtOnce),
    interlock: &interlock,
};

/// When the handler looks whether all replays are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Inside the transaction that submits one.
    BeforeCommit,
    AfterCommit,
    /// In one step with the commit, which is what the others lack.
    AtOnce,
}

/// A database whose queries see what was committed before each, and the transaction's own rows: READ
/// COMMITTED.
#[derive(Default)]
struct Database {
    replays: BTreeSet<&'static str>,
    finalized: u32,
}

impl Database {
    fn select(&self, own: Option<&'static str>) -> BTreeSet<&'static str> {
        self.replays.iter().copied().chain(own).collect()
    }
}

fn listed(replays: &BTreeSet<&str>) -> String {
    let names: Vec<&str> = replays.iter().copied().collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

async fn as_found(stage: Stage, looks: Looks) {
    let database = Arc::new(Mutex::new(Database::default()));
    let state = database.clone();
    stage.show(move || {
        let Database { replays, finalized } = &*lock(&state);
        format!("committed: {}; finalized: {finalized}", listed(replays))
    });
    for player in PLAYERS {
        stage.actor(player, |actor| submit(actor, database.clone(), looks, player));
    }
    stage.all_done().await;
    let finalized = lock(&database).finalized;
    let missed = || "both replays are submitted, and the game is never finalized".to_owned();
    stage.check(finalized > 0, missed);
    stage.check(finalized < 2, || "the game is finalized twice".to_owned());
}

async fn submit(actor: Actor, database: Arc<Mutex<Database>>, looks: Looks, player: &'static str) {
    actor.step().await;
    actor.says(|| "inserts its replay".to_owned());
    let commit = || {
        lock(&database).replays.insert(player);
        actor.says(|| "commits".to_owned());
    };
    actor.step().await;
    match looks {
        Looks::BeforeCommit => {}
        Looks::AfterCommit => {
            commit();
            actor.step().await;
        }
        Looks::AtOnce => commit(),
    }
    // AreAllReplaysSubmittedAsync
    let seen = lock(&database).select(Some(player));
    actor.says(|| format!("sees {}", listed(&seen)));
    actor.step().await;
    if looks == Looks::BeforeCommit {
        commit();
    }
    if seen.len() == PLAYERS.len() {
        actor.says(|| "publishes AllReplaysSubmitted".to_owned());
        actor.step().await;
        lock(&database).finalized += 1;
        actor.says(|| "finalizes the game".to_owned());
    }
}

/// A game's result. It counts how often it was finalized: nothing here hides a command that comes twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Game {
    finalized: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finalize;

impl Entity for Game {
    const TYPE: &'static str = "game";
    type Command = Finalize;
    type Event = Finalize;
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, _: &Finalize, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(Finalize, ()))
    }

    fn apply(&mut self, _: &Finalize) {
        self.finalized += 1;
    }

    fn command_name(_: &Finalize) -> &'static str {
        "finalize"
    }

    fn event_name(_: &Finalize) -> &'static str {
        "finalized"
    }
}

async fn interlock(stage: Stage) {
    let node = start(&stage, |builder, _| {
        let finalize = Write::new("finalize", |_: &Completed, origin: &Origin| {
            Ok(Reaction::none().send::<Game>(origin.key.clone(), Finalize))
        });
        let completed = On { write: vec![finalize], read: vec![] };
        let handlers = BarrierHandlers { completed, ..BarrierHandlers::nobody() };
        builder.entity_with::<BarrierEntity, _>(handlers, None).entity::<Game>()
    });
    let mut core = node.client(&stage.extra("core"), "core");
    open(&mut core, &stage, "game-1", &PLAYERS).await;
    for player in PLAYERS {
        let mut client = node.client(&stage.extra(player), &player.replace(' ', "-"));
        stage.actor(player, |actor| async move {
            arrive(&mut client, &actor, "game-1", player, "replay").await;
        });
    }
    stage.all_done().await;
    let finalized = async || node.state::<Game>(&key("game-1")).await.finalized;
    let came = comes(&stage, async || finalized().await > 0).await;
    stage.check(came, || "both replays are submitted, and the game is not finalized".to_owned());
    // Time for what would finalize it again.
    stage.world().sleep(Millis::from_secs(10).as_duration()).await;
    let times = finalized().await;
    stage.check(times == 1, || format!("the game is finalized {times} times"));
}
