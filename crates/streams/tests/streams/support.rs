//! What the tests share: a deadline for everything, a hub behind HTTP, a server that answers one thing.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use interlock_streams::{
    fake::counted,
    io::{
        disconnect::Disconnect,
        engine::{Engine, EngineUrl, Session, StreamKey},
        hub::{Hub, Player},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, timeout},
};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// Fails the test instead of hanging it.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

pub fn key(name: &str) -> StreamKey {
    StreamKey::ContentId(name.into())
}

pub async fn started(engine: &Engine, stream: &str, pid: &str) -> Session {
    engine.start(&key(stream), pid, deadline()).await.unwrap()
}

/// Packets of the counted stream.
pub fn counted(first: u64, count: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    counted::append(first, count, &mut bytes);
    bytes.freeze()
}

/// What a player takes next; `None` at a clean end.
pub async fn next(player: &mut Player) -> Option<Bytes> {
    let frame = soon("a frame", player.frame()).await?;
    Some(frame.expect("the player keeps up").into_data().expect("there is only data"))
}

/// Everything that is there, up to the clean end.
pub async fn rest(player: &mut Player) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = next(player).await {
        all.extend_from_slice(&bytes);
    }
    all
}

/// Serves a hub's players over HTTP, whatever they ask for.
pub async fn serve(hub: Hub) -> SocketAddr {
    serve_counted(hub).await.0
}

/// The same, and how many connections the server has open.
pub async fn serve_counted(hub: Hub) -> (SocketAddr, watch::Receiver<usize>) {
    let (count, open) = watch::channel(0);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (hub, count) = (hub.clone(), count.clone());
            count.send_modify(|open| *open += 1);
            tokio::spawn(async move {
                let disconnect = Disconnect::default();
                let joining = disconnect.clone();
                let service = service_fn(|_: Request<Incoming>| {
                    let player = hub.join(joining.clone()).expect("the stream goes on");
                    async { Ok::<_, Infallible>(Response::new(player)) }
                });
                let http = server::conn::http1::Builder::new();
                let _ = disconnect
                    .unless_called(http.serve_connection(TokioIo::new(socket), service))
                    .await;
                count.send_modify(|open| *open -= 1);
            });
        }
    });
    (address, open)
}

/// Asks for `/` and returns the answer's body. Dropping it leaves.
pub async fn play(address: SocketAddr) -> Incoming {
    let socket = TcpStream::connect(address).await.unwrap();
    // Small reads, so that no player reads very far before others have their turn.
    let mut http = client::conn::http1::Builder::new();
    let http = http.max_buf_size(64 << 10);
    let (mut sender, connection) = http.handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "test").body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.unwrap().into_body()
}

/// An engine that answers every request with these bytes, then waits until the client has gone.
pub struct Canned {
    pub url: EngineUrl,
    pub gone: tokio::sync::mpsc::Receiver<()>,
}

impl Canned {
    pub async fn new(answer: impl Into<Bytes>) -> Self {
        Self::start(answer.into(), true).await
    }

    /// The same, but it hangs up after the answer.
    pub async fn hangs_up(answer: impl Into<Bytes>) -> Self {
        Self::start(answer.into(), false).await
    }

    async fn start(answer: Bytes, stays: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (tell, gone) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (answer, tell) = (answer.clone(), tell.clone());
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    let _ = socket.read(&mut buffer).await;
                    let _ = socket.write_all(&answer).await;
                    while stays && socket.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
                    let _ = tell.send(()).await;
                });
            }
        });
        Self { url, gone }
    }

    pub fn engine(&self) -> Engine {
        Engine::new(self.url.clone())
    }

    /// A session whose playback URL gets the canned answer.
    pub fn session(&self) -> Session {
        let url = |kind: &str| format!("{}/ace/{kind}/hash/session", self.url);
        Session {
            playback_url: url("r"),
            stat_url: url("stat"),
            command_url: url("cmd"),
            infohash: "hash".into(),
            playback_session_id: "session".into(),
            is_live: true,
        }
    }
}

/// An HTTP answer of known length.
pub fn http(status: &str, kind: &str, body: &[u8]) -> Bytes {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Bytes::from([head.as_bytes(), body].concat())
}
