//! What sessions keep in shared files: the state of the world, and the history.
//!
//! The twins keep each file as a value: written whole or not at all, and only by whoever says which version
//! the change was made to.

use std::collections::BTreeMap;

use interlock_primitives::domain::value::ValueEntity;
use interlock_runtime::env::World;
use serde::Serialize;
use tokio::sync::oneshot;

use super::super::parts::{File, key, node, read, replace, said};
use crate::{
    node::Node,
    stage::{Actor, Stage},
};

type WorldState = BTreeMap<String, String>;

/// What two sessions change, each in its own corner of the state.
const CHANGES: [(&str, &str, &str); 2] =
    [("session A", "weather", "rain"), ("session B", "lamp", "lit")];

fn shown(state: &WorldState) -> String {
    let pair = |(name, value): (&String, &String)| format!("{name} {value}");
    let pairs: Vec<String> = state.iter().map(pair).collect();
    if pairs.is_empty() { "nothing".to_owned() } else { pairs.join(", ") }
}

fn check_kept(stage: &Stage, state: &WorldState) {
    for (session, name, value) in CHANGES {
        let kept = state.get(name).is_some_and(|kept| kept == value);
        stage.check(kept, || format!("what {session} wrote is lost: {name} {value}"));
    }
}

/// Bug 2: the state is loaded, changed and saved, and not every caller takes the lock.
pub(super) async fn lost_update(stage: Stage) {
    let file = File::new(WorldState::new());
    let content = file.clone();
    stage.show(move || shown(&content.content()));
    for (session, name, value) in CHANGES {
        let file = file.clone();
        stage.actor(session, |actor| async move {
            let mut state = file.read(&actor).await;
            actor.says(|| format!("reads: {}", shown(&state)));
            state.insert(name.to_owned(), value.to_owned());
            // _save_state: a temporary file takes the place of the old one.
            file.replace(&actor, state.clone()).await;
            actor.says(|| format!("writes: {}", shown(&state)));
        });
    }
    stage.all_done().await;
    check_kept(&stage, &file.content());
}

pub(super) async fn lost_update_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    begin(&stage, &node, "state", &WorldState::new()).await;
    for (session, name, value) in CHANGES {
        let node = node.clone();
        stage.actor(session, |actor| async move { change(&actor, &node, name, value).await });
    }
    stage.all_done().await;
    let client = node.client(&stage.extra("afterwards"), "afterwards");
    let kept = read(&client, &key("state")).await;
    check_kept(&stage, &kept.map(|kept| said(&kept.content)).unwrap_or_default());
}

/// The first version, which everybody finds there.
async fn begin(stage: &Stage, node: &Node, name: &str, content: &impl Serialize) {
    let mut client = node.client(&stage.extra("beginning"), "beginning");
    let written = replace(&mut client, &key(name), None, content).await;
    stage.check(written.is_some(), || format!("the {name} cannot be created"));
}

/// Reads, changes and writes, again if somebody else has come in between.
async fn change(actor: &Actor, node: &Node, name: &str, value: &str) {
    let mut client = node.client(actor, name);
    loop {
        let kept = read(&client, &key("state")).await;
        let seen = kept.as_ref().map(|kept| kept.version);
        let mut state: WorldState = kept.map(|kept| said(&kept.content)).unwrap_or_default();
        actor.says(|| format!("reads: {}", shown(&state)));
        state.insert(name.to_owned(), value.to_owned());
        if replace(&mut client, &key("state"), seen, &state).await.is_some() {
            return actor.says(|| format!("writes: {}", shown(&state)));
        }
        actor.says(|| "somebody else has written: reads again".to_owned());
    }
}

/// What two processes add to the history.
const SCENES: [(&str, &str); 2] = [("process A", "scene 1"), ("process B", "scene 2")];

fn check_told(stage: &Stage, history: &[String]) {
    for (process, scene) in SCENES {
        let lost = || format!("{scene} of {process} is lost from the history");
        stage.check(history.iter().any(|told| told == scene), lost);
    }
}

/// Issue 1: the history is loaded when the process starts; what is added to it is written whole.
pub(super) async fn stale_history(stage: Stage) {
    let file = File::new(Vec::<String>::new());
    let content = file.clone();
    stage.show(move || format!("history {:?}", content.content()));
    for (process, scene) in SCENES {
        let file = file.clone();
        stage.actor(process, |actor| async move {
            let mut history = file.read(&actor).await;
            actor.says(|| format!("starts with {history:?}"));
            // A turn is played.
            actor.step().await;
            history.push(scene.to_owned());
            actor.says(|| format!("adds {scene:?} to what it remembers"));
            file.replace(&actor, history).await;
            actor.says(|| "writes all of it".to_owned());
        });
    }
    stage.all_done().await;
    check_told(&stage, &file.content());
}

/// A process may remember what it likes: it writes only over the version that it has seen.
pub(super) async fn stale_history_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    begin(&stage, &node, "history", &Vec::<String>::new()).await;
    for (process, scene) in SCENES {
        let node = node.clone();
        stage.actor(process, |actor| async move { tell(&actor, &node, scene).await });
    }
    stage.all_done().await;
    let client = node.client(&stage.extra("afterwards"), "afterwards");
    let kept = read(&client, &key("history")).await;
    let history: Vec<String> = kept.map(|kept| said(&kept.content)).unwrap_or_default();
    check_told(&stage, &history);
    stage.check(history.len() == SCENES.len(), || format!("the history is {history:?}"));
}

async fn tell(actor: &Actor, node: &Node, scene: &str) {
    let mut client = node.client(actor, &scene.replace(' ', "-"));
    let mut remembered = read(&client, &key("history")).await;
    loop {
        // A turn is played.
        actor.step().await;
        let seen = remembered.as_ref().map(|kept| kept.version);
        let mut history: Vec<String> =
            remembered.map(|kept| said(&kept.content)).unwrap_or_default();
        history.push(scene.to_owned());
        if replace(&mut client, &key("history"), seen, &history).await.is_some() {
            return actor.says(|| format!("writes {history:?}"));
        }
        remembered = read(&client, &key("history")).await;
        actor.says(|| "what it remembered is old: reads again".to_owned());
    }
}

const OLD: &str = "{\"turn\": 6}";
/// The state of the next turn, in the pieces that the file gets it in.
const NEW: [&str; 2] = ["{\"turn\"", ": 7}"];

fn is_whole(text: &str) -> bool {
    text == OLD || text == NEW.concat()
}

fn state_file(stage: &Stage) -> File<String> {
    let file = File::new(OLD.to_owned());
    let content = file.clone();
    stage.show(move || content.content());
    file
}

/// A file that is opened for writing is empty until it is written.
pub(super) async fn half_read(stage: Stage) {
    let file = state_file(&stage);
    let written = file.clone();
    stage.actor("session A", |actor| async move { written.overwrite(&actor, NEW).await });
    stage.actor("session B", |actor| async move {
        let text = file.read(&actor).await;
        actor.says(|| format!("reads {text}"));
        actor.stage().check(is_whole(&text), || format!("session B reads half a state: {text}"));
    });
    stage.all_done().await;
}

/// The same, without anybody else: the process is killed while it writes.
pub(super) async fn half_left(stage: Stage) {
    let file = state_file(&stage);
    stage.actor("bot", |actor| async move {
        let (done, ended) = oneshot::channel();
        let (writer, written) = (actor.clone(), file.clone());
        let life = async move {
            written.overwrite(&writer, NEW).await;
            // Its supervisor waits for it.
            let _ = done.send(());
        };
        actor.stage().world().process(1).spawn("bot", Box::pin(life));
        if ended.await.is_ok() {
            return;
        }
        actor.says(|| "is killed, and starts again".to_owned());
        let text = file.read(&actor).await;
        actor.says(|| format!("reads {text}"));
        let broken = || format!("the bot cannot start again from half a state: {text}");
        actor.stage().check(is_whole(&text), broken);
    });
    stage.all_done().await;
}

/// A value is read as some write left it, whatever crashes while the next one is made.
pub(super) async fn whole_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    let writer = node.clone();
    stage.actor("session A", |actor| async move {
        let mut client = writer.client(&actor, "a");
        let first = replace(&mut client, &key("state"), None, &OLD).await;
        actor.says(|| format!("has written {OLD}"));
        let second = replace(&mut client, &key("state"), first, &NEW.concat()).await;
        actor.says(|| format!("has written {}", NEW.concat()));
        let written = first.is_some() && second.is_some();
        actor.stage().check(written, || "the only writer is refused".to_owned());
    });
    let reader = node.clone();
    stage.actor("session B", |actor| async move {
        let client = reader.client(&actor, "b");
        let Some(kept) = read(&client, &key("state")).await else { return };
        let text: String = said(&kept.content);
        actor.says(|| format!("reads {text}"));
        actor.stage().check(is_whole(&text), || format!("session B reads half a state: {text}"));
    });
    stage.all_done().await;
    let client = node.client(&stage.extra("afterwards"), "afterwards");
    let kept = read(&client, &key("state")).await;
    let text: Option<String> = kept.map(|kept| said(&kept.content));
    let lost = || format!("what was written last is lost: {text:?} is left");
    stage.check(text.as_deref() == Some(&NEW.concat()), lost);
}
