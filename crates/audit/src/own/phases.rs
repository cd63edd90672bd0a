//! The two phases: for every event all write handlers have ended before a read handler begins, and the command
//! of each was applied once, in the order of events. That holds, too, while the log lets go of old records.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use interlock_kernel::{
    bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Position,
    time::Millis,
};
use interlock_runtime::{env::World, limits};
use serde::{Deserialize, Serialize};

use super::{
    EVERYTHING, Own,
    tally::{Add, Added, Tally, TallyEvent},
};
use crate::{
    cases::parts::{Shared, key, unexpected},
    faults::Faults,
    node::Node,
    stage::Stage,
};

pub(super) const OWN: &[Own] = &[
    Own {
        name: "two phases, and what write handlers do, once",
        faults: EVERYTHING,
        scenario: &|stage| two_phases(stage, Faults::ONE, None),
    },
    Own {
        name: "two phases, while the log lets go of old records",
        faults: "a failing and full disk, a crash, a power loss",
        scenario: &|stage| two_phases(stage, Faults::DISK, Some(REST)),
    },
];

/// The pause between two additions, longer than any record is kept.
const REST: Millis = Millis::from_secs(100);
/// Looks at whether something has happened that does so by itself.
const LOOKS: u32 = 120;
/// How long records are kept then: longer than anybody asks again.
const KEPT: Millis = Millis::from_secs(30);

/// The write handlers, and the entities that they write to.
const WRITERS: [&str; 2] = ["first", "second"];
/// The table that a third one writes to.
const TABLE: &str = "seen";

/// What write handlers write to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Mirror(Tally);

impl Entity for Mirror {
    const TYPE: &'static str = "mirror";
    type Command = Add;
    type Event = TallyEvent;
    type Reply = usize;
    type Rejection = std::convert::Infallible;
    type Effect = Never;

    fn decide(&self, Add(what): &Add, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(TallyEvent::Added(Added(what.clone())), self.0.order.len()))
    }

    fn apply(&mut self, event: &TallyEvent) {
        self.0.apply(event);
    }

    fn command_name(command: &Add) -> &'static str {
        Tally::command_name(command)
    }

    fn event_name(event: &TallyEvent) -> &'static str {
        Tally::event_name(event)
    }
}

interlock_kernel::handlers! {
    /// Who reacts to a tally.
    struct Handlers for Tally {
        TallyEvent::Added => added: Added,
    }
}

/// A machine, once it has started.
type Itself = Arc<OnceLock<Node>>;

fn handlers(stage: &Stage, itself: &Itself, read: &Shared<Vec<String>>) -> Handlers {
    let mut write: Vec<Write<Added>> = WRITERS
        .map(|name| {
            Write::new(name, move |Added(what): &Added, _: &Origin| {
                Ok(Reaction::none().send::<Mirror>(key(name), Add(what.clone())))
            })
        })
        .into();
    write.push(Write::new("row", |Added(what): &Added, _: &Origin| {
        let (table, key) = (TABLE.to_owned(), what.clone().into_bytes());
        Ok(Reaction::none().row(RowChange::Put { table, key, value: Vec::new() }))
    }));
    let (stage, itself, read) = (stage.clone(), itself.clone(), read.clone());
    let look = Read::later("look", move |Added(what): &Added, _: &Origin| {
        look(stage.clone(), itself.clone(), read.clone(), what.clone())
    });
    Handlers { added: On { write, read: vec![look] } }
}

/// Phase 2: what phase 1 did is there.
async fn look(
    stage: Stage,
    itself: Itself,
    read: Shared<Vec<String>>,
    what: String,
) -> Result<(), HandlerError> {
    let node = itself.get().expect("handlers run once it has started").clone();
    for name in WRITERS {
        let Mirror(mirror) = node.state(&key(name)).await;
        let count = mirror.counts.get(&what).copied().unwrap_or(0);
        stage.check(count == 1, || {
            format!("{what} is read, and {name} has written it {count} times")
        });
    }
    let store = node.runtime().await.env().store().clone();
    let row = store.row(TABLE, what.as_bytes()).await;
    let row = row.map_err(|error| HandlerError(error.to_string()))?;
    stage.check(row.is_some(), || format!("{what} is read, and is not in the table"));
    read.lock().push(what);
    Ok(())
}

/// Whether the log lets go of its first record, sooner or later.
async fn lets_go(stage: &Stage, node: &Node) -> bool {
    for _ in 0..LOOKS {
        let span = node.runtime().await.env().store().span().await;
        if span.is_ok_and(|span| span.first > Position(1)) {
            return true;
        }
        stage.world().sleep(Duration::from_secs(5)).await;
    }
    false
}

/// Two clients add things, at once or with pauses, in which compaction lets go of what was before.
async fn two_phases(stage: Stage, faults: Faults, rest: Option<Millis>) {
    if rest.is_some() {
        // With so much time to pass over, a read handler would miss all its deadlines, and be given up.
        stage.world().overtakes(limits::HANDLER_ATTEMPTS - 1);
    }
    let (itself, read) = (Itself::default(), Shared::<Vec<String>>::default());
    let (playing, given, noted) = (stage.clone(), itself.clone(), read.clone());
    let node = Node::start(&stage, faults, move |builder| {
        let handlers = handlers(&playing, &given, &noted);
        let builder = if rest.is_some() { builder.retention(KEPT) } else { builder };
        builder.entity::<Mirror>().entity_with::<Tally, _>(handlers, None)
    });
    itself.set(node.clone()).unwrap_or_else(|_| unreachable!("it is set once"));
    for name in ["A", "B"] {
        let node = node.clone();
        stage.actor(name, |actor| async move {
            let mut client = node.client(&actor, name);
            for number in 1..=2 {
                let thing = format!("{name}{number}");
                match client.send::<Tally>(&key("source"), Add(thing.clone())).await {
                    Ok(_) => actor.says(|| format!("adds {thing}")),
                    Err(error) => unexpected(&error),
                }
                if let Some(rest) = rest {
                    actor.sleep(rest).await;
                }
            }
        });
    }
    stage.all_done().await;
    if rest.is_some() {
        stage.check(lets_go(&stage, &node).await, || "the log keeps its first record".to_owned());
    }
    let source = node.state::<Tally>(&key("source")).await.order;
    // Both phases end by themselves, crashes and pauses included.
    for _ in 0..LOOKS {
        if source.iter().all(|what| read.lock().contains(what)) {
            break;
        }
        stage.world().sleep(Millis::from_secs(1).as_duration()).await;
    }
    let unread = source.iter().find(|what| !read.lock().contains(what));
    stage.check(unread.is_none(), || format!("{unread:?} is never read"));
    for name in WRITERS {
        let Mirror(mirror) = node.state(&key(name)).await;
        if let Some(wrong) = mirror.not_once(&source) {
            stage.violation(format!("{name}: {wrong}"));
        }
        let order = mirror.order;
        stage.check(order == source, || format!("{name} has {order:?}, the source {source:?}"));
    }
}
