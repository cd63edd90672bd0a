//! Commands, each as the server is asked over HTTP and as its entity knows it.

use std::{collections::BTreeSet, num::NonZeroU64};

use interlock_kernel::{
    barrier::Parties,
    entity::Entity,
    ids::{Holder, Member, Outcome, Party, Token, Version, Worker},
    job::RunId,
    json::Json,
    pool::{LeaseId, LeaseRequest, MemberChange},
    quota::{ClaimId, Limit, QuotaChange},
    time::Millis,
    value::{Condition, Guard},
};
use interlock_primitives::domain::{
    barrier::{BarrierCommand, BarrierEntity},
    job::{JobCommand, JobEntity},
    pool::{PoolCommand, PoolEntity},
    quota::{QuotaCommand, QuotaEntity},
    turn::{TurnCommand, TurnEntity},
    value::{ValueCommand, ValueEntity},
};
use interlock_runtime::limits::RETENTION;
use serde_json::{Value, json};

/// A command.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// `type/key`.
    pub(super) entity: String,
    pub(super) method: &'static str,
    pub(super) path: String,
    /// A header that says what must hold.
    pub(super) condition: Option<String>,
    pub(super) body: Value,
    /// As its entity knows it.
    pub(super) command: Value,
}

fn call<E: Entity>(
    key: &str,
    (method, path): (&'static str, String),
    body: Value,
    command: &E::Command,
) -> Call {
    let command = serde_json::to_value(command).expect("commands are plain data");
    let entity = format!("{}/{key}", E::TYPE);
    Call { entity, method, path: format!("/api/v1/{path}"), condition: None, body, command }
}

fn plain(value: &Value) -> Json {
    Json::parse(&value.to_string()).expect("it is JSON, and short")
}

pub(super) fn put_quota(key: &str, limit: u64, ttl: Millis) -> Call {
    let body = json!({"limit": limit, "claim_ttl_ms": ttl});
    let (limit, claim_ttl_ms) = (Some(Limit::Of(limit)), Some(ttl));
    let change = QuotaChange { limit, claim_ttl_ms, ..QuotaChange::keep(RETENTION) };
    call::<QuotaEntity>(key, ("PUT", format!("quotas/{key}")), body, &QuotaCommand::Put(change))
}

pub(super) fn claim(key: &str, worker: &Worker) -> Call {
    let (body, worker) = (json!({"worker": worker}), worker.clone());
    let path = ("POST", format!("quotas/{key}/claims"));
    call::<QuotaEntity>(key, path, body, &QuotaCommand::Claim { worker })
}

/// What can be done with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfClaim {
    Start,
    Renew,
    Settle,
    Abandon,
}

pub(super) fn of_claim(key: &str, claim: ClaimId, what: OfClaim) -> Call {
    let id = Some(claim);
    let outcome = Outcome::new("won").expect("a valid name");
    let (verb, body, command) = match what {
        OfClaim::Start => ("start", json!({}), QuotaCommand::Start { claim: id }),
        OfClaim::Renew => ("renew", json!({}), QuotaCommand::Renew { claim: id, ttl_ms: None }),
        OfClaim::Settle => {
            let body = json!({"outcome": outcome});
            ("settle", body, QuotaCommand::Settle { claim: id, outcome })
        }
        OfClaim::Abandon => ("abandon", json!({}), QuotaCommand::Abandon { claim: id }),
    };
    let path = ("POST", format!("quotas/{key}/claims/{claim}/{verb}"));
    call::<QuotaEntity>(key, path, body, &command)
}

pub(super) fn post(key: &str, turn: NonZeroU64, value: &Value) -> Call {
    let body = json!({"turn": turn, "value": value});
    let command = TurnCommand::Post { turn, value: plain(value) };
    call::<TurnEntity>(key, ("POST", format!("turns/{key}")), body, &command)
}

pub(super) fn start_run(key: &str, holder: &Holder, min_interval: Millis, ttl: Millis) -> Call {
    let body = json!({"holder": holder, "min_interval_ms": min_interval, "ttl_ms": ttl});
    let (holder, min_interval_ms, ttl_ms) = (holder.clone(), min_interval, ttl);
    let start = JobCommand::Start { holder, min_interval_ms, ttl_ms };
    call::<JobEntity>(key, ("POST", format!("jobs/{key}/runs")), body, &start)
}

pub(super) fn renew_run(key: &str, run: RunId) -> Call {
    let command = JobCommand::Renew { run: Some(run), ttl_ms: None };
    let path = ("POST", format!("jobs/{key}/runs/{run}/renew"));
    call::<JobEntity>(key, path, json!({}), &command)
}

pub(super) fn finish_run(key: &str, run: RunId) -> Call {
    let outcome = Outcome::new("done").expect("a valid name");
    let body = json!({"outcome": outcome});
    let command = JobCommand::Finish { run: Some(run), outcome };
    call::<JobEntity>(key, ("POST", format!("jobs/{key}/runs/{run}/finish")), body, &command)
}

/// Replaces a value whose version `seen` is known; `None`: there is none yet.
pub(super) fn put_value(key: &str, seen: Option<Version>, content: Value) -> Call {
    let (header, condition) = match seen {
        None => ("if-none-match: *".to_owned(), Condition::Absent),
        Some(seen) => (format!("if-match: \"{seen}\""), Condition::Versions(vec![seen])),
    };
    let guard = Guard { condition: Some(condition), token: None };
    let command = ValueCommand::Put { content: plain(&content), guard };
    let call = call::<ValueEntity>(key, ("PUT", format!("values/{key}")), content, &command);
    Call { condition: Some(header), ..call }
}

pub(super) fn put_member(key: &str, member: &Member, limit: u32) -> Call {
    let change = MemberChange {
        limit: Some(limit),
        weight: None,
        labels: None,
        state: None,
        standing: None,
    };
    let path = ("PUT", format!("pools/{key}/members/{member}"));
    let command = PoolCommand::PutMember { member: member.clone(), change };
    call::<PoolEntity>(key, path, json!({"limit": limit}), &command)
}

pub(super) fn lease(key: &str, holder: &Holder, ttl: Millis) -> Call {
    let body = json!({"holder": holder, "ttl_ms": ttl});
    let request = LeaseRequest::new(holder.clone(), ttl);
    let command = PoolCommand::Lease { request, wait_ms: Millis(0) };
    call::<PoolEntity>(key, ("POST", format!("pools/{key}/leases")), body, &command)
}

/// What can be done with a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfLease {
    Confirm,
    Renew,
    Release,
}

pub(super) fn of_lease(key: &str, lease: LeaseId, token: Token, what: OfLease) -> Call {
    let id = Some(lease);
    let (verb, command) = match what {
        OfLease::Confirm => ("confirm", PoolCommand::Confirm { lease: id, token }),
        OfLease::Renew => ("renew", PoolCommand::Renew { lease: id, token, ttl_ms: None }),
        OfLease::Release => ("release", PoolCommand::Release { lease: id, token }),
    };
    let path = ("POST", format!("pools/{key}/leases/{lease}/{verb}"));
    call::<PoolEntity>(key, path, json!({"token": token}), &command)
}

pub(super) fn put_barrier(key: &str, parties: &BTreeSet<Party>) -> Call {
    let body = json!({"parties": parties});
    let parties = Parties::new(Vec::from_iter(parties.iter().cloned())).expect("a few parties");
    let command = BarrierCommand::Put { parties: Some(parties) };
    call::<BarrierEntity>(key, ("PUT", format!("barriers/{key}")), body, &command)
}

pub(super) fn arrive(key: &str, party: &Party, value: &Value) -> Call {
    let body = json!({"party": party, "value": value});
    let command =
        BarrierCommand::Arrive { party: party.clone(), value: plain(value), revise: false };
    call::<BarrierEntity>(key, ("POST", format!("barriers/{key}/arrivals")), body, &command)
}
