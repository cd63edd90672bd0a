//! A running server on a store and a clock of the test's own.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use interlock_kernel::time::Time;
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, Task, World},
    store::{
        Store,
        memory::MemoryStore,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use interlock_web::{
    guard::{AccessToken, Guard},
    serve::{App, Settings, serve},
    traffic::Traffic,
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    client::{Answer, Ask, Client, Events, ask},
    documented::Document,
};

/// 2026-01-01T00:00:00.000Z, when every test begins.
const BEGIN_MS: u64 = 1_767_225_600_000;

/// A clock that moves only when it is told.
#[derive(Clone)]
pub struct Clock {
    now_ms: Arc<AtomicU64>,
    /// What sleepers have been told.
    told_ms: watch::Sender<u64>,
}

impl Clock {
    pub fn new() -> Self {
        Self { now_ms: Arc::default(), told_ms: watch::Sender::new(0) }
    }

    /// Lets time pass. Whatever is due begins; wait for what comes of it, or use [`Server::pass`].
    pub fn pass(&self, ms: u64) {
        self.pass_unnoticed(ms);
        self.told_ms.send_replace(self.now_ms());
    }

    /// Lets time pass, and timers be late.
    pub fn pass_unnoticed(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Relaxed);
    }

    /// The moment so many milliseconds after now, as answers write it.
    pub fn after(&self, ms: u64) -> String {
        Time(BEGIN_MS + self.now_ms() + ms).to_string()
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.load(Relaxed)
    }
}

impl World for Clock {
    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms())
    }

    fn wall(&self) -> Time {
        Time(BEGIN_MS + self.now_ms())
    }

    fn random(&self) -> u64 {
        4
    }

    fn spawn(&self, _: &'static str, task: Task) {
        tokio::spawn(task);
    }

    fn sleep(&self, span: Duration) -> Task {
        let mut told = self.told_ms.subscribe();
        let until = self.now() + span;
        Box::pin(async move {
            let passed = told.wait_for(|now| Duration::from_millis(*now) >= until).await;
            passed.expect("the test holds the clock as long as the server runs");
        })
    }
}

/// A running server with the six primitives.
pub struct Server {
    pub address: SocketAddr,
    pub clock: Clock,
    pub runtime: Runtime,
    pub document: Document,
    idle: Mutex<Vec<Client>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// On a store in memory.
    pub async fn start() -> Self {
        Self::on(Arc::new(MemoryStore::new()), Clock::new()).await
    }

    /// On SQLite in a folder.
    pub async fn sqlite(folder: &Path, clock: Clock) -> Self {
        let store = SqliteStore::open(&SqliteOptions::new(folder)).unwrap();
        Self::on(Arc::new(store), clock).await
    }

    /// On a store that the test keeps a hand on.
    pub async fn on(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self::with(store, clock, &[]).await
    }

    /// Behind these tokens.
    pub async fn guarded(clock: Clock, tokens: &[AccessToken]) -> Self {
        Self::with(Arc::new(MemoryStore::new()), clock, tokens).await
    }

    async fn with(store: Arc<dyn Store>, clock: Clock, tokens: &[AccessToken]) -> Self {
        let env = Env::new(clock.clone(), store);
        let runtime = interlock_primitives::register(Builder::new(env)).start().await.unwrap();
        let routes = interlock_primitives::routes(&runtime).with_openapi("Interlock", "0");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let guard = Guard::new(&[address], tokens).unwrap();
        let app = Arc::new(App::new(routes, guard, Arc::new(Traffic::default())));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            stopped.await.ok();
        };
        let task = tokio::spawn(async {
            serve(listener, app, Settings::default(), stopped).await;
        });
        let mut client = Client::connect(address).await;
        let mut document = ask("GET /");
        document.path = "/api/openapi.json".to_owned();
        if let Some(token) = tokens.first() {
            document = document.header("authorization", &format!("Bearer {}", token.secret));
        }
        let document = Document::new(client.ask(&document).await.json());
        let idle = Mutex::new(vec![client]);
        Self { address, clock, runtime, document, idle, stop, task }
    }

    /// Sends a request and checks that the answer is one that is documented.
    pub async fn send(&self, ask: &Ask) -> Answer {
        let answer = self.raw(ask).await;
        self.document.check(ask, &answer);
        answer
    }

    /// Sends a request whose answer no ordinary parser can read.
    pub async fn raw(&self, ask: &Ask) -> Answer {
        let idle = self.idle.lock().unwrap().pop();
        let mut client = match idle {
            Some(client) => client,
            None => Client::connect(self.address).await,
        };
        let answer = client.ask(ask).await;
        self.idle.lock().unwrap().push(client);
        answer
    }

    /// Sends a request that must succeed with this status and body. A `version` must also be the tag.
    pub async fn yes(&self, ask: Ask, status: u16, expected: Value) -> Answer {
        let answer = self.send(&ask).await;
        let shown = format!("{} {}: {answer:?}", ask.method, ask.path);
        assert_eq!((answer.status, answer.json()), (status, expected), "{shown}");
        if let Some(version) = answer.json().get("version") {
            let tag = format!("\"{version}\"");
            assert_eq!(answer.header("etag"), Some(tag.as_str()), "{shown}");
        }
        answer
    }

    /// Sends a request that must be refused: `409 turn_ahead`.
    pub async fn no(&self, ask: Ask, expected: &str) -> Answer {
        let answer = self.send(&ask).await;
        assert_eq!(answer.verdict(), expected, "{} {}: {answer:?}", ask.method, ask.path);
        answer
    }

    /// Lets time pass, and the engine look at its clock.
    pub async fn pass(&self, ms: u64) {
        self.clock.pass(ms);
        self.raw(&ask("GET /turns/nobody")).await;
    }

    /// Follows the event feed.
    pub async fn follow(&self, ask: &Ask) -> Result<Events, Answer> {
        let events = Client::connect(self.address).await.follow(ask).await;
        match &events {
            Ok(events) => self.document.check(ask, &events.head),
            Err(answer) => self.document.check(ask, answer),
        }
        events
    }

    /// Stops the server and then its runtime.
    pub async fn stop(self) {
        drop(self.idle);
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        self.runtime.stop().await;
    }

    /// Forgets everything that is in memory, as a crash does. The store's own handle stays open.
    pub fn crash(self) {
        self.task.abort();
    }
}
