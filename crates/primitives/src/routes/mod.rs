//! The paths: one file per primitive, and two for what all entities share.
//!
//! A handler reads the request, sends one command or takes one view, and says which status and body that
//! is. What is refused before the entity is asked is said by the shapes of the requests; what the entity
//! refuses, by the `From<…Rejection> for Problem` next to its handlers.

mod barrier;
mod entities;
mod feed;
mod job;
mod pool;
mod quota;
mod turn;
mod value;

use axum::http::StatusCode;
use interlock_kernel::time::Millis;
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    endpoint::{Endpoint, Routes},
    problem::Problem,
    reply::Reply,
    request::Nothing,
    runtime, schema,
    shape::{Cause, Fault},
};
use serde::Serialize;
use serde_json::Value;

/// Every path, with its documentation.
pub(crate) fn all(runtime: &Runtime, retention: Millis) -> Routes {
    quota::routes(retention)
        .and(turn::routes())
        .and(job::routes())
        .and(value::routes())
        .and(pool::routes())
        .and(barrier::routes())
        .and(feed::routes())
        .and(entities::routes(runtime))
        .with_state(runtime.clone())
}

/// `DELETE` of an entity.
fn close(path: &'static str, tag: &'static str, unknown: &'static str) -> Endpoint {
    Endpoint::delete(path, "Close it: from now on it only answers repeats, and can be read")
        .tag(tag)
        .command::<Nothing>()
        .answers(200, "It is closed.", version())
        .refuses(404, &[unknown])
        .refuses(410, &["closed"])
}

/// A reply of which only the version matters.
fn version() -> Value {
    schema::object([("version", schema::integer())])
}

/// The answer to a command of which only the version matters.
fn changed<R>(status: StatusCode, receipt: &Receipt<R>) -> Reply {
    #[derive(Serialize)]
    struct Nothing {}
    runtime::reply(status, &Nothing {}, receipt)
}

/// The status of a `PUT`.
fn put(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// A field that a `PUT` must name when there is nothing yet that it could keep.
struct Missing(&'static str);

impl From<Missing> for Problem {
    fn from(Missing(field): Missing) -> Self {
        Fault::new(Cause::MissingField, "is required to create it").inside(field).into()
    }
}
