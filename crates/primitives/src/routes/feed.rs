//! `/events`: everything that happens, as server-sent events.

use axum::{extract::State, http::HeaderMap, response::Response};
use futures_util::{Stream, StreamExt, stream};
use interlock_kernel::{
    ids::{Key, Version},
    time::Time,
};
use interlock_runtime::{
    Runtime,
    feed::{Feed, FeedError, FeedEvent, Filter, From},
};
use interlock_web::{
    connection::Client,
    endpoint::{Endpoint, Routes},
    problem::Problem,
    request,
    request::Query,
    shape::{Fault, Shape, one_of, optional},
    sse::{self, Event},
};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

request! {
    /// Which events.
    pub struct Wanted {
        /// Only those of one entity, `type/key`.
        pub entity: Option<String> = optional(Unread),
        /// `start`: all that is kept. Otherwise only what happens from now on.
        pub from: Option<From> = optional(one_of(&[("start", From::Start)])),
    }
}

/// A parameter that has a code of its own for what is wrong with it.
struct Unread;

impl Shape for Unread {
    type Out = String;

    fn read(&self, node: interlock_web::json::Node<'_>) -> Result<String, Fault> {
        Err(Fault::wrong_type("in the address", node))
    }

    fn parse(&self, text: &str) -> Result<String, Fault> {
        Ok(text.to_owned())
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    Routes::new().on(
        Endpoint::get("/api/v1/events", "Everything that happens, in order, without gaps")
            .tag("event")
            .query::<Wanted>()
            .header(
                "Last-Event-ID",
                "The id of the last event that was seen: the next one comes first. `0`: the oldest kept. \
                 Wins over `from`.",
            )
            .answers_with(
                200,
                "Server-sent events. `data` is an object with `cursor` (the event's id), `entity`, \
                 `version`, `type`, `at` and `data`.",
                sse::MEDIA_TYPE,
            )
            .refuses(400, &["bad_cursor", "bad_entity"])
            .refuses(410, &["cursor_gone"])
            .refuses(503, &["store_unavailable"]),
        events,
    )
}

async fn events(
    State(runtime): State<Runtime>,
    Query(Wanted { entity, from }): Query<Wanted>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let filter = entity.map(|entity| filter(&runtime, &entity)).transpose()?;
    let from = match sse::last_event_id(&headers)? {
        Some("0") => From::Start,
        Some(cursor) => From::After(cursor.parse().map_err(|_| bad_cursor())?),
        None => from.unwrap_or(From::Now),
    };
    let feed = runtime.feed(from, filter).await.map_err(|error| match error {
        FeedError::BadCursor(_) => bad_cursor(),
        FeedError::CursorGone => Problem::cursor_gone(),
        FeedError::Store(_) => Problem::store_unavailable(),
    })?;
    Ok(sse::feed(client, stream_of(feed)))
}

fn bad_cursor() -> Problem {
    Problem::bad_cursor("Last-Event-ID")
}

/// Reads `pool/engines`.
fn filter(runtime: &Runtime, text: &str) -> Result<Filter, Problem> {
    let bad = |why: &str| {
        let detail = format!("`entity` {why}");
        Problem::new(axum::http::StatusCode::BAD_REQUEST, "bad_entity", detail).field("entity")
    };
    let (entity, key) = text.split_once('/').ok_or_else(|| bad("must be a type, `/` and a key"))?;
    if !runtime.types().any(|known| known == entity) {
        return Err(bad("names a type that does not exist"));
    }
    let key = Key::new(key).map_err(|why| bad(&format!("has a key that {why}")))?;
    Ok(Filter { entity: entity.to_owned(), key })
}

/// Goes on until the runtime stops or its log cannot be read. The client comes back with the last cursor
/// it has seen, and misses nothing.
fn stream_of(feed: Feed) -> impl Stream<Item = Event> {
    stream::unfold(feed, async |mut feed| match feed.next().await {
        Ok(Some(events)) => Some((stream::iter(events.into_iter().map(event)), feed)),
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(%error, "an event feed ends: the log cannot be read");
            None
        }
    })
    .flatten()
}

fn event(event: FeedEvent) -> Event {
    #[derive(Serialize)]
    struct Shown<'a> {
        cursor: &'a str,
        entity: String,
        version: Version,
        r#type: &'a str,
        at: Time,
        data: &'a RawValue,
    }
    let cursor = event.cursor.to_string();
    let shown = Shown {
        cursor: &cursor,
        entity: format!("{}/{}", event.entity, event.key),
        version: event.version,
        r#type: event.name,
        at: event.at,
        data: &event.data,
    };
    let data = serde_json::to_string(&shown).expect("strings, numbers and JSON always serialise");
    Event { id: cursor, event: event.name.to_owned(), data }
}
