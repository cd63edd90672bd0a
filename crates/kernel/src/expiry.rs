//! Things that end by themselves: an index of when, and the one timer that watches over it.
//!
//! A primitive that grants something for a time keeps [`Expiries`] beside it. One durable timer per entity
//! is enough, and it need not follow every renewal: it is set when the earliest expiry moved to before it,
//! or when it has fired. So a renewal, which moves an expiry to later, costs no timer. A timer that finds
//! nothing due is set anew.
//!
//! Correctness never rests on the timer. What is due at `now` is over, recorded or not: every decision
//! counts it as over, and records it before its own events ([`Step::events`]).
//!
//! Invariant: the timer, as far as the state knows, is never later than the earliest expiry.
//!
//! Not here: what an expiry means (quota, pool), and the timer itself (the entity sets it as
//! [`Step::alarm`] tells).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::time::{Millis, Time};

/// What a primitive decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<Ev, A> {
    /// Facts, in order: what was over by now and not yet recorded, then the decision itself. None: nothing
    /// changed.
    pub events: Vec<Ev>,
    /// What to answer.
    pub answer: A,
    /// The time to which the entity's expiry timer must be set; `None`: leave it as it is.
    pub alarm: Option<Time>,
}

impl<Ev, A> Step<Ev, A> {
    /// An answer that changes nothing. What is over and not recorded is left to the timer.
    pub(crate) fn unchanged(answer: A) -> Self {
        Self { events: Vec::new(), answer, alarm: None }
    }
}

/// When a thing granted at `now` for `ttl` ends: later than now, so that nothing is born dead.
pub(crate) fn end_of(now: Time, ttl: Millis) -> Time {
    now + ttl.max(Millis(1))
}

/// What ends when, and when the timer fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiries<Id: Ord> {
    by_time: BTreeSet<(Time, Id)>,
    alarm: Option<Time>,
}

impl<Id: Ord> Default for Expiries<Id> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), alarm: None }
    }
}

impl<Id: Ord + Clone> Expiries<Id> {
    /// The earliest expiry.
    pub fn next_due(&self) -> Option<Time> {
        self.by_time.first().map(|(until, _)| *until)
    }

    /// The earliest expiry that is not over at `now`.
    pub fn next_after(&self, now: Time) -> Option<Time> {
        self.pending(now).map(|(until, _)| *until).next()
    }

    /// What is over at `now`, earliest first.
    pub fn due(&self, now: Time) -> impl Iterator<Item = &Id> {
        self.by_time.iter().take_while(move |(until, _)| *until <= now).map(|(_, id)| id)
    }

    /// Whether something is over at `now`.
    pub fn any_due(&self, now: Time) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// The time to which the timer must be set once everything due at `now` is recorded, then `ended` no
    /// longer expires as it did, and something expires at `until`; `None`: it stays.
    ///
    /// This is what [`Expiries::watch`] will make of the events of that step, foreseen.
    pub fn alarm(&self, now: Time, ended: Option<&Id>, until: Option<Time>) -> Option<Time> {
        let mut alarm = self.alarm;
        if self.any_due(now) {
            alarm = watched(alarm, now, self.next_after(now));
        }
        let rest = self.pending(now).find(|(_, id)| Some(id) != ended).map(|(until, _)| *until);
        let next = rest.into_iter().chain(until).min();
        alarm = watched(alarm, now, next);
        alarm.filter(|_| alarm != self.alarm)
    }

    /// The time to which the timer must be set when it fires at `now` and finds nothing due. `None` also
    /// when it was somebody else who asked, and the timer is still to fire.
    pub fn alarm_again(&self, now: Time) -> Option<Time> {
        let fired = self.alarm.is_none_or(|alarm| alarm <= now);
        self.next_due().filter(|_| fired)
    }

    /// Something expires at `until`.
    pub fn add(&mut self, until: Time, id: Id) {
        assert!(self.by_time.insert((until, id)), "a thing expires once");
    }

    /// It no longer expires then.
    pub fn remove(&mut self, until: Time, id: Id) {
        assert!(self.by_time.remove(&(until, id)), "what expires is indexed");
    }

    /// Follows the timer; to be called at the end of every event, with its time.
    pub fn watch(&mut self, at: Time) {
        let next = self.next_due();
        self.alarm = watched(self.alarm, at, next);
        assert!(
            self.alarm.unwrap_or(Time::NEVER) <= next.unwrap_or(Time::NEVER),
            "the timer is never later than the earliest expiry"
        );
    }

    /// Whether it expires then.
    pub fn contains(&self, until: Time, id: Id) -> bool {
        self.by_time.contains(&(until, id))
    }

    /// Everything that expires, in order of time.
    pub fn iter(&self) -> impl Iterator<Item = &(Time, Id)> {
        self.by_time.iter()
    }

    /// How many things expire.
    pub fn len(&self) -> usize {
        self.by_time.len()
    }

    /// What is not over at `now`, in order of time.
    pub fn pending(&self, now: Time) -> impl Iterator<Item = &(Time, Id)> {
        self.by_time.iter().skip_while(move |(until, _)| *until <= now)
    }
}

/// The timer after something happened at `now` and the earliest expiry is `next`: a timer that has fired
/// is set anew, one that is too late is moved.
fn watched(alarm: Option<Time>, now: Time, next: Option<Time>) -> Option<Time> {
    match (alarm, next) {
        (Some(alarm), Some(next)) if now < alarm => Some(alarm.min(next)),
        (Some(alarm), None) if now < alarm => Some(alarm),
        (Some(_) | None, next) => next,
    }
}
