//! A stage: engines, a process of the service on a store that outlives it, and players.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Method, Request, StatusCode, body::Incoming, client, header};
use hyper_util::rt::TokioIo;
use interlock_kernel::{ids::Member, time::Millis};
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};
use interlock_streams::{
    fake::{FakeEngine, Settings, counted::Check},
    routes::routes,
    service::{Config, EngineConfig, Freed, Overview, Service, register},
};
use interlock_web::{
    guard::Guard,
    serve::{App, Stopped, serve},
    traffic::Traffic,
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks at something that tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(5);

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Engines that are all alike.
pub async fn engines(count: usize, settings: Settings) -> Vec<FakeEngine> {
    let started = join_all((0..count).map(|_| FakeEngine::start(settings.clone()))).await;
    started.into_iter().map(Result::unwrap).collect()
}

/// The settings for these engines: nothing lingers, and no time-out is met by what works.
pub fn config(engines: &[FakeEngine], limit: u32) -> Config {
    let engine = |(index, fake): (usize, &FakeEngine)| EngineConfig {
        name: Member::new(&format!("engine-{index}")).unwrap(),
        url: fake.url(),
        limit,
        forwarded: false,
    };
    Config {
        start_timeout: Millis::from_secs(20),
        start_deadline: Millis::from_secs(40),
        linger: Millis(0),
        engine_idle: Millis::from_secs(20),
        engines: engines.iter().enumerate().map(engine).collect(),
        ..Config::default()
    }
}

/// One process of the service.
pub struct Process {
    pub runtime: Runtime,
    pub service: Service,
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
}

impl Process {
    /// A process on a store of its own.
    pub async fn new(config: Config) -> Self {
        Self::on(&MemoryStore::new(), config).await
    }

    /// A process on this store.
    pub async fn on(store: &MemoryStore, config: Config) -> Self {
        let env = Env::new(Tokio::current(), Arc::new(store.clone()));
        let freed = Freed::default();
        let runtime = register(Builder::new(env), &freed).start().await.unwrap();
        let service = Service::start(&runtime, config, freed).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = routes(service.clone()).with_openapi("Test", "1");
        let guard = Guard::new(&[address], &[]).unwrap();
        let app = Arc::new(App::new(routes, guard, Arc::new(Traffic::default())));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            stopped.await.ok();
        };
        let settings = interlock_web::serve::Settings::default();
        let task = tokio::spawn(serve(listener, app, settings, stopped));
        Self { runtime, service, address, stop, task }
    }

    /// Ends as a server does: streams, connections, entities.
    pub async fn stop(self) {
        soon("the service to stop", self.service.stop()).await;
        self.stop.send(()).unwrap();
        let stopped = soon("the connections to end", self.task).await.unwrap();
        assert_eq!(stopped.cut_off, 0, "no player was cut off");
        soon("the runtime to stop", self.runtime.stop()).await;
    }

    /// Waits until the service looks like this.
    pub async fn until(&self, what: &str, expected: impl Fn(&Overview) -> bool) -> Overview {
        let looks = async {
            loop {
                let overview = self.service.overview().await;
                if !overview.engines.is_empty() && expected(&overview) {
                    return overview;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        soon(what, looks).await
    }

    /// Waits until every slot is free.
    pub async fn until_free(&self) -> Overview {
        let overview = self.until("every slot to be free", |seen| in_use(seen) == 0).await;
        assert_eq!(overview.drift, 0);
        overview
    }

    /// Plays a stream from its first byte on, so far that it surely flows.
    pub async fn plays(&self, stream: u64) -> Playing {
        let mut playing = self.ask(Method::GET, &stream_path(stream)).await;
        let problem = playing.problem().await;
        assert_eq!(playing.status, StatusCode::OK, "{problem}");
        playing.reads(100_000).await;
        playing
    }

    /// Plays a stream that flows already: from recent bytes on.
    pub async fn plays_on(&self, stream: u64) -> Playing {
        let mut playing = self.ask(Method::GET, &stream_path(stream)).await;
        let problem = playing.problem().await;
        assert_eq!(playing.status, StatusCode::OK, "{problem}");
        playing.reads(1_000).await;
        playing
    }

    pub async fn ask(&self, method: Method, path: &str) -> Playing {
        ask(self.address, method, path).await
    }

    /// What the service says no with.
    pub async fn refuses(&self, path: &str) -> (StatusCode, Value, HeaderMap) {
        let mut answer = self.ask(Method::GET, path).await;
        let problem = answer.problem().await;
        (answer.status, problem, answer.headers.clone())
    }
}

/// Slots that are not free.
pub fn in_use(overview: &Overview) -> u32 {
    overview.engines.iter().map(|engine| engine.pending + engine.active + engine.closing).sum()
}

/// Where stream number `n` is.
pub fn stream_path(n: u64) -> String {
    format!("/ace/getstream?id={n:040x}")
}

/// An answer whose body is being read. Dropping it leaves.
pub struct Playing {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Incoming,
    pub check: Check,
    _connection: Connection,
}

struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks for a path on a connection of its own. Dropping the future leaves.
pub async fn ask(address: SocketAddr, method: Method, path: &str) -> Playing {
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    let connection = Connection(tokio::spawn(async {
        // How it ends is told by the answer.
        let _ = connection.await;
    }));
    let request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let answer = soon("an answer", sender.send_request(request)).await.unwrap();
    let (head, body) = answer.into_parts();
    let check = Check::default();
    Playing { status: head.status, headers: head.headers, body, check, _connection: connection }
}

impl Playing {
    /// The next bytes; `None` at a clean end.
    pub async fn next(&mut self) -> Option<Bytes> {
        let frame = soon("bytes", self.body.frame()).await?;
        Some(frame.expect("a clean end").into_data().unwrap_or_default())
    }

    /// Reads so many bytes more, each of which must be right.
    pub async fn reads(&mut self, bytes: u64) {
        let mut read = 0;
        while read < bytes {
            let next = self.next().await.expect("the stream goes on");
            read += next.len() as u64;
            self.check.next(&next).unwrap();
        }
    }

    /// Reads so many bytes more, whatever they are.
    pub async fn reads_on(&mut self, bytes: usize) {
        let mut read = 0;
        while read < bytes {
            read += self.next().await.expect("the stream goes on").len();
        }
    }

    /// Reads to the clean end.
    pub async fn ends(&mut self) {
        while let Some(bytes) = self.next().await {
            self.check.next(&bytes).unwrap();
        }
    }

    /// The problem, after checking that it is one.
    pub async fn problem(&mut self) -> Value {
        if self.status == StatusCode::OK {
            return Value::Null;
        }
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await {
            all.extend_from_slice(&bytes);
        }
        serde_json::from_slice(&all).unwrap()
    }
}
