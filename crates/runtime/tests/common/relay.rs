//! An entity that takes in everything exactly once, or breaks; its handlers pass it on.

use std::collections::BTreeSet;

use interlock_kernel::{
    bus::{Flow, HandlerTable, On, Reaction, Visit, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
};
use serde::{Deserialize, Serialize};

use super::key;

/// One of several types of relays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay<const N: usize> {
    /// What came: tag and hops left.
    pub came: BTreeSet<(String, u32)>,
}

/// Takes in a tag, to be passed on so many times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub tag: String,
    pub hops: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    pub tag: String,
    pub hops: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not passed")]
pub struct Held;

impl<const N: usize> Entity for Relay<N> {
    const TYPE: &'static str = ["ra", "rb", "rc"][N];
    type Command = Pass;
    type Event = Passed;
    type Reply = ();
    type Rejection = Held;
    type Effect = Never;

    fn decide(&self, Pass { tag, hops }: &Pass, _: &Context<'_>) -> Verdict<Self> {
        match tag.as_str() {
            "refused" => Err(Held.into()),
            _ => Ok(Decision::event(Passed { tag: tag.clone(), hops: *hops }, ())),
        }
    }

    fn apply(&mut self, Passed { tag, hops }: &Passed) {
        assert!(tag != "broken", "a tag broke it");
        assert!(self.came.insert((tag.clone(), *hops)), "{tag} came twice with {hops} hops");
    }

    fn command_name(_: &Pass) -> &'static str {
        "pass"
    }

    fn event_name(_: &Passed) -> &'static str {
        "passed"
    }
}

/// Who reacts to a relay.
pub struct RelayHandlers {
    pub passed: On<Passed>,
}

impl<const N: usize> HandlerTable<Relay<N>> for RelayHandlers {
    fn route<V: Visit>(&self, event: &Passed, visit: V) -> V::Out {
        visit.on(&self.passed, event)
    }

    fn flow(&self) -> Vec<Flow> {
        let write = self.passed.write.iter().map(|handler| handler.name()).collect();
        let read = self.passed.read.iter().map(|handler| handler.name()).collect();
        vec![Flow { event: "passed", write, read }]
    }
}

impl RelayHandlers {
    /// Passes everything on to relays of another type, one of `width` of them, until no hop is left.
    pub fn to<const TO: usize>(width: usize) -> Self {
        let pass = Write::new("pass", move |passed: &Passed, _| {
            let Some(hops) = passed.hops.checked_sub(1) else { return Ok(Reaction::none()) };
            let lane = (passed.tag.len() + passed.hops as usize) % width;
            let command = Pass { tag: passed.tag.clone(), hops };
            Ok(Reaction::none().send::<Relay<TO>>(key(&format!("r{lane}")), command))
        });
        Self { passed: On { write: vec![pass], read: Vec::new() } }
    }
}
