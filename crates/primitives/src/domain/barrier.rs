//! Barriers over HTTP: all have arrived, once.
//!
//! The kernel's [`Barrier`] decides; this entity adds closing, error codes and the view for `GET`.
//! Whoever wants to act when all have arrived handles [`BarrierEvent::Completed`]: it comes exactly once.

use std::collections::BTreeMap;

use interlock_kernel::{
    barrier::{self, Arrival, Arrived, Barrier, Changed, Completed, Opened, Parties, Revised},
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::{Party, Version},
    json::Json,
};
use serde::{Deserialize, Serialize};

use super::Closed;

/// A barrier.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BarrierEntity(Barrier);

/// What can be asked of a barrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BarrierCommand {
    /// Open it, or change its parties while nobody has arrived.
    Put {
        /// Who is awaited; needed to open it, kept as they are unless told.
        parties: Option<Parties>,
    },
    /// A party arrives.
    Arrive {
        /// Who.
        party: Party,
        /// What it brings; `null` if nothing.
        value: Json,
        /// Whether it may replace what it brought before.
        revise: bool,
    },
    /// Take no more commands.
    Close,
}

/// What happens to a barrier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BarrierEvent {
    /// It awaits its parties.
    Opened(Opened),
    /// It awaits other parties than before.
    Changed(Changed),
    /// A party has come.
    Arrived(Arrived),
    /// A party that had come says something else.
    Revised(Revised),
    /// All have come. Exactly once.
    Completed(Completed),
    /// It takes no more commands.
    Closed(Closed),
}

/// The answer to a [`BarrierCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BarrierReply {
    /// It awaits its parties.
    Put {
        /// Whether it was opened by this.
        created: bool,
    },
    /// How the arrival was taken.
    Arrived(Attendance),
    /// It is closed.
    Closed,
}

/// How many have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attendance {
    /// Parties that have come.
    pub arrived: usize,
    /// Parties that have not.
    pub missing: usize,
    /// Whether all have come.
    pub complete: bool,
    /// Whether this arrival made them complete: true in exactly one decision.
    pub completed_by_this: bool,
}

/// Why a [`BarrierCommand`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct BarrierRejection(#[from] pub barrier::Rejection);

impl BarrierRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0 {
            barrier::Rejection::Unopened => "unknown_barrier",
            barrier::Rejection::PartiesRequired => "missing_field",
            barrier::Rejection::Started { .. } => "barrier_started",
            barrier::Rejection::UnknownParty(_) => "unknown_party",
            barrier::Rejection::AlreadyArrived(_) => "already_arrived",
            barrier::Rejection::Complete(_) => "barrier_complete",
        }
    }
}

/// The body of `GET /barriers/{key}`. Names are in alphabetical order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarrierView<'a> {
    /// Who is awaited.
    pub parties: Vec<&'a Party>,
    /// Who has come.
    pub arrived: Vec<&'a Party>,
    /// Who has not.
    pub missing: Vec<&'a Party>,
    /// What those who have come brought.
    pub values: BTreeMap<&'a Party, &'a Json>,
    /// Whether all have come.
    pub complete: bool,
    /// The entity's version.
    pub version: Version,
}

impl BarrierEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.check();
    }

    /// What `GET` shows of the entity at this version.
    pub fn view(&self, version: Version) -> Result<BarrierView<'_>, BarrierRejection> {
        Ok(BarrierView {
            parties: self.parties()?.iter().collect(),
            arrived: self.0.arrived().map(|(party, _)| party).collect(),
            missing: self.0.missing().collect(),
            values: self.0.arrived().collect(),
            complete: self.0.is_complete(),
            version,
        })
    }

    fn parties(&self) -> Result<&Parties, BarrierRejection> {
        self.0.parties().ok_or(BarrierRejection(barrier::Rejection::Unopened))
    }

    fn put(&self, parties: Option<&Parties>) -> Result<Decision<Self>, BarrierRejection> {
        let event = self.0.set(parties)?;
        let reply = BarrierReply::Put { created: self.0.parties().is_none() };
        Ok(match event {
            Some(event) => Decision::event(event.into(), reply),
            None => Decision::unchanged(reply),
        })
    }

    fn arrive(
        &self,
        party: &Party,
        value: &Json,
        revise: bool,
    ) -> Result<Decision<Self>, BarrierRejection> {
        let arrival = self.0.arrive(party, value, revise)?;
        let Arrival { events, arrived, missing, complete, completed_by_this } = arrival;
        let attendance = Attendance { arrived, missing, complete, completed_by_this };
        let events = events.into_iter().map(BarrierEvent::from).collect();
        Ok(Decision::events(events, BarrierReply::Arrived(attendance)))
    }

    fn close(&self) -> Result<Decision<Self>, BarrierRejection> {
        self.parties()?;
        Ok(Decision::event(BarrierEvent::Closed(Closed {}), BarrierReply::Closed).close())
    }
}

impl From<barrier::Event> for BarrierEvent {
    fn from(event: barrier::Event) -> Self {
        match event {
            barrier::Event::Opened(opened) => Self::Opened(opened),
            barrier::Event::Changed(changed) => Self::Changed(changed),
            barrier::Event::Arrived(arrived) => Self::Arrived(arrived),
            barrier::Event::Revised(revised) => Self::Revised(revised),
            barrier::Event::Completed(completed) => Self::Completed(completed),
        }
    }
}

impl Entity for BarrierEntity {
    const TYPE: &'static str = "barrier";
    type Command = BarrierCommand;
    type Event = BarrierEvent;
    type Reply = BarrierReply;
    type Rejection = BarrierRejection;
    type Effect = Never;

    fn decide(&self, command: &BarrierCommand, _cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            BarrierCommand::Put { parties } => self.put(parties.as_ref())?,
            BarrierCommand::Arrive { party, value, revise } => {
                self.arrive(party, value, *revise)?
            }
            BarrierCommand::Close => self.close()?,
        })
    }

    fn apply(&mut self, event: &BarrierEvent) {
        let event = match event {
            BarrierEvent::Opened(opened) => barrier::Event::Opened(opened.clone()),
            BarrierEvent::Changed(changed) => barrier::Event::Changed(changed.clone()),
            BarrierEvent::Arrived(arrived) => barrier::Event::Arrived(arrived.clone()),
            BarrierEvent::Revised(revised) => barrier::Event::Revised(revised.clone()),
            BarrierEvent::Completed(completed) => barrier::Event::Completed(completed.clone()),
            BarrierEvent::Closed(Closed {}) => return,
        };
        self.0.apply(&event);
    }

    fn command_name(command: &BarrierCommand) -> &'static str {
        match command {
            BarrierCommand::Put { .. } => "put",
            BarrierCommand::Arrive { .. } => "arrive",
            BarrierCommand::Close => "close",
        }
    }

    fn event_name(event: &BarrierEvent) -> &'static str {
        match event {
            BarrierEvent::Opened(_) => "opened",
            BarrierEvent::Changed(_) => "changed",
            BarrierEvent::Arrived(_) => "arrived",
            BarrierEvent::Revised(_) => "revised",
            BarrierEvent::Completed(_) => "completed",
            BarrierEvent::Closed(_) => "closed",
        }
    }
}
