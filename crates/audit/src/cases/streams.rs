//! Document 003: streams are assigned to engines that may carry two each, and carry more.
//!
//! As found, a proxy asks an orchestrator how many streams an engine carries, chooses, starts the stream, and
//! reports that later. Its repairs count what is pending, and each leaves a gap of its own.
//!
//! The twins ([`twin`]) let the entity that the streams service runs on assign the engines.

pub(crate) mod twin;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use super::Case;
use crate::stage::{Actor, Stage};

/// Streams that an engine may carry.
const LIMIT: u32 = 2;
const ENGINES: [&str; 2] = ["e1", "e2"];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an engine is chosen by a look at its count",
        document: "003",
        as_found: &|stage| as_found(stage, UNGUARDED),
        repaired: &|stage| as_found(stage, REPAIRED),
        interlock: &|stage| twin::play(stage, 1),
    },
    Case {
        name: "what is pending is counted and raised in two lock sections",
        document: "003",
        as_found: &|stage| as_found(stage, TWO_SECTIONS),
        repaired: &|stage| as_found(stage, Guard { raises_apart: false, ..TWO_SECTIONS }),
        interlock: &|stage| twin::play(stage, 1),
    },
    Case {
        name: "what is pending is let go before the orchestrator counts it",
        document: "003",
        as_found: &|stage| as_found(stage, RELEASED_EARLY),
        repaired: &|stage| as_found(stage, REPAIRED),
        interlock: &|stage| twin::play(stage, 1),
    },
    Case {
        name: "the active count is older than the pending count",
        document: "003",
        as_found: &|stage| as_found(stage, OLD_COUNT),
        repaired: &|stage| as_found(stage, REPAIRED),
        interlock: &|stage| twin::play(stage, 1),
    },
    Case {
        name: "two proxies count what is pending, each for itself",
        document: "003",
        as_found: &|stage| as_found(stage, PER_PROXY),
        repaired: &|stage| as_found(stage, REPAIRED),
        interlock: &|stage| twin::play(stage, 2),
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
