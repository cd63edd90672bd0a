//! `/jobs`: one run at a time, not too often.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Holder, Key, Outcome},
    job::{self, RunId},
    limits,
    time::Millis,
};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    endpoint::{Endpoint, Routes},
    path::{Id, Path},
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{integer, name, optional},
};
use serde_json::Value;

use super::{changed, close};
use crate::domain::job::{JobCommand, JobEntity, JobRejection, JobReply};

request! {
    /// A run to begin.
    pub struct NewRun {
        /// Who will run it.
        pub holder: Holder = name(),
        /// The shortest time since the last start, in milliseconds.
        pub min_interval_ms: Millis = integer(limits::MIN_INTERVAL_MS),
        /// How long the run may take unless it is renewed, in milliseconds.
        pub ttl_ms: Millis = integer(limits::TTL_MS),
    }
}

request! {
    /// More time for a run.
    pub struct Renewal {
        /// How long from now, in milliseconds; as long as at the start unless told.
        pub ttl_ms: Option<Millis> = optional(integer(limits::TTL_MS)),
    }
}

request! {
    /// The end of a run.
    pub struct Finish {
        /// How it ended.
        pub outcome: Outcome = name(),
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::post("/api/v1/jobs/{key}/runs", "Begin a run")
                .tag("job")
                .command::<NewRun>()
                .answers(201, "The run has begun.", run_lease())
                .refuses(409, &["job_running"])
                .refuses(410, &["closed"])
                .refuses(429, &["job_too_soon"]),
            start,
        )
        .on(
            of_run("/api/v1/jobs/{key}/runs/{run}/renew", "Give a run more time")
                .command::<Renewal>()
                .answers(200, "The run has more time.", run_lease()),
            renew,
        )
        .on(
            of_run("/api/v1/jobs/{key}/runs/{run}/finish", "End a run")
                .command::<Finish>()
                .answers(
                    200,
                    "The run has ended.",
                    schema::object([
                        ("run", schema::text()),
                        ("outcome", schema::text()),
                        ("ended_at", schema::time()),
                        ("version", schema::integer()),
                    ]),
                ),
            finish,
        )
        .on(
            Endpoint::get("/api/v1/jobs/{key}", "The run in progress, and the last one")
                .tag("job")
                .answers(200, "The job.", job_schema())
                .refuses(404, &["unknown_job"]),
            show,
        )
        .on(close("/api/v1/jobs/{key}", "job", "unknown_job"), delete)
}

/// An endpoint about one run.
fn of_run(path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint::post(path, summary)
        .tag("job")
        .id("run")
        .refuses(404, &["unknown_job", "unknown_run"])
        .refuses(409, &["run_over"])
        .refuses(410, &["closed"])
}

fn run_lease() -> Value {
    schema::object([
        ("run", schema::text()),
        ("token", schema::integer()),
        ("expires_at", schema::time()),
        ("version", schema::integer()),
    ])
}

fn job_schema() -> Value {
    let running = schema::object([
        ("run", schema::text()),
        ("holder", schema::text()),
        ("token", schema::integer()),
        ("started_at", schema::time()),
        ("expires_at", schema::time()),
    ]);
    let last = schema::object([
        ("run", schema::text()),
        ("outcome", schema::text()),
        ("started_at", schema::time()),
        ("ended_at", schema::time()),
    ]);
    schema::object([
        ("running", schema::nullable(&running)),
        ("last", schema::nullable(&last)),
        ("version", schema::integer()),
    ])
}

async fn start(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<NewRun>,
) -> Result<Reply, Problem> {
    let say = |NewRun { holder, min_interval_ms, ttl_ms }| JobCommand::Start {
        holder,
        min_interval_ms,
        ttl_ms,
    };
    command.send::<JobEntity>(&runtime, &key, say).await.map(answer)
}

async fn renew(
    State(runtime): State<Runtime>,
    Path((key, run)): Path<(Key, Id)>,
    command: Command<Renewal>,
) -> Result<Reply, Problem> {
    let run = RunId::parse(&run.0);
    let say = |Renewal { ttl_ms }| JobCommand::Renew { run, ttl_ms };
    command.send::<JobEntity>(&runtime, &key, say).await.map(answer)
}

async fn finish(
    State(runtime): State<Runtime>,
    Path((key, run)): Path<(Key, Id)>,
    command: Command<Finish>,
) -> Result<Reply, Problem> {
    let run = RunId::parse(&run.0);
    let say = |Finish { outcome }| JobCommand::Finish { run, outcome };
    command.send::<JobEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<JobEntity>(&runtime, &key).await?;
    let shown = view.state.view(view.version, view.now)?;
    Ok(Reply::json(StatusCode::OK, &shown).version(view.version))
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<JobEntity>(&runtime, &key, |Nothing| JobCommand::Close).await.map(answer)
}

fn answer(receipt: Receipt<JobReply>) -> Reply {
    match &receipt.reply {
        JobReply::Started(lease) => runtime::reply(StatusCode::CREATED, lease, &receipt),
        JobReply::Renewed(lease) => runtime::reply(StatusCode::OK, lease, &receipt),
        JobReply::Finished(end) => runtime::reply(StatusCode::OK, end, &receipt),
        JobReply::Closed | JobReply::Expired => changed(StatusCode::OK, &receipt),
    }
}

impl From<JobRejection> for Problem {
    fn from(rejection: JobRejection) -> Self {
        let status = match &rejection {
            JobRejection::Unknown | JobRejection::Refused(job::Rejection::Unknown) => {
                StatusCode::NOT_FOUND
            }
            JobRejection::Refused(job::Rejection::Running { .. } | job::Rejection::Over(_)) => {
                StatusCode::CONFLICT
            }
            JobRejection::Refused(job::Rejection::TooSoon { .. }) => StatusCode::TOO_MANY_REQUESTS,
        };
        let problem = Problem::new(status, rejection.code(), rejection.to_string());
        match rejection.retry_after_ms() {
            Some(wait) => problem.retry_after(Millis(wait)),
            None => problem,
        }
    }
}
