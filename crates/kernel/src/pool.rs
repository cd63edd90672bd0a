//! Pool: never over a member's limit.
//!
//! A member is something that can be used so many times at once. A lease is one such use, with a holder, an
//! expiry and a fencing token. It is *pending* from the moment the member is chosen, so that two choices
//! never see the same free slot, and *active* once its holder confirms that the use has begun.
//!
//! ```text
//!  lease ──► pending ──confirm──► active
//!               │                    │
//!               └──release, expiry───┴──► free            (AfterLease::Free)
//!                                    └──► closing ──closed──► free   (AfterLease::Closing)
//! ```
//!
//! Where the end of a lease does not prove the end of the use, its slot is *closing*: over for the holder,
//! counted until somebody confirms that it is closed.
//!
//! Invariants: pending + active + closing ≤ limit for every member, except after its limit was lowered, and
//! then nothing is admitted; tokens only grow. A lease is over **at** its expiry, recorded or not.
//!
//! A lease's id is its token's number, and numbers have no gaps: so an ended lease can be told from one
//! that never was without remembering it.
//!
//! ```
//! use interlock_kernel::{ids::*, pool::*, time::{Millis, Time}};
//!
//! let mut pool = Pool::new(PoolRules::default());
//! let engine = Member::new("engine-15").expect("a name");
//! let change = MemberChange { limit: Some(1), ..MemberChange::default() };
//! let step = pool.put_member(&engine, &change, Time(0)).expect("it names a limit");
//! step.events.iter().for_each(|event| pool.apply(event));
//!
//! let request = LeaseRequest::new(Holder::new("player").expect("a name"), Millis(30_000));
//! let step = pool.lease(&request, Time(0)).expect("one slot is free");
//! step.events.iter().for_each(|event| pool.apply(event));
//! assert_eq!(step.answer.held.member, engine);
//! assert!(pool.lease(&request, Time(1)).is_err(), "never over the limit");
//! ```
//!
//! Deliberately absent: the queue of those who wait (an entity's room decides again on each of them after
//! every change), and talking to members.

mod apply;
mod choice;
mod event;
mod lapsed;
mod member;
mod reason;
mod refusal;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use self::lapsed::Lapsed;
pub use self::{
    choice::{LeaseRequest, Ranking},
    event::{
        Confirmed, Expired, Leased, MemberLeaving, MemberPut, MemberReadmitted, MemberRemoved,
        MemberSetAside, PoolEvent, Released, Renewed, SlotClosed,
    },
    member::{MemberChange, MemberRecord, MemberState, Standing, Use},
    reason::{Criterion, Reason, Rule, RunnerUp},
    refusal::PoolRefusal,
};
use crate::{
    expiry::{Expiries, Step, end_of},
    ids::{Holder, Member, Token},
    serial::serial_ids,
    time::{Millis, Time},
};

serial_ids! {
    /// A lease's id: its number among the grants of its pool. Written `l17`.
    LeaseId = "l";
}

impl LeaseId {
    /// The token of the lease with this id.
    #[must_use]
    pub fn token(self) -> Token {
        Token(self.0)
    }
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    rules: PoolRules,
    /// The token of the last grant.
    granted: Token,
    /// Counts grants and freed slots, to tell which member was used last.
    uses: u64,
    members: BTreeMap<Member, MemberRecord>,
    /// Members that would admit a lease: nothing else is looked at while there is no room.
    roomy: BTreeSet<Member>,
    /// Pending, active and closing.
    leases: BTreeMap<LeaseId, Lease>,
    /// Pending and active leases by their `sticky`.
    sticky: BTreeMap<String, BTreeSet<LeaseId>>,
    expiries: Expiries<Due>,
}

/// What never changes about a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRules {
    /// How the fitting members are ordered.
    pub ranking: Ranking,
    /// What becomes of a slot whose lease is over.
    pub after_lease: AfterLease,
}

/// What becomes of a slot whose lease is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AfterLease {
    /// It is free.
    #[default]
    Free,
    /// It counts until [`Pool::closed`] confirms that the use has ended.
    Closing,
}

/// A lease whose slot is not free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// On which member.
    pub member: Member,
    /// Whose it is.
    pub holder: Holder,
    /// Leases with the same string go to the same member while it fits.
    pub sticky: Option<String>,
    /// How long it lasts, at first and after renewals that name no time.
    pub ttl_ms: Millis,
    /// How it stands.
    pub phase: Phase,
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Granted, and over at that time unless confirmed.
    Pending(Time),
    /// Confirmed, and over at that time unless renewed.
    Active(Time),
    /// Over for its holder; its slot is not free yet.
    Closing,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Due {
    Lease(LeaseId),
    /// A member's time aside.
    Aside(Member),
}

/// A granted lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The lease.
    pub held: Held,
    /// Why it got its member.
    pub reason: Reason,
    /// The slot is free only because of an expiry that is not recorded yet. Whoever waits has not been
    /// asked about it: so unless nobody can be waiting, let the timer record it first, and decide again.
    pub unrecorded: bool,
}

/// A lease as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its id.
    pub lease: LeaseId,
    /// On which member.
    pub member: Member,
    /// Higher than every token of the pool before.
    pub token: Token,
    /// `pending` or `active`.
    pub state: LeaseState,
    /// The first moment at which it is over.
    pub expires_at: Time,
}

/// How a lease stands for its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LeaseState {
    /// Granted.
    Pending,
    /// Confirmed.
    Active,
}

/// Decisions about leases.
impl Pool {
    /// A pool without members.
    #[must_use]
    pub fn new(rules: PoolRules) -> Self {
        Self {
            rules,
            granted: Token(0),
            uses: 0,
            members: BTreeMap::new(),
            roomy: BTreeSet::new(),
            leases: BTreeMap::new(),
            sticky: BTreeMap::new(),
            expiries: Expiries::default(),
        }
    }

    /// Takes a slot of the best member that fits. O(members with room), and at once if none has any.
    pub fn lease(
        &self,
        request: &LeaseRequest,
        now: Time,
    ) -> Result<Step<PoolEvent, Grant>, PoolRefusal> {
        let lapsed = self.lapsed(now);
        let (member, reason) = self.choose(request, &lapsed).ok_or_else(|| self.full(now))?;
        let lease = LeaseId(self.granted.next().0);
        let expires_at = end_of(now, request.ttl_ms);
        let leased = Leased {
            lease,
            token: lease.token(),
            member: member.clone(),
            holder: request.holder.clone(),
            sticky: request.sticky.clone(),
            ttl_ms: request.ttl_ms,
            expires_at,
            reason: reason.clone(),
            at: now,
        };
        let held = Held::new(lease, member, LeaseState::Pending, expires_at);
        let unrecorded = !self.roomy.contains(member);
        let grant = Grant { held, reason, unrecorded };
        let own = [PoolEvent::Leased(leased)];
        Ok(self.step(lapsed, own, None, Some(expires_at), grant))
    }

    /// What to tell those for whom there is no slot.
    #[must_use]
    pub fn full(&self, now: Time) -> PoolRefusal {
        PoolRefusal::full(self.expiries.next_after(now).map(|next| next.since(now)))
    }

    /// Says that the use has begun. The lease is active, and its time begins anew. Repeated, it renews.
    pub fn confirm(
        &self,
        lease: LeaseId,
        token: Token,
        now: Time,
    ) -> Result<Step<PoolEvent, Held>, PoolRefusal> {
        let (live, _) = self.held(lease, token, now)?.ok_or(PoolRefusal::LeaseOver(lease))?;
        let (member, expires_at) = (live.member.clone(), end_of(now, live.ttl_ms));
        let held = Held::new(lease, &member, LeaseState::Active, expires_at);
        let own = [PoolEvent::Confirmed(Confirmed { lease, member, expires_at, at: now })];
        Ok(self.step(self.lapsed(now), own, Some(&Due::Lease(lease)), Some(expires_at), held))
    }

    /// Begins a lease's time anew: `ttl` from now, or as long as it got at first.
    pub fn renew(
        &self,
        lease: LeaseId,
        token: Token,
        ttl: Option<Millis>,
        now: Time,
    ) -> Result<Step<PoolEvent, Held>, PoolRefusal> {
        let (live, state) = self.held(lease, token, now)?.ok_or(PoolRefusal::LeaseOver(lease))?;
        let member = live.member.clone();
        let expires_at = end_of(now, ttl.unwrap_or(live.ttl_ms));
        let held = Held::new(lease, &member, state, expires_at);
        let own = [PoolEvent::Renewed(Renewed { lease, member, expires_at, at: now })];
        Ok(self.step(self.lapsed(now), own, Some(&Due::Lease(lease)), Some(expires_at), held))
    }

    /// Ends a lease. Of one that ended, however, it changes nothing.
    pub fn release(
        &self,
        lease: LeaseId,
        token: Token,
        now: Time,
    ) -> Result<Step<PoolEvent, ()>, PoolRefusal> {
        let Some((live, _)) = self.held(lease, token, now)? else {
            return Ok(Step::unchanged(()));
        };
        let (lapsed, member) = (self.lapsed(now), live.member.clone());
        let removed = match self.rules.after_lease {
            AfterLease::Free => self.removed_by_last_use(&member, &lapsed),
            AfterLease::Closing => None,
        };
        let released = PoolEvent::Released(Released { lease, member, at: now });
        let own = std::iter::once(released).chain(removed);
        Ok(self.step(lapsed, own, Some(&Due::Lease(lease)), None, ()))
    }

    /// Frees the slot of a lease that is over and was closing. Again, it changes nothing.
    pub fn closed(&self, lease: LeaseId, now: Time) -> Result<Step<PoolEvent, ()>, PoolRefusal> {
        if self.held(lease, lease.token(), now)?.is_some() {
            return Err(PoolRefusal::LeaseHeld(lease));
        }
        let lapsed = self.lapsed(now);
        let closing = self.leases.get(&lease).filter(|live| lapsed.is_closing(live, self.rules));
        let Some(live) = closing else { return Ok(Step::unchanged(())) };
        let member = live.member.clone();
        let removed = self.removed_by_last_use(&member, &lapsed);
        let closed = PoolEvent::SlotClosed(SlotClosed { lease, member, at: now });
        Ok(self.step(lapsed, std::iter::once(closed).chain(removed), None, None, ()))
    }

    /// Records what is over: what the timer asks for.
    #[must_use]
    pub fn expire(&self, now: Time) -> Step<PoolEvent, ()> {
        if self.expiries.any_due(now) {
            return self.step(self.lapsed(now), [], None, None, ());
        }
        Step { events: Vec::new(), answer: (), alarm: self.expiries.alarm_again(now) }
    }
}

/// What can be seen.
impl Pool {
    /// Every member, by name.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<Member, MemberRecord> {
        &self.members
    }

    /// Every lease whose slot is not free, oldest first.
    #[must_use]
    pub fn leases(&self) -> &BTreeMap<LeaseId, Lease> {
        &self.leases
    }

    /// The token of the last grant.
    #[must_use]
    pub fn last_token(&self) -> Token {
        self.granted
    }

    /// The pool with everything recorded that is over at `now`. O(leases) if something is.
    #[must_use]
    pub fn recorded(&self, now: Time) -> Cow<'_, Self> {
        let due = self.due(now);
        let mut pool = Cow::Borrowed(self);
        if !due.is_empty() {
            let pool = pool.to_mut();
            due.iter().for_each(|event| pool.apply(event));
        }
        pool
    }

    /// The earliest expiry of a lease or of a member's time aside.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.expiries.next_due()
    }

    /// What is over at `now` and not yet recorded, in order. Every [`Step`] that changes something begins
    /// with it.
    #[must_use]
    pub fn due(&self, now: Time) -> Vec<PoolEvent> {
        self.lapsed(now).events
    }
}

impl Pool {
    fn step<A>(
        &self,
        lapsed: Lapsed,
        own: impl IntoIterator<Item = PoolEvent>,
        ended: Option<&Due>,
        until: Option<Time>,
        answer: A,
    ) -> Step<PoolEvent, A> {
        let alarm = self.expiries.alarm(lapsed.now, ended, until);
        let mut events = lapsed.events;
        events.extend(own);
        Step { events, answer, alarm }
    }

    /// A lease that its holder holds at `now`; `None` if it is over.
    fn held(
        &self,
        lease: LeaseId,
        token: Token,
        now: Time,
    ) -> Result<Option<(&Lease, LeaseState)>, PoolRefusal> {
        if lease.token() > self.granted {
            return Err(PoolRefusal::UnknownLease);
        }
        if token != lease.token() {
            return Err(PoolRefusal::StaleToken { lease, token });
        }
        let live = self.leases.get(&lease);
        Ok(live.and_then(|live| match live.phase {
            Phase::Pending(until) if now < until => Some((live, LeaseState::Pending)),
            Phase::Active(until) if now < until => Some((live, LeaseState::Active)),
            Phase::Pending(_) | Phase::Active(_) | Phase::Closing => None,
        }))
    }

    /// The removal of a leaving member whose last use ends with this decision.
    fn removed_by_last_use(&self, member: &Member, lapsed: &Lapsed) -> Option<PoolEvent> {
        let (record, in_use) = self.member_at(member, lapsed)?;
        let removed = MemberRemoved { member: member.clone(), at: lapsed.now };
        (record.leaving && in_use.total() == 1).then_some(PoolEvent::MemberRemoved(removed))
    }
}

impl Held {
    fn new(lease: LeaseId, member: &Member, state: LeaseState, expires_at: Time) -> Self {
        Self { lease, member: member.clone(), token: lease.token(), state, expires_at }
    }
}
