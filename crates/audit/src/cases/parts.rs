//! What several models are made of: state that actors share, files, processes that may be killed, and clients of
//! turns and values.

use std::{
    future::Future,
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
use interlock_runtime::{SendError, env::World};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
    world::Sim,
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

    pub(crate) async fn read(&self, actor: &Actor) -> T {
        actor.step().await;
        self.0.get()
    }

    /// As by a rename: readers see the old content or the new one.
    pub(crate) async fn replace(&self, actor: &Actor, content: T) {
        actor.step().await;
        *self.0.lock() = content;
    }
}

/// Lets somebody play in a process of its own, which may be killed once, at any await, and starts again knowing
/// nothing. `plays` is told which of its lives it is, from 1.
pub(crate) async fn lives<F>(actor: &Actor, plays: impl Fn(u32) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let process = actor.stage().world().process(1);
    for life in 1.. {
        if survives(&process, plays(life)).await {
            return;
        }
        actor.says(|| "is killed, and starts again".to_owned());
    }
}

/// Lets something happen in a process that may be killed. Whether it came to its end.
pub(crate) async fn survives(
    process: &Sim,
    happens: impl Future<Output = ()> + Send + 'static,
) -> bool {
    let (done, ended) = oneshot::channel();
    let life = async move {
        happens.await;
        // Whoever let it happen may be gone.
        let _ = done.send(());
    };
    process.spawn("life", Box::pin(life));
    ended.await.is_ok()
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
