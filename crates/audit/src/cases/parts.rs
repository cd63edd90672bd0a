//! What several models are made of: state that actors share, files, and clients of turns and values.

use std::{
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::{
    entity::Entity,
    ids::{Key, Version},
    json::Json,
    value::{Condition, Guard, Kept},
};
use interlock_primitives::domain::{
    turn::{TurnCommand, TurnEntity, TurnReply, TurnResult},
    value::{ValueCommand, ValueEntity},
};
use interlock_runtime::SendError;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
};

/// What several actors look at and change. Whoever holds it awaits nothing.
#[derive(Default)]
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no code panics while it holds the lock")
    }
}

impl<T: Clone> Shared<T> {
    pub(crate) fn get(&self) -> T {
        self.lock().clone()
    }
}

/// A file that is read and written as a whole, each after an await.
pub(crate) struct File<T>(Shared<T>);

impl<T> Clone for File<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> File<T> {
    pub(crate) fn new(content: T) -> Self {
        Self(Shared::new(content))
    }

    /// What it holds, without an await: for whoever only watches.
    pub(crate) fn content(&self) -> T {
        self.0.get()
    }

    /// Puts something there, without an await: what a rename ends with.
    pub(crate) fn set(&self, content: T) {
        *self.0.lock() = content;
    }

    pub(crate) async fn read(&self, actor: &Actor) -> T {
        actor.step().await;
        self.0.get()
    }

    /// As by a rename: readers see the old content or the new one.
    pub(crate) async fn replace(&self, actor: &Actor, content: T) {
        actor.step().await;
        self.set(content);
    }
}

impl File<String> {
    /// As `write` does: the old content is gone before the new one has come, half by half.
    pub(crate) async fn overwrite(&self, actor: &Actor, halves: [&str; 2]) {
        actor.step().await;
        halves[0].clone_into(&mut self.0.lock());
        actor.says(|| "writes the first half".to_owned());
        actor.step().await;
        self.0.lock().push_str(halves[1]);
        actor.says(|| "writes the second half".to_owned());
    }
}

/// A machine with one type of entities, of whose faults each strikes once at most.
pub(crate) fn node<E: Entity>(stage: &Stage) -> Node {
    Node::start(stage, Faults::ONE, |builder| builder.entity::<E>())
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).expect("a valid key")
}

/// An answer that no schedule may bring.
pub(crate) fn unexpected(error: &dyn std::error::Error) -> ! {
    panic!("an answer that must not come: {error}")
}

fn json(value: &impl Serialize) -> Json {
    let text = serde_json::to_string(value).expect("plain data");
    Json::parse(&text).expect("it is JSON, and short")
}

/// What a JSON value says, in the type that was written.
pub(crate) fn said<T: DeserializeOwned>(json: &Json) -> T {
    serde_json::from_str(json.as_str()).expect("what was written")
}

/// Plays a value on a turn.
pub(crate) async fn post(client: &mut Client, key: &Key, turn: u64, value: &str) -> TurnResult {
    let turn = NonZeroU64::new(turn).expect("turns are numbered from 1");
    let command = TurnCommand::Post { turn, value: json(&value) };
    match client.send::<TurnEntity>(key, command).await {
        Ok(receipt) => match receipt.reply {
            TurnReply::Posted(result) => result,
            TurnReply::Closed => unreachable!("nobody closes it"),
        },
        Err(error) => unexpected(&error),
    }
}

/// The current version of a value, if it was ever written.
pub(crate) async fn read(client: &Client, key: &Key) -> Option<Kept> {
    match client.view::<ValueEntity>(key).await {
        Ok(view) => view.state.content(None).ok().cloned(),
        Err(error) => unexpected(&error),
    }
}

/// A version of a value that is still kept.
pub(crate) async fn read_at(client: &Client, key: &Key, version: Version) -> Kept {
    match client.view::<ValueEntity>(key).await {
        Ok(view) => match view.state.content(Some(version)) {
            Ok(kept) => kept.clone(),
            Err(rejection) => unexpected(&rejection),
        },
        Err(error) => unexpected(&error),
    }
}

/// Replaces a value whose version `seen` was read (`None`: there was none). `None`: somebody else has
/// replaced it in between.
pub(crate) async fn replace(
    client: &mut Client,
    key: &Key,
    seen: Option<Version>,
    content: &impl Serialize,
) -> Option<Version> {
    let condition = seen.map_or(Condition::Absent, |seen| Condition::Versions(vec![seen]));
    let guard = Guard { condition: Some(condition), token: None };
    let command = ValueCommand::Put { content: json(content), guard };
    match client.send::<ValueEntity>(key, command).await {
        Ok(receipt) => Some(receipt.version),
        Err(SendError::Rejected { .. }) => None,
        Err(error) => unexpected(&error),
    }
}
