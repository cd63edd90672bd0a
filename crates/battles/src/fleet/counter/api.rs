//! A run on another machine, over its HTTP API ([`crate::routes`]).
//!
//! One connection for each command: a battle has four, and takes minutes. A command that was not answered is for
//! [`super::Counter`] to send again, under the same `Idempotency-Key`.
//!
//! Not here: encryption, which is a proxy's or a tunnel's work.

use std::{fmt, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use interlock_kernel::{
    ids::{CommandId, Key},
    time::{Millis, Time},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::{Answer, CountError, Trouble, Why};
use crate::{
    domain::run::{RunCommand, RunReply, RunView, Settlement},
    limits,
};

/// Another server's API.
#[derive(Clone)]
pub struct Api {
    /// `http://HOST:PORT`, without a slash at its end.
    base: String,
    host: String,
    port: u16,
    token: Option<String>,
}

/// This is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no address of a server: http://HOST:PORT")]
pub struct BadAddress(String);

/// An answer, read whole.
struct Response {
    status: StatusCode,
    retry_after: Option<Millis>,
    body: Bytes,
}

impl Api {
    /// The server at `http://HOST:PORT`, and the token that it asks for, if it does.
    ///
    /// # Errors
    /// If that is no such address.
    pub fn new(address: &str, token: Option<String>) -> Result<Self, BadAddress> {
        let bad = || BadAddress(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| bad())?;
        let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/";
        let host = uri.host().filter(|_| is_plain && uri.query().is_none()).ok_or_else(bad)?;
        let (host, port) = (host.to_owned(), uri.port_u16().unwrap_or(80));
        Ok(Self { base: address.trim_end_matches('/').to_owned(), host, port, token })
    }

    pub(super) async fn send(
        &self,
        run: &Key,
        command: &RunCommand,
        id: &CommandId,
    ) -> Result<Answer, Trouble> {
        #[derive(Deserialize)]
        struct Dated {
            at: Option<Time>,
        }
        let (method, path, body) = request(command);
        let path = format!("/api/v1/battles/runs/{run}{path}");
        let answer = self.ask(method, &path, Some((id, body))).await?;
        let Dated { at } = read(&answer.body)?;
        let reply = match command {
            RunCommand::Open { .. } => {
                RunReply::Open { created: answer.status == StatusCode::CREATED }
            }
            RunCommand::Claim { .. } => RunReply::Claimed(read(&answer.body)?),
            RunCommand::Begin { .. } | RunCommand::Renew { .. } => {
                RunReply::Extended(read(&answer.body)?)
            }
            RunCommand::End(Settlement { claim, .. }) => RunReply::Over { claim: *claim },
            RunCommand::GiveBack { .. } | RunCommand::Retire { .. } | RunCommand::Expire => {
                RunReply::Done
            }
        };
        Ok(Answer { reply, at })
    }

    pub(super) async fn view(&self, run: &Key) -> Result<RunView, Trouble> {
        let answer = self.ask(Method::GET, &format!("/api/v1/battles/runs/{run}"), None).await?;
        read(&answer.body)
    }

    /// Asks once. What may pass, and what will not, come back as such.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        command: Option<(&CommandId, Value)>,
    ) -> Result<Response, Trouble> {
        let asked = timeout(limits::API_ANSWER, self.exchange(method, path, command)).await;
        let passing =
            |error: &dyn fmt::Display| Trouble::Passing(format!("{}: {error}", self.base));
        let answer = asked.map_err(|late| passing(&late))?.map_err(|error| passing(&error))?;
        if answer.status.is_success() { Ok(answer) } else { Err(self.refusal(&answer)) }
    }

    fn refusal(&self, Response { status, retry_after, body }: &Response) -> Trouble {
        #[derive(Default, Deserialize)]
        struct Problem {
            #[serde(default)]
            code: String,
            #[serde(default)]
            detail: String,
        }
        let Problem { code, detail } = serde_json::from_slice(body).unwrap_or_default();
        let says = format!("{}: {status}, {detail}", self.base);
        let may_pass = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(status);
        match &*code {
            "entity_poisoned" | "closed" => Trouble::Lasting(CountError::Gone(says)),
            _ if may_pass => Trouble::Passing(says),
            code => {
                let why = Why::of(code, *retry_after);
                Trouble::Lasting(CountError::Refused { why, says: detail_or(detail, says) })
            }
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        command: Option<(&CommandId, Value)>,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let socket = TcpStream::connect((self.host.trim_matches(['[', ']']), self.port)).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("{}:{}", self.host, self.port));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match command {
            None => request.body(Full::default()),
            Some((id, body)) => request
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", id.as_str())
                .body(Full::<Bytes>::from(body.to_string())),
        }?;
        // It takes the sender with it: without one, the connection ends.
        let exchange = async move {
            let answer = sender.send_request(request).await?;
            let seconds = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok());
            let retry_after = seconds.and_then(|wait| wait.parse().ok()).map(Millis::from_secs);
            let status = answer.status();
            let body = Limited::new(answer.into_body(), limits::API_ANSWER_BYTES).collect().await?;
            Ok(Response { status, retry_after, body: body.to_bytes() })
        };
        let (answer, _ended) = tokio::join!(exchange, connection);
        answer
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

fn detail_or(detail: String, says: String) -> String {
    if detail.is_empty() { says } else { detail }
}

/// Method, path below the run, and body.
fn request(command: &RunCommand) -> (Method, String, Value) {
    let of = |claim, what: &str| format!("/claims/{claim}/{what}");
    match command {
        RunCommand::Open { plan, claim_ttl_ms, retention_ms: _ } => {
            let mut body = json!({
                "server": plan.server, "format": plan.format, "mode": plan.mode.word(),
                "target": plan.target, "claim_ttl_ms": claim_ttl_ms,
            });
            let name = plan.mode.name().map(|name| ("name", json!(name)));
            let shares = plan.shares.map(|shares| ("shares", json!(shares)));
            insert(&mut body, name.into_iter().chain(shares));
            (Method::PUT, String::new(), body)
        }
        RunCommand::Claim { worker, team } => {
            let mut body = json!({"worker": worker});
            insert(&mut body, team.iter().map(|team| ("team", json!(team))));
            (Method::POST, "/claims".to_owned(), body)
        }
        RunCommand::Begin { claim, room } => {
            let mut body = json!({"room": room.id, "account": room.account});
            insert(&mut body, room.opponent.iter().map(|who| ("opponent", json!(who))));
            (Method::POST, of(*claim, "begin"), body)
        }
        RunCommand::Renew { claim } => (Method::POST, of(*claim, "renew"), json!({})),
        RunCommand::End(Settlement { claim, ending, rating, overheads, by }) => {
            let cost = |(cost, decisions): (Duration, u64)| json!({"micros": cost.as_micros(), "decisions": decisions});
            let costs: Vec<Value> = overheads.buckets().map(cost).collect();
            let mut body = json!({"ending": ending.word(), "overheads": costs});
            insert(&mut body, rating.iter().map(|rating| ("rating", json!(rating))));
            insert(&mut body, by.iter().map(|by| ("by", json!(by))));
            (Method::POST, of(*claim, "end"), body)
        }
        RunCommand::GiveBack { claim } => (Method::POST, of(*claim, "give-back"), json!({})),
        RunCommand::Retire { worker } => (Method::DELETE, format!("/workers/{worker}"), json!({})),
        RunCommand::Expire => unreachable!("the run's own timer sends it"),
    }
}

fn insert(body: &mut Value, members: impl IntoIterator<Item = (&'static str, Value)>) {
    for (name, value) in members {
        body[name] = value;
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    let gone = |error| CountError::Gone(format!("an answer that cannot be read: {error}"));
    serde_json::from_slice(body).map_err(|error| Trouble::Lasting(gone(error)))
}
