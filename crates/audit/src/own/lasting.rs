//! A history longer than its snapshots, and calls to the outside, which are asked for again and answer once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use interlock_kernel::{
    bus::NoHandlers,
    entity::{Context, Decision, EffectRequest, Entity, Verdict},
    ids::Key,
    time::Millis,
};
use interlock_primitives::domain::turn::TurnEntity;
use interlock_runtime::{
    effects::{EffectHandler, Performed},
    env::World,
};
use serde::{Deserialize, Serialize};

use super::{EVERYTHING, Own};
use crate::{
    cases::parts::{key, node, post, unexpected},
    node::{Faults, Node},
    stage::Stage,
};

pub(super) const OWN: &[Own] = &[
    Own { name: "a history outlives its snapshots", faults: EVERYTHING, scenario: &long_history },
    Own {
        name: "the outside is asked again, and answers once",
        faults: EVERYTHING,
        scenario: &outside,
    },
];

/// More records than lie between two snapshots.
const TURNS: u64 = 70;

/// Every turn has the winner that was told.
async fn long_history(stage: Stage) {
    let node = node::<TurnEntity>(&stage);
    stage.actor("player", |actor| async move {
        let mut client = node.client(&actor, "player");
        for turn in 1..=TURNS {
            let result = post(&mut client, &key("story"), turn, "a move").await;
            let lost = || format!("turn {turn} is taken before it is played");
            actor.stage().check(result.won, lost);
        }
    });
    stage.all_done().await;
}

/// Letters that are sent by somebody outside, who says when it is done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Post {
    asked: u32,
    done: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum PostCommand {
    Send,
    Sent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Letter;

impl Entity for Post {
    const TYPE: &'static str = "post";
    type Command = PostCommand;
    type Event = PostCommand;
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Letter;

    fn decide(&self, command: &PostCommand, _: &Context<'_>) -> Verdict<Self> {
        let decision = Decision::event(command.clone(), ());
        Ok(match command {
            PostCommand::Send => decision.effect(EffectRequest {
                effect: Letter,
                deadline: Millis::from_secs(30),
                attempts: 1,
                backoff: Millis::from_secs(1),
                fallback: PostCommand::Sent,
            }),
            PostCommand::Sent => decision,
        })
    }

    fn apply(&mut self, event: &PostCommand) {
        match event {
            PostCommand::Send => self.asked += 1,
            PostCommand::Sent => self.done += 1,
        }
    }

    fn command_name(command: &PostCommand) -> &'static str {
        match command {
            PostCommand::Send => "send",
            PostCommand::Sent => "sent",
        }
    }

    fn event_name(event: &PostCommand) -> &'static str {
        Self::command_name(event)
    }
}

/// The outside.
struct Postman(Stage);

impl EffectHandler<Post> for Postman {
    fn perform(&self, _: &Key, _: Letter, _: u32) -> Performed<Post> {
        let world = self.0.world().clone();
        Box::pin(async move {
            world.give_way().await;
            Ok(PostCommand::Sent)
        })
    }
}

/// Looks at the letters, at most.
const LOOKS: u32 = 200;

/// Every letter is done once, however often it was asked for.
async fn outside(stage: Stage) {
    let postman = stage.clone();
    let node = Node::start(&stage, Faults::ONE, move |builder| {
        let postman = Arc::new(Postman(postman.clone()));
        builder.entity_with::<Post, _>(NoHandlers, Some(postman))
    });
    for name in ["Ann", "Bob"] {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            match client.send::<Post>(&key("letters"), PostCommand::Send).await {
                Ok(_) => actor.says(|| "posts a letter".to_owned()),
                Err(error) => unexpected(&error),
            }
        });
    }
    stage.all_done().await;
    let look = async || node.state::<Post>(&key("letters")).await;
    // The clock may overtake the postman, but not for ever.
    for _ in 0..LOOKS {
        if look().await.done >= 2 {
            break;
        }
        stage.world().sleep(Duration::from_secs(1)).await;
    }
    // One that comes twice comes soon.
    stage.world().sleep(Duration::from_secs(60)).await;
    let Post { asked, done } = look().await;
    stage
        .check(asked == 2 && done == 2, || format!("2 are posted, {asked} asked for, {done} done"));
}
