//! The fake engine's HTTP face.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant, sleep, timeout},
};

use super::{
    Content, Ending, OnStart, OnStop, Settings, Shared,
    sessions::{Stats, Wanted},
    tap::Tap,
};

type Body = UnsyncBoxBody<Bytes, io::Error>;

const UNKNOWN_SESSION: &str = "unknown playback session id";
const NOT_LOADED: &str = "failed to load content";

/// Accepts connections for ever.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        // A client that gave up before it was accepted concerns nobody.
        if let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(Arc::clone(&shared), socket));
        }
    }
}

/// Serves one connection until it ends or the engine dies.
async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    let mut deaths = shared.deaths.subscribe();
    let service = service_fn(|request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(Call { shared, request }.answer().await) }
    });
    tokio::select! {
        _ = deaths.changed() => (),
        // How a client leaves is its own affair.
        _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service) => (),
    }
}

/// One request.
struct Call {
    shared: Arc<Shared>,
    request: Request<Incoming>,
}

impl Call {
    async fn answer(&self) -> Response<Body> {
        let path: Vec<&str> = self.request.uri().path().split('/').skip(1).collect();
        match path[..] {
            ["ace", "getstream"] => self.start().await,
            ["ace", "r", _, session] => self.play(session),
            ["ace", "stat", _, session] => self.stat(session),
            ["ace", "cmd", _, session] => self.command(session).await,
            ["ace", "event", _, session] => self.event(session).await,
            ["webui", "api", "service"] | ["server", "api"] => self.service(),
            _ => text(StatusCode::NOT_FOUND, "not found"),
        }
    }

    async fn start(&self) -> Response<Body> {
        let settings = self.shared.settings();
        let id = match self.begin(&settings) {
            Ok(id) => id,
            Err(message) => return self.start_failed(&message),
        };
        tokio::spawn(stop_when_idle(Arc::clone(&self.shared), id, settings.clone()));
        if settings.on_start == OnStart::Hang {
            std::future::pending::<()>().await;
        }
        sleep(settings.cold_start).await;
        let Some(session) = self.shared.stats.borrow().active(id).cloned() else {
            return self.start_failed(UNKNOWN_SESSION);
        };
        let asked_as = self.request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = settings.advertised.as_deref().or(asked_as).unwrap_or("127.0.0.1");
        let url = |kind: &str| {
            format!("http://{host}/ace/{kind}/{}/{}", session.infohash, session.playback_session_id)
        };
        if !self.wants_json() {
            let mut redirect = text(StatusCode::FOUND, "");
            let url = url("r").parse().expect("names make a header");
            redirect.headers_mut().insert(header::LOCATION, url);
            return redirect;
        }
        answer(json!({
            "playback_url": url("r"),
            "stat_url": url("stat"),
            "command_url": url("cmd"),
            "event_url": url("event"),
            "infohash": session.infohash,
            "playback_session_id": session.playback_session_id,
            "is_live": u8::from(settings.is_live),
            "is_encrypted": 0,
            "client_session_id": -1,
        }))
    }

    /// Makes the session that is asked for.
    fn begin(&self, settings: &Settings) -> Result<u64, String> {
        self.shared.stats.send_modify(|stats| stats.start_requests += 1);
        let by_id = self.query("content_id").or(self.query("id"));
        let (key, infohash) = match (by_id, self.query("infohash")) {
            (Some(id), _) => (id, infohash_of(id)),
            (None, Some(hash)) => (hash, hash.to_owned()),
            (None, None) => return Err("missing content id".into()),
        };
        if let OnStart::Fail(message) = &settings.on_start {
            return Err(message.clone());
        }
        let wanted = Wanted {
            pid: self.query("pid").map(str::to_owned),
            key: key.to_owned(),
            infohash,
            is_live: settings.is_live,
        };
        let mut id = None;
        self.shared.stats.send_modify(|stats| {
            if !settings.enforce_limit || stats.active < settings.limit {
                id = Some(stats.start(wanted, settings.limit));
            }
        });
        id.ok_or_else(|| NOT_LOADED.to_owned())
    }

    fn start_failed(&self, message: &str) -> Response<Body> {
        if self.wants_json() {
            failure(message)
        } else {
            text(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
    }

    /// The bytes of a session, until it ends, somebody else reads it, or the connection is to break.
    fn play(&self, session: &str) -> Response<Body> {
        let settings = self.shared.settings();
        let mut found = None;
        self.shared.stats.send_modify(|stats| {
            found = stats.find(session);
            let session = found.and_then(|id| stats.active_mut(id));
            session.into_iter().for_each(|session| session.readers += 1);
        });
        let Some(id) = found else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, UNKNOWN_SESSION);
        };
        let reader = self.shared.stats.borrow().active(id).map_or(0, |session| session.readers);
        let kind = match settings.content {
            Content::Counted | Content::Looped(_) => "video/mp2t",
            Content::Text(_) => "text/html",
        };
        let start = Instant::now() + settings.prebuffer;
        let reading = Reading {
            shared: Arc::clone(&self.shared),
            id,
            reader,
            tap: Tap::new(settings.content, settings.speed, start),
            break_after_bytes: settings.break_after_bytes.unwrap_or(u64::MAX),
        };
        let pieces = stream::unfold(reading, |mut reading| async {
            reading.next().await.map(|piece| (piece, reading))
        });
        let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
        response(StatusCode::OK, kind, body)
    }

    fn stat(&self, session: &str) -> Response<Body> {
        let stats = self.shared.stats.borrow();
        let Some(session) = stats.find(session).and_then(|id| stats.active(id)) else {
            return failure(UNKNOWN_SESSION);
        };
        let is_loaded = session.read_bytes > 0;
        answer(json!({
            "status": if is_loaded { "dl" } else { "prebuf" },
            "peers": 12,
            "speed_down": if is_loaded { 750 } else { 0 },
            "speed_up": 90,
            "downloaded": session.read_bytes,
            "uploaded": session.read_bytes / 8,
            "livepos": { "pos": "1", "is_live": "1", "buffer_pieces": "15" },
        }))
    }

    async fn command(&self, session: &str) -> Response<Body> {
        if self.query("method") != Some("stop") {
            return failure("unknown method");
        }
        self.shared.stats.send_modify(|stats| stats.stop_requests += 1);
        let Some(id) = self.shared.stats.borrow().find(session) else {
            return failure(UNKNOWN_SESSION);
        };
        match self.shared.settings().on_stop {
            OnStop::Confirm => (),
            OnStop::ConfirmAfter(delay) => sleep(delay).await,
            OnStop::Fail(message) => return failure(&message),
            OnStop::Hang => std::future::pending().await,
        }
        self.shared.stats.send_modify(|stats| stats.end(id, Ending::Stopped));
        answer(json!("ok"))
    }

    /// Answers when the session has ended.
    async fn event(&self, session: &str) -> Response<Body> {
        let mut stats = self.shared.stats.subscribe();
        let Some(id) = stats.borrow().find(session) else { return failure(UNKNOWN_SESSION) };
        // The sender is in `shared`, which this call holds.
        let _ = stats.wait_for(|stats| stats.active(id).is_none()).await;
        answer(json!({ "name": "download_stopped", "params": {} }))
    }

    fn service(&self) -> Response<Body> {
        match self.query("method") {
            Some("get_version") => {
                result(json!({ "code": 3_020_300, "platform": "linux", "version": "3.2.3" }))
            }
            Some("get_network_connection_status") => {
                self.shared.stats.send_modify(|stats| stats.health_checks += 1);
                result(json!({ "connected": self.shared.settings().is_connected }))
            }
            Some(_) | None => {
                let error = json!({ "message": "unknown method", "code": 1 });
                json_body(&json!({ "error": error }))
            }
        }
    }

    fn wants_json(&self) -> bool {
        self.query("format") == Some("json")
    }

    /// A value of the query. Ids and names need no decoding.
    fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.request.uri().query()?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }
}

/// One reader of one session.
struct Reading {
    shared: Arc<Shared>,
    id: u64,
    reader: u64,
    tap: Tap,
    break_after_bytes: u64,
}

impl Reading {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.break_after_bytes == 0 {
            return Some(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (id, reader) = (self.id, self.reader);
        let is_over =
            move |stats: &Stats| stats.active(id).is_none_or(|session| session.readers != reader);
        let mut stats = self.shared.stats.subscribe();
        let mut piece = tokio::select! {
            biased;
            _ = stats.wait_for(is_over) => None,
            piece = self.tap.next() => piece,
        }?;
        let left = usize::try_from(self.break_after_bytes).unwrap_or(usize::MAX);
        piece.truncate(left);
        self.break_after_bytes -= piece.len() as u64;
        self.shared.stats.send_modify(|stats| {
            let session = stats.active_mut(id);
            session.into_iter().for_each(|session| session.read_bytes += piece.len() as u64);
        });
        Some(Ok(piece))
    }
}

/// Ends a session once nothing of it was read for the idle time-out.
async fn stop_when_idle(shared: Arc<Shared>, id: u64, settings: Settings) {
    let mut stats = shared.stats.subscribe();
    let mut patience: Duration = settings.idle_timeout + settings.cold_start + settings.prebuffer;
    let mut seen = 0;
    loop {
        let moved =
            |stats: &Stats| stats.active(id).is_none_or(|session| session.read_bytes != seen);
        let is_idle = timeout(patience, stats.wait_for(moved)).await.is_err();
        if is_idle {
            shared.stats.send_modify(|stats| stats.end(id, Ending::Idle));
        }
        match shared.stats.borrow().active(id) {
            Some(session) => seen = session.read_bytes,
            None => return,
        }
        patience = settings.idle_timeout;
    }
}

/// The infohash that belongs to a content id: any fixed 160 bits will do.
fn infohash_of(content_id: &str) -> String {
    let word = |seed: u32| {
        let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        format!("{:08x}", content_id.bytes().fold(0x811C_9DC5 ^ seed, mix))
    };
    (0..5).map(word).collect()
}

fn answer(response: Value) -> Response<Body> {
    json_body(&json!({ "response": response, "error": null }))
}

fn result(result: Value) -> Response<Body> {
    json_body(&json!({ "result": result, "error": null }))
}

fn failure(message: &str) -> Response<Body> {
    json_body(&json!({ "response": null, "error": message }))
}

fn json_body(value: &Value) -> Response<Body> {
    let body = Full::from(value.to_string()).map_err(|never| match never {}).boxed_unsync();
    response(StatusCode::OK, "application/json", body)
}

fn text(status: StatusCode, words: &str) -> Response<Body> {
    let body = Full::from(words.to_owned()).map_err(|never| match never {}).boxed_unsync();
    response(status, "text/plain", body)
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
