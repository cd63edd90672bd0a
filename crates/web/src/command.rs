//! Commands as they come over HTTP: who sends one, under which id, on which conditions, with what body.
//!
//! The id is the `Idempotency-Key`. The [`Fingerprint`] tells whether two requests under one id are the
//! same request: it covers method, path, conditions and the parsed JSON, so that white space and the order
//! of members make no difference. It is stored with the command, so its definition is part of the
//! storage format and never changes.

use std::hash::Hasher;

use axum::{
    extract::{FromRequest, FromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, Method, request::Parts},
};
use interlock_kernel::{
    ids::{Caller, CommandId},
    json::Json,
};
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::{
    body::{Content, read_json},
    condition::Conditions,
    limits,
    problem::Problem,
};

/// The header of a command's id.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that was given before.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A command with its body, which has at most `LIMIT` bytes. An axum extractor; take it last.
#[derive(Debug, Clone)]
pub struct Command<T, const LIMIT: usize = { limits::BODY_BYTES }> {
    /// Who sends it.
    pub caller: Caller,
    /// Its id and fingerprint, if the sender gave an id.
    pub identity: Option<Identity>,
    /// `If-Match`, `If-None-Match` and `Interlock-Fencing-Token`.
    pub conditions: Conditions,
    /// What is asked.
    pub body: T,
}

/// A command's id, with what tells the command from another one under the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The `Idempotency-Key`.
    pub id: CommandId,
    /// Of the request that came with it.
    pub fingerprint: Fingerprint,
}

/// SipHash-2-4 with 128 bits over method, path, conditions and the canonical JSON of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

impl<T: Content, S: Sync, const LIMIT: usize> FromRequest<S> for Command<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let id = command_id(&parts.headers)?;
        let conditions = Conditions::from_headers(&parts.headers)?;
        let bytes = read_json(&parts.headers, body, LIMIT).await?;
        let body = T::from_body(&bytes)?;
        let identity = id.map(|id| {
            let path = parts.uri.path();
            let fingerprint = fingerprint(&parts.method, path, &conditions, &bytes);
            Identity { id, fingerprint }
        });
        Ok(Self { caller: caller(&parts), identity, conditions, body })
    }
}

/// Who sends a request: what the guard found out, or the local caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(pub Caller);

impl<S: Sync> FromRequestParts<S> for Sender {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(caller(parts)))
    }
}

fn caller(parts: &Parts) -> Caller {
    parts.extensions.get::<Caller>().cloned().unwrap_or_else(Caller::local)
}

/// Reads `Idempotency-Key`: 400 `bad_idempotency_key` unless it is 1 to 255 visible ASCII characters,
/// once.
pub fn command_id(headers: &HeaderMap) -> Result<Option<CommandId>, Problem> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(Problem::bad_idempotency_key("is there twice"));
    }
    let text = line.to_str().unwrap_or("");
    CommandId::new(text).map(Some).map_err(Problem::bad_idempotency_key)
}

/// The fingerprint of a request whose body has been found to be JSON, or empty.
#[must_use]
pub fn fingerprint(
    method: &Method,
    path: &str,
    conditions: &Conditions,
    body: &[u8],
) -> Fingerprint {
    let shown = |tags: &Option<_>| tags.as_ref().map(ToString::to_string).unwrap_or_default();
    let token = conditions.fencing_token.map(|token| token.to_string()).unwrap_or_default();
    let text = std::str::from_utf8(body).expect("the body was parsed as JSON, which is UTF-8");
    let text = if text.is_empty() { "{}" } else { text };
    let canonical = Json::parse(text).expect("the body was parsed as JSON").canonical();

    // Any fixed key will do: this tells requests apart, it keeps nothing secret.
    let mut hasher = SipHasher24::new_with_keys(0x696e_7465_726c_6f63, 0x6b20_7265_7175_6573);
    for part in [
        method.as_str(),
        path,
        &shown(&conditions.if_match),
        &shown(&conditions.if_none_match),
        &token,
        &canonical,
    ] {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part.as_bytes());
    }
    Fingerprint(hasher.finish128().into())
}

/// The value of `Idempotent-Replayed`.
pub(crate) const REPLAYED: HeaderValue = HeaderValue::from_static("true");
