//! Document 004: a match's events are handled by a core, which writes, and by screens, which read.
//!
//! As found, all handlers of an event run beside each other: a handler looks at what others have not yet
//! committed, and acts on what it saw.
//!
//! The twins let players arrive at barriers, and react in the two phases of the bus.

mod completion;
mod decks;
mod replays;
mod screens;

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use interlock_kernel::{
    barrier::{Arrived, Changed, Completed, Opened, Parties, Revised},
    bus::On,
    ids::{Key, Party},
    json::Json,
    time::Millis,
};
use interlock_primitives::domain::{
    Closed,
    barrier::{BarrierCommand, BarrierEntity, BarrierEvent},
};
use interlock_runtime::{Builder, env::World};

use super::Case;
use crate::{
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
};

pub(super) const CASES: &[Case] = &[
    replays::MISSED,
    replays::DOUBLED,
    screens::EARLY,
    completion::OVERTAKEN,
    decks::LOST,
    screens::UNDRAWN,
];

const PLAYERS: [&str; 2] = ["player 1", "player 2"];

interlock_kernel::handlers! {
    /// Who reacts to a barrier.
    struct BarrierHandlers for BarrierEntity {
        BarrierEvent::Opened => opened: Opened,
        BarrierEvent::Changed => changed: Changed,
        BarrierEvent::Arrived => arrived: Arrived,
        BarrierEvent::Revised => revised: Revised,
        BarrierEvent::Completed => completed: Completed,
        BarrierEvent::Closed => closed: Closed,
    }
}

impl BarrierHandlers {
    fn nobody() -> Self {
        Self {
            opened: On::nobody(),
            changed: On::nobody(),
            arrived: On::nobody(),
            revised: On::nobody(),
            completed: On::nobody(),
            closed: On::nobody(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

fn key(name: &str) -> Key {
    Key::new(name).expect("a valid key")
}

/// Names have no spaces.
fn party(name: &str) -> Party {
    Party::new(&name.replace(' ', "-")).expect("a valid name")
}

fn text(words: &str) -> Json {
    Json::parse(&format!("\"{words}\"")).expect("it needs no escapes")
}

/// A machine whose handlers can ask it, as read handlers do.
fn start(
    stage: &Stage,
    build: impl Fn(Builder, Itself) -> Builder + Send + Sync + 'static,
) -> Node {
    let itself = Itself::default();
    let given = itself.clone();
    let node = Node::start(stage, Faults::ONE, move |builder| build(builder, given.clone()));
    itself.0.set(node.clone()).unwrap_or_else(|_| unreachable!("it is set once"));
    node
}

/// A machine, for its own handlers.
#[derive(Clone, Default)]
struct Itself(Arc<OnceLock<Node>>);

impl Itself {
    fn node(&self) -> Node {
        self.0.get().expect("handlers run once it has started").clone()
    }
}

/// Opens a barrier.
async fn open(client: &mut Client, stage: &Stage, name: &str, parties: &[&str]) {
    let parties = parties.iter().map(|name| party(name)).collect();
    let parties = Some(Parties::new(parties).expect("valid parties"));
    let put = client.send::<BarrierEntity>(&key(name), BarrierCommand::Put { parties }).await;
    stage.check(put.is_ok(), || format!("{name} cannot be opened: {put:?}"));
}

/// Arrives at a barrier, or says something else than before.
async fn arrive(client: &mut Client, actor: &Actor, name: &str, player: &str, value: &str) {
    let arrive = BarrierCommand::Arrive { party: party(player), value: text(value), revise: true };
    let arrived = client.send::<BarrierEntity>(&key(name), arrive).await;
    actor.says(|| format!("submits {value}"));
    let refused = || format!("{player} cannot submit {value}: {arrived:?}");
    actor.stage().check(arrived.is_ok(), refused);
}

/// Looks again and again, for as long as something may reasonably take.
async fn comes<F: Future<Output = bool>>(stage: &Stage, looks: impl Fn() -> F) -> bool {
    for _ in 0..200 {
        if looks().await {
            return true;
        }
        stage.world().sleep(Millis(100).as_duration()).await;
    }
    false
}
