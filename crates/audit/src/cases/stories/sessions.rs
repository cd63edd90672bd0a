//! What one session does to others, and to itself: a switch for all, and a call without a time-out.

use std::{collections::BTreeMap, future, pin::pin};

use futures_util::future::{Either, select};
use interlock_kernel::{
    ids::{Holder, Outcome, Version},
    job::RunId,
    time::Millis,
};
use interlock_primitives::domain::{
    job::{JobCommand, JobEntity, JobReply, JobView},
    value::ValueEntity,
};
use interlock_runtime::{SendError, env::World};

use super::super::{
    Flaw,
    parts::{Shared, key, node, read, replace, said, unexpected},
};
use crate::{
    node::{Client, Node},
    stage::{Actor, Stage},
};

/// Whether there are images, by session.
type Wishes = BTreeMap<String, bool>;

/// Two players, and whether they want images.
const WISHES: [(&str, bool); 2] = [("Ada", true), ("Ben", false)];

fn check_wish(actor: &Actor, name: &str, wants: bool, gets: bool) {
    let words = |with: bool| if with { "images" } else { "no images" };
    actor.says(|| format!("the turn runs with {}", words(gets)));
    let wrong = || format!("{name} asked for {} and gets {}", words(wants), words(gets));
    actor.stage().check(wants == gets, wrong);
}

/// Issue 2: `engine.IMAGE_ENABLED` is one variable, "shared across the entire process". Without the flaw each
/// session has one of its own.
pub(super) async fn image_switch(stage: Stage, flaw: Flaw) {
    let switches = Shared::<Wishes>::default();
    let shown = switches.clone();
    stage.show(move || {
        let words = |on: &bool| if *on { "images on" } else { "images off" };
        shown.lock().values().map(words).collect::<Vec<_>>().join(", ")
    });
    for (name, wants) in WISHES {
        let switches = switches.clone();
        stage.actor(name, |actor| async move {
            let switch = if flaw.is_present() { "IMAGE_ENABLED" } else { name };
            switches.lock().insert(switch.to_owned(), wants);
            let button = if wants { "Play" } else { "Play without images" };
            actor.says(|| format!("presses {button:?}"));
            // The introduction is written.
            actor.step().await;
            let gets = switches.lock()[switch];
            check_wish(&actor, name, wants, gets);
        });
    }
    stage.all_done().await;
}

/// One value has the wishes of all sessions; each changes its own, in the version that it has seen.
pub(super) async fn image_switch_twin(stage: Stage) {
    let node = node::<ValueEntity>(&stage);
    for (name, wants) in WISHES {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            wish(&actor, &mut client, name, wants).await;
            // The introduction is written.
            actor.step().await;
            let (_, wishes) = wishes(&client).await;
            check_wish(&actor, name, wants, wishes[name]);
        });
    }
    stage.all_done().await;
    let (version, wishes) = wishes(&node.client(&stage.extra("afterwards"), "afterwards")).await;
    let wanted = WISHES.map(|(name, wants)| (name.to_owned(), wants));
    let is_kept = wishes == Wishes::from(wanted) && version == Some(Version(2));
    stage.check(is_kept, || format!("after two wishes there are {wishes:?} at {version:?}"));
}

async fn wishes(client: &Client) -> (Option<Version>, Wishes) {
    let kept = read(client, &key("wishes")).await;
    let version = kept.as_ref().map(|kept| kept.version);
    (version, kept.map(|kept| said(&kept.content)).unwrap_or_default())
}

async fn wish(actor: &Actor, client: &mut Client, name: &str, wants: bool) {
    loop {
        let (seen, mut wishes) = wishes(client).await;
        wishes.insert(name.to_owned(), wants);
        if replace(client, &key("wishes"), seen, &wishes).await.is_some() {
            return actor.says(|| format!("wishes are {wishes:?}"));
        }
        actor.says(|| "somebody else has wished: reads again".to_owned());
    }
}

/// How long a reaction may take: fix P2, "Add 10s timeout to executor call".
const REACTION_TTL: Millis = Millis::from_secs(10);
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

/// Issue 3: "This has no timeout. If the API hangs, the choice processing is blocked indefinitely."
pub(super) async fn endless_reaction(stage: Stage, flaw: Flaw) {
    let buttons = Shared::new("north or south");
    let shown = buttons.clone();
    stage.show(move || shown.get().to_owned());
    let clicked = buttons.clone();
    stage.actor("player", |actor| async move {
        actor.says(|| "clicks \"north\"".to_owned());
        *clicked.lock() = "disabled";
        let timeout = async {
            match flaw {
                Flaw::Present => future::pending().await,
                Flaw::Absent => actor.sleep(REACTION_TTL).await,
            }
        };
        let reaction = ask_the_model(&actor);
        match select(pin!(reaction), pin!(timeout)).await {
            Either::Left(_) => {}
            Either::Right(_) => actor.says(|| "goes on without a reaction".to_owned()),
        }
        *clicked.lock() = "east or west";
        actor.says(|| "the story goes on".to_owned());
    });
    stage.all_done().await;
}

/// The reaction is a job's run: when its time is over, because the model hangs or the process that asked it is
/// dead, the turn goes on without it, and it comes too late.
pub(super) async fn endless_reaction_twin(stage: Stage) {
    let node = node::<JobEntity>(&stage);
    let shown = Shared::<Vec<&'static str>>::default();
    let state = shown.clone();
    stage.show(move || format!("shown: {}", state.lock().join(", ")));
    stage.actor("player", |actor| async move {
        let mut client = node.client(&actor, "player");
        let run = start(&mut client).await;
        actor.says(|| "clicks \"north\": the reaction has ten seconds".to_owned());
        let model = actor.stage().extra("reaction");
        let reacts = react(model, node.clone(), run, shown.clone());
        actor.stage().world().process(1).spawn("reaction", Box::pin(reacts));
        let outcome = outcome(&actor, &client).await;
        if outcome.as_str() == "expired" {
            show(&actor, &shown, "no reaction");
        }
        actor.says(|| format!("the story goes on: the reaction is {outcome}"));
    });
    stage.all_done().await;
}

async fn start(client: &mut Client) -> RunId {
    let holder = Holder::new("reaction").expect("a valid name");
    let command = JobCommand::Start { holder, min_interval_ms: Millis(0), ttl_ms: REACTION_TTL };
    match client.send::<JobEntity>(&key("turn-1"), command).await.map(|receipt| receipt.reply) {
        Ok(JobReply::Started(lease)) => lease.run,
        Ok(reply) => panic!("start is answered with {reply:?}"),
        Err(error) => unexpected(&error),
    }
}

/// How the run ended, once it has.
async fn outcome(actor: &Actor, client: &Client) -> Outcome {
    loop {
        let view = match client.view::<JobEntity>(&key("turn-1")).await {
            Ok(view) => view,
            Err(error) => unexpected(&error),
        };
        let job = view.state.view(view.version, view.now);
        if let Ok(JobView { running: None, last: Some(ended), .. }) = job {
            return ended.outcome;
        }
        actor.sleep(LOOK_AGAIN).await;
    }
}

/// Shows the reaction if it comes in time.
async fn react(actor: Actor, node: Node, run: RunId, shown: Shared<Vec<&'static str>>) {
    let mut client = node.client(&actor, "reaction");
    ask_the_model(&actor).await;
    let outcome = Outcome::new("done").expect("a valid name");
    let finish = JobCommand::Finish { run: Some(run), outcome };
    match client.send::<JobEntity>(&key("turn-1"), finish).await {
        Ok(_) => show(&actor, &shown, "the model's reaction"),
        Err(SendError::Rejected { .. }) => actor.says(|| "it comes too late".to_owned()),
        Err(error) => unexpected(&error),
    }
}

fn show(actor: &Actor, shown: &Shared<Vec<&'static str>>, what: &'static str) {
    shown.lock().push(what);
    actor.says(|| format!("shows {what}"));
    let all = shown.get();
    actor.stage().check(all.len() == 1, || format!("shown for one turn: {}", all.join(" and ")));
}
