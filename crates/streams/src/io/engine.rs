//! The HTTP API of an AceStream engine: start a stream, stop it, ask how it does, ask how the engine does.
//!
//! Every call has a deadline and ends in an answer or an [`EngineError`]; nothing is retried here. A
//! start whose answer did not arrive may have started: only its `pid` or the engine's own time-out ends
//! it then.
//!
//! An engine in a container names itself by an address that only its own network knows. So the host and
//! port of every URL that it gives are replaced by those under which it was reached.
//!
//! Not here: which engine to ask; reading the stream (`pull`).

use std::{fmt, str::FromStr};

use hyper::Uri;
use interlock_kernel::ids::{BadName, check_name};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout_at};

use super::{
    exchange,
    fault::{EngineError, Fault},
    pull::Pull,
};
use crate::limits;

/// The port of a URL that names none.
const HTTP_PORT: u16 = 80;

/// Where an engine is: `http://host:port`; without a port, 80.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineUrl {
    host: String,
    port: u16,
}

/// The text is no engine's address: it must be `http://host:port`, without path or user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be http://host:port, not {0:?}")]
pub struct BadEngineUrl(String);

/// What to play.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StreamKey {
    /// A content id, `id` in URLs.
    ContentId(String),
    /// An infohash. Not the same as a content id, though both look alike.
    Infohash(String),
}

/// A started stream, as its engine describes it. URLs lead to where the engine was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Answers with the stream's bytes, to one reader.
    pub playback_url: String,
    /// Tells how the session does.
    pub stat_url: String,
    /// Takes commands: `method=stop`.
    pub command_url: String,
    /// What is played.
    pub infohash: String,
    /// The engine's name of this session.
    pub playback_session_id: String,
    /// Whether it is a broadcast, of which an engine serves one session only.
    pub is_live: bool,
}

/// How a session does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Stat {
    /// `prebuf` or `dl`.
    pub status: String,
    /// Peers it is connected to.
    pub peers: u64,
    /// KB/s.
    pub speed_down: u64,
    /// KB/s.
    pub speed_up: u64,
    /// Bytes.
    pub downloaded: u64,
    /// Bytes.
    pub uploaded: u64,
}

/// A client of one engine. It holds no connection.
#[derive(Debug, Clone)]
pub struct Engine {
    url: EngineUrl,
}

impl Engine {
    /// A client of the engine at this address.
    #[must_use]
    pub fn new(url: EngineUrl) -> Self {
        Self { url }
    }

    /// Starts a stream for the player `pid`, which no other session of this engine may have: an engine
    /// stops the older of two sessions with one pid. A cold start takes 10 to 25 s.
    pub async fn start(
        &self,
        key: &StreamKey,
        pid: &str,
        deadline: Instant,
    ) -> Result<Session, EngineError> {
        let path = key
            .query()
            .and_then(|query| check_name(pid).map(|()| query))
            .map(|query| format!("/ace/getstream?format=json&{query}&pid={pid}"))
            .map_err(|bad| Fault::BadAnswer(format!("a key or pid {bad}")).of(&self.url))?;
        let started: Started = self.ask(&path, "start a stream", deadline).await?;
        self.session(started).map_err(|fault| fault.of(&self.url))
    }

    /// Opens the stream's bytes, and makes sure that it is an MPEG transport stream that flows.
    pub async fn open(&self, session: &Session, deadline: Instant) -> Result<Pull, EngineError> {
        self.within(deadline, "play a stream", Pull::open(&self.url, &session.playback_url)).await
    }

    /// Ends a session. `Ok` only if the engine confirmed it; a session that it does not know is stopped.
    pub async fn stop(&self, command_url: &str, deadline: Instant) -> Result<(), EngineError> {
        const GONE: &str = "unknown playback session id";
        let mut path = self.path(command_url)?;
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str("method=stop");
        match self.ask::<String>(&path, "stop a stream", deadline).await {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(answer) => Err(Fault::said(&answer).of(&self.url)),
            Err(EngineError { fault: Fault::Said(words), .. }) if words.contains(GONE) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How a session does. A session that the engine does not know is a [`Fault::Said`].
    pub async fn stat(&self, stat_url: &str, deadline: Instant) -> Result<Stat, EngineError> {
        self.ask(&self.path(stat_url)?, "describe a session", deadline).await
    }

    /// The health check: whether the engine is up and connected to its network.
    pub async fn is_connected(&self, deadline: Instant) -> Result<bool, EngineError> {
        const PATH: &str = "/server/api?api_version=3&method=get_network_connection_status";
        let status: Network = self.ask(PATH, "report its network", deadline).await?;
        Ok(status.connected)
    }

    /// The engine's version, such as `3.2.3`.
    pub async fn version(&self, deadline: Instant) -> Result<String, EngineError> {
        const PATH: &str = "/webui/api/service?method=get_version";
        let version: Version = self.ask(PATH, "report its version", deadline).await?;
        Ok(version.version)
    }

    /// Gets a JSON answer.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        what: &'static str,
        deadline: Instant,
    ) -> Result<T, EngineError> {
        let answer = async {
            let answer = exchange::get(&self.url, path).await?;
            let status = answer.status;
            let body = answer.body.whole().await?;
            match serde_json::from_slice::<Envelope<T>>(&body) {
                Ok(envelope) => envelope.open(),
                Err(_) if !status.is_success() => {
                    Err(Fault::said(&format!("{status}: {}", String::from_utf8_lossy(&body))))
                }
                Err(error) => Err(Fault::BadAnswer(error.to_string())),
            }
        };
        self.within(deadline, what, answer).await
    }

    async fn within<T>(
        &self,
        deadline: Instant,
        what: &'static str,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, EngineError> {
        let result = timeout_at(deadline, call).await.unwrap_or(Err(Fault::TimedOut(what)));
        result.map_err(|fault| fault.of(&self.url))
    }

    fn session(&self, started: Started) -> Result<Session, Fault> {
        let texts = [&started.infohash, &started.playback_session_id];
        if texts.iter().any(|text| text.len() > limits::TEXT_BYTES) {
            return Err(Fault::BadAnswer("an id is too long".into()));
        }
        Ok(Session {
            playback_url: self.url.reached(&started.playback_url)?,
            stat_url: self.url.reached(&started.stat_url)?,
            command_url: self.url.reached(&started.command_url)?,
            infohash: started.infohash,
            playback_session_id: started.playback_session_id,
            is_live: started.is_live.is_set(),
        })
    }

    fn path(&self, url: &str) -> Result<String, EngineError> {
        path_of(url).map_err(|fault| fault.of(&self.url))
    }
}

impl EngineUrl {
    /// The host for connecting: a name or an address, IPv6 without brackets.
    pub(super) fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, as in a `Host` header.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The URL with this engine's host and port.
    fn reached(&self, url: &str) -> Result<String, Fault> {
        Ok(format!("{self}{}", path_of(url)?))
    }
}

impl FromStr for EngineUrl {
    type Err = BadEngineUrl;

    fn from_str(text: &str) -> Result<Self, BadEngineUrl> {
        let bad = || BadEngineUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        let port = uri.port_u16();
        let url = Self { host: host.to_owned(), port: port.unwrap_or(HTTP_PORT) };
        let expected = if port.is_some() { url.to_string() } else { format!("http://{host}") };
        // Whatever else the text has, such as a path or a user, makes it differ.
        if text.trim_end_matches('/') == expected { Ok(url) } else { Err(bad()) }
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for EngineUrl {
    type Error = BadEngineUrl;

    fn try_from(text: String) -> Result<Self, BadEngineUrl> {
        text.parse()
    }
}

impl From<EngineUrl> for String {
    fn from(url: EngineUrl) -> String {
        url.to_string()
    }
}

impl StreamKey {
    fn query(&self) -> Result<String, BadName> {
        let (name, value) = match self {
            Self::ContentId(id) => ("id", id),
            Self::Infohash(hash) => ("infohash", hash),
        };
        check_name(value).map(|()| format!("{name}={value}"))
    }
}

/// Path and query of a URL that an engine gave, wherever that URL leads.
pub(super) fn path_of(url: &str) -> Result<String, Fault> {
    let bad = || Fault::BadAnswer(format!("no URL of at most {} bytes", limits::TEXT_BYTES));
    if url.len() > limits::TEXT_BYTES {
        return Err(bad());
    }
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let path = uri.path_and_query().ok_or_else(bad)?;
    Ok(path.as_str().to_owned())
}

/// What every JSON answer is wrapped in. The older API calls its content `response`, the newer `result`.
#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(alias = "result", default = "Option::default")]
    response: Option<T>,
    #[serde(default)]
    error: Option<SaidError>,
}

impl<T> Envelope<T> {
    fn open(self) -> Result<T, Fault> {
        match (self.error, self.response) {
            (Some(SaidError::Text(message) | SaidError::Object { message }), _) => {
                Err(Fault::said(&message))
            }
            (None, Some(response)) => Ok(response),
            (None, None) => Err(Fault::BadAnswer("neither a response nor an error".into())),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SaidError {
    Text(String),
    Object { message: String },
}

#[derive(Deserialize)]
struct Started {
    playback_url: String,
    stat_url: String,
    command_url: String,
    infohash: String,
    playback_session_id: String,
    is_live: Flag,
}

/// A flag is a number in most answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(i64),
}

impl Flag {
    fn is_set(&self) -> bool {
        match self {
            Self::Bool(flag) => *flag,
            Self::Number(number) => *number != 0,
        }
    }
}

#[derive(Deserialize)]
struct Network {
    connected: bool,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}
