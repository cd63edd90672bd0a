//! The six primitives, as their answers over HTTP show them.

use interlock_kernel::entity::Entity;
use interlock_primitives::domain::{
    barrier::{BarrierEntity, BarrierRejection, BarrierReply},
    job::{JobEntity, JobRejection, JobReply},
    pool::{PoolEntity, PoolRejection, PoolReply},
    quota::{QuotaEntity, QuotaRejection, QuotaReply},
    turn::{TurnEntity, TurnRejection, TurnReply},
    value::{ValueEntity, ValueRejection, ValueReply},
};
use serde::Serialize;
use serde_json::{Value, json};

/// An entity whose answers over HTTP are known here.
pub(super) trait Primitive: Entity {
    /// The body of the answer that brings a reply, but for its version.
    fn body(reply: &Self::Reply) -> Value;

    /// The stable code of a refusal.
    fn code(rejection: &Self::Rejection) -> &'static str;
}

fn plain(body: &impl Serialize) -> Value {
    serde_json::to_value(body).expect("replies are plain data")
}

impl Primitive for BarrierEntity {
    fn body(reply: &BarrierReply) -> Value {
        match reply {
            BarrierReply::Arrived(attendance) => plain(attendance),
            BarrierReply::Put { .. } | BarrierReply::Closed => json!({}),
        }
    }

    fn code(rejection: &BarrierRejection) -> &'static str {
        rejection.code()
    }
}

impl Primitive for JobEntity {
    fn body(reply: &JobReply) -> Value {
        match reply {
            JobReply::Started(lease) | JobReply::Renewed(lease) => plain(lease),
            JobReply::Finished(end) => plain(end),
            JobReply::Closed | JobReply::Expired => json!({}),
        }
    }

    fn code(rejection: &JobRejection) -> &'static str {
        rejection.code()
    }
}

impl Primitive for PoolEntity {
    fn body(reply: &PoolReply) -> Value {
        match reply {
            PoolReply::MemberRemoved(member) => plain(member),
            PoolReply::Leased(lease) | PoolReply::Extended(lease) => plain(lease),
            PoolReply::Released(lease) => plain(lease),
            PoolReply::MemberPut { .. } | PoolReply::Closed | PoolReply::Expired => json!({}),
        }
    }

    fn code(rejection: &PoolRejection) -> &'static str {
        rejection.code()
    }
}

impl Primitive for QuotaEntity {
    fn body(reply: &QuotaReply) -> Value {
        match reply {
            QuotaReply::Claimed(grant) => plain(grant),
            QuotaReply::Extended(claim) => plain(claim),
            QuotaReply::Settled(claim) => plain(claim),
            QuotaReply::Abandoned(claim) => plain(claim),
            QuotaReply::Retired(worker) => plain(worker),
            QuotaReply::Put { .. } | QuotaReply::Closed | QuotaReply::Expired => json!({}),
        }
    }

    fn code(rejection: &QuotaRejection) -> &'static str {
        rejection.code()
    }
}

impl Primitive for TurnEntity {
    fn body(reply: &TurnReply) -> Value {
        match reply {
            TurnReply::Posted(result) => plain(result),
            TurnReply::Closed => json!({}),
        }
    }

    fn code(rejection: &TurnRejection) -> &'static str {
        rejection.code()
    }
}

impl Primitive for ValueEntity {
    fn body(reply: &ValueReply) -> Value {
        match reply {
            ValueReply::Put { .. } | ValueReply::RolledBack | ValueReply::Closed => json!({}),
        }
    }

    fn code(rejection: &ValueRejection) -> &'static str {
        rejection.code()
    }
}
