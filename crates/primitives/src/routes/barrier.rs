//! `/barriers`: all have arrived, once.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    barrier::{self, Parties},
    ids::{Key, Party},
    json::Json,
    limits,
};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    endpoint::{Endpoint, Routes},
    limits::LARGE_BODY_BYTES,
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{any, boolean, defaulted, name, optional, set},
};

use super::{Missing, changed, close, put as put_status, version};
use crate::domain::barrier::{BarrierCommand, BarrierEntity, BarrierRejection, BarrierReply};

request! {
    /// Who is awaited.
    pub struct Setup {
        /// The parties, in any order; needed to open the barrier.
        pub parties: Option<std::collections::BTreeSet<Party>> =
            optional(set(name(), 1..=limits::PARTIES)),
    }
}

request! {
    /// A party that has come.
    pub struct NewArrival {
        /// Who.
        pub party: Party = name(),
        /// What it brings; `null` unless told.
        pub value: Option<Json> = optional(any()),
        /// Whether it may replace what it brought before.
        pub revise: bool = defaulted(boolean(), false),
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::put("/api/v1/barriers/{key}", "Open the barrier, or change its parties")
                .tag("barrier")
                .command::<Setup>()
                .answers(200, "It awaits these parties.", version())
                .answers(201, "It is opened.", version())
                .refuses(409, &["barrier_started"])
                .refuses(410, &["closed"]),
            put,
        )
        .on(
            Endpoint::post("/api/v1/barriers/{key}/arrivals", "Arrive")
                .tag("barrier")
                .command::<NewArrival>()
                .answers(
                    200,
                    "The party has arrived.",
                    schema::object([
                        ("arrived", schema::integer()),
                        ("missing", schema::integer()),
                        ("complete", schema::boolean()),
                        ("completed_by_this", schema::boolean()),
                        ("version", schema::integer()),
                    ]),
                )
                .refuses(404, &["unknown_barrier", "unknown_party"])
                .refuses(409, &["already_arrived", "barrier_complete"])
                .refuses(410, &["closed"]),
            arrive,
        )
        .on(
            Endpoint::get("/api/v1/barriers/{key}", "Who has come, and with what")
                .tag("barrier")
                .answers(
                    200,
                    "The barrier.",
                    schema::object([
                        ("parties", schema::array(&schema::text())),
                        ("arrived", schema::array(&schema::text())),
                        ("missing", schema::array(&schema::text())),
                        ("values", schema::map(&schema::any())),
                        ("complete", schema::boolean()),
                        ("version", schema::integer()),
                    ]),
                )
                .refuses(404, &["unknown_barrier"]),
            show,
        )
        .on(close("/api/v1/barriers/{key}", "barrier", "unknown_barrier"), delete)
}

async fn put(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Setup, LARGE_BODY_BYTES>,
) -> Result<Reply, Problem> {
    let say = |Setup { parties }| {
        let parties = parties.map(|names| Parties::new(names.into_iter().collect()));
        let parties =
            parties.transpose().expect("the shape has counted them, and a set is distinct");
        BarrierCommand::Put { parties }
    };
    command.send::<BarrierEntity>(&runtime, &key, say).await.map(answer)
}

async fn arrive(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<NewArrival>,
) -> Result<Reply, Problem> {
    let say = |NewArrival { party, value, revise }| BarrierCommand::Arrive {
        party,
        value: value.unwrap_or_else(Json::null),
        revise,
    };
    command.send::<BarrierEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<BarrierEntity>(&runtime, &key).await?;
    let shown = view.state.view(view.version)?;
    Ok(Reply::json(StatusCode::OK, &shown).version(view.version))
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<BarrierEntity>(&runtime, &key, |Nothing| BarrierCommand::Close).await.map(answer)
}

fn answer(receipt: Receipt<BarrierReply>) -> Reply {
    match &receipt.reply {
        BarrierReply::Put { created } => changed(put_status(*created), &receipt),
        BarrierReply::Arrived(attendance) => runtime::reply(StatusCode::OK, attendance, &receipt),
        BarrierReply::Closed => changed(StatusCode::OK, &receipt),
    }
}

impl From<BarrierRejection> for Problem {
    fn from(rejection: BarrierRejection) -> Self {
        let status = match &rejection.0 {
            barrier::Rejection::PartiesRequired => return Missing("parties").into(),
            barrier::Rejection::Unopened | barrier::Rejection::UnknownParty(_) => {
                StatusCode::NOT_FOUND
            }
            barrier::Rejection::Started { .. }
            | barrier::Rejection::AlreadyArrived(_)
            | barrier::Rejection::Complete(_) => StatusCode::CONFLICT,
        };
        Problem::new(status, rejection.code(), rejection.to_string())
    }
}
