//! What one session does to others, and to itself: a switch for all, and a call without a time-out.

use std::{collections::BTreeSet, future};

use interlock_kernel::{ids::Version, time::Millis};
use interlock_primitives::domain::{turn::TurnEntity, value::ValueEntity};
use interlock_runtime::env::World;

use super::super::parts::{Shared, key, node, post, read, replace, said, unexpected};
use crate::{
    node::{Client, Node},
    stage::{Actor, Stage},
};

/// Two players, and whether they want images.
const WISHES: [(&str, bool); 2] = [("Ada", true), ("Ben", false)];

fn check_wish(actor: &Actor, name: &str, wants: bool, gets: bool) {
    let words = |with: bool| if with { "images" } else { "no images" };
    actor.says(|| format!("the turn runs with {}", words(gets)));
    let wrong = || format!("{name} asked for {} and gets {}", words(wants), words(gets));
    actor.stage().check(wants == gets, wrong);
}

/// Issue 2: `engine.IMAGE_ENABLED` is one variable of the process.
pub(super) async fn image_switch(stage: Stage) {
    let switch = Shared::new(None::<bool>);
    let shown = switch.clone();
    stage.show(move || match shown.get() {
        Some(true) => "images on".to_owned(),
        Some(false) => "images off".to_owned(),
        None => String::new(),
    });
    for (name, wants) in WISHES {
        let switch = switch.clone();
        stage.actor(name, |actor| async move {
            *switch.lock() = Some(wants);
            let button = if wants { "Play" } else { "Play without images" };
            actor.says(|| format!("presses {button:?}"));
            // The introduction is written.
            actor.step().await;
            let gets = switch.get().expect("it was set");
            check_wish(&actor, name, wants, gets);
        });
    }
    stage.all_done().await;
}

/// Each session has settings of its own, under its own key.
pub(super) async fn image_switch_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    for (name, wants) in WISHES {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let (mut client, key) = (node.client(&actor, name), key(name));
            let written = replace(&mut client, &key, None, &wants).await;
            actor.stage().check(written.is_some(), || format!("{name} cannot begin"));
            let kept = read(&client, &key).await.expect("it was written");
            check_wish(&actor, name, wants, said(&kept.content));
        });
    }
    stage.all_done().await;
}

/// How long a reaction may take, in the twin.
const REACTION_TIMEOUT: Millis = Millis::from_secs(10);
/// How often the turn looks whether the reaction has come.
const LOOK_AGAIN: Millis = Millis::from_secs(1);

/// Asks the model for a few words. Sometimes it never answers.
async fn ask_the_model(actor: &Actor) {
    actor.says(|| "asks the model for a reaction".to_owned());
    if actor.stage().world().fault(1) == 1 {
        actor.says(|| "the model never answers".to_owned());
        future::pending::<()>().await;
    }
    actor.step().await;
    actor.says(|| "has the reaction".to_owned());
}

/// Issue 3: the turn awaits a call that has no time-out.
pub(super) async fn endless_reaction(stage: Stage) {
    let buttons = Shared::new("north or south");
    let shown = buttons.clone();
    stage.show(move || shown.get().to_owned());
    let clicked = buttons.clone();
    stage.actor("player", |actor| async move {
        actor.says(|| "clicks \"north\"".to_owned());
        *clicked.lock() = "disabled";
        ask_the_model(&actor).await;
        *clicked.lock() = "east or west";
        actor.says(|| "the story goes on".to_owned());
    });
    stage.all_done().await;
}

/// The model and a deadline answer the same turn: its winner is the reaction, if only "no words".
pub(super) async fn endless_reaction_twin(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    // What anybody was told.
    let told = Shared::<BTreeSet<String>>::default();
    let state = told.clone();
    stage.show(move || format!("reaction: {}", words(&state)));
    stage.actor("player", |actor| async move {
        actor.says(|| "clicks \"north\": the reaction has ten seconds".to_owned());
        let model = actor.stage().extra("reaction");
        let reacts = react(model, node.clone(), told.clone());
        actor.stage().world().spawn("reaction", Box::pin(reacts));
        let mut client = node.client(&actor, "player");
        let clicked = actor.now();
        let is_early = || actor.now().0 < clicked.0 + REACTION_TIMEOUT.0;
        while is_early() && !has_reaction(&client).await {
            actor.sleep(LOOK_AGAIN).await;
        }
        settle(&actor, &mut client, &told, "no words").await;
        actor.says(|| "the story goes on".to_owned());
    });
    stage.all_done().await;
}

/// Asks the model, which nobody waits for.
async fn react(actor: Actor, node: Node, told: Shared<BTreeSet<String>>) {
    let mut client = node.client(&actor, "reaction");
    ask_the_model(&actor).await;
    settle(&actor, &mut client, &told, "\"brave!\"").await;
}

async fn has_reaction(client: &Client) -> bool {
    match client.view::<TurnEntity>(&key("reaction-1")).await {
        Ok(view) => view.version > Version(0),
        Err(error) => unexpected(&error),
    }
}

/// Offers a reaction, and learns which one it is.
async fn settle(
    actor: &Actor,
    client: &mut Client,
    told: &Shared<BTreeSet<String>>,
    reaction: &'static str,
) {
    let winner: String = said(&post(client, &key("reaction-1"), 1, reaction).await.value);
    actor.says(|| format!("offers {reaction}: the reaction is {winner}"));
    told.lock().insert(winner);
    let is_one = told.lock().len() == 1;
    actor.stage().check(is_one, || format!("one click has two reactions: {}", words(told)));
}

fn words(told: &Shared<BTreeSet<String>>) -> String {
    told.get().into_iter().collect::<Vec<_>>().join(" and ")
}
