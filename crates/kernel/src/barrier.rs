//! Barrier: all have arrived, once.
//!
//! A barrier knows its parties from the start. The arrival that makes them complete says so in the same
//! decision ([`Event::Completed`]), because it was decided on the latest state: nobody looks later whether
//! all are there, so "all are there" can be neither missed nor seen twice.
//!
//! Invariants: only parties arrive, each once (a later word of theirs replaces the earlier one, if it says
//! that it revises); `Completed` comes exactly once, with the last arrival; nothing changes after it.
//!
//! An arrival costs O(log n) of n parties to decide, and a clone shares all but O(n / 64) of the state, so
//! that snapshots of a large barrier are cheap.
//!
//! ```
//! use interlock_kernel::{barrier::{Barrier, Parties}, ids::Party, json::Json};
//!
//! let (a, b) = (Party::new("a")?, Party::new("b")?);
//! let mut barrier = Barrier::default();
//! let opened = barrier.set(Some(&Parties::new(vec![a.clone(), b.clone()])?))?;
//! barrier.apply(&opened.expect("it is new"));
//! for (party, completes) in [(b, false), (a, true)] {
//!     let arrival = barrier.arrive(&party, &Json::null(), false)?;
//!     arrival.events.iter().for_each(|event| barrier.apply(event));
//!     assert_eq!(arrival.completed_by_this, completes);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: what happens when a party never comes. A timer of the entity may arrive in its place.

mod arrivals;
mod parties;

use serde::{Deserialize, Serialize};

use self::arrivals::Arrivals;
pub use self::parties::{BadParties, Parties};
use crate::{ids::Party, json::Json};

/// The state: who is awaited, who has come, and with what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "stored::Barrier", into = "stored::Barrier")]
pub struct Barrier {
    /// None before the barrier was opened.
    parties: Option<Parties>,
    arrivals: Arrivals,
    complete: bool,
}

/// What happens to a barrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// It awaits its parties.
    Opened(Opened),
    /// It awaits other parties than before; nobody had arrived.
    Changed(Changed),
    /// A party has come.
    Arrived(Arrived),
    /// A party that had come says something else.
    Revised(Revised),
    /// All have come. Exactly once.
    Completed(Completed),
}

/// The barrier awaits its parties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// Who is awaited.
    pub parties: Parties,
}

/// The barrier awaits other parties than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Who is awaited now.
    pub parties: Parties,
}

/// A party has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arrived {
    /// Who.
    pub party: Party,
    /// What it brought.
    pub value: Json,
}

/// A party that had come says something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revised {
    /// Who.
    pub party: Party,
    /// What it brings instead.
    pub value: Json,
}

/// All have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completed {
    /// Who came last.
    pub by: Party,
}

/// How an arrival is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// What happens; nothing if the party said the same before.
    pub events: Vec<Event>,
    /// Parties that have come, this one included.
    pub arrived: usize,
    /// Parties that have not.
    pub missing: usize,
    /// Whether all have come.
    pub complete: bool,
    /// Whether this arrival made them complete: true exactly once.
    pub completed_by_this: bool,
}

/// Why a barrier does not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The barrier has not been opened.
    #[error("there is no such barrier")]
    Unopened,
    /// A barrier is opened with its parties.
    #[error("a new barrier needs its parties")]
    PartiesRequired,
    /// Someone has arrived, so the parties are fixed.
    #[error("the parties cannot change: {arrived} of {parties} have arrived")]
    Started {
        /// How many have arrived.
        arrived: usize,
        /// How many are awaited.
        parties: usize,
    },
    /// The barrier does not await that party.
    #[error("{0} is not a party of this barrier")]
    UnknownParty(Party),
    /// The party has arrived with another value and does not say that it revises.
    #[error("{0} has already arrived with another value; say \"revise\" to replace it")]
    AlreadyArrived(Party),
    /// All have arrived: nothing can be revised any more.
    #[error("{0} has already arrived with another value, and the barrier is complete")]
    Complete(Party),
}

impl Barrier {
    /// Who is awaited; `None` before the barrier was opened.
    #[must_use]
    pub fn parties(&self) -> Option<&Parties> {
        self.parties.as_ref()
    }

    /// Those who have come, by name, with what they brought.
    pub fn arrived(&self) -> impl Iterator<Item = (&Party, &Json)> {
        let all = self.parties.iter().flat_map(Parties::iter);
        all.zip(self.arrivals.iter()).filter_map(|(party, value)| Some((party, value?)))
    }

    /// Those who have not come, by name.
    pub fn missing(&self) -> impl Iterator<Item = &Party> {
        let all = self.parties.iter().flat_map(Parties::iter);
        all.zip(self.arrivals.iter()).filter(|(_, value)| value.is_none()).map(|(party, _)| party)
    }

    /// Whether all have come.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Opens the barrier for these parties, or changes them while nobody has come. `None` keeps them. No
    /// event if they stay the same.
    pub fn set(&self, parties: Option<&Parties>) -> Result<Option<Event>, Rejection> {
        match (&self.parties, parties) {
            (None, None) => Err(Rejection::PartiesRequired),
            (None, Some(new)) => Ok(Some(Event::Opened(Opened { parties: new.clone() }))),
            (Some(_), None) => Ok(None),
            (Some(old), Some(new)) if old == new => Ok(None),
            (Some(old), Some(_)) if self.arrivals.count() > 0 => {
                Err(Rejection::Started { arrived: self.arrivals.count(), parties: old.len() })
            }
            (Some(_), Some(new)) => Ok(Some(Event::Changed(Changed { parties: new.clone() }))),
        }
    }

    /// Lets a party come with a value, or with `revise` say another one than before.
    pub fn arrive(&self, party: &Party, value: &Json, revise: bool) -> Result<Arrival, Rejection> {
        let parties = self.parties.as_ref().ok_or(Rejection::Unopened)?;
        let place = parties.place(party).ok_or_else(|| Rejection::UnknownParty(party.clone()))?;
        let (party, value) = (party.clone(), value.clone());
        match self.arrivals.get(place) {
            None => {
                let mut events = vec![Event::Arrived(Arrived { party: party.clone(), value })];
                if self.arrivals.count() + 1 == parties.len() {
                    events.push(Event::Completed(Completed { by: party }));
                }
                Ok(self.after(events))
            }
            Some(before) if *before == value => Ok(self.after(Vec::new())),
            Some(_) if self.complete => Err(Rejection::Complete(party)),
            Some(_) if !revise => Err(Rejection::AlreadyArrived(party)),
            Some(_) => Ok(self.after(vec![Event::Revised(Revised { party, value })])),
        }
    }

    /// Folds an event into the state. Panics if a stranger comes, someone comes twice, or the barrier
    /// would complete twice, too early, or change afterwards.
    pub fn apply(&mut self, event: &Event) {
        assert!(!self.complete, "nothing changes after completion");
        match event {
            Event::Opened(Opened { parties }) => {
                assert!(self.parties.is_none(), "a barrier is opened once");
                self.await_all(parties);
            }
            Event::Changed(Changed { parties }) => {
                assert_eq!(self.arrivals.count(), 0, "parties are fixed by the first arrival");
                self.await_all(parties);
            }
            Event::Arrived(Arrived { party, value }) => {
                let before = self.put(party, value);
                assert!(before.is_none(), "a party arrives once");
            }
            Event::Revised(Revised { party, value }) => {
                let before = self.put(party, value);
                assert!(before.is_some(), "only who has arrived revises");
            }
            Event::Completed(Completed { by: _ }) => {
                let awaited = self.parties.as_ref().map_or(0, Parties::len);
                assert!(awaited > 0, "only an opened barrier completes");
                assert_eq!(self.arrivals.count(), awaited, "it completes when all have come");
                self.complete = true;
            }
        }
    }

    /// Checks every invariant; for tests. Holds after every decision as a whole.
    pub fn check(&self) {
        let awaited = self.parties.as_ref().map_or(0, Parties::len);
        let (arrived, missing) = (self.arrived().count(), self.missing().count());
        assert_eq!(arrived, self.arrivals.count(), "arrivals are counted");
        assert_eq!(arrived + missing, awaited, "each party has arrived or is missing");
        assert_eq!(self.complete, awaited > 0 && missing == 0, "it is complete when all have come");
    }

    /// How things stand after these events.
    fn after(&self, events: Vec<Event>) -> Arrival {
        let newly = events.iter().filter(|event| matches!(event, Event::Arrived(_))).count();
        let completed_by_this = matches!(events.last(), Some(Event::Completed(_)));
        let arrived = self.arrivals.count() + newly;
        let awaited = self.parties.as_ref().map_or(0, Parties::len);
        let complete = self.complete || completed_by_this;
        Arrival { events, arrived, missing: awaited - arrived, complete, completed_by_this }
    }

    fn await_all(&mut self, parties: &Parties) {
        self.parties = Some(parties.clone());
        self.arrivals = Arrivals::none_of(parties.len());
    }

    fn put(&mut self, party: &Party, value: &Json) -> Option<Json> {
        let parties = self.parties.as_ref().expect("only an opened barrier has arrivals");
        let place = parties.place(party).expect("only parties arrive");
        self.arrivals.put(place, value.clone())
    }
}

/// The stored form: arrivals by name, so that it does not depend on how memory is laid out.
mod stored {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::{Arrivals, Parties};
    use crate::{ids::Party, json::Json};

    #[derive(Serialize, Deserialize)]
    pub(super) struct Barrier {
        parties: Option<Parties>,
        arrived: BTreeMap<Party, Json>,
        complete: bool,
    }

    impl From<super::Barrier> for Barrier {
        fn from(barrier: super::Barrier) -> Self {
            let arrived = barrier.arrived().map(|(party, value)| (party.clone(), value.clone()));
            let arrived = arrived.collect();
            Self { parties: barrier.parties, arrived, complete: barrier.complete }
        }
    }

    impl TryFrom<Barrier> for super::Barrier {
        type Error = String;

        fn try_from(Barrier { parties, arrived, complete }: Barrier) -> Result<Self, String> {
            let mut arrivals = Arrivals::none_of(parties.as_ref().map_or(0, Parties::len));
            for (party, value) in arrived {
                let place = parties.as_ref().and_then(|parties| parties.place(&party));
                let place = place.ok_or_else(|| format!("{party} has arrived but is no party"))?;
                arrivals.put(place, value);
            }
            Ok(Self { parties, arrivals, complete })
        }
    }
}
