//! Members: who can be used, and how much.

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use super::{
    Due, MemberLeaving, MemberPut, MemberReadmitted, MemberRemoved, MemberSetAside, Phase, Pool,
    PoolEvent, PoolRefusal,
};
use crate::{expiry::Step, ids::Member, limits, time::Time};

/// A member as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// How many uses at once.
    pub limit: u32,
    /// How much of the load it takes, compared with others.
    pub weight: NonZeroU32,
    /// What requests can ask for.
    pub labels: BTreeMap<String, String>,
    /// Whether it takes leases.
    pub state: MemberState,
    /// Its place in [`super::Ranking::HealthiestFirst`].
    pub standing: Standing,
    /// It is removed with the end of its last use.
    pub leaving: bool,
    /// It takes no leases before then.
    pub aside_until: Option<Time>,
    /// What counts against its limit.
    pub in_use: Use,
    /// The pool's count of uses at its last grant; 0: never.
    pub(super) last_grant: u64,
    /// The pool's count of uses at its last grant or freed slot; 0: never.
    pub(super) last_use: u64,
}

/// Whether a member takes leases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It does.
    #[default]
    Active,
    /// It does not; those it has go on.
    Draining,
}

/// A member's place in [`super::Ranking::HealthiestFirst`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Lower comes first: healthy before unknown before unhealthy.
    pub tier: u8,
    /// Comes first among equally used members of its tier.
    pub preferred: bool,
}

/// What counts against a member's limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// Granted and not yet confirmed.
    pub pending: u32,
    /// Confirmed.
    pub active: u32,
    /// Over for their holders, not yet free.
    pub closing: u32,
}

/// What a `PUT` of a member names; what it does not name stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChange {
    /// How many uses at once; needed to create a member.
    pub limit: Option<u32>,
    /// How much of the load it takes; 1 at first.
    pub weight: Option<NonZeroU32>,
    /// What requests can ask for, all of it; none at first.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether it takes leases; it does at first.
    pub state: Option<MemberState>,
    /// Its place in [`super::Ranking::HealthiestFirst`].
    pub standing: Option<Standing>,
}

/// Decisions about members.
impl Pool {
    /// Creates or changes a member, and answers whether it created it. Of a member on its way out it makes
    /// one that stays, active unless the change says otherwise.
    pub fn put_member(
        &self,
        member: &Member,
        change: &MemberChange,
        now: Time,
    ) -> Result<Step<PoolEvent, bool>, PoolRefusal> {
        let lapsed = self.lapsed(now);
        let before = self.member_at(member, &lapsed).map(|(record, _)| record);
        if before.is_none() && self.members.len() >= limits::POOL_MEMBERS {
            return Err(PoolRefusal::TooManyMembers);
        }
        let stays = before.filter(|record| !record.leaving);
        let limit = change.limit.or(before.map(|record| record.limit));
        let put = MemberPut {
            member: member.clone(),
            limit: limit.ok_or(PoolRefusal::LimitRequired)?,
            weight: change.weight.or(before.map(|record| record.weight)).unwrap_or(NonZeroU32::MIN),
            labels: change.labels.clone().or(before.map(|r| r.labels.clone())).unwrap_or_default(),
            state: change.state.or(stays.map(|record| record.state)).unwrap_or_default(),
            standing: change.standing.or(before.map(|r| r.standing)).unwrap_or_default(),
            at: now,
        };
        if stays.is_some_and(|record| record.is_as_put(&put)) {
            return Ok(Step::unchanged(false));
        }
        let created = before.is_none();
        Ok(self.step(lapsed, [PoolEvent::MemberPut(put)], None, None, created))
    }

    /// Removes a member once nothing of it is used; until then it takes no leases. Answers whether it is
    /// gone. Again, it changes nothing.
    pub fn remove_member(
        &self,
        member: &Member,
        now: Time,
    ) -> Result<Step<PoolEvent, bool>, PoolRefusal> {
        let lapsed = self.lapsed(now);
        let unknown = || PoolRefusal::UnknownMember(member.clone());
        let (record, in_use) = self.member_at(member, &lapsed).ok_or_else(unknown)?;
        if record.leaving {
            return Ok(Step::unchanged(false));
        }
        let (gone, member, at) = (in_use.total() == 0, member.clone(), now);
        let aside = Due::Aside(member.clone());
        let event = if gone {
            PoolEvent::MemberRemoved(MemberRemoved { member, at })
        } else {
            PoolEvent::MemberLeaving(MemberLeaving { member, at })
        };
        Ok(self.step(lapsed, [event], Some(&aside), None, gone))
    }

    /// Sets a member aside: it takes no leases before `until`. A later word replaces an earlier one.
    pub fn set_aside(
        &self,
        member: &Member,
        until: Time,
        now: Time,
    ) -> Result<Step<PoolEvent, ()>, PoolRefusal> {
        if until <= now {
            return self.readmit(member, now);
        }
        let lapsed = self.lapsed(now);
        let unknown = || PoolRefusal::UnknownMember(member.clone());
        let (record, _) = self.member_at(member, &lapsed).ok_or_else(unknown)?;
        if record.leaving || record.aside_until == Some(until) {
            return Ok(Step::unchanged(()));
        }
        let aside = Due::Aside(member.clone());
        let event = MemberSetAside { member: member.clone(), until, at: now };
        Ok(self.step(lapsed, [PoolEvent::MemberSetAside(event)], Some(&aside), Some(until), ()))
    }

    /// Takes a member back that was set aside.
    pub fn readmit(&self, member: &Member, now: Time) -> Result<Step<PoolEvent, ()>, PoolRefusal> {
        let lapsed = self.lapsed(now);
        let unknown = || PoolRefusal::UnknownMember(member.clone());
        let (record, _) = self.member_at(member, &lapsed).ok_or_else(unknown)?;
        if record.aside_until.is_none_or(|until| until <= now) {
            return Ok(Step::unchanged(()));
        }
        let aside = Due::Aside(member.clone());
        let event = MemberReadmitted { member: member.clone(), at: now };
        Ok(self.step(lapsed, [PoolEvent::MemberReadmitted(event)], Some(&aside), None, ()))
    }
}

impl MemberRecord {
    /// A member that was never used.
    pub(super) fn new(put: &MemberPut) -> Self {
        let mut record = Self {
            limit: 0,
            weight: NonZeroU32::MIN,
            labels: BTreeMap::new(),
            state: MemberState::Active,
            standing: Standing::default(),
            leaving: false,
            aside_until: None,
            in_use: Use::default(),
            last_grant: 0,
            last_use: 0,
        };
        record.put(put);
        record
    }

    pub(super) fn put(&mut self, put: &MemberPut) {
        self.limit = put.limit;
        self.weight = put.weight;
        self.labels.clone_from(&put.labels);
        self.state = put.state;
        self.standing = put.standing;
        self.leaving = false;
    }

    fn is_as_put(&self, put: &MemberPut) -> bool {
        self.limit == put.limit
            && self.weight == put.weight
            && self.labels == put.labels
            && self.state == put.state
            && self.standing == put.standing
    }

    /// Whether it would take a lease, as far as is recorded.
    pub(super) fn has_room(&self) -> bool {
        let admits = self.state == MemberState::Active && self.aside_until.is_none();
        admits && self.in_use.total() < self.limit
    }
}

impl Use {
    /// Everything that counts against the limit.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.pending + self.active + self.closing
    }

    /// With one lease in this phase more.
    pub(super) fn with(mut self, phase: Phase) -> Self {
        *self.count(phase) += 1;
        self
    }

    /// With one lease in this phase less.
    pub(super) fn without(mut self, phase: Phase) -> Self {
        let count = self.count(phase);
        *count = count.checked_sub(1).expect("what is taken off a count was counted");
        self
    }

    /// With one lease of this phase closing instead.
    pub(super) fn closing(self, phase: Phase) -> Self {
        self.without(phase).with(Phase::Closing)
    }

    fn count(&mut self, phase: Phase) -> &mut u32 {
        match phase {
            Phase::Pending(_) => &mut self.pending,
            Phase::Active(_) => &mut self.active,
            Phase::Closing => &mut self.closing,
        }
    }
}
