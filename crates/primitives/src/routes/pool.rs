//! `/pools`: never over a member's limit.

use std::{collections::BTreeMap, num::NonZeroU32};

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Holder, Key, Member, Token},
    limits,
    pool::{LeaseId, LeaseRequest, MemberChange, MemberState, PoolRefusal},
    time::Millis,
};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    connection::Client,
    endpoint::{Endpoint, Routes},
    path::{Id, Path},
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{defaulted, integer, labels, name, one_of, optional, text},
};
use serde_json::Value;

use super::{Missing, changed, close, put as put_status, version};
use crate::domain::pool::{PoolCommand, PoolEntity, PoolRejection, PoolReply};

request! {
    /// A member; what is not named stays.
    pub struct Setup {
        /// How many leases at once; needed to create the member.
        pub limit: Option<u32> = optional(integer(0..=u64::from(limits::MEMBER_LIMIT))),
        /// How much of the load it takes, compared with others; 1 unless told.
        pub weight: Option<u32> = optional(integer(1..=u64::from(limits::MEMBER_WEIGHT))),
        /// What leases can ask for, all of it; none unless told.
        pub labels: Option<BTreeMap<String, String>> = optional(labels()),
        /// Whether it takes leases; it does unless told.
        pub state: Option<MemberState> = optional(one_of(&[
            ("active", MemberState::Active),
            ("draining", MemberState::Draining),
        ])),
    }
}

request! {
    /// A lease to be granted.
    pub struct NewLease {
        /// Who will hold it.
        pub holder: Holder = name(),
        /// How long it lasts unless it is confirmed or renewed, in milliseconds.
        pub ttl_ms: Millis = integer(limits::TTL_MS),
        /// How long to wait for a slot, in milliseconds.
        pub wait_ms: Millis = defaulted(integer(limits::WAIT_MS), Millis(0)),
        /// Go where the oldest lease with the same text is, while that member fits.
        pub sticky: Option<String> = optional(text(1..=limits::LABEL_CHARS)),
        /// What the member must carry.
        pub labels: Option<BTreeMap<String, String>> = optional(labels()),
    }
}

request! {
    /// Whoever speaks for a lease shows its token.
    pub struct Fenced {
        /// The lease's token.
        pub token: Token = integer(0..=limits::JSON_INTEGER),
    }
}

request! {
    /// More time for a lease.
    pub struct Renewal {
        /// The lease's token.
        pub token: Token = integer(0..=limits::JSON_INTEGER),
        /// How long from now, in milliseconds; as long as at first unless told.
        pub ttl_ms: Option<Millis> = optional(integer(limits::TTL_MS)),
    }
}

pub(super) fn routes() -> Routes<Runtime> {
    of_pools().and(of_leases())
}

fn of_pools() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::put("/api/v1/pools/{key}/members/{member}", "Create or change a member")
                .tag("pool")
                .command::<Setup>()
                .answers(200, "It is configured.", version())
                .answers(201, "It is created.", version())
                .refuses(409, &["too_many_members"])
                .refuses(410, &["closed"]),
            put_member,
        )
        .on(
            Endpoint::delete(
                "/api/v1/pools/{key}/members/{member}",
                "Drain a member, and remove it with its last lease",
            )
            .tag("pool")
            .command::<Nothing>()
            .answers(
                200,
                "It is gone (`removed`), or takes no leases and goes with its last one.",
                schema::object([
                    ("member", schema::text()),
                    ("removed", schema::boolean()),
                    ("version", schema::integer()),
                ]),
            )
            .refuses(404, &["unknown_pool", "unknown_member"])
            .refuses(410, &["closed"]),
            remove_member,
        )
        .on(
            Endpoint::get("/api/v1/pools/{key}", "The members, their use, and how many wait")
                .tag("pool")
                .answers(200, "The pool.", pool_schema())
                .refuses(404, &["unknown_pool"]),
            show,
        )
        .on(close("/api/v1/pools/{key}", "pool", "unknown_pool"), delete)
}

fn of_leases() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::post(
                "/api/v1/pools/{key}/leases",
                "Take a slot of the best member that fits",
            )
            .tag("pool")
            .command::<NewLease>()
            .answers(201, "The lease is granted, and pending.", lease_schema())
            .refuses(404, &["unknown_pool"])
            .refuses(410, &["closed"])
            .refuses(503, &["pool_full"]),
            lease,
        )
        .on(
            of_lease("/api/v1/pools/{key}/leases/{lease}/confirm", "Say that the use has begun")
                .command::<Fenced>()
                .answers(200, "The lease is active.", lease_schema())
                .refuses(409, &["lease_over"]),
            confirm,
        )
        .on(
            of_lease("/api/v1/pools/{key}/leases/{lease}/renew", "Begin its time anew")
                .command::<Renewal>()
                .answers(200, "The lease has more time.", lease_schema())
                .refuses(409, &["lease_over"]),
            renew,
        )
        .on(
            of_lease("/api/v1/pools/{key}/leases/{lease}/release", "End the lease")
                .command::<Fenced>()
                .answers(
                    200,
                    "The lease is over.",
                    schema::object([("lease", schema::text()), ("version", schema::integer())]),
                ),
            release,
        )
}

/// An endpoint about one lease.
fn of_lease(path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint::post(path, summary)
        .tag("pool")
        .id("lease")
        .refuses(404, &["unknown_pool", "unknown_lease"])
        .refuses(409, &["stale_token"])
        .refuses(410, &["closed"])
}

fn pool_schema() -> Value {
    let member = schema::object([
        ("member", schema::text()),
        ("limit", schema::integer()),
        ("weight", schema::integer()),
        ("labels", schema::map(&schema::text())),
        ("state", schema::either([schema::word("active"), schema::word("draining")])),
        ("pending", schema::integer()),
        ("active", schema::integer()),
    ]);
    schema::object([
        ("members", schema::array(&member)),
        ("waiting", schema::integer()),
        ("version", schema::integer()),
    ])
}

fn lease_schema() -> Value {
    schema::object([
        ("lease", schema::text()),
        ("member", schema::text()),
        ("token", schema::integer()),
        ("state", schema::either([schema::word("pending"), schema::word("active")])),
        ("expires_at", schema::time()),
        ("version", schema::integer()),
    ])
}

async fn put_member(
    State(runtime): State<Runtime>,
    Path((key, member)): Path<(Key, Member)>,
    command: Command<Setup>,
) -> Result<Reply, Problem> {
    let say = |Setup { limit, weight, labels, state }| {
        let weight = weight.and_then(NonZeroU32::new);
        let change = MemberChange { limit, weight, labels, state, standing: None };
        PoolCommand::PutMember { member, change }
    };
    command.send::<PoolEntity>(&runtime, &key, say).await.map(answer)
}

async fn remove_member(
    State(runtime): State<Runtime>,
    Path((key, member)): Path<(Key, Member)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let say = |Nothing| PoolCommand::RemoveMember { member };
    command.send::<PoolEntity>(&runtime, &key, say).await.map(answer)
}

async fn show(State(runtime): State<Runtime>, Path(key): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<PoolEntity>(&runtime, &key).await?;
    let shown = view.state.view(view.version, view.now, view.waiting)?;
    Ok(Reply::json(StatusCode::OK, &shown).version(view.version))
}

async fn delete(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    command.send::<PoolEntity>(&runtime, &key, |Nothing| PoolCommand::Close).await.map(answer)
}

/// Waits no longer than the client does: whoever has gone must not be granted a slot.
async fn lease(
    State(runtime): State<Runtime>,
    Path(key): Path<Key>,
    client: Client,
    command: Command<NewLease>,
) -> Result<Reply, Problem> {
    let waits = command.body.wait_ms > Millis(0);
    let say = |NewLease { holder, ttl_ms, wait_ms, sticky, labels }| {
        let labels = labels.unwrap_or_default();
        let request = LeaseRequest { sticky, labels, ..LeaseRequest::new(holder, ttl_ms) };
        PoolCommand::Lease { request, wait_ms }
    };
    let sent = command.send::<PoolEntity>(&runtime, &key, say);
    let receipt = if waits { client.unless_gone(sent).await?? } else { sent.await? };
    Ok(answer(receipt))
}

async fn confirm(
    State(runtime): State<Runtime>,
    Path((key, lease)): Path<(Key, Id)>,
    command: Command<Fenced>,
) -> Result<Reply, Problem> {
    let lease = LeaseId::parse(&lease.0);
    let say = |Fenced { token }| PoolCommand::Confirm { lease, token };
    command.send::<PoolEntity>(&runtime, &key, say).await.map(answer)
}

async fn renew(
    State(runtime): State<Runtime>,
    Path((key, lease)): Path<(Key, Id)>,
    command: Command<Renewal>,
) -> Result<Reply, Problem> {
    let lease = LeaseId::parse(&lease.0);
    let say = |Renewal { token, ttl_ms }| PoolCommand::Renew { lease, token, ttl_ms };
    command.send::<PoolEntity>(&runtime, &key, say).await.map(answer)
}

async fn release(
    State(runtime): State<Runtime>,
    Path((key, lease)): Path<(Key, Id)>,
    command: Command<Fenced>,
) -> Result<Reply, Problem> {
    let lease = LeaseId::parse(&lease.0);
    let say = |Fenced { token }| PoolCommand::Release { lease, token };
    command.send::<PoolEntity>(&runtime, &key, say).await.map(answer)
}

fn answer(receipt: Receipt<PoolReply>) -> Reply {
    match &receipt.reply {
        PoolReply::MemberPut { created } => changed(put_status(*created), &receipt),
        PoolReply::MemberRemoved(member) => runtime::reply(StatusCode::OK, member, &receipt),
        PoolReply::Leased(lease) => runtime::reply(StatusCode::CREATED, lease, &receipt),
        PoolReply::Extended(lease) => runtime::reply(StatusCode::OK, lease, &receipt),
        PoolReply::Released(lease) => runtime::reply(StatusCode::OK, lease, &receipt),
        PoolReply::Closed | PoolReply::Expired => changed(StatusCode::OK, &receipt),
    }
}

impl From<PoolRejection> for Problem {
    fn from(rejection: PoolRejection) -> Self {
        let status = match &rejection {
            PoolRejection::Refused(PoolRefusal::LimitRequired) => return Missing("limit").into(),
            PoolRejection::Refused(PoolRefusal::Full { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            PoolRejection::Unknown
            | PoolRejection::Refused(PoolRefusal::UnknownLease | PoolRefusal::UnknownMember(_)) => {
                StatusCode::NOT_FOUND
            }
            PoolRejection::Refused(
                PoolRefusal::StaleToken { .. }
                | PoolRefusal::LeaseOver(_)
                | PoolRefusal::LeaseHeld(_)
                | PoolRefusal::TooManyMembers,
            ) => StatusCode::CONFLICT,
        };
        let problem = Problem::new(status, rejection.code(), rejection.to_string());
        match rejection.retry_after_ms() {
            Some(wait) => problem.retry_after(Millis(wait)),
            None => problem,
        }
    }
}
