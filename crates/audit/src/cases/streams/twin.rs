//! The streams on Interlock: the entity that the streams service runs on assigns the engines.
//!
//! Requests come in at front doors, proxies that keep nothing of their own: two are as good as one, since both ask the
//! same entity. A front door may be killed at any await, and its requests with it. Then the engines lose their
//! readers and stop by themselves, and the leases run out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use interlock_kernel::{
    bus::NoHandlers,
    entity::Entity,
    ids::{Key, Member},
    pool::PoolRefusal,
    time::Millis,
};
use interlock_runtime::{
    Builder, SendError,
    effects::{EffectHandler, Performed},
    env::World,
};
use interlock_streams::domain::engines::{
    Asker, Command, Ending, EngineSpec, Engines, Grant, Reply, Rules, Session, StopSession,
};

use super::{ENGINES, LIMIT, lock};
use crate::{
    cases::parts::survives,
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
    world::Sim,
};

/// The engines' key.
pub(crate) const ALL: &str = "all";
/// The longest that an engine may take to start a stream.
const START_TIMEOUT: Millis = Millis::from_secs(30);
/// How long an engine goes on without a reader.
const ENGINE_IDLE: Millis = Millis::from_secs(10);
const LEASE_TTL: Millis = Millis::from_secs(600);
/// They come one after the other, watch for a while, and come again if there is no room.
const APART: Millis = Millis(400);
const WATCHES: Millis = Millis::from_secs(2);
const COMES_AGAIN: Millis = Millis::from_secs(1);
const TRIES: u32 = 3;
const LOOK_AGAIN: Millis = Millis::from_secs(10);

/// A session on an engine.
struct Carries {
    engine: String,
    /// Since when nobody reads it.
    unread_since: Option<Millis>,
    /// Whether its request was told that the entity knows of it, and so how to stop it.
    is_known: bool,
}

/// The engines themselves.
#[derive(Default)]
struct Carried {
    /// By the URL that stops each.
    sessions: Mutex<BTreeMap<String, Carries>>,
    /// The one session of which its engine hears no stop.
    unheard: Mutex<Option<String>>,
}

impl Carried {
    /// How many sessions an engine has. It ends those by itself that nobody reads.
    fn on(&self, engine: &str, now: Millis) -> usize {
        let goes_on = |since: Millis| now.0 < since.0 + ENGINE_IDLE.0;
        let is_there = |session: &&Carries| {
            session.engine == engine && session.unread_since.is_none_or(goes_on)
        };
        lock(&self.sessions).values().filter(is_there).count()
    }

    /// Whether an engine hears no stop of a session.
    fn is_unheard(&self, session: &str, world: &Sim) -> bool {
        let mut unheard = lock(&self.unheard);
        if unheard.is_none() && world.fault(1) == 1 {
            *unheard = Some(session.to_owned());
        }
        unheard.as_deref() == Some(session)
    }

    /// Sessions that somebody knows how to stop, and that can be stopped.
    fn to_stop(&self) -> usize {
        let (sessions, unheard) = (lock(&self.sessions), lock(&self.unheard));
        let is_left = |(url, session): &(&String, &Carries)| {
            session.is_known && unheard.as_ref() != Some(*url)
        };
        sessions.iter().filter(is_left).count()
    }

    fn stop(&self, session: &str) {
        lock(&self.sessions).remove(session);
    }
}

/// Reads a session until it is dropped, as by a kill.
struct Reader {
    actor: Actor,
    carried: Arc<Carried>,
    session: String,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(session) = lock(&self.carried.sessions).get_mut(&self.session) {
            session.unread_since = Some(self.actor.now());
        }
    }
}

/// Stops sessions, as the streams service does through its outbox. Calls about one session may hang until they are
/// given up: its slot is free when the engine has ended it by itself.
pub(crate) struct Stops {
    stage: Stage,
    carried: Arc<Carried>,
}

impl EffectHandler<Engines> for Stops {
    fn perform(&self, _key: &Key, effect: StopSession, _attempt: u32) -> Performed<Engines> {
        let (world, carried) = (self.stage.world().clone(), self.carried.clone());
        Box::pin(async move {
            world.give_way().await;
            if carried.is_unheard(&effect.command_url, &world) {
                return std::future::pending().await;
            }
            carried.stop(&effect.command_url);
            Ok(Command::Stopped { lease: effect.lease })
        })
    }
}

pub(super) async fn play(stage: Stage, doors: usize) {
    let add = |builder: Builder, stops: Arc<Stops>| {
        builder.entity_with::<Engines, _>(NoHandlers, Some(stops))
    };
    plays(&stage, doors, str::to_owned, add).await;
}

/// Lets five requests play, each for the stream that `stream_of` says, on a machine with what `add` adds to it.
pub(crate) async fn plays(
    stage: &Stage,
    doors: usize,
    stream_of: fn(&str) -> String,
    add: fn(Builder, Arc<Stops>) -> Builder,
) -> Node {
    let carried = Arc::new(Carried::default());
    let (state, clock) = (carried.clone(), stage.extra("clock"));
    let on = move |engine| format!("{engine}: {}", state.on(engine, clock.now()));
    stage.show(move || ENGINES.map(&on).join(", "));
    let (stops, playing) = (carried.clone(), stage.clone());
    let node = Node::start(stage, Faults::IN_TIME, move |builder| {
        add(builder, Arc::new(Stops { stage: playing.clone(), carried: stops.clone() }))
    });
    let key = Key::new(ALL).expect("a valid key");
    begin(stage, &node, &key).await;
    let doors: Vec<_> = (0..doors).map(|_| stage.world().process(1)).collect();
    let names = ["request A", "request B", "request C", "request D", "request E"];
    for ((number, name), door) in (0..).zip(names).zip(doors.iter().cycle()) {
        let (node, carried) = (node.clone(), carried.clone());
        let (key, door) = (key.clone(), door.clone());
        stage.actor(name, |actor| async move {
            actor.sleep(Millis(number * APART.0)).await;
            let name = name.replace(' ', "-");
            let client = node.client(&actor, &name);
            let stream = stream_of(&name);
            let request = Request { actor: actor.clone(), client, carried, key, stream };
            if !survives(&door, request.plays()).await {
                actor.says(|| "is gone with its front door".to_owned());
            }
        });
    }
    stage.all_done().await;
    all_end(stage, &node, &carried, &key).await;
    node
}

async fn begin(stage: &Stage, node: &Node, key: &Key) {
    let mut service = node.client(&stage.extra("the service"), "service");
    let rules = Rules {
        lease_ttl: LEASE_TTL,
        engine_idle: ENGINE_IDLE,
        ejection: Millis::from_secs(30),
        start_timeout: START_TIMEOUT,
    };
    let spec = |name: &str| EngineSpec {
        name: Member::new(name).expect("a valid name"),
        url: format!("http://{name}:6878"),
        limit: LIMIT,
        forwarded: false,
    };
    let engines = ENGINES.map(spec).to_vec();
    let begun = service.send::<Engines>(key, Command::Begin { engines, rules }).await;
    stage.check(begun.is_ok(), || format!("the service cannot begin: {begun:?}"));
}

/// What is over is stopped through the outbox, in its own time; what was left behind, when its lease has run out.
async fn all_end(stage: &Stage, node: &Node, carried: &Carried, key: &Key) {
    let looks = 2 * LEASE_TTL.0 / LOOK_AGAIN.0;
    for _ in 0..looks {
        let holds = node.state::<Engines>(key).await.pool().leases().len();
        if (holds, carried.to_stop()) == (0, 0) {
            return;
        }
        stage.world().sleep(LOOK_AGAIN.as_duration()).await;
    }
    let left = Vec::from_iter(lock(&carried.sessions).keys().cloned());
    stage.violation(format!("slots or sessions are left, and nobody ends them: {left:?}"));
}

/// Somebody who wants to see a stream, at a front door.
struct Request {
    actor: Actor,
    client: Client,
    carried: Arc<Carried>,
    key: Key,
    stream: String,
}

impl Request {
    /// Takes a slot, plays on it, and lets go.
    async fn plays(mut self) {
        let Some((asked, grant)) = self.acquire().await else { return };
        let engine = grant.engine.as_str().to_owned();
        self.actor.says(|| format!("gets {engine}"));
        self.actor.step().await;
        let lease = grant.lease;
        let release = |session| Command::Release { lease, ending: Ending::Unwatched, session };
        // The service's own time-out around a start: what comes later is not begun.
        if self.actor.now().0 - asked.0 > START_TIMEOUT.0 {
            self.actor.says(|| "gives up".to_owned());
            // Too late for the lease, too, perhaps: then there is nothing to let go of.
            let _ = self.send(release(Session::Unanswered)).await;
            return;
        }
        let session = format!("http://{engine}/stop/{lease}");
        let reader = self.start(&engine, &session);
        let (command_url, stat_url) = (session.clone(), "stat".into());
        match self.send(Command::Started { lease, command_url, stat_url }).await {
            Ok(_) => {
                // A stop may have come before the answer.
                if let Some(session) = lock(&self.carried.sessions).get_mut(&session) {
                    session.is_known = true;
                }
                self.actor.says(|| "started".to_owned());
            }
            Err(SendError::Rejected { .. }) => {
                // Its URL is not durable: the service stops it right here.
                self.actor.step().await;
                self.carried.stop(&session);
                self.actor.says(|| "has lost its slot: stops".to_owned());
                // The lease is over as it is.
                let _ = self.send(release(Session::None)).await;
                return;
            }
            Err(error) => return self.actor.stage().violation(format!("started: {error}")),
        }
        self.tell(Command::Flowing { lease }).await;
        self.actor.sleep(WATCHES).await;
        drop(reader);
        self.tell(release(Session::Perhaps)).await;
    }

    /// Asks for a slot, again and again while there is hope for one. Tells when it asked, too.
    async fn acquire(&mut self) -> Option<(Millis, Grant)> {
        let mut tries = 0;
        loop {
            let asked = self.actor.now();
            let asker = Asker { stream: self.stream.clone(), avoid: BTreeSet::new() };
            let acquire = Command::Acquire { asker, ahead: Vec::new(), unwatched: Vec::new() };
            let wrong = match self.send(acquire).await {
                Ok(Reply::Granted(grant)) => return Some((asked, grant)),
                Ok(Reply::Soon { .. }) => {
                    self.actor.says(|| "waits for a slot that closes".to_owned());
                    self.actor.sleep(Millis(100)).await;
                    continue;
                }
                Ok(reply @ (Reply::Done | Reply::AllTried)) => format!("{reply:?}"),
                Err(SendError::Rejected { .. }) => {
                    self.actor.says(|| "finds no room".to_owned());
                    tries += 1;
                    if tries == TRIES {
                        return None;
                    }
                    self.actor.sleep(COMES_AGAIN).await;
                    continue;
                }
                Err(error) => error.to_string(),
            };
            self.actor.stage().violation(format!("acquire: {wrong}"));
            return None;
        }
    }

    /// The engine begins a session.
    fn start(&self, engine: &str, session: &str) -> Reader {
        let Self { actor, carried, .. } = self;
        let begun = Carries { engine: engine.to_owned(), unread_since: None, is_known: false };
        lock(&carried.sessions).insert(session.to_owned(), begun);
        actor.says(|| format!("starts on {engine}"));
        let now = carried.on(engine, actor.now());
        let over = || format!("{engine} carries {now} streams, its limit is {LIMIT}");
        actor.stage().check(now <= LIMIT as usize, over);
        Reader { actor: actor.clone(), carried: carried.clone(), session: session.to_owned() }
    }

    async fn tell(&mut self, command: Command) {
        let name = Engines::command_name(&command);
        match self.send(command).await {
            Ok(_) => self.actor.says(|| name.to_owned()),
            Err(SendError::Rejected { .. }) => self.actor.says(|| format!("{name}: refused")),
            Err(error) => self.actor.stage().violation(format!("{name}: {error}")),
        }
    }

    async fn send(&mut self, command: Command) -> Result<Reply, SendError<PoolRefusal>> {
        self.client.send::<Engines>(&self.key, command).await.map(|receipt| receipt.reply)
    }
}
