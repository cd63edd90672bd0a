//! A small entity that uses everything the runtime offers, for its tests; one that passes things on; a
//! computer that crashes; and a journal of what handlers did.
#![allow(dead_code, missing_docs, unused_imports, clippy::unwrap_used)]

use std::sync::Arc;

mod computer;
mod journal;
mod relay;

pub use self::{
    computer::{Computer, on_computer},
    journal::{Call, Journal},
    relay::{Pass, Passed, Relay, RelayHandlers},
};

use interlock_kernel::{
    bus::On,
    entity::{Context, Decision, EffectRequest, Entity, Refusal, Verdict},
    ids::{CommandId, Key},
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Meta, Runtime,
    env::{Env, seeded::Seeded},
    store::{Store, memory::MemoryStore},
};
use serde::{Deserialize, Serialize};

/// A tank: it fills, drains, and never goes below zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tank {
    pub level: u64,
    pub calls: u64,
    pub rings: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Command {
    /// Adds.
    Fill(u64),
    /// Takes out, waiting up to `wait` for enough.
    Drain { amount: u64, wait: Millis },
    /// Waits up to `wait` for the tank to be empty.
    Rest { wait: Millis },
    /// Sends `Ring` after that long.
    Alarm(Millis),
    /// A timer's.
    Ring,
    /// Sets the timer of that name.
    Later { name: String, after: Millis, then: Box<Command> },
    /// Cancels the timer of that name.
    Silence(String),
    /// Sets that many timers, all for after that long.
    Alarms { count: u32, after: Millis },
    /// Asks the outside to make it rain.
    Pray,
    /// The outside's answer.
    Rain(u64),
    /// Breaks an invariant.
    Burst,
    /// Closes the tank.
    Close,
    /// Adds in that many events.
    Drip(u64),
    /// Notes something.
    Note(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    pub amount: u64,
    pub level: u64,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    pub amount: u64,
    pub level: u64,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Filled(Filled),
    Drained(Drained),
    Noted(Noted),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("only {level} in the tank")]
pub struct TooLittle {
    pub level: u64,
}

impl Entity for Tank {
    const TYPE: &'static str = "tank";
    type Command = Command;
    type Event = Event;
    type Reply = u64;
    type Rejection = TooLittle;
    type Effect = u64;

    fn decide(&self, command: &Command, cx: &Context<'_>) -> Verdict<Self> {
        let noted = |what: &str| Event::Noted(Noted { what: what.to_owned() });
        Ok(match command {
            Command::Fill(0) => Decision::unchanged(self.level),
            Command::Fill(amount) | Command::Rain(amount) => {
                let level = self.level + amount;
                Decision::event(Event::Filled(Filled { amount: *amount, level }), level)
            }
            Command::Drain { amount, wait } => {
                let Some(level) = self.level.checked_sub(*amount) else {
                    let until = cx.arrived + *wait;
                    if until > cx.now {
                        return Err(Refusal::Wait { until });
                    }
                    return Err(TooLittle { level: self.level }.into());
                };
                Decision::event(Event::Drained(Drained { amount: *amount, level }), level)
            }
            Command::Rest { .. } if self.level == 0 => Decision::event(noted("rest"), 0),
            Command::Rest { wait } => {
                let until = cx.arrived + *wait;
                if until > cx.now {
                    return Err(Refusal::Wait { until });
                }
                return Err(TooLittle { level: self.level }.into());
            }
            Command::Alarm(after) => {
                Decision::event(noted("alarm"), 0).timer("ring", cx.now + *after, Command::Ring)
            }
            Command::Ring => Decision::event(noted("ring"), 0),
            Command::Later { name, after, then } => Decision::event(noted("later"), 0).timer(
                name.clone(),
                cx.now + *after,
                then.as_ref().clone(),
            ),
            Command::Silence(name) => {
                Decision::event(noted("silence"), 0).cancel_timer(name.clone())
            }
            Command::Alarms { count, after } => {
                let alarms = Decision::event(noted("alarms"), 0);
                (0..*count).fold(alarms, |alarms, number| {
                    alarms.timer(format!("{number}"), cx.now + *after, Command::Ring)
                })
            }
            Command::Pray => Decision::event(noted("pray"), 0).effect(EffectRequest {
                effect: 7,
                attempts: 3,
                deadline: Millis(1_000),
                backoff: Millis(10),
                fallback: Command::Rain(0),
            }),
            Command::Burst => Decision::event(noted("burst"), 0),
            Command::Close => Decision::event(noted("close"), 0).close(),
            Command::Note(what) => Decision::event(noted(what), 0),
            Command::Drip(count) => {
                let drop = |n| Event::Filled(Filled { amount: 1, level: self.level + n });
                Decision::events((1..=*count).map(drop).collect(), self.level + count)
            }
        })
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Filled(filled) => self.level += filled.amount,
            Event::Drained(drained) => self.level -= drained.amount,
            Event::Noted(noted) if noted.what == "burst" => panic!("the tank burst"),
            Event::Noted(noted) if noted.what == "ring" => self.rings += 1,
            Event::Noted(_) => self.calls += 1,
        }
        assert!(self.level < 1_000_000_000_000, "a tank has a size");
    }

    fn command_name(command: &Command) -> &'static str {
        match command {
            Command::Fill(_) => "fill",
            Command::Drain { .. } => "drain",
            Command::Rest { .. } => "rest",
            Command::Alarm(_) => "alarm",
            Command::Ring => "ring",
            Command::Later { .. } => "later",
            Command::Silence(_) => "silence",
            Command::Alarms { .. } => "alarms",
            Command::Pray => "pray",
            Command::Rain(_) => "rain",
            Command::Burst => "burst",
            Command::Close => "close",
            Command::Drip(_) => "drip",
            Command::Note(_) => "note",
        }
    }

    fn event_name(event: &Event) -> &'static str {
        match event {
            Event::Filled(_) => "filled",
            Event::Drained(_) => "drained",
            Event::Noted(_) => "noted",
        }
    }
}

interlock_kernel::handlers! {
    /// Who reacts to a tank.
    pub struct TankHandlers for Tank {
        Event::Filled => filled: Filled,
        Event::Drained => drained: Drained,
        Event::Noted => noted: Noted,
    }
}

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub fn id(text: &str) -> Meta {
    Meta::id(CommandId::new(text).unwrap())
}

/// Runs a test on the seeded world: `body` gets the environment and may start runtimes.
pub fn seeded<F, W, T>(seed: u64, body: F) -> T
where
    F: FnOnce(Env) -> W,
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let world = Seeded::new(seed);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let env = Env::new(world.clone(), store);
    world.run(body(env))
}

/// A runtime with plain tanks.
pub async fn tanks(env: Env) -> Runtime {
    Builder::new(env).entity::<Tank>().start().await.unwrap()
}

/// Tank handlers of which only those of `Filled` do something.
pub fn on_filled(filled: On<Filled>) -> TankHandlers {
    TankHandlers { filled, drained: On::nobody(), noted: On::nobody() }
}

/// Tanks with these handlers, and relays of two types that pass on to each other.
pub async fn start(computer: &Computer, tanks: TankHandlers) -> Runtime {
    let runtime = Builder::new(computer.env())
        .entity_with::<Tank, _>(tanks, None)
        .entity_with::<Relay<0>, _>(RelayHandlers::to::<1>(3), None)
        .entity_with::<Relay<1>, _>(RelayHandlers::to::<0>(3), None)
        .start();
    runtime.await.unwrap()
}

/// Tanks and relays whose events nobody handles.
pub async fn tanks_and_relays(computer: &Computer) -> Runtime {
    Builder::new(computer.env()).entity::<Tank>().entity::<Relay<0>>().start().await.unwrap()
}

/// Fills a tank by one, so many times.
pub async fn fill(runtime: &Runtime, tank: &str, times: u64) {
    let tanks = runtime.handle::<Tank>();
    for _ in 0..times {
        tanks.send(&key(tank), Command::Fill(1), Meta::default()).await.unwrap();
    }
}

pub const NOW: Time = Time(1_767_225_600_000);
