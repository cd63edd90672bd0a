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
    env::World,
};
use interlock_streams::domain::engines::{
    Asker, Command, Ending, EngineSpec, Engines, Grant, Reply, Rules, Session, StopSession,
};

use super::{Case, Repaired};
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
        as_found: &|stage| as_found(stage, UNGUARDED),
        interlock: &interlock,
    },
    Case {
        name: "what is pending is counted and raised in two lock sections",
        document: "003",
        as_found: &|stage| as_found(stage, TWO_SECTIONS),
        interlock: &interlock,
    },
    Case {
        name: "what is pending is let go before the orchestrator counts it",
        document: "003",
        as_found: &|stage| as_found(stage, RELEASED_EARLY),
        interlock: &interlock,
    },
    Case {
        name: "the active count is older than the pending count",
        document: "003",
        as_found: &|stage| as_found(stage, OLD_COUNT),
        interlock: &interlock,
    },
    Case {
        name: "two proxies count what is pending, each for itself",
        document: "003",
        as_found: &|stage| as_found(stage, PER_PROXY),
        interlock: &interlock,
    },
];

pub(super) const REPAIRED_MODELS: &[Repaired] = &[
    Repaired {
        name: "an engine is chosen by a look at its count",
        model: &|stage| as_found(stage, REPAIRED),
    },
    Repaired {
        name: "what is pending is counted and raised in two lock sections",
        model: &|stage| as_found(stage, Guard { raises_apart: false, ..TWO_SECTIONS }),
    },
    Repaired {
        name: "what is pending is let go before the orchestrator counts it",
        model: &|stage| as_found(stage, REPAIRED),
    },
    Repaired {
        name: "the active count is older than the pending count",
        model: &|stage| as_found(stage, REPAIRED),
    },
    Repaired {
        name: "two proxies count what is pending, each for itself",
        model: &|stage| as_found(stage, REPAIRED),
    },
];

/// How a proxy guards its choice.
#[derive(Clone, Copy)]
struct Guard {
    /// Whether it counts what it has chosen and the orchestrator does not know yet.
    counts_pending: bool,
    /// Whether the orchestrator is asked before the lock is taken, not under it.
    asks_before: bool,
    /// Whether the pending count is raised in a lock section of its own.
    raises_apart: bool,
    report: Report,
    /// Proxies, each with a pending count of its own.
    proxies: usize,
}

/// When the orchestrator counts a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Report {
    /// After all that is played here: its slot stays pending.
    Later,
    /// When the event has arrived; the slot is let go when it is sent.
    AfterRelease,
    /// Before the slot is let go.
    BeforeRelease,
}

/// One lock around the question and the choice, and no slot that nobody counts.
const REPAIRED: Guard = Guard {
    counts_pending: true,
    asks_before: false,
    raises_apart: false,
    report: Report::BeforeRelease,
    proxies: 1,
};
const UNGUARDED: Guard = Guard { counts_pending: false, asks_before: true, ..REPAIRED };
const TWO_SECTIONS: Guard = Guard { raises_apart: true, report: Report::Later, ..REPAIRED };
const RELEASED_EARLY: Guard = Guard { report: Report::AfterRelease, ..REPAIRED };
const OLD_COUNT: Guard = Guard { asks_before: true, ..REPAIRED };
const PER_PROXY: Guard = Guard { proxies: 2, ..REPAIRED };

type Counts = BTreeMap<&'static str, u32>;

#[derive(Default)]
struct Found {
    /// As the orchestrator counts.
    active: Counts,
    /// As each proxy counts.
    pending: Vec<Counts>,
    /// As the engines count.
    carried: Counts,
}

fn count(counts: &Counts, engine: &str) -> u32 {
    counts.get(engine).copied().unwrap_or(0)
}

impl Found {
    fn shown(&self) -> String {
        let one = |engine: &str| {
            let pending: Vec<String> =
                self.pending.iter().map(|counts| count(counts, engine).to_string()).collect();
            let (active, carried) = (count(&self.active, engine), count(&self.carried, engine));
            let pending = pending.join(" + ");
            format!("{engine} active {active} | pending {pending} | carried {carried}")
        };
        ENGINES.map(one).join(", ")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

async fn as_found(stage: Stage, guard: Guard) {
    let pending = vec![Counts::new(); guard.proxies];
    let found = Arc::new(Mutex::new(Found { pending, ..Found::default() }));
    let state = found.clone();
    stage.show(move || lock(&state).shown());
    for (number, name) in ["request A", "request B", "request C"].into_iter().enumerate() {
        let proxy = number % guard.proxies;
        let name = if guard.proxies > 1 {
            format!("{name}, proxy {}", proxy + 1)
        } else {
            name.to_owned()
        };
        let found = found.clone();
        stage.actor(&name, |actor| Request { actor, found, guard, proxy }.plays());
    }
    stage.all_done().await;
}

/// A request as found: a stream that its proxy brings to an engine.
struct Request {
    actor: Actor,
    found: Arc<Mutex<Found>>,
    guard: Guard,
    proxy: usize,
}

impl Request {
    async fn plays(self) {
        let Some(engine) = self.choose().await else {
            return self.actor.says(|| "finds no room".to_owned());
        };
        // GET /ace/getstream: the engine begins to carry it.
        self.actor.step().await;
        let carried = {
            let mut found = lock(&self.found);
            let carried = found.carried.entry(engine).or_default();
            *carried += 1;
            *carried
        };
        self.actor.says(|| format!("starts on {engine}"));
        let over = || format!("{engine} carries {carried} streams, its limit is {LIMIT}");
        self.actor.stage().check(carried <= LIMIT, over);
        // EmitStarted: POST /events, in the background.
        match self.guard.report {
            Report::Later => {}
            Report::AfterRelease => {
                self.release(engine);
                self.actor.step().await;
                self.report(engine);
            }
            Report::BeforeRelease => {
                self.actor.step().await;
                self.report(engine);
                if self.guard.counts_pending {
                    self.actor.step().await;
                    self.release(engine);
                }
            }
        }
    }

    /// `SelectBestEngine`: the first engine that has room, as far as the proxy knows.
    async fn choose(&self) -> Option<&'static str> {
        let Self { actor, found, guard, proxy } = self;
        // GET /streams: the orchestrator answers with what it knows.
        actor.step().await;
        let active = lock(found).active.clone();
        if guard.asks_before {
            let known = || ENGINES.map(|engine| format!("{engine} {}", count(&active, engine)));
            actor.says(|| format!("asks the orchestrator: active on {}", known().join(", ")));
            actor.step().await;
        }
        let pending = lock(found).pending[*proxy].clone();
        let load = |engine: &str| count(&active, engine) + count(&pending, engine);
        let engine = ENGINES.into_iter().find(|engine| load(engine) < LIMIT)?;
        let (active, pending) = (count(&active, engine), count(&pending, engine));
        if !guard.counts_pending {
            actor.says(|| format!("counts active {active}: selects {engine}"));
            return Some(engine);
        }
        actor.says(|| format!("counts active {active}, pending {pending}: selects {engine}"));
        if guard.raises_apart {
            actor.step().await;
        }
        let raised = {
            let mut found = lock(found);
            let pending = found.pending[*proxy].entry(engine).or_default();
            *pending += 1;
            *pending
        };
        actor.says(|| format!("raises pending to {raised}"));
        Some(engine)
    }

    fn report(&self, engine: &'static str) {
        *lock(&self.found).active.entry(engine).or_default() += 1;
        self.actor.says(|| format!("the orchestrator counts it on {engine}"));
    }

    fn release(&self, engine: &str) {
        let left = {
            let mut found = lock(&self.found);
            let pending = found.pending[self.proxy].get_mut(engine).expect("it was raised");
            *pending -= 1;
            *pending
        };
        self.actor.says(|| format!("lowers pending to {left}"));
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
    // Sessions are stopped through the outbox, in its own time.
    for _ in 0..200 {
        if lock(&carried.0).is_empty() {
            return;
        }
        stage.world().sleep(Millis(100).as_duration()).await;
    }
    let left = lock(&carried.0).clone();
    stage.violation(format!("sessions are left, and nobody stops them: {left:?}"));
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
    let started = Command::Started { lease, command_url: session.clone(), stat_url: "stat".into() };
    match client.send::<Engines>(key, started).await {
        Ok(_) => actor.says(|| "started".to_owned()),
        Err(SendError::Rejected { .. }) => {
            // Its URL is not durable: the service stops it right here.
            actor.step().await;
            lock(&carried.0).retain(|(_, other)| *other != session);
            actor.says(|| "has lost its slot: stops".to_owned());
            // The lease is over as it is.
            let _ = client.send::<Engines>(key, release(Session::None)).await;
            return;
        }
        Err(error) => return actor.stage().violation(format!("started: {error}")),
    }
    for command in [Command::Flowing { lease }, release(Session::Perhaps)] {
        let name = <Engines as interlock_kernel::entity::Entity>::command_name(&command);
        match client.send::<Engines>(key, command).await {
            Ok(_) => actor.says(|| name.to_owned()),
            Err(SendError::Rejected { .. }) => actor.says(|| format!("{name}: refused")),
            Err(error) => return actor.stage().violation(format!("{name}: {error}")),
        }
    }
}
