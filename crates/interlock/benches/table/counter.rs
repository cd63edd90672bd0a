//! What the benchmark's commands do: an entity like most are, with an event of about 150 bytes, a timer, and
//! a handler in each phase.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use interlock_kernel::{
    bus::{On, Reaction, Read, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
    time::Millis,
};
use serde::{Deserialize, Serialize};

/// Counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    pub count: u64,
    pub expiries: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Command {
    /// Adds one, and arms a timer that fires when nobody does so again for an hour.
    Add { note: String },
    /// The timer's.
    Expire,
    /// Adds in this many events.
    Burst { events: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Added {
    pub count: u64,
    pub note: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ticked {
    pub count: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Expired {}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    Added(Added),
    Ticked(Ticked),
    Expired(Expired),
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("a counter never refuses")]
pub struct NeverRefuses;

impl Entity for Counter {
    const TYPE: &'static str = "counter";
    type Command = Command;
    type Event = Event;
    type Reply = u64;
    type Rejection = NeverRefuses;
    type Effect = Never;

    fn decide(&self, command: &Command, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            Command::Add { note } => {
                let count = self.count + 1;
                let event = Event::Added(Added { count, note: note.clone() });
                Decision::event(event, count).timer(
                    "idle",
                    cx.now + Millis::from_secs(3600),
                    Command::Expire,
                )
            }
            Command::Expire => Decision::event(Event::Expired(Expired {}), self.count),
            Command::Burst { events } => {
                let tick = |n| Event::Ticked(Ticked { count: self.count + n });
                Decision::events((1..=*events).map(tick).collect(), self.count + events)
            }
        })
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Added(added) => {
                assert_eq!(added.count, self.count + 1, "every addition counts");
                self.count = added.count;
            }
            Event::Ticked(ticked) => self.count = ticked.count,
            Event::Expired(Expired {}) => self.expiries += 1,
        }
    }

    fn command_name(command: &Command) -> &'static str {
        match command {
            Command::Add { .. } => "add",
            Command::Expire => "expire",
            Command::Burst { .. } => "burst",
        }
    }

    fn event_name(event: &Event) -> &'static str {
        match event {
            Event::Added(_) => "added",
            Event::Ticked(_) => "ticked",
            Event::Expired(_) => "expired",
        }
    }
}

interlock_kernel::handlers! {
    /// Who reacts to a counter.
    pub struct CounterHandlers for Counter {
        Event::Added => added: Added,
        Event::Ticked => ticked: Ticked,
        Event::Expired => expired: Expired,
    }
}

/// How often each phase ran.
#[derive(Debug, Default)]
pub struct Seen {
    pub write: AtomicU64,
    pub read: AtomicU64,
    /// Phase 2 of an event that came before its phase 1.
    pub inversions: AtomicU64,
}

/// One handler in each phase of every event.
pub fn handlers(seen: &Arc<Seen>) -> CounterHandlers {
    fn both<Ev: 'static>(seen: &Arc<Seen>) -> On<Ev> {
        let (w, r) = (seen.clone(), seen.clone());
        On {
            write: vec![Write::new("tally", move |_: &Ev, _| {
                w.write.fetch_add(1, Ordering::Relaxed);
                Ok(Reaction::none())
            })],
            read: vec![Read::new("show", move |_: &Ev, _| {
                let shown = r.read.fetch_add(1, Ordering::Relaxed) + 1;
                if shown > r.write.load(Ordering::Relaxed) {
                    r.inversions.fetch_add(1, Ordering::Relaxed);
                }
            })],
        }
    }
    CounterHandlers { added: both(seen), ticked: both(seen), expired: both(seen) }
}
