//! A small HTTP/1.1 client that shows every byte: requests can be as wrong as a test wants them.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// A test that has waited so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    /// From `/api/v1` on, with the query.
    pub path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request by its method and path below `/api/v1`: `POST /turns/t`.
pub fn ask(line: &str) -> Ask {
    let (method, path) = line.split_once(' ').unwrap();
    let path = format!("/api/v1{path}");
    Ask { method: method.to_owned(), path, headers: Vec::new(), body: Vec::new() }
}

impl Ask {
    /// With a JSON body.
    pub fn json(self, body: Value) -> Self {
        self.text(&body.to_string())
    }

    /// With a body as it stands, declared as JSON.
    pub fn text(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self.header("content-type", "application/json")
    }

    /// With a body that is declared as something else, or as nothing.
    pub fn bytes(mut self, content_type: Option<&str>, body: &[u8]) -> Self {
        self.body = body.to_vec();
        match content_type {
            Some(content_type) => self.header("content-type", content_type),
            None => self,
        }
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an `Idempotency-Key`.
    pub fn id(self, id: &str) -> Self {
        self.header("idempotency-key", id)
    }

    /// What goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: localhost\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    /// A header's value, if it is there exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} is there twice");
        Some(value)
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Whether it says that it was given before.
    pub fn replayed(&self) -> bool {
        self.header("idempotent-replayed").is_some_and(|value| value == "true")
    }

    /// The status and, of problems, the code: `409 turn_ahead`, `200`.
    pub fn verdict(&self) -> String {
        if self.header("content-type") == Some("application/problem+json") {
            let problem = self.json();
            assert_eq!(problem["status"], self.status, "{self:?}");
            return format!("{} {}", self.status, problem["code"].as_str().unwrap());
        }
        assert!(self.status < 400, "a refusal is a problem: {self:?}");
        self.status.to_string()
    }
}

/// A connection that stays open.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, ask: &Ask) -> Answer {
        self.send(ask).await;
        self.read(&ask.method).await
    }

    /// Sends a request only.
    pub async fn send(&mut self, ask: &Ask) {
        self.0.write_all(&ask.to_bytes()).await.unwrap();
    }

    /// Reads an answer with its length.
    pub async fn read(&mut self, method: &str) -> Answer {
        let (status, headers) = self.head().await;
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body).await.unwrap();
        Answer { status, headers, text: String::from_utf8(body).unwrap() }
    }

    /// Sends a request whose answer goes on, and reads the beginning of that.
    pub async fn follow(mut self, ask: &Ask) -> Result<Events, Answer> {
        self.send(ask).await;
        let (status, headers) = self.head().await;
        if status == 200 {
            let answer = Answer { status, headers, text: String::new() };
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
            return Ok(Events { head: answer, client: self, text: String::new() });
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").unwrap();
        let mut body = vec![0; length.1.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        Err(Answer { status, headers, text: String::from_utf8(body).unwrap() })
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let status = self.line().await;
        let status = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return (status, headers);
            }
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Every answer, and every piece of one, begins with a line: whoever waits for nothing fails here.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await;
        read.expect("the server goes on").unwrap();
        assert!(line.ends_with("\r\n"), "the server closed the connection: {line:?}");
        line.truncate(line.len() - 2);
        line
    }
}

/// Server-sent events.
pub struct Events {
    /// The beginning of the answer.
    pub head: Answer,
    client: Client,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub event: String,
    pub data: Value,
}

impl Events {
    /// The next event; waits for it. `None`: the server ended the feed.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = Event::parse(&block) {
                    return Some(event);
                }
                continue;
            }
            let size = usize::from_str_radix(&self.client.line().await, 16).unwrap();
            let mut chunk = vec![0; size];
            self.client.0.read_exact(&mut chunk).await.unwrap();
            assert_eq!(self.client.line().await, "");
            if size == 0 {
                return None;
            }
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next so many events.
    pub async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..count {
            events.push(self.next().await.unwrap());
        }
        events
    }
}

impl Event {
    /// As a browser reads it; `None` for a comment.
    fn parse(block: &str) -> Option<Self> {
        let (mut id, mut event, mut data) = (None, None, Vec::new());
        for line in block.split('\n') {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", value) => id = Some(value),
                ("event", value) => event = Some(value),
                ("data", value) => data.push(value),
                (comment, _) => assert!(comment.starts_with(':'), "{line:?}"),
            }
        }
        let data = serde_json::from_str(&data.join("\n")).ok()?;
        Some(Self { id: id?.to_owned(), event: event?.to_owned(), data })
    }
}
