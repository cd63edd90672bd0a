//! A server with a few routes of every kind, and a client that sends bytes as they are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use interlock_kernel::{
    ids::{Key, Version, Worker},
    json::Json,
    time::Millis,
};
use interlock_web::{
    body,
    command::Command,
    connection::Client,
    endpoint::{Endpoint, Routes},
    guard::Guard,
    limits,
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    schema,
    serve::{App, Settings, Stopped, serve},
    shape::{defaulted, integer, name},
    sse,
    traffic::Traffic,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};

request! {
    /// A claim.
    pub struct Claim {
        /// Who claims.
        pub worker: Worker = name(),
        /// For how long.
        pub ttl_ms: Millis = defaulted(integer(100..=1000), Millis(100)),
    }
}

/// What the handlers tell the test, and what the test tells them.
#[derive(Clone)]
pub struct Strings {
    /// A handler says something.
    pub says: mpsc::UnboundedSender<&'static str>,
    /// Lets `GET /wait` and `GET /work` answer.
    pub go: Arc<Notify>,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    heard: mpsc::UnboundedReceiver<&'static str>,
    pub go: Arc<Notify>,
    pub traffic: Arc<Traffic>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
}

impl Server {
    /// Starts one on loopback.
    pub async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (says, heard) = mpsc::unbounded_channel();
        let go = Arc::new(Notify::new());
        let routes = routes().with_state(Strings { says, go: Arc::clone(&go) });
        let routes = routes.with_openapi("Test", "1");
        let traffic = Arc::new(Traffic::default());
        let guard = Guard::new(&[address], &[]).unwrap();
        let app = Arc::new(App::new(routes, guard, Arc::clone(&traffic)));
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            stopped.await.ok();
        };
        let task = tokio::spawn(serve(listener, app, settings, stopped));
        Self { address, heard, go, traffic, stop, task }
    }

    /// Opens a connection.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    pub async fn talk(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_answer(&mut stream).await
    }

    /// Waits for a handler to say this.
    pub async fn hear(&mut self, expected: &str) {
        let heard = tokio::time::timeout(Duration::from_secs(60), self.heard.recv()).await;
        assert_eq!(heard.expect("nobody says anything"), Some(expected));
    }

    /// Tells the server to stop.
    pub fn stop(self) -> JoinHandle<Stopped> {
        self.stop.send(()).unwrap();
        self.task
    }
}

/// What came back on a connection until it was closed.
#[derive(Debug)]
pub struct Answer(pub String);

impl Answer {
    /// The status and, of problems, the code: `400 bad_json`, `200`.
    pub fn verdict(&self) -> String {
        let status = self.0.get("HTTP/1.1 ".len()..).and_then(|rest| rest.get(..3));
        let status = status.unwrap_or("nothing");
        match self.json().get("code").and_then(Value::as_str) {
            Some(code) => {
                let content_type = "content-type: application/problem+json\r\n";
                assert!(self.0.contains(content_type), "{}", self.0);
                format!("{status} {code}")
            }
            None => status.to_owned(),
        }
    }

    /// The body.
    pub fn json(&self) -> Value {
        let body = self.0.split_once("\r\n\r\n").map(|(_, body)| body);
        body.and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
    }
}

/// Reads until the server closes the connection.
pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    Answer(String::from_utf8(bytes).unwrap())
}

/// Reads one answer of a connection that stays open.
pub async fn read_one(stream: &mut TcpStream) -> Answer {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            if body.len() >= length {
                return Answer(text);
            }
        }
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        text.push(char::from(byte[0]));
    }
}

/// The text of a request whose connection closes behind it.
pub fn request(line: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    text.push_str(&format!("\r\n{body}"));
    text.into_bytes()
}

fn routes() -> Routes<Strings> {
    Routes::new()
        .on(Endpoint::get("/hello", "Greets").answers(200, "Hello.", schema::any()), async || {
            Reply::json(StatusCode::OK, &json!({"hello": true}))
        })
        .on(
            Endpoint::post("/quotas/{key}/claims", "Claims").command::<Claim>(),
            async |Path(key): Path<Key>, command: Command<Claim>| {
                let Claim { worker, ttl_ms } = command.body;
                let body = json!({"key": key, "worker": worker, "ttl_ms": ttl_ms});
                Reply::json(StatusCode::CREATED, &body).version(Version(1)).replayed(true)
            },
        )
        .on(
            Endpoint::get("/shown/{key}", "Shows").answers(200, "Version 17.", schema::any()),
            async |Path(key): Path<Key>| Reply::json(StatusCode::OK, &key).version(Version(17)),
        )
        .on(
            Endpoint::put("/values/{key}", "Puts").command::<Json>().conditional().fenced(),
            async |Path(_): Path<Key>, command: Command<Json, { limits::LARGE_BODY_BYTES }>| {
                Reply::raw(StatusCode::OK, command.body.as_str().to_owned())
            },
        )
        .on(
            Endpoint::delete("/values/{key}", "Closes")
                .command::<Nothing>()
                .answers_with(204, "Closed.", ""),
            async |Path(_): Path<Key>, _: Command<Nothing>| StatusCode::NO_CONTENT,
        )
        .on(
            Endpoint::post("/notes", "Takes an object without fields")
                .body::<Nothing>()
                .answers_with(204, "Taken.", ""),
            async |_: body::Body<Nothing>| StatusCode::NO_CONTENT,
        )
        .on(Endpoint::get("/panic", "Fails"), async || {
            std::panic::panic_any("on purpose");
            #[expect(unreachable_code, reason = "the handler needs a type")]
            StatusCode::OK
        })
        .on(Endpoint::get("/wait", "Waits"), wait)
        .on(Endpoint::get("/work", "Works"), work)
        .on(Endpoint::get("/feed", "Is silent"), feed)
        .on(Endpoint::get("/endless", "Never ends"), endless)
}

async fn wait(State(strings): State<Strings>, client: Client) -> Result<StatusCode, Problem> {
    strings.says.send("waiting").unwrap();
    let waited = client.unless_gone(strings.go.notified()).await;
    strings.says.send(if waited.is_ok() { "woken" } else { "over" }).ok();
    waited.map(|()| StatusCode::NO_CONTENT)
}

async fn work(State(strings): State<Strings>) -> StatusCode {
    strings.says.send("working").unwrap();
    strings.go.notified().await;
    StatusCode::NO_CONTENT
}

async fn feed(State(strings): State<Strings>, client: Client) -> Response {
    strings.says.send("feeding").unwrap();
    sse::feed(client, futures_util::stream::pending())
}

async fn endless(State(strings): State<Strings>) -> Response {
    struct Told(mpsc::UnboundedSender<&'static str>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send("dropped").ok();
        }
    }
    let told = Told(strings.says);
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = futures_util::stream::repeat_with(move || {
        let _ = &told;
        Ok::<_, std::io::Error>(chunk.clone())
    });
    Body::from_stream(chunks).into_response()
}
