//! `/values`: replaced whole, by compare-and-set.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Key, Version},
    json::Json,
    limits::JSON_INTEGER,
    value::{self, Condition, Guard},
};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    condition::{Conditions, Tags},
    endpoint::{Endpoint, Routes},
    limits::LARGE_BODY_BYTES,
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::{Nothing, Query},
    runtime, schema,
    shape::{integer, optional},
};

use super::{changed, close, put as put_status, version};
use crate::domain::value::{ValueCommand, ValueEntity, ValueRejection, ValueReply};

request! {
    /// Which version is wanted.
    pub struct Wanted {
        /// A kept version; the current one unless told.
        pub version: Option<Version> = optional(integer(0..=JSON_INTEGER)),
    }
}

request! {
    /// Back to an old content.
    pub struct Rollback {
        /// The version whose content is wanted.
        pub to: Version = integer(0..=JSON_INTEGER),
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::put("/api/v1/values/{key}", "Replace the value")
                .tag("value")
                .command::<Json>()
                .conditional()
                .fenced()
                .answers(200, "It is replaced.", version())
                .answers(201, "It is created.", version())
                .refuses(409, &["stale_token"])
                .refuses(410, &["closed"])
                .refuses(412, &["precondition_failed"])
                .refuses(428, &["precondition_required"]),
            put,
        )
        .on(
            Endpoint::get("/api/v1/values/{key}", "The value, bare")
                .tag("value")
                .query::<Wanted>()
                .answers(200, "The JSON that was put, byte for byte.", schema::any())
                .refuses(404, &["unknown_value", "unknown_version"]),
            show,
        )
        .on(close("/api/v1/values/{key}", "value", "unknown_value"), delete)
        .on(
            Endpoint::get("/api/v1/values/{key}/versions", "The kept versions")
                .tag("value")
                .answers(
                    200,
                    "Newest first.",
                    schema::object([(
                        "versions",
                        schema::array(&schema::object([
                            ("version", schema::integer()),
                            ("at", schema::time()),
                        ])),
                    )]),
                )
                .refuses(404, &["unknown_value"]),
            versions,
        )
        .on(
            Endpoint::post("/api/v1/values/{key}/rollback", "Take an old content again")
                .tag("value")
                .command::<Rollback>()
                .conditional()
                .fenced()
                .answers(200, "It is a new version with the old content.", version())
                .refuses(404, &["unknown_value", "unknown_version"])
                .refuses(409, &["stale_token"])
                .refuses(410, &["closed"])
                .refuses(412, &["precondition_failed"])
                .refuses(428, &["precondition_required"]),
            roll_back,
        )
}

async fn put(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Json, LARGE_BODY_BYTES>,
) -> Result<Reply, Problem> {
    let guard = guard(&command.conditions)?;
    let say = |content| ValueCommand::Put { content, guard };
    command.send::<ValueEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    Query(Wanted { version }): Query<Wanted>,
) -> Result<Reply, Problem> {
    let view = runtime::view::<ValueEntity>(&runtime, &key).await?;
    let kept = view.state.content(version)?;
    Ok(Reply::raw(StatusCode::OK, kept.content.as_str().to_owned()).version(kept.version))
}

async fn versions(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<ValueEntity>(&runtime, &key).await?;
    Ok(Reply::json(StatusCode::OK, &view.state.versions()?).version(view.version))
}

async fn roll_back(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Rollback>,
) -> Result<Reply, Problem> {
    let guard = guard(&command.conditions)?;
    let say = |Rollback { to }| ValueCommand::Rollback { to, guard };
    command.send::<ValueEntity>(&runtime, &key, say).await.map(answer)
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<ValueEntity>(&runtime, &key, |Nothing| ValueCommand::Close).await.map(answer)
}

fn answer(receipt: Receipt<ValueReply>) -> Reply {
    match &receipt.reply {
        ValueReply::Put { created } => changed(put_status(*created), &receipt),
        ValueReply::RolledBack | ValueReply::Closed => changed(StatusCode::OK, &receipt),
    }
}

/// What the headers say must hold. Of `If-None-Match` a value knows `*` only: "none of these versions"
/// does not say what a write replaces.
fn guard(conditions: &Conditions) -> Result<Guard, Problem> {
    let condition = match (&conditions.if_match, &conditions.if_none_match) {
        (None, None) => None,
        (None, Some(Tags::Any)) => Some(Condition::Absent),
        (Some(Tags::Any), None) => Some(Condition::Any),
        (Some(these @ Tags::Listed(_)), None) => Some(Condition::Versions(these.versions())),
        // There must be a value, and there must be none.
        (Some(_), Some(Tags::Any)) => Some(Condition::Versions(Vec::new())),
        (None | Some(_), Some(Tags::Listed(_))) => {
            let detail = "a write must say what it replaces: `If-None-Match` can only be *";
            let status = StatusCode::PRECONDITION_REQUIRED;
            return Err(
                Problem::new(status, "precondition_required", detail).field("If-None-Match")
            );
        }
    };
    Ok(Guard { condition, token: conditions.fencing_token })
}

impl From<ValueRejection> for Problem {
    fn from(rejection: ValueRejection) -> Self {
        let status = match &rejection.0 {
            value::Rejection::ConditionRequired => StatusCode::PRECONDITION_REQUIRED,
            value::Rejection::ConditionFailed { .. } => StatusCode::PRECONDITION_FAILED,
            value::Rejection::StaleToken { .. } => StatusCode::CONFLICT,
            value::Rejection::UnknownVersion(_) | value::Rejection::Unwritten => {
                StatusCode::NOT_FOUND
            }
        };
        Problem::new(status, rejection.code(), rejection.to_string())
    }
}
