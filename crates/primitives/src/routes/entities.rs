//! `/entities`: any entity of any type, as its state and as its timeline.
//!
//! These paths know no types: they show whatever the runtime was built with.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::ids::{Key, Version};
use interlock_runtime::{Runtime, timeline::TimelineError};
use interlock_web::{
    endpoint::{Endpoint, Routes},
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::Query,
    runtime, schema,
    shape::{Cause, Fault, defaulted, integer, optional, text},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::limits;

request! {
    /// A page of a timeline.
    pub struct Page {
        /// What `next` of the page before said; the newest entries unless told.
        pub before: Option<String> = optional(text(1..=limits::PLACE_CHARS)),
        /// How many entries.
        pub limit: u64 = defaulted(integer(limits::TIMELINE_ENTRIES), limits::TIMELINE_ENTRIES_DEFAULT),
    }
}

pub(super) fn routes(runtime: &Runtime) -> Routes<Runtime> {
    let unknown: Vec<_> = runtime.types().map(unknown_code).collect();
    Routes::new()
        .on(
            Endpoint::get("/api/v1/entities/{type}/{key}", "An entity of any type")
                .tag("entity")
                .answers(
                    200,
                    "The entity; what its state looks like depends on its type.",
                    schema::object([
                        ("type", schema::text()),
                        ("key", schema::text()),
                        ("version", schema::integer()),
                        ("state", schema::any()),
                    ]),
                )
                .refuses(404, &["unknown_type"])
                .refuses(404, &unknown),
            show,
        )
        .on(
            Endpoint::get("/api/v1/entities/{type}/{key}/timeline", "What became of an entity")
                .tag("entity")
                .query::<Page>()
                .answers(
                    200,
                    "Newest first: what was asked, what happened, who reacted.",
                    timeline_schema(),
                )
                .refuses(404, &["unknown_type"])
                .refuses(404, &unknown),
            timeline,
        )
}

fn timeline_schema() -> Value {
    let event = schema::object([("type", schema::text()), ("data", schema::any())]);
    let handler = schema::object([
        ("name", schema::text()),
        ("phase", schema::integer()),
        ("ms", schema::number()),
        ("outcome", schema::text()),
    ]);
    let entry = schema::object([
        ("at", schema::time()),
        ("command", schema::text()),
        ("id", schema::text()),
        ("outcome", schema::text()),
        ("version", schema::integer()),
        ("events", schema::array(&event)),
        ("handlers", schema::array(&handler)),
    ]);
    schema::object([
        ("entries", schema::array(&entry)),
        ("next", schema::nullable(&schema::text())),
    ])
}

/// An entity whose type is known at run time only.
#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'a str,
    key: &'a Key,
    version: Version,
    state: &'a RawValue,
}

async fn show(
    State(runtime): State<Runtime>,
    Path((entity, key)): Path<(String, Key)>,
) -> Result<Reply, Problem> {
    let shown = runtime.show(&entity, &key).await;
    let shown = shown.map_err(|error| runtime::not_shown(&entity, &key, error))?;
    let version = shown.version;
    if version == Version(0) {
        return Err(unknown(&runtime, &entity, &key));
    }
    // A large state takes a while to write, and others share this thread.
    let state = tokio::task::spawn_blocking(shown.json).await;
    let state = state.ok().and_then(Result::ok).ok_or_else(Problem::internal_error)?;
    let body = Shown { r#type: &entity, key: &key, version, state: &state };
    Ok(Reply::json(StatusCode::OK, &body).version(version))
}

async fn timeline(
    State(runtime): State<Runtime>,
    Path((entity, key)): Path<(String, Key)>,
    Query(Page { before, limit }): Query<Page>,
) -> Result<Reply, Problem> {
    let limit = usize::try_from(limit).expect("the shape's range is small");
    let timeline = runtime.timeline(&entity, &key, before.as_deref(), limit).await;
    let timeline = timeline.map_err(|error| match error {
        TimelineError::Show(error) => runtime::not_shown(&entity, &key, error),
        TimelineError::BadBefore => {
            let fault =
                Fault::new(Cause::BadValue, "must be the `next` of a page of this timeline");
            fault.inside("before").into()
        }
    })?;
    let timeline = timeline.ok_or_else(|| unknown(&runtime, &entity, &key))?;
    Ok(Reply::json(StatusCode::OK, &timeline))
}

/// 404 for a key of a known type.
fn unknown(runtime: &Runtime, entity: &str, key: &Key) -> Problem {
    let known = runtime.types().find(|known| *known == entity);
    let code = unknown_code(known.expect("an entity was looked up by its type"));
    Problem::unknown(code, format!("{entity}/{key}"))
}

/// The code of an entity type's 404.
fn unknown_code(entity: &'static str) -> &'static str {
    format!("unknown_{entity}").leak()
}
