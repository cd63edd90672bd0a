//! What sessions keep in shared files: the state of the world, and the history.
//!
//! The twins keep each file as a value: written whole or not at all, and only by whoever says which version
//! the change was made to.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join;
use interlock_kernel::ids::Version;
use interlock_primitives::domain::value::ValueEntity;
use serde::Serialize;
use tokio::sync::Mutex;

use super::super::{
    Flaw,
    folder::Folder,
    parts::{File, key, node, read, replace, said, survives},
};
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

/// Bug 2: "many callers do NOT acquire the lock". `_save_state` is whole here, as after fix 2, which locks inside
/// it: what was loaded before is as old as ever. Without the flaw callers hold the lock from load to save.
pub(super) async fn lost_update(stage: Stage, flaw: Flaw) {
    let (file, lock) = (File::new(WorldState::new()), Arc::new(Mutex::new(())));
    let content = file.clone();
    stage.show(move || shown(&content.content()));
    for (session, name, value) in CHANGES {
        let (file, lock) = (file.clone(), lock.clone());
        stage.actor(session, |actor| async move {
            let _held = if flaw.is_present() { None } else { Some(lock.lock().await) };
            let mut state = file.read(&actor).await;
            actor.says(|| format!("reads: {}", shown(&state)));
            state.insert(name.to_owned(), value.to_owned());
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

/// Issue 1: the history is "loaded once at module init" and written whole. Without the flaw a process loads it
/// again before it adds to it, and is alone from there to the end of its writing.
pub(super) async fn stale_history(stage: Stage, flaw: Flaw) {
    let (file, lock) = (File::new(Vec::<String>::new()), Arc::new(Mutex::new(())));
    let content = file.clone();
    stage.show(move || format!("history {:?}", content.content()));
    for (process, scene) in SCENES {
        let (file, lock) = (file.clone(), lock.clone());
        stage.actor(process, |actor| async move {
            let mut history = file.read(&actor).await;
            actor.says(|| format!("starts with {history:?}"));
            // A turn is played.
            actor.step().await;
            let _alone = lock.lock().await;
            if !flaw.is_present() {
                history = file.read(&actor).await;
            }
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

const STATE: &str = "world_state.json";
const OLD: &str = "{\"turn\": 6}";

/// What a thread saves, in the halves that the file gets it in.
#[derive(Clone, Copy)]
struct Save {
    thread: &'static str,
    halves: [&'static str; 2],
    /// A temporary file that nobody else writes.
    own_temporary: &'static str,
}

/// Two clicks, and the states that they save.
const SAVES: [Save; 2] = [
    Save { thread: "thread A", halves: ["{\"turn\"", ": 7}"], own_temporary: "a.tmp" },
    Save { thread: "thread B", halves: ["{\"turn\"", ": 8}"], own_temporary: "b.tmp" },
];

fn is_whole(text: &str) -> bool {
    text == OLD || SAVES.iter().any(|save| text == save.halves.concat())
}

fn state_folder(stage: &Stage) -> Folder {
    let folder = Folder::with(STATE, OLD);
    let content = folder.clone();
    stage.show(move || content.shown());
    folder
}

/// Bug 2, "Mitigation": `_save_state` writes `world_state.json.tmp`, then calls `os.replace`. But "both threads
/// create `.json.tmp` files", and it is one file: "Thread A writes temp, Thread B writes temp, Thread A replaces",
/// and what B has written so far is the state. Without the flaw each has a temporary file of its own.
async fn save_state(actor: Actor, folder: Folder, save: Save, flaw: Flaw) {
    let shared = "world_state.json.tmp";
    let temporary = if flaw.is_present() { shared } else { save.own_temporary };
    folder.replace(&actor, (STATE, temporary), save.halves).await;
}

/// Somebody reads the state between the one thread's rename and the other's last write.
pub(super) async fn half_read(stage: Stage, flaw: Flaw) {
    let folder = state_folder(&stage);
    for save in SAVES {
        stage.actor(save.thread, |actor| save_state(actor, folder.clone(), save, flaw));
    }
    stage.actor("reader", |actor| async move {
        let text = folder.read(&actor, STATE).await;
        actor.stage().check(is_whole(&text), || format!("half a state is read: {text}"));
    });
    stage.all_done().await;
}

/// The same, and the process is killed before that last write: half a state is all that is left.
pub(super) async fn half_left(stage: Stage, flaw: Flaw) {
    let folder = state_folder(&stage);
    let threads = SAVES.map(|save| (stage.extra(save.thread), save));
    stage.actor("bot", |actor| async move {
        let process = actor.stage().world().process(1);
        let [one, other] = threads.map(|(thread, save)| {
            survives(&process, save_state(thread, folder.clone(), save, flaw))
        });
        if join(one, other).await == (true, true) {
            return;
        }
        actor.says(|| "is killed, and starts again".to_owned());
        let text = folder.read(&actor, STATE).await;
        let broken = || format!("the bot cannot start again from half a state: {text}");
        actor.stage().check(is_whole(&text), broken);
    });
    stage.all_done().await;
}

/// Two threads replace the state, whole or not at all, whatever crashes meanwhile; a third reads it.
pub(super) async fn whole_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    begin(&stage, &node, "state", &OLD).await;
    for save in SAVES {
        let node = node.clone();
        stage.actor(save.thread, |actor| async move { keep(&actor, &node, save).await });
    }
    let reader = node.clone();
    stage.actor("reader", |actor| async move {
        let client = reader.client(&actor, "reader");
        let kept = read(&client, &key("state")).await;
        check_state(&actor, kept.map(|kept| said(&kept.content)));
    });
    stage.all_done().await;
    let actor = stage.extra("afterwards");
    let kept = read(&node.client(&actor, "afterwards"), &key("state")).await;
    let version = kept.as_ref().map(|kept| kept.version);
    check_state(&actor, kept.map(|kept| said(&kept.content)));
    let lost = || format!("the state was replaced twice, and its version is {version:?}");
    stage.check(version == Some(Version(3)), lost);
}

fn check_state(actor: &Actor, text: Option<String>) {
    actor.says(|| format!("reads {text:?}"));
    let is_whole = text.as_deref().is_some_and(is_whole);
    actor.stage().check(is_whole, || format!("half a state is read: {text:?}"));
}

async fn keep(actor: &Actor, node: &Node, save: Save) {
    let mut client = node.client(actor, &save.thread.replace(' ', "-"));
    let state = save.halves.concat();
    loop {
        let kept = read(&client, &key("state")).await;
        let seen = kept.as_ref().map(|kept| kept.version);
        check_state(actor, kept.map(|kept| said(&kept.content)));
        if replace(&mut client, &key("state"), seen, &state).await.is_some() {
            return actor.says(|| format!("writes {state}"));
        }
        actor.says(|| "somebody else has written: reads again".to_owned());
    }
}
