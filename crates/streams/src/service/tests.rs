//! What cannot be brought about, or seen, from outside.

mod line;
mod log;

use std::{collections::BTreeSet, time::Duration};

use interlock_kernel::{ids::Member, pool::LeaseId};
use interlock_runtime::{
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};

use tokio::task::JoinHandle;

use super::*;
use crate::domain::engines::{Asker, Ending, Reply, Session};
use crate::fake::{FakeEngine, OnStart, Settings};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// Fails the test instead of hanging it.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// The settings for one engine with so many slots, none of which is free again by itself.
pub(super) fn config(fake: &FakeEngine, limit: u32) -> Config {
    let name = Member::new("engine").unwrap();
    let engine = EngineConfig { name, url: fake.url(), limit, forwarded: false };
    Config {
        engines: vec![engine],
        linger: Millis(0),
        lease_ttl: Millis::from_secs(600),
        engine_idle: Millis::from_secs(600),
        ..Config::default()
    }
}

pub(super) async fn service(config: Config) -> Service {
    let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
    let freed = Freed::default();
    let runtime = register(Builder::new(env), &freed).start().await.unwrap();
    Service::start(&runtime, config, freed).await.unwrap()
}

pub(super) async fn fake() -> FakeEngine {
    FakeEngine::start(Settings::default()).await.unwrap()
}

/// Stream number `n`.
pub(super) fn key(n: u64) -> StreamKey {
    StreamKey::ContentId(format!("{n:040x}"))
}

pub(super) type Played = Result<Player, PlayError>;

/// An engine's slots, used by nobody, and freed when the test says so.
pub(super) struct Stage {
    pub(super) fake: FakeEngine,
    pub(super) service: Service,
}

impl Stage {
    pub(super) async fn new(limit: u32, start_deadline: Millis) -> Self {
        let fake = fake().await;
        let config = Config { start_deadline, ..config(&fake, limit) };
        let service = service(config).await;
        Self { fake, service }
    }

    /// Takes a slot.
    pub(super) async fn takes(&self, stream: &str) -> LeaseId {
        let asker = Asker { stream: stream.to_owned(), avoid: BTreeSet::new() };
        let acquire = Command::Acquire { asker, ahead: Vec::new(), unwatched: Vec::new() };
        match self.service.0.ask(acquire).await.unwrap() {
            Reply::Granted(grant) => grant.lease,
            Reply::Done | Reply::Soon { .. } | Reply::AllTried => panic!("no slot for {stream}"),
        }
    }

    /// Takes a slot whose use is over at once: it closes.
    pub(super) async fn closes(&self, stream: &str) -> LeaseId {
        let lease = self.takes(stream).await;
        let (ending, session) = (Ending::Cancelled, Session::Perhaps);
        self.service.0.ask(Command::Release { lease, ending, session }).await.unwrap();
        lease
    }

    pub(super) async fn frees(&self, lease: LeaseId) {
        self.service.0.ask(Command::Idle { lease }).await.unwrap();
    }

    pub(super) fn plays(&self, stream: u64) -> JoinHandle<Played> {
        let service = self.service.clone();
        tokio::spawn(async move { service.play(&key(stream), Disconnect::default()).await })
    }

    pub(super) async fn is_refused(&self, stream: u64) {
        match soon("a refusal", self.plays(stream)).await.unwrap() {
            Err(PlayError::Full { .. }) => {}
            other => panic!("{stream}: {other:?}"),
        }
    }

    /// Waits until so many stand in the line.
    pub(super) async fn until_line_is(&self, count: usize) {
        let looks = async {
            while self.line() != count {
                tokio::task::yield_now().await;
            }
        };
        soon("the line", looks).await;
    }

    pub(super) fn line(&self) -> usize {
        self.service.0.streams().line.ahead_of(None).count()
    }

    /// The streams that the engine was asked for, in order.
    pub(super) fn started(&self) -> Vec<String> {
        self.fake.stats().sessions.values().map(|session| session.key.clone()).collect()
    }
}

pub(super) async fn flows(playing: JoinHandle<Played>) -> Player {
    soon("the stream", playing).await.unwrap().unwrap()
}
