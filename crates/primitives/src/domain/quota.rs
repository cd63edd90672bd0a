//! Quotas over HTTP: never more than N.
//!
//! The kernel's [`Quota`] decides; this entity adds the timer that makes expiries facts, closing, error
//! codes and the view for `GET`. It comes into being with its first `PUT`.
//!
//! Decisions and views never depend on the timer: a claim is over at its expiry, noticed or not. The timer
//! is there for those who wait for the event.

mod event;
mod view;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    expiry::Step,
    ids::{Outcome, Worker},
    quota::{self, ClaimId, Extended, Grant, Quota, QuotaChange, QuotaRefusal},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

pub use self::{
    event::QuotaEvent,
    view::{QuotaView, WorkerView},
};
use super::Closed;

/// The timer that records expiries.
const EXPIRY: &str = "expiry";

/// A quota, once it has been put.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QuotaEntity(Option<Quota>);

/// What can be asked of a quota. A claim is `None` if its id is not one that a quota ever wrote
/// ([`ClaimId::parse`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum QuotaCommand {
    /// Create the quota, or change its configuration.
    Put(QuotaChange),
    /// Take one of what is left.
    Claim {
        /// For whom.
        worker: Worker,
    },
    /// Say that the claimed thing has begun.
    Start {
        /// Which claim.
        claim: Option<ClaimId>,
    },
    /// Begin a claim's time anew.
    Renew {
        /// Which claim.
        claim: Option<ClaimId>,
        /// How long from now; as long as at first unless told.
        ttl_ms: Option<Millis>,
    },
    /// End a claim with an outcome.
    Settle {
        /// Which claim.
        claim: Option<ClaimId>,
        /// How it ended.
        outcome: Outcome,
    },
    /// Give a claim back.
    Abandon {
        /// Which claim.
        claim: Option<ClaimId>,
    },
    /// Refuse a worker's name from now on.
    RetireWorker {
        /// Who.
        worker: Worker,
    },
    /// Take no more commands.
    Close,
    /// Sent by the quota's own timer: record what is over.
    Expire,
}

/// The answer to a [`QuotaCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum QuotaReply {
    /// It is configured.
    Put {
        /// Whether this created it.
        created: bool,
    },
    /// The claim that was granted.
    Claimed(Grant),
    /// The claim with its new expiry: it was started or renewed.
    Extended(Extended),
    /// How the claim ended.
    Settled(SettledClaim),
    /// The claim that came back.
    Abandoned(AbandonedClaim),
    /// The worker whose name is refused.
    Retired(RetiredWorker),
    /// It is closed.
    Closed,
    /// Everything that is over is recorded.
    Expired,
}

/// A claim that ended with an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettledClaim {
    /// Which one.
    pub claim: ClaimId,
    /// How it ended.
    pub outcome: Outcome,
}

/// A claim that was given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbandonedClaim {
    /// Which one.
    pub claim: ClaimId,
}

/// A worker whose name is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetiredWorker {
    /// Who.
    pub worker: Worker,
}

/// Why a [`QuotaCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaRejection {
    /// It was never put.
    #[error("there is no such quota")]
    Unknown,
    /// A `PUT` that creates names a limit.
    #[error("limit is required to create a quota")]
    LimitRequired,
    /// The quota says no.
    #[error(transparent)]
    Refused(#[from] QuotaRefusal),
}

impl QuotaRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_quota",
            Self::LimitRequired => "missing_field",
            Self::Refused(refusal) => refusal.code(),
        }
    }

    /// How long to wait before asking again, in milliseconds, if waiting helps.
    #[must_use]
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Unknown | Self::LimitRequired => None,
            Self::Refused(refusal) => refusal.retry_after().map(|span| span.0),
        }
    }
}

impl QuotaEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.iter().for_each(Quota::check);
    }

    fn known(&self) -> Result<&Quota, QuotaRejection> {
        self.0.as_ref().ok_or(QuotaRejection::Unknown)
    }

    /// The quota, and a claim that may be one of its own.
    fn claimed(&self, claim: Option<ClaimId>) -> Result<(&Quota, ClaimId), QuotaRejection> {
        let quota = self.known()?;
        Ok((quota, claim.ok_or(QuotaRefusal::UnknownClaim)?))
    }

    fn put(&self, change: &QuotaChange, now: Time) -> Result<Decision<Self>, QuotaRejection> {
        if let Some(quota) = &self.0 {
            return Ok(decision(quota.configure(change, now)?, |()| QuotaReply::Put {
                created: false,
            }));
        }
        let configured = change.create(now).ok_or(QuotaRejection::LimitRequired)?;
        let reply = QuotaReply::Put { created: true };
        Ok(Decision::event(QuotaEvent::Configured(configured), reply))
    }

    fn claim(&self, worker: &Worker, now: Time) -> Result<Decision<Self>, QuotaRejection> {
        Ok(decision(self.known()?.claim(worker, now)?, QuotaReply::Claimed))
    }

    fn start(&self, claim: Option<ClaimId>, now: Time) -> Result<Decision<Self>, QuotaRejection> {
        let (quota, claim) = self.claimed(claim)?;
        Ok(decision(quota.start(claim, now)?, QuotaReply::Extended))
    }

    fn renew(
        &self,
        claim: Option<ClaimId>,
        ttl: Option<Millis>,
        now: Time,
    ) -> Result<Decision<Self>, QuotaRejection> {
        let (quota, claim) = self.claimed(claim)?;
        Ok(decision(quota.renew(claim, ttl, now)?, QuotaReply::Extended))
    }

    fn settle(
        &self,
        claim: Option<ClaimId>,
        outcome: &Outcome,
        now: Time,
    ) -> Result<Decision<Self>, QuotaRejection> {
        let (quota, claim) = self.claimed(claim)?;
        let settled = SettledClaim { claim, outcome: outcome.clone() };
        Ok(decision(quota.settle(claim, outcome, now)?, |()| QuotaReply::Settled(settled)))
    }

    fn abandon(&self, claim: Option<ClaimId>, now: Time) -> Result<Decision<Self>, QuotaRejection> {
        let (quota, claim) = self.claimed(claim)?;
        let abandoned = AbandonedClaim { claim };
        Ok(decision(quota.abandon(claim, now)?, |()| QuotaReply::Abandoned(abandoned)))
    }

    fn retire(&self, worker: &Worker, now: Time) -> Result<Decision<Self>, QuotaRejection> {
        let retired = RetiredWorker { worker: worker.clone() };
        Ok(decision(self.known()?.retire(worker, now)?, |()| QuotaReply::Retired(retired)))
    }

    fn expire(&self, now: Time) -> Decision<Self> {
        match &self.0 {
            Some(quota) => decision(quota.expire(now), |()| QuotaReply::Expired),
            None => Decision::unchanged(QuotaReply::Expired),
        }
    }

    fn close(&self) -> Result<Decision<Self>, QuotaRejection> {
        self.known()?;
        let decision = Decision::event(QuotaEvent::Closed(Closed {}), QuotaReply::Closed);
        Ok(decision.cancel_timer(EXPIRY).close())
    }
}

/// What a step of the kernel's quota comes to.
fn decision<A>(
    step: Step<quota::QuotaEvent, A>,
    reply: impl FnOnce(A) -> QuotaReply,
) -> Decision<QuotaEntity> {
    let events = step.events.into_iter().map(QuotaEvent::from).collect();
    let decision = Decision::events(events, reply(step.answer));
    match step.alarm {
        Some(at) => decision.timer(EXPIRY, at, QuotaCommand::Expire),
        None => decision,
    }
}

impl Entity for QuotaEntity {
    const TYPE: &'static str = "quota";
    type Command = QuotaCommand;
    type Event = QuotaEvent;
    type Reply = QuotaReply;
    type Rejection = QuotaRejection;
    type Effect = Never;

    fn decide(&self, command: &QuotaCommand, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            QuotaCommand::Put(change) => self.put(change, cx.now)?,
            QuotaCommand::Claim { worker } => self.claim(worker, cx.now)?,
            QuotaCommand::Start { claim } => self.start(*claim, cx.now)?,
            QuotaCommand::Renew { claim, ttl_ms } => self.renew(*claim, *ttl_ms, cx.now)?,
            QuotaCommand::Settle { claim, outcome } => self.settle(*claim, outcome, cx.now)?,
            QuotaCommand::Abandon { claim } => self.abandon(*claim, cx.now)?,
            QuotaCommand::RetireWorker { worker } => self.retire(worker, cx.now)?,
            QuotaCommand::Close => self.close()?,
            QuotaCommand::Expire => self.expire(cx.now),
        })
    }

    fn apply(&mut self, event: &QuotaEvent) {
        let Some(event) = event.of_kernel() else { return };
        let quota::QuotaEvent::Configured(first) = &event else {
            let quota = self.0.as_mut().expect("a quota comes into being with its configuration");
            return quota.apply(&event);
        };
        self.0.get_or_insert_with(|| Quota::new(first)).apply(&event);
    }

    fn command_name(command: &QuotaCommand) -> &'static str {
        match command {
            QuotaCommand::Put(_) => "put",
            QuotaCommand::Claim { .. } => "claim",
            QuotaCommand::Start { .. } => "start",
            QuotaCommand::Renew { .. } => "renew",
            QuotaCommand::Settle { .. } => "settle",
            QuotaCommand::Abandon { .. } => "abandon",
            QuotaCommand::RetireWorker { .. } => "retire_worker",
            QuotaCommand::Close => "close",
            QuotaCommand::Expire => "expire",
        }
    }

    fn event_name(event: &QuotaEvent) -> &'static str {
        event.name()
    }
}
