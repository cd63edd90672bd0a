//! The paths that players use: those of the proxies they know.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{RawQuery, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::Frame;
use interlock_kernel::time::Millis;
use interlock_web::{
    connection::Client,
    endpoint::{Access, Endpoint, Routes},
    problem::Problem,
    reply::Reply,
    request,
    request::Request as _,
    schema,
    shape::{optional, text},
};
use serde_json::json;

use crate::{
    io::{
        engine::StreamKey,
        hub::{Player, PlayerError},
    },
    service::{PlayError, Service, stream_name},
};

/// The hexadecimal digits of a content id or infohash.
const DIGITS: usize = 40;

request! {
    /// Which stream.
    pub struct Which {
        /// A content id: 40 hexadecimal digits.
        pub id: Option<String> = optional(text(1..=200)),
        /// An infohash: 40 hexadecimal digits.
        pub infohash: Option<String> = optional(text(1..=200)),
        /// Not to be sent: the proxy makes its own.
        pub pid: Option<String> = optional(text(0..=200)),
    }
}

/// The service's endpoints.
#[must_use]
pub fn routes(service: Service) -> Routes {
    Routes::new()
        .on(
            Endpoint::get("/ace/getstream", "Plays a stream")
                .tag("streams")
                .access(Access::TokenInAddress)
                .query::<Which>()
                .answers_with(
                    200,
                    "The stream's bytes, unchanged, for as long as it goes on.",
                    "video/mp2t",
                )
                .refuses(400, &["bad_stream"])
                .refuses(502, &["no_engine"])
                .refuses(
                    503,
                    &["engines_full", "too_many_players", "store_unavailable", "shutting_down"],
                )
                .refuses(504, &["start_timeout"]),
            play,
        )
        .on(
            Endpoint::get("/ace/status", "How many play what")
                .tag("streams")
                .access(Access::TokenInAddress)
                .query::<Which>()
                .answers(
                    200,
                    "Of one stream, or of all together.",
                    schema::object([
                        ("clients", schema::integer()),
                        ("streams", schema::integer()),
                        ("stream_id", schema::text()),
                        ("stat_url", schema::text()),
                    ]),
                )
                .refuses(400, &["bad_stream"])
                .refuses(404, &["unknown_stream"]),
            status,
        )
        .with_state(service)
}

async fn play(
    State(service): State<Service>,
    client: Client,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let key = which(query.as_deref())?
        .ok_or_else(|| bad_stream("name a stream by `id` or `infohash`"))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("video/mp2t")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    // Who asks for the headers only wants to know whether this is a stream: no engine is troubled.
    if method == Method::HEAD {
        return Ok((StatusCode::OK, headers).into_response());
    }
    let player = client.unless_gone(service.play(&key, client.disconnect())).await?;
    let player = player.map_err(refused)?;
    let body = Body::new(UnlessGone {
        player: Some(player),
        gone: Box::pin(async move { client.gone().await }),
    });
    Ok((StatusCode::OK, headers, body).into_response())
}

/// A player that leaves when its client does, even while there is nothing to send: a write that fails
/// would tell later.
struct UnlessGone {
    player: Option<Player>,
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl HttpBody for UnlessGone {
    type Data = Bytes;
    type Error = PlayerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PlayerError>>> {
        let Some(player) = self.player.as_mut() else { return Poll::Ready(None) };
        let frame = Pin::new(player).poll_frame(cx);
        if frame.is_pending() && self.gone.as_mut().poll(cx).is_ready() {
            self.player = None;
            return Poll::Ready(None);
        }
        frame
    }
}

async fn status(
    State(service): State<Service>,
    RawQuery(query): RawQuery,
) -> Result<Reply, Problem> {
    let body = match which(query.as_deref())? {
        None => {
            let (clients, streams) = service.counts();
            json!({"clients": clients, "streams": streams, "stream_id": "", "stat_url": ""})
        }
        Some(key) => {
            let name = stream_name(&key);
            let stream = service.stream(&name).ok_or_else(|| {
                Problem::new(
                    StatusCode::NOT_FOUND,
                    "unknown_stream",
                    "the stream is not being played",
                )
            })?;
            let id = match key {
                StreamKey::ContentId(id) | StreamKey::Infohash(id) => id,
            };
            json!({
                "clients": stream.players,
                "streams": 1,
                "stream_id": id,
                "stat_url": stream.stat_url.unwrap_or_default(),
            })
        }
    };
    Ok(Reply::json(StatusCode::OK, &body))
}

/// The stream that a query names, if it names one.
fn which(query: Option<&str>) -> Result<Option<StreamKey>, Problem> {
    let Which { id, infohash, pid } = Which::from_query(query.unwrap_or_default())?;
    if pid.is_some() {
        return Err(bad_stream("`pid` is not for players: the proxy makes its own").field("pid"));
    }
    match (id, infohash) {
        (Some(_), Some(_)) => {
            Err(bad_stream("name a stream by `id` or by `infohash`, not by both"))
        }
        (Some(id), None) => Ok(Some(StreamKey::ContentId(hex("id", &id)?))),
        (None, Some(hash)) => Ok(Some(StreamKey::Infohash(hex("infohash", &hash)?))),
        (None, None) => Ok(None),
    }
}

fn hex(field: &str, text: &str) -> Result<String, Problem> {
    if text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(bad_stream(&format!("`{field}` must be {DIGITS} hexadecimal digits")).field(field))
    }
}

fn bad_stream(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_stream", detail)
}

fn refused(error: PlayError) -> Problem {
    let says = error.to_string();
    match error {
        PlayError::Full { retry_after } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "engines_full", says)
                .retry_after(retry_after)
        }
        PlayError::NoEngine(_) => Problem::new(StatusCode::BAD_GATEWAY, "no_engine", says),
        PlayError::OutOfTime(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "start_timeout", says),
        PlayError::TooManyPlayers => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_players", says)
                .retry_after(Millis::from_secs(10))
        }
        PlayError::Unavailable(why) => {
            tracing::warn!(why, "a stream was refused");
            Problem::store_unavailable()
        }
        PlayError::Stopping => Problem::shutting_down(),
    }
}
