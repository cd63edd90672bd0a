//! An entity that only counts: how often each thing was added.

use std::{collections::BTreeMap, convert::Infallible};

use interlock_kernel::entity::{Context, Decision, Entity, Never, Verdict};
use serde::{Deserialize, Serialize};

/// How often each thing was added, and in which order they first were.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) counts: BTreeMap<String, u32>,
    pub(crate) order: Vec<String>,
}

/// Adds a thing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Add(pub(crate) String);

/// Something was added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum TallyEvent {
    /// This.
    Added(Added),
}

/// What was added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Added(pub(crate) String);

impl Entity for Tally {
    const TYPE: &'static str = "tally";
    type Command = Add;
    type Event = TallyEvent;
    type Reply = usize;
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, Add(what): &Add, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(TallyEvent::Added(Added(what.clone())), self.order.len()))
    }

    fn apply(&mut self, TallyEvent::Added(Added(what)): &TallyEvent) {
        let count = self.counts.entry(what.clone()).or_default();
        if *count == 0 {
            self.order.push(what.clone());
        }
        *count += 1;
    }

    fn command_name(_: &Add) -> &'static str {
        "add"
    }

    fn event_name(_: &TallyEvent) -> &'static str {
        "added"
    }
}

impl Tally {
    /// Who was not added exactly once.
    pub(crate) fn not_once<'a>(&self, all: impl IntoIterator<Item = &'a String>) -> Option<String> {
        let count = |what: &String| self.counts.get(what).copied().unwrap_or(0);
        let wrong = all.into_iter().find(|what| count(what) != 1);
        wrong.map(|what| format!("{what} was added {} times", count(what)))
    }
}
