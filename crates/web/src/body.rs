//! Request bodies: read whole, bounded in bytes and in time, then parsed.
//!
//! A body that is too large is refused as soon as that is known, by its announced length or by counting.
//! What its sender is sending anyway is read and dropped first, so that the connection can be used again
//! ([`limits::DRAIN_BYTES`], [`limits::DRAIN_PAUSE`]); otherwise the answer says that it closes.

use std::time::Duration;

use axum::{
    body::{Body as Stream, HttpBody},
    extract::FromRequest,
    http::{HeaderMap, HeaderValue, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use interlock_kernel::json::Json;
use serde_json::{Value, json};

use crate::{
    json::Node,
    limits,
    problem::Problem,
    request::{Request, object_schema},
};

/// What a body may be read as: a [`Request`], or any JSON value ([`Json`]).
pub trait Content: Sized {
    /// Reads the body; it is empty if there was none.
    fn from_body(body: &[u8]) -> Result<Self, Problem>;

    /// The JSON Schema of the body, for documentation. `None`: there is none to send.
    fn schema() -> Option<Value>;

    /// Whether a body must be sent.
    fn required() -> bool;
}

impl<R: Request> Content for R {
    fn from_body(body: &[u8]) -> Result<Self, Problem> {
        let node = if body.is_empty() { Node::EMPTY_OBJECT } else { Node::parse(body)? };
        Ok(R::from_node(node)?)
    }

    fn schema() -> Option<Value> {
        let fields = R::fields();
        (!fields.is_empty()).then(|| object_schema(&fields))
    }

    fn required() -> bool {
        R::fields().iter().any(|field| field.required)
    }
}

impl Content for Json {
    fn from_body(body: &[u8]) -> Result<Self, Problem> {
        let node = Node::parse(body)?;
        Json::parse(node.as_str()).map_err(|error| Problem::bad_json(error.to_string()))
    }

    fn schema() -> Option<Value> {
        let says = "Any JSON value; it is kept byte for byte, also numbers of any size (`1e999`) and escapes \
                    of half a character (`\"\\ud800\"`), which not every parser reads.";
        Some(json!({"description": says}))
    }

    fn required() -> bool {
        true
    }
}

/// A JSON body of at most `LIMIT` bytes. Commands to entities take [`crate::command::Command`] instead.
#[derive(Debug, Clone, Copy)]
pub struct Body<T, const LIMIT: usize = { limits::BODY_BYTES }>(pub T);

impl<T: Content, S: Sync, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read_json(&parts.headers, body, LIMIT).await?;
        T::from_body(&body).map(Body)
    }
}

/// Reads a body that must be JSON if there is one.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Stream,
    limit: usize,
) -> Result<Bytes, Problem> {
    let declared = headers.get(header::CONTENT_TYPE);
    if declared.is_some_and(|media_type| !is_json(media_type.as_bytes())) {
        return Err(Problem::not_json());
    }
    let body = read(headers, body, limit, limits::BODY_TIME).await?;
    if declared.is_none() && !body.is_empty() {
        return Err(Problem::not_json());
    }
    Ok(body)
}

/// `application/json`, whatever its parameters.
fn is_json(media_type: &[u8]) -> bool {
    let end = media_type.iter().position(|b| *b == b';').unwrap_or(media_type.len());
    media_type[..end].trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// Reads a whole body. 413 beyond `limit` bytes, 408 beyond `time`, 400 if it breaks off.
pub async fn read(
    headers: &HeaderMap,
    mut body: Stream,
    limit: usize,
    time: Duration,
) -> Result<Bytes, Problem> {
    let declared = body.size_hint().exact();
    if declared == Some(0) {
        return Ok(Bytes::new());
    }
    if declared.is_some_and(|bytes| bytes > limit as u64) {
        // Who asks before sending is told not to.
        let asks = headers.contains_key(header::EXPECT);
        let dropped = !asks && drop_all(&mut body, time).await;
        return Err(too_large(limit, dropped));
    }
    let late = || Problem::request_timeout(format!("the body did not arrive within {time:?}"));
    let gathered = tokio::time::timeout(time, gather(&mut body, limit)).await;
    match gathered.map_err(|_| late())?? {
        Some(whole) => Ok(whole),
        None => Err(too_large(limit, drop_all(&mut body, time).await)),
    }
}

/// The whole body; `None` as soon as it is larger than `limit`.
async fn gather(body: &mut Stream, limit: usize) -> Result<Option<Bytes>, Problem> {
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Problem::bad_request("the body broke off before its end");
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > limit {
            return Ok(None);
        }
        whole = join(whole, data);
    }
    Ok(Some(whole))
}

/// Reads on as long as the sender keeps sending. Whether that was all.
async fn drop_all(body: &mut Stream, time: Duration) -> bool {
    let all = async {
        let mut dropped = 0;
        while dropped <= limits::DRAIN_BYTES {
            match tokio::time::timeout(limits::DRAIN_PAUSE, body.frame()).await {
                Ok(Some(Ok(frame))) => dropped += frame.data_ref().map_or(0, Bytes::len),
                Ok(None) => return true,
                Ok(Some(Err(_))) | Err(_) => return false,
            }
        }
        false
    };
    tokio::time::timeout(time, all).await.unwrap_or(false)
}

/// The refusal. hyper closes a connection with unread bytes; then the answer says so.
fn too_large(limit: usize, all_read: bool) -> Problem {
    let problem = Problem::too_large(limit);
    if all_read {
        return problem;
    }
    problem.header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Most bodies arrive in one piece, which is then not copied.
fn join(whole: Bytes, data: Bytes) -> Bytes {
    if whole.is_empty() {
        return data;
    }
    let mut joined = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    joined.extend_from_slice(&data);
    joined.freeze()
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::{StreamExt, stream};

    use super::*;

    /// Reads a body that arrives in these pieces, and then goes on as `rest` does.
    async fn check(
        pieces: &[&'static str],
        rest: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
        expected: Result<&str, &str>,
    ) {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        let body = Stream::from_stream(stream::iter(pieces).chain(rest));
        let read = read(&HeaderMap::new(), body, 8, Duration::from_millis(20)).await;
        let found = read.as_deref().map_err(Problem::code);
        assert_eq!(found, expected.map(str::as_bytes));
    }

    #[tokio::test]
    async fn a_body_is_whole_or_refused() {
        let end = stream::empty;
        check(&[], end(), Ok("")).await;
        check(&["12345678"], end(), Ok("12345678")).await;
        check(&["1", "", "2345", "678"], end(), Ok("12345678")).await;
        check(&["12345678", "9"], end(), Err("too_large")).await;
        check(&["123456789", ""], end(), Err("too_large")).await;
        check(&["1"], stream::pending(), Err("request_timeout")).await;
        check(&["123456789"], stream::pending(), Err("too_large")).await;
        let broken = stream::iter([Err(io::Error::other("reset"))]);
        check(&["1"], broken, Err("bad_request")).await;
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 65536])));
        check(&[], endless, Err("too_large")).await;
    }
}
