//! Pools over HTTP: never over a member's limit.
//!
//! The kernel's [`Pool`] decides; this entity adds waiting, the timer that makes expiries facts, closing,
//! error codes and the view for `GET`. It comes into being with its first member, and outlives its last.
//!
//! Decisions and views never depend on the timer: a lease is over at its expiry, noticed or not. But a slot
//! that only an unnoticed expiry has freed belongs to those who wait, and they are asked when the expiry is
//! recorded. So a newcomer that could only have such a slot waits for that moment behind them, even one
//! that asked not to wait; it comes within milliseconds.

mod event;
mod view;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Refusal, Verdict},
    expiry::Step,
    ids::{Member, Token},
    pool::{self, Held, LeaseId, LeaseRequest, MemberChange, Pool, PoolRefusal, PoolRules},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

pub use self::{
    event::PoolEvent,
    view::{MemberView, PoolView},
};
use super::Closed;

/// The timer that records expiries.
const EXPIRY: &str = "expiry";

/// How long a lease that asked not to wait gives the timer to record an expiry that is due, before it takes
/// the slot itself. The timer is never that late unless something is wrong.
const RECORDING: Millis = Millis::from_secs(1);

/// A pool, once it has had a member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolEntity(Option<Pool>);

/// What can be asked of a pool. A lease is `None` if its id is not one that a pool ever wrote
/// ([`LeaseId::parse`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PoolCommand {
    /// Create or change a member.
    PutMember {
        /// Which one.
        member: Member,
        /// What is named of it.
        change: MemberChange,
    },
    /// Drain a member, then remove it.
    RemoveMember {
        /// Which one.
        member: Member,
    },
    /// Take a slot of the best member that fits.
    Lease {
        /// What is asked for.
        request: LeaseRequest,
        /// The longest wait for a slot.
        wait_ms: Millis,
    },
    /// Say that the use has begun.
    Confirm {
        /// Which lease.
        lease: Option<LeaseId>,
        /// Its token.
        token: Token,
    },
    /// Begin a lease's time anew.
    Renew {
        /// Which lease.
        lease: Option<LeaseId>,
        /// Its token.
        token: Token,
        /// How long from now; as long as at first unless told.
        ttl_ms: Option<Millis>,
    },
    /// End a lease.
    Release {
        /// Which lease.
        lease: Option<LeaseId>,
        /// Its token.
        token: Token,
    },
    /// Take no more commands.
    Close,
    /// Sent by the pool's own timer: record what is over.
    Expire,
}

/// The answer to a [`PoolCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PoolReply {
    /// The member is as asked.
    MemberPut {
        /// Whether this created it.
        created: bool,
    },
    /// The member is gone or on its way.
    MemberRemoved(RemovedMember),
    /// The lease that was granted.
    Leased(Held),
    /// The lease with its new expiry: it was confirmed or renewed.
    Extended(Held),
    /// The lease that is over.
    Released(ReleasedLease),
    /// It is closed.
    Closed,
    /// Everything that is over is recorded.
    Expired,
}

/// A member that is gone or on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedMember {
    /// Which one.
    pub member: Member,
    /// Whether it is gone; otherwise it goes with its last lease.
    pub removed: bool,
}

/// A lease that is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleasedLease {
    /// Which one.
    pub lease: LeaseId,
}

/// Why a [`PoolCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolRejection {
    /// It never had a member.
    #[error("there is no such pool")]
    Unknown,
    /// The pool says no.
    #[error(transparent)]
    Refused(#[from] PoolRefusal),
}

impl PoolRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_pool",
            Self::Refused(refusal) => refusal.code(),
        }
    }

    /// How long to wait before asking again, in milliseconds, if waiting helps.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Refused(refusal) => refusal.retry_after().map(|span| span.0),
        }
    }
}

impl PoolEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.iter().for_each(Pool::check);
    }

    fn known(&self) -> Result<&Pool, PoolRejection> {
        self.0.as_ref().ok_or(PoolRejection::Unknown)
    }

    /// The pool, and a lease that may be one of its own.
    fn leased(&self, lease: Option<LeaseId>) -> Result<(&Pool, LeaseId), PoolRejection> {
        let pool = self.known()?;
        Ok((pool, lease.ok_or(PoolRefusal::UnknownLease)?))
    }

    fn put_member(
        &self,
        member: &Member,
        change: &MemberChange,
        now: Time,
    ) -> Result<Decision<Self>, PoolRejection> {
        let nothing = Pool::new(PoolRules::default());
        let step = self.0.as_ref().unwrap_or(&nothing).put_member(member, change, now)?;
        Ok(decision(step, |created| PoolReply::MemberPut { created }))
    }

    fn remove_member(&self, member: &Member, now: Time) -> Result<Decision<Self>, PoolRejection> {
        let step = self.known()?.remove_member(member, now)?;
        let reply = |removed| RemovedMember { member: member.clone(), removed };
        Ok(decision(step, |removed| PoolReply::MemberRemoved(reply(removed))))
    }

    fn lease(&self, request: &LeaseRequest, wait: Millis, cx: &Context<'_>) -> Verdict<Self> {
        let leased = |step| decision(step, |grant: pool::Grant| PoolReply::Leased(grant.held));
        let (at_last, until) = match self.known()?.lease(request, cx.now) {
            Ok(step) if !step.answer.unrecorded => return Ok(leased(step)),
            Ok(step) => {
                let patience = if wait == Millis(0) { RECORDING } else { wait };
                (Ok(leased(step)), cx.arrived + patience)
            }
            Err(full) => (Err(PoolRejection::from(full).into()), cx.arrived + wait),
        };
        if cx.now < until { Err(Refusal::Wait { until }) } else { at_last }
    }

    fn confirm(
        &self,
        lease: Option<LeaseId>,
        token: Token,
        now: Time,
    ) -> Result<Decision<Self>, PoolRejection> {
        let (pool, lease) = self.leased(lease)?;
        Ok(decision(pool.confirm(lease, token, now)?, PoolReply::Extended))
    }

    fn renew(
        &self,
        lease: Option<LeaseId>,
        token: Token,
        ttl: Option<Millis>,
        now: Time,
    ) -> Result<Decision<Self>, PoolRejection> {
        let (pool, lease) = self.leased(lease)?;
        Ok(decision(pool.renew(lease, token, ttl, now)?, PoolReply::Extended))
    }

    fn release(
        &self,
        lease: Option<LeaseId>,
        token: Token,
        now: Time,
    ) -> Result<Decision<Self>, PoolRejection> {
        let (pool, lease) = self.leased(lease)?;
        let released = ReleasedLease { lease };
        Ok(decision(pool.release(lease, token, now)?, |()| PoolReply::Released(released)))
    }

    fn expire(&self, now: Time) -> Decision<Self> {
        match &self.0 {
            Some(pool) => decision(pool.expire(now), |()| PoolReply::Expired),
            None => Decision::unchanged(PoolReply::Expired),
        }
    }

    fn close(&self) -> Result<Decision<Self>, PoolRejection> {
        self.known()?;
        let decision = Decision::event(PoolEvent::Closed(Closed {}), PoolReply::Closed);
        Ok(decision.cancel_timer(EXPIRY).close())
    }
}

/// What a step of the kernel's pool comes to.
fn decision<A>(
    step: Step<pool::PoolEvent, A>,
    reply: impl FnOnce(A) -> PoolReply,
) -> Decision<PoolEntity> {
    let events = step.events.into_iter().map(PoolEvent::from).collect();
    let decision = Decision::events(events, reply(step.answer));
    match step.alarm {
        Some(at) => decision.timer(EXPIRY, at, PoolCommand::Expire),
        None => decision,
    }
}

impl Entity for PoolEntity {
    const TYPE: &'static str = "pool";
    type Command = PoolCommand;
    type Event = PoolEvent;
    type Reply = PoolReply;
    type Rejection = PoolRejection;
    type Effect = Never;

    fn decide(&self, command: &PoolCommand, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            PoolCommand::PutMember { member, change } => self.put_member(member, change, cx.now)?,
            PoolCommand::RemoveMember { member } => self.remove_member(member, cx.now)?,
            PoolCommand::Lease { request, wait_ms } => self.lease(request, *wait_ms, cx)?,
            PoolCommand::Confirm { lease, token } => self.confirm(*lease, *token, cx.now)?,
            PoolCommand::Renew { lease, token, ttl_ms } => {
                self.renew(*lease, *token, *ttl_ms, cx.now)?
            }
            PoolCommand::Release { lease, token } => self.release(*lease, *token, cx.now)?,
            PoolCommand::Close => self.close()?,
            PoolCommand::Expire => self.expire(cx.now),
        })
    }

    fn apply(&mut self, event: &PoolEvent) {
        let Some(event) = event.of_kernel() else { return };
        self.0.get_or_insert_with(|| Pool::new(PoolRules::default())).apply(&event);
    }

    fn command_name(command: &PoolCommand) -> &'static str {
        match command {
            PoolCommand::PutMember { .. } => "put_member",
            PoolCommand::RemoveMember { .. } => "remove_member",
            PoolCommand::Lease { .. } => "lease",
            PoolCommand::Confirm { .. } => "confirm",
            PoolCommand::Renew { .. } => "renew",
            PoolCommand::Release { .. } => "release",
            PoolCommand::Close => "close",
            PoolCommand::Expire => "expire",
        }
    }

    fn event_name(event: &PoolEvent) -> &'static str {
        event.name()
    }
}
