//! Timers and calls to the outside of entities that nobody asks for: what is due must come by itself, also after a
//! crash. (A question would load the entity, and so remind it.)

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

pub(super) const OWN: &[Own] =
    &[Own { name: "alarms ring though nobody asks", faults: EVERYTHING, scenario: &alarms }];

/// An alarm clock, which rings outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Alarm {
    due: u32,
    heard: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum AlarmCommand {
    Set,
    Ring,
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
            AlarmCommand::Set => {
                decision.timer("alarm", cx.now + Millis::from_secs(5), AlarmCommand::Ring)
            }
            AlarmCommand::Ring => decision.effect(EffectRequest {
                effect: Bell,
                deadline: Millis::from_secs(30),
                attempts: 10,
                backoff: Millis::from_secs(1),
                fallback: AlarmCommand::Heard,
            }),
            AlarmCommand::Heard => decision,
        })
    }

    fn apply(&mut self, event: &AlarmCommand) {
        match event {
            AlarmCommand::Set => {}
            AlarmCommand::Ring => self.due += 1,
            AlarmCommand::Heard => self.heard += 1,
        }
    }

    fn command_name(command: &AlarmCommand) -> &'static str {
        match command {
            AlarmCommand::Set => "set",
            AlarmCommand::Ring => "ring",
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

/// Each alarm rings, and is taken for rung once.
async fn alarms(stage: Stage) {
    let woken = stage.shared(Vec::new());
    let (playing, wakes) = (stage.clone(), woken.clone());
    let node = Node::start(&stage, Faults::ONE, move |builder| {
        let sleepers = Sleepers { stage: playing.clone(), woken: wakes.clone() };
        builder.entity_with::<Alarm, _>(NoHandlers, Some(Arc::new(sleepers)))
    });
    for name in NAMES {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            match client.send::<Alarm>(&key(name), AlarmCommand::Set).await {
                Ok(_) => actor.says(|| "sets an alarm".to_owned()),
                Err(error) => unexpected(&error),
            }
        });
    }
    stage.all_done().await;
    for name in NAMES {
        let awake = async || woken.get().iter().any(|one| one == name);
        stage.check(soon(&stage, awake).await, || format!("nobody wakes {name}"));
    }
    // Now that both are awake, asking wakes nobody any more.
    for name in NAMES {
        let told = async || node.state::<Alarm>(&key(name)).await.heard > 0;
        stage.check(soon(&stage, told).await, || format!("the clock never hears of {name}"));
    }
    // What comes twice comes soon.
    stage.world().sleep(Duration::from_secs(60)).await;
    for name in NAMES {
        let Alarm { due, heard } = node.state::<Alarm>(&key(name)).await;
        let wrong = || format!("the alarm of {name} is due {due} times, and heard {heard} times");
        stage.check((due, heard) == (1, 1), wrong);
    }
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
