//! The body of `GET /pools/{key}`.

use std::{collections::BTreeMap, num::NonZeroU32};

use interlock_kernel::{
    ids::{Member, Version},
    pool::{MemberRecord, MemberState},
    time::Time,
};
use serde::Serialize;

use super::{PoolEntity, PoolRejection};

/// The pool's members and how many wait.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PoolView {
    /// By name.
    pub members: Vec<MemberView>,
    /// Leases in the queue.
    pub waiting: usize,
    /// The entity's version.
    pub version: Version,
}

/// A member: pending + active ≤ limit, except after the limit was lowered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberView {
    /// Its name.
    pub member: Member,
    /// How many leases at once.
    pub limit: u32,
    /// How much of the load it takes.
    pub weight: NonZeroU32,
    /// What leases can ask for.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes leases.
    pub state: MemberState,
    /// Granted and not yet confirmed.
    pub pending: u32,
    /// Confirmed.
    pub active: u32,
}

impl PoolEntity {
    /// What `GET` shows of the entity at this version, as things stand at `now`, while so many wait.
    pub fn view(
        &self,
        version: Version,
        now: Time,
        waiting: usize,
    ) -> Result<PoolView, PoolRejection> {
        let pool = self.known()?.recorded(now);
        let members = pool.members().iter().map(MemberView::new).collect();
        Ok(PoolView { members, waiting, version })
    }
}

impl MemberView {
    fn new((member, record): (&Member, &MemberRecord)) -> Self {
        Self {
            member: member.clone(),
            limit: record.limit,
            weight: record.weight,
            labels: record.labels.clone(),
            state: record.state,
            pending: record.in_use.pending,
            active: record.in_use.active,
        }
    }
}
