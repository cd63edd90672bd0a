//! `/quotas`: never more than N.

use std::num::NonZeroU32;

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Key, Outcome, Worker},
    limits,
    quota::{ClaimId, Limit, QuotaChange},
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
    shape::{integer, integer_or, name, optional},
};
use serde_json::Value;

use super::{Missing, changed, close, put as put_status, version};
use crate::domain::quota::{QuotaCommand, QuotaEntity, QuotaRejection, QuotaReply};

request! {
    /// A quota's configuration; what is not named stays.
    pub struct Setup {
        /// How many; needed to create the quota.
        pub limit: Option<Option<u64>> = optional(integer_or("unlimited", 0..=limits::QUOTA_LIMIT)),
        /// Among how many workers it is split; not at all unless told.
        pub workers: Option<u32> = optional(integer(1..=u64::from(limits::QUOTA_WORKERS))),
        /// How long a claim lasts unless it is renewed, in milliseconds; a minute unless told.
        pub claim_ttl_ms: Option<Millis> = optional(integer(limits::TTL_MS)),
    }
}

request! {
    /// A claim to be granted.
    pub struct NewClaim {
        /// For whom.
        pub worker: Worker = name(),
    }
}

request! {
    /// More time for a claim.
    pub struct Renewal {
        /// How long from now, in milliseconds; as long as at first unless told.
        pub ttl_ms: Option<Millis> = optional(integer(limits::TTL_MS)),
    }
}

request! {
    /// The end of a claim.
    pub struct Settlement {
        /// How it ended.
        pub outcome: Outcome = name(),
    }
}

pub(super) fn routes(retention: Millis) -> Routes<Runtime> {
    of_quotas(retention).and(of_claims())
}

fn of_quotas(retention: Millis) -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::put("/api/v1/quotas/{key}", "Create the quota, or change its configuration")
                .tag("quota")
                .command::<Setup>()
                .answers(200, "It is configured.", version())
                .answers(201, "It is created.", version())
                .refuses(409, &["limit_below_used", "quota_started"])
                .refuses(410, &["closed"]),
            async move |runtime: State<Runtime>, key: Path<Key>, command: Command<Setup>| {
                put(runtime, key, command, retention).await
            },
        )
        .on(
            Endpoint::get("/api/v1/quotas/{key}", "What is used, and by whom")
                .tag("quota")
                .answers(200, "claimed + in_doubt + settled + remaining = limit.", quota_schema())
                .refuses(404, &["unknown_quota"]),
            show,
        )
        .on(close("/api/v1/quotas/{key}", "quota", "unknown_quota"), delete)
        .on(
            Endpoint::delete(
                "/api/v1/quotas/{key}/workers/{worker}",
                "Retire a worker: the next new name takes over its share",
            )
            .tag("quota")
            .command::<Nothing>()
            .answers(
                200,
                "Its name is refused from now on.",
                schema::object([("worker", schema::text()), ("version", schema::integer())]),
            )
            .refuses(404, &["unknown_quota", "unknown_worker"])
            .refuses(410, &["closed"]),
            retire,
        )
}

fn of_claims() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::post("/api/v1/quotas/{key}/claims", "Take one of what is left")
                .tag("quota")
                .command::<NewClaim>()
                .answers(201, "The claim is granted.", grant_schema())
                .refuses(404, &["unknown_quota"])
                .refuses(409, &["quota_exhausted", "quota_all_claimed"])
                .refuses(409, &["worker_quota_reached", "worker_quota_claimed"])
                .refuses(409, &["too_many_workers", "worker_retired"])
                .refuses(410, &["closed"]),
            claim,
        )
        .on(
            of_claim("/api/v1/quotas/{key}/claims/{claim}/start", "Say that the work has begun")
                .command::<Nothing>()
                .answers(200, "Its expiry makes it in doubt from now on.", extended_schema())
                .refuses(409, &["claim_over", "claim_expired"]),
            start,
        )
        .on(
            of_claim("/api/v1/quotas/{key}/claims/{claim}/renew", "Begin its time anew")
                .command::<Renewal>()
                .answers(200, "It has more time, and is in doubt no more.", extended_schema())
                .refuses(409, &["claim_over", "claim_expired"]),
            renew,
        )
        .on(
            of_claim("/api/v1/quotas/{key}/claims/{claim}/settle", "End it with an outcome")
                .command::<Settlement>()
                .answers(
                    200,
                    "It is settled.",
                    schema::object([
                        ("claim", schema::text()),
                        ("outcome", schema::text()),
                        ("version", schema::integer()),
                    ]),
                )
                .refuses(409, &["claim_over", "claim_expired", "too_many_outcomes"]),
            settle,
        )
        .on(
            of_claim("/api/v1/quotas/{key}/claims/{claim}/abandon", "Give it back")
                .command::<Nothing>()
                .answers(
                    200,
                    "It is given back.",
                    schema::object([("claim", schema::text()), ("version", schema::integer())]),
                )
                .refuses(409, &["claim_expired"]),
            abandon,
        )
}

/// An endpoint about one claim.
fn of_claim(path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint::post(path, summary)
        .tag("quota")
        .id("claim")
        .refuses(404, &["unknown_quota", "unknown_claim"])
        .refuses(409, &["claim_settled"])
        .refuses(410, &["closed"])
}

fn limit_schema() -> Value {
    schema::either([schema::integer(), schema::word("unlimited")])
}

fn quota_schema() -> Value {
    let worker = schema::object([
        ("quota", schema::nullable(&schema::integer())),
        ("claimed", schema::integer()),
        ("in_doubt", schema::integer()),
        ("settled", schema::integer()),
    ]);
    schema::object([
        ("limit", limit_schema()),
        ("claimed", schema::integer()),
        ("in_doubt", schema::integer()),
        ("settled", schema::integer()),
        ("remaining", limit_schema()),
        ("outcomes", schema::map(&schema::integer())),
        ("workers", schema::map(&worker)),
        ("version", schema::integer()),
    ])
}

fn grant_schema() -> Value {
    schema::object([
        ("claim", schema::text()),
        ("worker", schema::text()),
        ("number", schema::integer()),
        ("remaining", limit_schema()),
        ("expires_at", schema::time()),
        ("version", schema::integer()),
    ])
}

fn extended_schema() -> Value {
    schema::object([
        ("claim", schema::text()),
        ("worker", schema::text()),
        ("number", schema::integer()),
        ("started", schema::boolean()),
        ("expires_at", schema::time()),
        ("version", schema::integer()),
    ])
}

async fn put(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Setup>,
    retention: Millis,
) -> Result<Reply, Problem> {
    let say = |Setup { limit, workers, claim_ttl_ms }| {
        QuotaCommand::Put(QuotaChange {
            limit: limit.map(|limit: Option<u64>| limit.map_or(Limit::Unlimited, Limit::Of)),
            workers: workers.and_then(NonZeroU32::new),
            claim_ttl_ms,
            ..QuotaChange::keep(retention)
        })
    };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<QuotaEntity>(&runtime, &key).await?;
    let shown = view.state.view(view.version, view.now)?;
    Ok(Reply::json(StatusCode::OK, &shown).version(view.version))
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<QuotaEntity>(&runtime, &key, |Nothing| QuotaCommand::Close).await.map(answer)
}

async fn retire(
    State(runtime): State<Runtime>,
    Path((key, worker)): Path<(Key, Worker)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let say = |Nothing| QuotaCommand::RetireWorker { worker };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn claim(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<NewClaim>,
) -> Result<Reply, Problem> {
    let say = |NewClaim { worker }| QuotaCommand::Claim { worker };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn start(
    State(runtime): State<Runtime>,
    Path((key, claim)): Path<(Key, Id)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let claim = ClaimId::parse(&claim.0);
    let say = |Nothing| QuotaCommand::Start { claim };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn renew(
    State(runtime): State<Runtime>,
    Path((key, claim)): Path<(Key, Id)>,
    command: Command<Renewal>,
) -> Result<Reply, Problem> {
    let claim = ClaimId::parse(&claim.0);
    let say = |Renewal { ttl_ms }| QuotaCommand::Renew { claim, ttl_ms };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn settle(
    State(runtime): State<Runtime>,
    Path((key, claim)): Path<(Key, Id)>,
    command: Command<Settlement>,
) -> Result<Reply, Problem> {
    let claim = ClaimId::parse(&claim.0);
    let say = |Settlement { outcome }| QuotaCommand::Settle { claim, outcome };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

async fn abandon(
    State(runtime): State<Runtime>,
    Path((key, claim)): Path<(Key, Id)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let claim = ClaimId::parse(&claim.0);
    let say = |Nothing| QuotaCommand::Abandon { claim };
    command.send::<QuotaEntity>(&runtime, &key, say).await.map(answer)
}

fn answer(receipt: Receipt<QuotaReply>) -> Reply {
    match &receipt.reply {
        QuotaReply::Put { created } => changed(put_status(*created), &receipt),
        QuotaReply::Claimed(grant) => runtime::reply(StatusCode::CREATED, grant, &receipt),
        QuotaReply::Extended(claim) => runtime::reply(StatusCode::OK, claim, &receipt),
        QuotaReply::Settled(claim) => runtime::reply(StatusCode::OK, claim, &receipt),
        QuotaReply::Abandoned(claim) => runtime::reply(StatusCode::OK, claim, &receipt),
        QuotaReply::Retired(worker) => runtime::reply(StatusCode::OK, worker, &receipt),
        QuotaReply::Closed | QuotaReply::Expired => changed(StatusCode::OK, &receipt),
    }
}

impl From<QuotaRejection> for Problem {
    fn from(rejection: QuotaRejection) -> Self {
        match rejection {
            QuotaRejection::LimitRequired => Missing("limit").into(),
            QuotaRejection::Unknown => {
                Problem::new(StatusCode::NOT_FOUND, rejection.code(), rejection.to_string())
            }
            QuotaRejection::Refused(refusal) => refusal.into(),
        }
    }
}
