//! What is written of streams: each has a record of its own, which write handlers keep. It says what the engines'
//! events say of the stream, in their order: each session begins once and ends once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use interlock_kernel::{entity::Entity, ids::Key};
use interlock_runtime::{Builder, env::World};
use interlock_streams::{
    domain::{
        engines::Engines,
        stream::{Phase, Stream},
    },
    handlers,
    service::Freed,
};
use serde_json::Value;

use super::Own;
use crate::{
    cases::{
        parts::key,
        streams::twin::{ALL, Stops, plays},
    },
    node::Node,
    stage::Stage,
};

pub(super) const OWN: &[Own] = &[Own {
    name: "what is written of a stream is what happened to it",
    faults: "everything but jumps of the clock",
    scenario: &records,
}];

const STREAMS: [&str; 2] = ["news", "sports"];
/// What a session comes to, in this order; each once at most. That it was started may be told at any time between: an
/// engine's answer may come when the session is over, and is needed to stop it.
const COURSE: [&str; 5] = ["assigned", "flowing", "failed", "ended", "free"];
/// Entries of a timeline, at most.
const ENTRIES: usize = 1_000;
/// Looks at a record that is not complete yet, at most.
const LOOKS: u32 = 120;

/// What happened to a session: its lease, and what.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    name: &'static str,
    data: Value,
}

impl Event {
    fn says(&self, what: &str) -> Option<&str> {
        self.data.get(what).and_then(Value::as_str)
    }
}

async fn records(stage: Stage) {
    // Most come for the first stream.
    let stream_of = |request: &str| STREAMS[usize::from(request.ends_with('B'))].to_owned();
    let add = |builder: Builder, stops: Arc<Stops>| {
        let table = handlers::engines(Freed::default());
        builder.entity_with::<Engines, _>(table, Some(stops)).entity::<Stream>()
    };
    let node = plays(&stage, 2, stream_of, add).await;
    let engines = timeline(&stage, &node, Engines::TYPE, &key(ALL)).await;
    for stream in STREAMS {
        let is_its = |event: &&Event| event.says("stream") == Some(stream);
        let happened: Vec<Event> = engines.iter().filter(is_its).cloned().collect();
        let written = written(&stage, &node, stream, happened.len()).await;
        let wrong = || format!("of {stream} is written {written:?}, what happened is {happened:?}");
        stage.check(written == happened, wrong);
        for (lease, course) in sessions(&written) {
            let wrong = || format!("{lease} of {stream} is {}", course.join(", "));
            stage.check(is_whole(&course), wrong);
        }
        let count = |name| written.iter().filter(|event| event.name == name).count() as u64;
        let state: Stream = node.state(&key(stream)).await;
        let now = (state.plays, state.failures, state.current.map(|current| current.phase));
        let phase = (count("assigned") > 0).then_some(Phase::Over);
        let expected = (count("flowing"), count("failed"), phase);
        stage.check(now == expected, || format!("{stream} is {now:?} instead of {expected:?}"));
    }
}

/// The record of a stream, once it has so many events, or will not have them any more.
async fn written(stage: &Stage, node: &Node, stream: &str, events: usize) -> Vec<Event> {
    let mut written = Vec::new();
    for _ in 0..LOOKS {
        written = timeline(stage, node, Stream::TYPE, &key(stream)).await;
        if written.len() >= events {
            break;
        }
        stage.world().sleep(Duration::from_secs(1)).await;
    }
    written
}

/// All events of an entity, oldest first.
async fn timeline(stage: &Stage, node: &Node, entity: &str, key: &Key) -> Vec<Event> {
    loop {
        let timeline = node.runtime().await.timeline(entity, key, None, ENTRIES).await;
        let Ok(timeline) = timeline else {
            // It crashes: it will be there again.
            stage.world().sleep(Duration::from_secs(1)).await;
            continue;
        };
        let newest_first = timeline.map_or_else(Vec::new, |timeline| timeline.entries);
        let event = |event: &interlock_runtime::timeline::EventEntry| Event {
            name: event.name,
            data: serde_json::from_str(event.data.get()).expect("JSON, as it is shown"),
        };
        return newest_first
            .iter()
            .rev()
            .flat_map(|entry| entry.events.iter().map(event))
            .collect();
    }
}

/// What each session came to, by its lease.
fn sessions(written: &[Event]) -> BTreeMap<&str, Vec<&'static str>> {
    let mut sessions = BTreeMap::<&str, Vec<&str>>::new();
    for event in written {
        let lease = event.says("lease").unwrap_or("no lease");
        sessions.entry(lease).or_default().push(event.name);
    }
    sessions
}

/// Whether a session began once, ended once, and did so in order.
fn is_whole(course: &[&str]) -> bool {
    let place = |what: &str| course.iter().position(|name| *name == what);
    let rest: Option<Vec<usize>> = course
        .iter()
        .filter(|name| **name != "started")
        .map(|name| COURSE.iter().position(|other| other == name))
        .collect();
    let in_order = |rest: &Vec<usize>| rest.is_sorted_by(|one, next| one < next);
    let is_told_once = course.iter().filter(|name| **name == "started").count() <= 1;
    rest.as_ref().is_some_and(in_order)
        && is_told_once
        && place("flowing").is_none_or(|flows| place("started").is_some_and(|told| told < flows))
        && place("ended").is_some()
        && course.first() == Some(&"assigned")
        && course.last() == Some(&"free")
}
