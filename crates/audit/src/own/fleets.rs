//! Fleets that a server hosts: each that is started plays, alone for its run, until it is told to end; then it is over,
//! once, and the next can be started.
//!
//! What plays here is hosted as `crates/battles/src/fleet/host.rs` does it: a task beside the runtime, which dies with
//! its process and knows nothing when it starts again but what the entity and its table say.

use std::{path::Path, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use interlock_battles::{
    domain::{
        contestant::Contestant,
        fleet::{Crew, Fleet, FleetCommand, Orders, SaveReplay, Secret, Wanted},
    },
    fleet::Fleets,
    history, register,
};
use interlock_kernel::{
    ids::{Key, Worker},
    time::{Millis, Time},
};
use interlock_runtime::{
    Meta, Runtime, SendError,
    env::{Env, World},
};
use tokio::sync::{oneshot, watch};

use super::Own;
use crate::{
    cases::parts::{Shared, key, unexpected},
    faults::{Faults, LATE},
    node::Node,
    stage::{Actor, Stage},
};

pub(super) const OWN: &[Own] = &[Own {
    name: "a fleet is hosted from its start to its end",
    faults: "everything but a second process, which the folder's lock keeps out",
    scenario: &hosted,
}];

const FAULTS: Faults = Faults { takeovers: 0, ..Faults::ONE };
/// How long a battle goes on that is not given up.
const BATTLE: Duration = Duration::from_secs(20);
/// The pause between two looks at something, and how many there are at most.
const LOOK: Millis = Millis::from_secs(5);
const LOOKS: u32 = 200;

/// Who plays, and who has played, by the name of the crew's account.
#[derive(Default)]
struct Field {
    playing: Vec<String>,
    played: Vec<String>,
}

async fn hosted(stage: Stage) {
    let field = Shared::<Field>::default();
    let shown = field.clone();
    stage.show(move || format!("playing: {}", shown.lock().playing.join(", ")));
    let (boots, booted) = watch::channel(Fleets::new(Path::new("")));
    let node = Node::start(&stage, FAULTS, move |builder| {
        // A process knows nothing of what rang in the one before.
        let fleets = Fleets::new(Path::new(""));
        boots.send_replace(fleets.clone());
        register(builder, &fleets)
    });
    stage
        .world()
        .spawn("host", Box::pin(hosts(stage.clone(), node.clone(), booted, field.clone())));
    for (name, ends) in [
        ("Ann", vec![FleetCommand::Drain]),
        ("Bob", vec![FleetCommand::Drain, FleetCommand::Forfeit]),
    ] {
        let (node, field) = (node.clone(), field.clone());
        stage.actor(name, |actor| owner(actor, node, field, name, ends));
    }
    stage.all_done().await;
    // A copy of a request that was refused may have started one more, when it came late.
    stage.world().sleep(LATE * 2).await;
    let sweeper = stage.extra("sweeper");
    if let Err(error) =
        node.client(&sweeper, "sweeper").send::<Fleet>(&key("night"), FleetCommand::Forfeit).await
    {
        unexpected(&error);
    }
    stage.check(ends_by_itself(&sweeper, &node, |_| false).await, || {
        "a fleet never ends".to_owned()
    });
    let left = field.lock().playing.join(", ");
    stage.check(left.is_empty(), || format!("all is over, and {left} still plays"));
}

/// Starts a fleet as soon as no other plays, and lets it end.
async fn owner(
    actor: Actor,
    node: Node,
    field: Shared<Field>,
    name: &str,
    ends: Vec<FleetCommand>,
) {
    let (run, mut client) = (key("night"), node.client(&actor, name));
    // A copy of a request that was refused may start it first, when it comes late.
    while let Err(error) = client.send::<Fleet>(&run, FleetCommand::Start(crew(name))).await {
        if !matches!(error, SendError::Rejected { .. }) {
            unexpected(&error);
        }
        actor.sleep(LOOK).await;
    }
    actor.says(|| "starts a fleet".to_owned());
    actor.sleep(Millis::from_secs(30)).await;
    for end in ends {
        let word = format!("{end:?}");
        if let Err(error) = client.send::<Fleet>(&run, end).await {
            unexpected(&error);
        }
        actor.says(|| format!("says {word}"));
    }
    if !ends_by_itself(&actor, &node, |orders| orders.crew != crew(name)).await {
        return actor.stage().violation(format!("{name}'s fleet never ends"));
    }
    let has_played = field.lock().played.iter().any(|crew| crew == name);
    actor.stage().check(has_played, || format!("{name}'s fleet is over, and never played"));
}

/// Whether the fleet is over within some looks, or it is so.
async fn ends_by_itself(actor: &Actor, node: &Node, so: impl Fn(&Orders) -> bool) -> bool {
    for _ in 0..LOOKS {
        let fleet = node.state::<Fleet>(&key("night")).await;
        if fleet.orders().is_some_and(|orders| orders.over.is_some() || so(orders)) {
            return true;
        }
        actor.sleep(LOOK).await;
    }
    false
}

fn crew(account: &str) -> Crew {
    Crew {
        server: None,
        usernames: vec![account.to_owned()],
        secret: Secret::None,
        workers: vec![Worker::new("w0").expect("a valid name")],
        teams: Vec::new(),
        player: Contestant::Random,
        save_replay: SaveReplay::Never,
    }
}

/// Every process has its host.
async fn hosts(
    stage: Stage,
    node: Node,
    mut booted: watch::Receiver<Fleets>,
    field: Shared<Field>,
) {
    while booted.changed().await.is_ok() {
        let runtime = node.runtime().await;
        let fleets = booted.borrow_and_update().clone();
        let (stage, field) = (stage.clone(), field.clone());
        let keeper = Keeper { stage, runtime: runtime.clone(), fleets, field };
        runtime.env().spawn("keeper", keeper.serve());
    }
}

/// The process is over.
struct ProcessOver;

struct Keeper {
    stage: Stage,
    runtime: Runtime,
    fleets: Fleets,
    field: Shared<Field>,
}

/// The fleet that plays.
struct Playing {
    wanted: watch::Sender<Wanted>,
    done: oneshot::Receiver<()>,
    started: Time,
}

impl Keeper {
    /// Until its process is over.
    async fn serve(self) {
        let known = loop {
            match history::fleets(&self.runtime).await {
                Ok(known) => break known,
                Err(_) => self.pause().await,
            }
        };
        let mut playing: Option<Playing> = None;
        // No bell of these need ring any more.
        for run in known {
            if self.look(&run, &mut playing).await.is_err() {
                return;
            }
        }
        loop {
            let rung = {
                let done = async {
                    match playing.as_mut() {
                        // Who is gone has ended, too.
                        Some(playing) => drop((&mut playing.done).await),
                        None => std::future::pending().await,
                    }
                };
                match select(pin!(self.fleets.rung()), pin!(done)).await {
                    Either::Left((run, _)) => Some(run),
                    Either::Right(_) => None,
                }
            };
            let looked = match rung {
                Some(run) => self.look(&run, &mut playing).await,
                None => self.over(&mut playing).await,
            };
            if looked.is_err() {
                return;
            }
        }
    }

    /// Makes what is done what is wanted.
    async fn look(&self, run: &Key, playing: &mut Option<Playing>) -> Result<(), ProcessOver> {
        let handle = self.runtime.handle::<Fleet>();
        let view = loop {
            match handle.view(run).await {
                Ok(view) => break view,
                Err(SendError::Stopping) => return Err(ProcessOver),
                Err(_) => self.pause().await,
            }
        };
        let Some(Orders { crew, wanted, started, .. }) =
            view.state.orders().filter(|orders| orders.over.is_none())
        else {
            return Ok(());
        };
        match playing {
            Some(playing) => {
                playing.wanted.send_replace(*wanted);
            }
            None => *playing = Some(self.begin(crew, *wanted, *started)),
        }
        Ok(())
    }

    fn begin(&self, crew: &Crew, wanted: Wanted, started: Time) -> Playing {
        let (wanted, told) = watch::channel(wanted);
        let (ends, done) = oneshot::channel::<()>();
        let plays = Plays::begin(&self.stage, &self.field, &crew.usernames[0]);
        let env = self.runtime.env().clone();
        self.runtime.env().spawn("fleet", async move {
            battles(&env, told).await;
            drop(plays);
            drop(ends);
        });
        Playing { wanted, done, started }
    }

    /// A fleet is over, and is said to be.
    async fn over(&self, playing: &mut Option<Playing>) -> Result<(), ProcessOver> {
        let handle = self.runtime.handle::<Fleet>();
        let run = key("night");
        let started = playing.as_ref().expect("only who plays ends").started;
        loop {
            let end = FleetCommand::End { started, trouble: None };
            match handle.send(&run, end, Meta::default()).await {
                Ok(_) => break,
                Err(SendError::Stopping) => return Err(ProcessOver),
                Err(_) => self.pause().await,
            }
        }
        *playing = None;
        // It may have been started anew meanwhile.
        self.look(&run, playing).await
    }

    async fn pause(&self) {
        self.runtime.env().sleep(Millis(250)).await;
    }
}

/// Battles follow each other until it is told to end. Whoever drains finishes the one in play.
async fn battles(env: &Env, mut told: watch::Receiver<Wanted>) {
    // Who may tell it lives in the same process.
    let _ = told.wait_for(|wanted| *wanted > Wanted::Playing).await;
    let forfeits = pin!(async {
        let _ = told.wait_for(|wanted| *wanted > Wanted::Draining).await;
    });
    let battle = env.sleep(Millis(BATTLE.as_millis() as u64));
    select(battle, forfeits).await;
}

/// A fleet is in play until this is dropped, however it ends.
struct Plays {
    field: Shared<Field>,
    crew: String,
}

impl Plays {
    fn begin(stage: &Stage, field: &Shared<Field>, crew: &str) -> Self {
        let beside = {
            let mut field = field.lock();
            field.playing.push(crew.to_owned());
            field.played.push(crew.to_owned());
            field.playing.len() - 1
        };
        stage.check(beside == 0, || format!("{crew}'s fleet plays beside another one"));
        Self { field: field.clone(), crew: crew.to_owned() }
    }
}

impl Drop for Plays {
    fn drop(&mut self) {
        self.field.lock().playing.retain(|crew| *crew != self.crew);
    }
}
