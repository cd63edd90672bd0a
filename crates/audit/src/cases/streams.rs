//! Document 003: streams are assigned to engines that may carry two each, and carry more.
//!
//! As found, a proxy asks an orchestrator how many streams an engine carries, chooses, starts the stream, and
//! reports that later. Its repairs count what is pending, and each leaves a gap of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::{
    ids::{Key, Member},
    time::Millis,
};
use interlock_runtime::{
    SendError,
    effects::{EffectHandler, Performed},
};
use interlock_streams::domain::engines::{
    Asker, Command, Ending, EngineSpec, Engines, Grant, Reply, Rules, Session, StopSession,
};

use super::Case;
use crate::{
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
};

/// Streams that an engine may carry.
const LIMIT: u32 = 2;
/// The longest that an engine may take to start a stream.
const START_TIMEOUT: Millis = Millis::from_secs(30);
const ENGINES: [&str; 2] = ["e1", "e2"];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an engine is chosen by a look at its count",
        document: "003",
        as_found: &|stage| as_found(stage, Guard::None),
        interlock: &interlock,
    },
    Case {
        name: "what is pending is counted and raised in two lock sections",
        document: "003",
        as_found: &|stage| as_found(stage, Guard::TwoSections),
        interlock: &interlock,
    },
    Case {
        name: "what is pending is let go before the orchestrator counts it",
        document: "003",
        as_found: &|stage| as_found(stage, Guard::ReleasedEarly),
        interlock: &interlock,
    },
    Case {
        name: "two proxies count what is pending, each for itself",
        document: "003",
        as_found: &|stage| as_found(stage, Guard::PerProxy),
        interlock: &interlock,
    },
];

/// How the proxy guards its choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    None,
    TwoSections,
    ReleasedEarly,
    PerProxy,
}

type Counts = BTreeMap<&'static str, u32>;

#[derive(Default)]
struct Found {
    /// As the orchestrator counts.
    active: Counts,
    /// As each proxy counts.
    pending: [Counts; 2],
    /// As the engines count.
    carried: Counts,
}

fn count(counts: &Counts, engine: &str) -> u32 {
    counts.get(engine).copied().unwrap_or(0)
}

fn shown(counts: &Counts) -> String {
    let one = |engine: &&str| format!("{engine}: {}", count(counts, engine));
    ENGINES.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

async fn as_found(stage: Stage, guard: Guard) {
    let found = Arc::new(Mutex::new(Found::default()));
    let state = found.clone();
    stage.show(move || shown(&lock(&state).carried));
    let names = ["request A", "request B", "request C"];
    for (name, number) in names.into_iter().zip(0..) {
        let proxy = if guard == Guard::PerProxy { number % 2 } else { 0 };
        stage.actor(name, |actor| request(actor, found.clone(), guard, proxy));
    }
    stage.all_done().await;
}

async fn request(actor: Actor, found: Arc<Mutex<Found>>, guard: Guard, proxy: usize) {
    // GET /streams: the orchestrator answers with what it knows.
    actor.step().await;
    let active = lock(&found).active.clone();
    actor.says(|| format!("asks the orchestrator: {}", shown(&active)));
    actor.step().await;
    let guarded = guard != Guard::None;
    let chosen = {
        let mut found = lock(&found);
        let pending = if guarded { found.pending[proxy].clone() } else { Counts::new() };
        let load = |engine: &str| count(&active, engine) + count(&pending, engine);
        let free = ENGINES.into_iter().filter(|engine| load(engine) < LIMIT);
        let chosen = free.min_by_key(|engine| load(engine));
        if let Some(engine) = chosen
            && matches!(guard, Guard::ReleasedEarly | Guard::PerProxy)
        {
            *found.pending[proxy].entry(engine).or_default() += 1;
        }
        chosen
    };
    let Some(engine) = chosen else {
        actor.says(|| "finds no room".to_owned());
        return;
    };
    actor.says(|| format!("chooses {engine}"));
    if guard == Guard::TwoSections {
        actor.step().await;
        *lock(&found).pending[proxy].entry(engine).or_default() += 1;
    }
    // GET /ace/getstream: the engine begins to carry it.
    actor.step().await;
    let carried = {
        let mut found = lock(&found);
        let carried = found.carried.entry(engine).or_default();
        *carried += 1;
        *carried
    };
    actor.says(|| format!("starts on {engine}"));
    let over = || format!("{engine} carries {carried} streams, its limit is {LIMIT}");
    actor.stage().check(carried <= LIMIT, over);
    // POST /events: in the background, as everything that only tells.
    let release = |found: &Mutex<Found>| {
        if let Some(pending) = lock(found).pending[proxy].get_mut(engine) {
            *pending -= 1;
        }
    };
    if guard == Guard::ReleasedEarly {
        release(&found);
        actor.says(|| format!("lets go of what was pending on {engine}"));
    }
    actor.step().await;
    *lock(&found).active.entry(engine).or_default() += 1;
    actor.says(|| format!("the orchestrator counts it on {engine}"));
    if matches!(guard, Guard::TwoSections | Guard::PerProxy) {
        release(&found);
    }
}

/// The engines themselves: what they carry, by lease.
#[derive(Default)]
struct Carried(Mutex<BTreeSet<(String, String)>>);

impl Carried {
    fn on(&self, engine: &str) -> usize {
        lock(&self.0).iter().filter(|(on, _)| on == engine).count()
    }
}

/// Stops sessions, as the streams service does through its outbox.
struct Stops {
    stage: Stage,
    carried: Arc<Carried>,
}

impl EffectHandler<Engines> for Stops {
    fn perform(&self, _key: &Key, effect: StopSession, _attempt: u32) -> Performed<Engines> {
        let (world, carried) = (self.stage.world().clone(), self.carried.clone());
        Box::pin(async move {
            world.give_way().await;
            lock(&carried.0).retain(|(_, session)| *session != effect.command_url);
            Ok(Command::Stopped { lease: effect.lease })
        })
    }
}

async fn interlock(stage: Stage) {
    let carried = Arc::new(Carried::default());
    let state = carried.clone();
    stage.show(move || ENGINES.map(|engine| format!("{engine}: {}", state.on(engine))).join(", "));
    let (stops, playing) = (carried.clone(), stage.clone());
    let node = Node::start(&stage, Faults::IN_TIME, move |builder| {
        let stops = Stops { stage: playing.clone(), carried: stops.clone() };
        builder.entity_with::<Engines, _>(interlock_kernel::bus::NoHandlers, Some(Arc::new(stops)))
    });
    let key = Key::new("all").expect("a valid key");
    let mut begin = node.client(&stage.extra("the service"), "service");
    let rules = Rules {
        lease_ttl: Millis::from_secs(600),
        engine_idle: Millis::from_secs(10),
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
    let begun = begin.send::<Engines>(&key, Command::Begin { engines, rules }).await;
    stage.check(begun.is_ok(), || format!("the service cannot begin: {begun:?}"));
    let names = ["request A", "request B", "request C", "request D", "request E"];
    for name in names {
        let (node, carried, key) = (node.clone(), carried.clone(), key.clone());
        stage.actor(name, |actor| async move {
            play(&actor, &node, &carried, &key, name).await;
        });
    }
    stage.all_done().await;
    let left = lock(&carried.0).len();
    stage.check(left <= names.len(), || format!("{left} sessions are left"));
}

/// Asks for a slot, again and again while there is hope for one. Tells when it asked, too.
async fn acquire(
    actor: &Actor,
    client: &mut Client,
    key: &Key,
    name: &str,
) -> Option<(Millis, Grant)> {
    let violation = |what: String| {
        actor.stage().violation(format!("acquire: {what}"));
        None
    };
    loop {
        let asked = actor.now();
        let asker = Asker { stream: name.to_owned(), avoid: BTreeSet::new() };
        let acquire = Command::Acquire { asker, ahead: Vec::new(), unwatched: Vec::new() };
        match client.send::<Engines>(key, acquire).await.map(|receipt| receipt.reply) {
            Ok(Reply::Granted(grant)) => return Some((asked, grant)),
            Ok(Reply::Soon { .. }) => {
                actor.says(|| "waits for a slot that closes".to_owned());
                actor.sleep(Millis(100)).await;
            }
            Ok(reply @ (Reply::Done | Reply::AllTried)) => return violation(format!("{reply:?}")),
            Err(SendError::Rejected { .. }) => {
                actor.says(|| "finds no room".to_owned());
                return None;
            }
            Err(error) => return violation(error.to_string()),
        }
    }
}

/// Takes a slot, plays on it, and lets go.
async fn play(actor: &Actor, node: &Node, carried: &Carried, key: &Key, name: &str) {
    let name = name.replace(' ', "-");
    let mut client = node.client(actor, &name);
    let Some((asked, grant)) = acquire(actor, &mut client, key, &name).await else { return };
    let engine = grant.engine.as_str().to_owned();
    actor.says(|| format!("gets {engine}"));
    actor.step().await;
    let lease = grant.lease;
    let release = |session| Command::Release { lease, ending: Ending::Unwatched, session };
    // The service's own time-out around a start: what comes later is not begun.
    if actor.now().0 - asked.0 > START_TIMEOUT.0 {
        actor.says(|| "gives up".to_owned());
        // Too late for the lease, too, perhaps: then there is nothing to let go of.
        let _ = client.send::<Engines>(key, release(Session::Unanswered)).await;
        return;
    }
    let session = format!("http://{engine}/stop/{}", grant.lease);
    lock(&carried.0).insert((engine.clone(), session.clone()));
    actor.says(|| format!("starts on {engine}"));
    let now = carried.on(&engine);
    let over = || format!("{engine} carries {now} streams, its limit is {LIMIT}");
    actor.stage().check(now <= LIMIT as usize, over);
    let started = Command::Started { lease, command_url: session, stat_url: "stat".into() };
    for command in [started, Command::Flowing { lease }, release(Session::Perhaps)] {
        let name = <Engines as interlock_kernel::entity::Entity>::command_name(&command);
        match client.send::<Engines>(key, command).await {
            Ok(_) | Err(SendError::Rejected { .. }) => actor.says(|| name.to_owned()),
            Err(error) => return actor.stage().violation(format!("{name}: {error}")),
        }
    }
}
