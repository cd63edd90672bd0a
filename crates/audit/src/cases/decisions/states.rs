//! Decisions on the game's state, which goes on while they are made.

use interlock_kernel::ids::Version;
use interlock_primitives::domain::{turn::TurnEntity, value::ValueEntity};
use serde::{Deserialize, Serialize};

use super::super::parts::{Shared, key, node, post, read, read_at, replace, said};
use crate::{
    node::{Client, Node},
    stage::{Actor, Stage},
};

/// Two requests for a decision on the same state, and what they come to.
const REQUESTS: [(&str, &str); 2] = [("request A", "heal"), ("request B", "attack")];

fn show_executed(stage: &Stage) -> Shared<Vec<&'static str>> {
    let executed = Shared::<Vec<&'static str>>::default();
    let shown = executed.clone();
    stage.show(move || format!("state 1: {}", shown.lock().join(" and ")));
    executed
}

fn execute(actor: &Actor, executed: &Shared<Vec<&'static str>>, action: &'static str) {
    executed.lock().push(action);
    actor.says(|| format!("executes {action:?}"));
    let all = executed.get();
    let twice = || format!("the game client gets {} for one state", all.join(" and "));
    actor.stage().check(all.len() == 1, twice);
}

/// Scenario 8: whoever finds no action for a state asks for one, and executes it when it comes.
pub(super) async fn two_actions(stage: Stage) {
    let executed = show_executed(&stage);
    for (name, action) in REQUESTS {
        let executed = executed.clone();
        stage.actor(name, |actor| async move {
            if !executed.lock().is_empty() {
                return actor.says(|| "state 1 has its action".to_owned());
            }
            actor.says(|| "state 1 has no action: asks for one".to_owned());
            // POST /api/v1/decide
            actor.step().await;
            execute(&actor, &executed, action);
        });
    }
    stage.all_done().await;
}

/// A state is a turn: the first action posted to it is the one that is executed.
pub(super) async fn two_actions_twin(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    let executed = show_executed(&stage);
    for (name, action) in REQUESTS {
        let (node, executed) = (node.clone(), executed.clone());
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, action);
            actor.step().await;
            let result = post(&mut client, &key("actions"), 1, action).await;
            if result.won {
                execute(&actor, &executed, action);
            } else {
                let winner: String = said(&result.value);
                actor.says(|| format!("state 1 has its action: {winner:?}"));
            }
        });
    }
    stage.all_done().await;
    let all = executed.get();
    stage.check(all.len() == 1, || format!("executed for state 1: {all:?}"));
}

/// Scenario 7: a snapshot does not change, but the game does.
pub(super) async fn stale_decision(stage: Stage) {
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
