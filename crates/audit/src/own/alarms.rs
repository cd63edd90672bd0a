//! Timers, and calls to the outside, which are asked for again and answer once. They come by themselves, also after a
//! crash, though nobody asks the entity. (A question would load it, and so remind it.)

use std::{convert::Infallible, sync::Arc, time::Duration};

use interlock_kernel::{
    bus::NoHandlers,
    entity::{Context, Decision, EffectRequest, Entity, Verdict},
    ids::Key,
    time::Millis,
};
use interlock_runtime::{
    effects::{EffectHandler, Performed},
    env::World,
};
use serde::{Deserialize, Serialize};

use super::{EVERYTHING, Own};
use crate::{
    cases::parts::{key, unexpected},
    node::{Faults, Node},
    stage::{Shared, Stage},
};

pub(super) const OWN: &[Own] = &[
    Own { name: "alarms ring though nobody asks", faults: EVERYTHING, scenario: &alarms },
    Own {
        name: "the outside is asked again, and answers once",
        faults: EVERYTHING,
        scenario: &answers_once,
    },
];

/// An alarm clock, which rings outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Alarm {
    due: u32,
    heard: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum AlarmCommand {
    Set,
    Ring { attempts: u32 },
    Heard,
}

/// The call to whoever sleeps there.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Bell;

impl Entity for Alarm {
    const TYPE: &'static str = "alarm";
    type Command = AlarmCommand;
    type Event = AlarmCommand;
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Bell;

    fn decide(&self, command: &AlarmCommand, cx: &Context<'_>) -> Verdict<Self> {
        let decision = Decision::event(command.clone(), ());
        Ok(match command {
            AlarmCommand::Set => decision.timer(
                "alarm",
                cx.now + Millis::from_secs(5),
                AlarmCommand::Ring { attempts: 10 },
            ),
            AlarmCommand::Ring { attempts } => decision.effect(EffectRequest {
                effect: Bell,
                deadline: Millis::from_secs(30),
                attempts: *attempts,
                backoff: Millis::from_secs(1),
                fallback: AlarmCommand::Heard,
            }),
            AlarmCommand::Heard => decision,
        })
    }

    fn apply(&mut self, event: &AlarmCommand) {
        match event {
            AlarmCommand::Set => {}
            AlarmCommand::Ring { .. } => self.due += 1,
            AlarmCommand::Heard => self.heard += 1,
        }
    }

    fn command_name(command: &AlarmCommand) -> &'static str {
        match command {
            AlarmCommand::Set => "set",
            AlarmCommand::Ring { .. } => "ring",
            AlarmCommand::Heard => "heard",
        }
    }

    fn event_name(event: &AlarmCommand) -> &'static str {
        Self::command_name(event)
    }
}

/// Those who are woken, by their clocks' names.
struct Sleepers {
    stage: Stage,
    woken: Shared<Vec<String>>,
}

impl EffectHandler<Alarm> for Sleepers {
    fn perform(&self, clock: &Key, _: Bell, _: u32) -> Performed<Alarm> {
        let (world, woken) = (self.stage.world().clone(), self.woken.clone());
        let clock = clock.as_str().to_owned();
        Box::pin(async move {
            world.give_way().await;
            woken.lock().push(clock);
            Ok(AlarmCommand::Heard)
        })
    }
}

/// Looks at the sleepers, at most.
const LOOKS: u32 = 300;
const NAMES: [&str; 2] = ["Ann", "Bob"];

/// A node of clocks, and those who were woken.
fn clocks(stage: &Stage) -> (Node, Shared<Vec<String>>) {
    let woken = stage.shared(Vec::new());
    let (playing, wakes) = (stage.clone(), woken.clone());
    let node = Node::start(stage, Faults::ONE, move |builder| {
        let sleepers = Sleepers { stage: playing.clone(), woken: wakes.clone() };
        builder.entity_with::<Alarm, _>(NoHandlers, Some(Arc::new(sleepers)))
    });
    (node, woken)
}

/// Each of them asks this of a clock.
async fn all_ask(
    stage: &Stage,
    node: &Node,
    clock: impl Fn(&'static str) -> Key,
    command: AlarmCommand,
) {
    for name in NAMES {
        let (node, clock, command) = (node.clone(), clock(name), command.clone());
        stage.actor(name, |actor| async move {
            let what = Alarm::command_name(&command);
            match node.client(&actor, name).send::<Alarm>(&clock, command).await {
                Ok(_) => actor.says(|| format!("has the clock {what}")),
                Err(error) => unexpected(&error),
            }
        });
    }
    stage.all_done().await;
}

/// Each alarm rings, and is taken for rung once.
async fn alarms(stage: Stage) {
    let (node, woken) = clocks(&stage);
    all_ask(&stage, &node, key, AlarmCommand::Set).await;
    for name in NAMES {
        let awake = || async { woken.get().iter().any(|one| one == name) };
        stage.check(soon(&stage, awake).await, || format!("nobody wakes {name}"));
    }
    // Now that both are awake, asking wakes nobody any more.
    for name in NAMES {
        rang(&stage, &node, &key(name), 1).await;
    }
}

/// Every bell is heard once, however often it was rung.
async fn answers_once(stage: Stage) {
    let (node, _) = clocks(&stage);
    all_ask(&stage, &node, |_| key("door"), AlarmCommand::Ring { attempts: 1 }).await;
    rang(&stage, &node, &key("door"), 2).await;
}

/// It was due so often, and is heard of as often, soon and for ever.
async fn rang(stage: &Stage, node: &Node, clock: &Key, times: u32) {
    let heard = || async { node.state::<Alarm>(clock).await.heard >= times };
    let deaf = || format!("the clock of {clock} never hears of {times}");
    stage.check(soon(stage, heard).await, deaf);
    // What comes twice comes soon.
    stage.world().sleep(Duration::from_secs(60)).await;
    let Alarm { due, heard } = node.state::<Alarm>(clock).await;
    let wrong = || format!("the alarm of {clock} is due {due} times, and heard {heard} times");
    stage.check((due, heard) == (times, times), wrong);
}

/// Whether it is so within some looks. (The clock may overtake whoever is on their way, but not for ever.)
async fn soon<F: Future<Output = bool> + Send>(stage: &Stage, so: impl Fn() -> F + Send) -> bool {
    for _ in 0..LOOKS {
        if so().await {
            return true;
        }
        stage.world().sleep(Duration::from_secs(1)).await;
    }
    false
}
