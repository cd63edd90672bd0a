//! `/turns`: one winner per turn.

use std::num::NonZeroU64;

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{ids::Key, json::Json, limits, turn};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    endpoint::{Endpoint, Routes},
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{any, integer},
};

use super::{changed, close};
use crate::domain::turn::{TurnCommand, TurnEntity, TurnRejection, TurnReply};

request! {
    /// A value for a turn.
    pub struct Post {
        /// Which turn; the first is 1.
        pub turn: u64 = integer(1..=limits::JSON_INTEGER),
        /// What is played; it stands if nobody was there before.
        pub value: Json = any(),
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::post("/api/v1/turns/{key}", "Play a value on a turn")
                .tag("turn")
                .command::<Post>()
                .answers(
                    200,
                    "The turn's winner, this one or an earlier one.",
                    schema::object([
                        ("won", schema::boolean()),
                        ("turn", schema::integer()),
                        ("value", schema::any()),
                        ("next_turn", schema::integer()),
                        ("version", schema::integer()),
                    ]),
                )
                .refuses(409, &["turn_ahead"])
                .refuses(410, &["turn_gone", "closed"]),
            post,
        )
        .on(
            Endpoint::get("/api/v1/turns/{key}", "Which turn is next, and who won the last one")
                .tag("turn")
                .answers(
                    200,
                    "The turns.",
                    schema::object([
                        ("next_turn", schema::integer()),
                        (
                            "last",
                            schema::nullable(&schema::object([
                                ("turn", schema::integer()),
                                ("value", schema::any()),
                            ])),
                        ),
                        ("version", schema::integer()),
                    ]),
                )
                .refuses(404, &["unknown_turn"]),
            show,
        )
        .on(close("/api/v1/turns/{key}", "turn", "unknown_turn"), delete)
}

async fn post(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Post>,
) -> Result<Reply, Problem> {
    let say = |Post { turn, value }| TurnCommand::Post {
        turn: NonZeroU64::new(turn).expect("the shape's range begins at 1"),
        value,
    };
    command.send::<TurnEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<TurnEntity>(&runtime, &key).await?;
    let shown = view.state.view(view.version)?;
    Ok(Reply::json(StatusCode::OK, &shown).version(view.version))
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<TurnEntity>(&runtime, &key, |Nothing| TurnCommand::Close).await.map(answer)
}

fn answer(receipt: Receipt<TurnReply>) -> Reply {
    match &receipt.reply {
        TurnReply::Posted(result) => runtime::reply(StatusCode::OK, result, &receipt),
        TurnReply::Closed => changed(StatusCode::OK, &receipt),
    }
}

impl From<TurnRejection> for Problem {
    fn from(rejection: TurnRejection) -> Self {
        let status = match &rejection {
            TurnRejection::Unknown => StatusCode::NOT_FOUND,
            TurnRejection::Refused(turn::Rejection::Ahead { .. }) => StatusCode::CONFLICT,
            TurnRejection::Refused(turn::Rejection::Gone { .. }) => StatusCode::GONE,
        };
        Problem::new(status, rejection.code(), rejection.to_string())
    }
}
