//! An entity with two events, for handler tables that do not compile.

use interlock_kernel::entity::{Context, Decision, Entity, Never, Verdict};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Door {
    open: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Closed;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    Opened(Opened),
    Closed(Closed),
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("no")]
pub struct No;

impl Entity for Door {
    const TYPE: &'static str = "door";
    type Command = bool;
    type Event = Event;
    type Reply = ();
    type Rejection = No;
    type Effect = Never;

    fn decide(&self, open: &bool, _: &Context<'_>) -> Verdict<Self> {
        let event = if *open { Event::Opened(Opened) } else { Event::Closed(Closed) };
        Ok(Decision::event(event, ()))
    }

    fn apply(&mut self, event: &Event) {
        self.open = matches!(event, Event::Opened(_));
    }

    fn command_name(_: &bool) -> &'static str {
        "move"
    }

    fn event_name(_: &Event) -> &'static str {
        "moved"
    }
}
