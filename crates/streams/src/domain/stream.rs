//! One stream's durable record: what happened to it, as the engines' events tell.
//!
//! It decides nothing and commands nobody. Its timeline is the story of one stream: which engine was chosen
//! and why, when bytes flowed, why it ended, when its slot was free again.

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Member,
    pool::LeaseId,
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::engines_event::{Assigned, Ended, Failed, Flowing, Free, Started};

/// The state: where the stream stands, and how often what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its present or last use of an engine.
    pub current: Option<Current>,
    /// How often its bytes flowed.
    pub plays: u64,
    /// How often a start failed.
    pub failures: u64,
}

/// A stream's use of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The slot.
    pub lease: LeaseId,
    /// The engine.
    pub engine: Member,
    /// How it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Time,
}

/// How a use stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The engine was asked.
    Starting,
    /// Bytes flow.
    Flowing,
    /// It is over; the engine does not know yet.
    Ending,
    /// It is over, and its slot is free.
    Over,
}

/// What the engines' events say of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamEvent {
    /// It got a slot.
    Assigned(Assigned),
    /// The engine opened a session.
    Started(Started),
    /// Its bytes flow.
    Flowing(Flowing),
    /// A start failed.
    Failed(Failed),
    /// The use is over.
    Ended(Ended),
    /// The slot is free.
    Free(Free),
}

/// Nothing is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record refuses nothing")]
pub struct NeverRefuses;

impl Entity for Stream {
    const TYPE: &'static str = "stream";
    type Command = StreamEvent;
    type Event = StreamEvent;
    type Reply = ();
    type Rejection = NeverRefuses;
    type Effect = Never;

    fn decide(&self, command: &StreamEvent, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(command.clone(), ()))
    }

    fn apply(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Assigned(Assigned { lease, engine, at, .. }) => {
                self.current = Some(Current {
                    lease: *lease,
                    engine: engine.clone(),
                    phase: Phase::Starting,
                    since: *at,
                });
            }
            StreamEvent::Started(_) => {}
            StreamEvent::Flowing(flowing) => {
                self.plays += 1;
                self.turn(flowing.lease, Phase::Flowing);
            }
            StreamEvent::Failed(_) => self.failures += 1,
            StreamEvent::Ended(ended) => self.turn(ended.lease, Phase::Ending),
            StreamEvent::Free(free) => self.turn(free.lease, Phase::Over),
        }
    }

    fn command_name(_: &StreamEvent) -> &'static str {
        "note"
    }

    fn event_name(event: &StreamEvent) -> &'static str {
        match event {
            StreamEvent::Assigned(_) => "assigned",
            StreamEvent::Started(_) => "started",
            StreamEvent::Flowing(_) => "flowing",
            StreamEvent::Failed(_) => "failed",
            StreamEvent::Ended(_) => "ended",
            StreamEvent::Free(_) => "free",
        }
    }
}

impl Stream {
    /// What is said of an earlier use leaves the present one alone.
    fn turn(&mut self, lease: LeaseId, phase: Phase) {
        if let Some(current) = self.current.as_mut().filter(|current| current.lease == lease) {
            current.phase = phase;
        }
    }
}
