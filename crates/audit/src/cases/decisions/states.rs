//! Decisions on the game's state, which goes on while they are made.

use std::collections::BTreeSet;

use interlock_kernel::{ids::Version, time::Millis};
use interlock_primitives::domain::{turn::TurnEntity, value::ValueEntity};
use serde::{Deserialize, Serialize};

use super::super::{
    Flaw,
    parts::{Shared, key, lives, node, post, read, read_at, replace, said},
};
use crate::{
    node::{Client, Node},
    stage::{Actor, Stage},
};

/// How long the plugin waits for an answer.
const PATIENCE: Millis = Millis::from_secs(5);
/// The plugin's request and its retry, and what they come to.
const REQUESTS: [(&str, &str); 2] = [("request A", "heal"), ("request B", "attack")];

fn show_executed(stage: &Stage) -> Shared<BTreeSet<&'static str>> {
    let executed = Shared::<BTreeSet<&'static str>>::default();
    let shown = executed.clone();
    stage.show(move || format!("state 1: {}", Vec::from_iter(shown.get()).join(" and ")));
    executed
}

/// Executed again, an action changes nothing.
fn execute(actor: &Actor, executed: &Shared<BTreeSet<&'static str>>, action: &'static str) {
    executed.lock().insert(action);
    actor.says(|| format!("executes {action:?}"));
    let all = Vec::from_iter(executed.get());
    let twice = || format!("the game client gets {} for one state", all.join(" and "));
    actor.stage().check(all.len() == 1, twice);
}

/// Scenario 8, "Single action per request", and nothing says that two requests are one: when the plugin has waited
/// long enough for the first, it sends it again, while the engine still decides it in a thread of its own
/// (scenario 1: `std::thread(fn).detach()`). Without the flaw, what was given up is not executed.
pub(super) async fn two_actions(stage: Stage, flaw: Flaw) {
    let executed = show_executed(&stage);
    // The request that the plugin waits for.
    let awaited = Shared::new(REQUESTS[0].0);
    let decide = move |(name, action), executed: Shared<_>, awaited: Shared<&'static str>| {
        move |actor: Actor| async move {
            actor.says(|| "POST /api/v1/decide".to_owned());
            // The first decision takes as long as the plugin waits; the second finds everything at hand.
            let takes = if name == REQUESTS[0].0 { PATIENCE } else { Millis(0) };
            actor.sleep(takes).await;
            if flaw.is_present() || awaited.get() == name {
                execute(&actor, &executed, action);
            }
        }
    };
    let first = decide(REQUESTS[0], executed.clone(), awaited.clone());
    stage.actor("plugin", |actor| async move {
        actor.sleep(PATIENCE).await;
        if !executed.lock().is_empty() {
            return actor.says(|| "state 1 has its action".to_owned());
        }
        actor.says(|| "no answer: sends the request again".to_owned());
        *awaited.lock() = REQUESTS[1].0;
        let stage = actor.stage().clone();
        stage.actor(REQUESTS[1].0, decide(REQUESTS[1], executed, awaited));
    });
    stage.actor(REQUESTS[0].0, first);
    stage.all_done().await;
}

/// A state is a turn: the first action posted to it is the one that is executed, whichever request it answers.
pub(super) async fn two_actions_twin(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    let executed = show_executed(&stage);
    // Both begin to post when the plugin has waited long enough: the first because it takes so long.
    for (name, action) in REQUESTS {
        let (node, executed) = (node.clone(), executed.clone());
        stage.actor(name, |actor| async move {
            let life = |life| {
                let client = node.client(&actor, &format!("{action}-{life}"));
                act(actor.clone(), client, action, executed.clone())
            };
            lives(&actor, life).await;
        });
    }
    stage.all_done().await;
    let all = executed.get();
    stage.check(all.len() == 1, || format!("executed for state 1: {all:?}"));
}

async fn act(
    actor: Actor,
    mut client: Client,
    action: &'static str,
    executed: Shared<BTreeSet<&'static str>>,
) {
    actor.sleep(PATIENCE).await;
    let result = post(&mut client, &key("actions"), 1, action).await;
    let winner: String = said(&result.value);
    // It may have won in the life before, and not have heard of it.
    if winner == action {
        execute(&actor, &executed, action);
    } else {
        actor.says(|| format!("state 1 has its action: {winner:?}"));
    }
}

/// Scenario 7, "Each decision uses immutable game state snapshot": a snapshot does not change, but the game does.
/// Without the flaw an action is executed only on the state that it was decided on.
pub(super) async fn stale_decision(stage: Stage, flaw: Flaw) {
    let state = Shared::new("orc ahead");
    let shown = state.clone();
    stage.show(move || shown.get().to_owned());
    let goes_on = state.clone();
    stage.actor("game", |actor| async move {
        actor.step().await;
        *goes_on.lock() = "friend ahead";
        actor.says(|| "the orc is gone, a friend has come".to_owned());
    });
    stage.actor("decision", |actor| async move {
        let snapshot = state.get();
        let action = if snapshot == "orc ahead" { "attack" } else { "greet" };
        actor.says(|| format!("{snapshot}: decides to {action}"));
        // The answer travels back.
        actor.step().await;
        let now = state.get();
        if !flaw.is_present() && now != snapshot {
            return actor.says(|| "the state is another one: does nothing".to_owned());
        }
        actor.says(|| format!("executes {action:?}"));
        let stale = || format!("{action:?} was decided on {snapshot:?} and executed on {now:?}");
        actor.stage().check(now == snapshot, stale);
    });
    stage.all_done().await;
}

/// What the game is like, and the action that was taken on what it was like before.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Game {
    ahead: String,
    action: Option<String>,
}

/// The state is a value, and an action a write to it, for the version that it was decided on only.
pub(super) async fn stale_decision_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let mut begin = node.client(&stage.extra("afterwards"), "begin");
    let game = Game { ahead: "orc".to_owned(), action: None };
    let begun = replace(&mut begin, &key("game"), None, &game).await;
    stage.check(begun.is_some(), || "the game cannot begin".to_owned());
    let goes_on = node.clone();
    stage.actor("game", |actor| async move { meet(&actor, &goes_on, "friend").await });
    let decides = node.clone();
    stage.actor("decision", |actor| async move { decide(&actor, &decides).await });
    stage.all_done().await;
    let last = read(&begin, &key("game")).await.map_or(Version(0), |kept| kept.version);
    let mut before: Option<Game> = None;
    let mut actions = 0;
    for version in 1..=last.0 {
        let game: Game = said(&read_at(&begin, &key("game"), Version(version)).await.content);
        if let (Some(before), Some(action)) = (&before, &game.action) {
            actions += 1;
            let fits = action == &fitting(&before.ahead);
            stage.check(fits, || format!("{action:?} was executed on {before:?}"));
        }
        before = Some(game);
    }
    stage.check(actions == 1, || format!("{actions} actions were executed"));
}

fn fitting(ahead: &str) -> String {
    if ahead == "orc" { "attack".to_owned() } else { "greet".to_owned() }
}

async fn now(client: &Client) -> (Version, Game) {
    let kept = read(client, &key("game")).await.expect("the game has begun");
    (kept.version, said(&kept.content))
}

/// The game goes on, whatever was written in between.
async fn meet(actor: &Actor, node: &Node, ahead: &str) {
    let mut client = node.client(actor, "game");
    loop {
        let (seen, _) = now(&client).await;
        let game = Game { ahead: ahead.to_owned(), action: None };
        if replace(&mut client, &key("game"), Some(seen), &game).await.is_some() {
            return actor.says(|| format!("a {ahead} has come"));
        }
    }
}

async fn decide(actor: &Actor, node: &Node) {
    let mut client = node.client(actor, "decision");
    loop {
        let (seen, game) = now(&client).await;
        let action = fitting(&game.ahead);
        actor.says(|| format!("{} ahead: decides to {action}", game.ahead));
        actor.step().await;
        let acted = Game { action: Some(action.clone()), ..game };
        if replace(&mut client, &key("game"), Some(seen), &acted).await.is_some() {
            return actor.says(|| format!("executes {action:?}"));
        }
        actor.says(|| "the state is another one: decides again".to_owned());
    }
}
