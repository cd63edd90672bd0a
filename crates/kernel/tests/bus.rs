//! Handlers: what they are called, what they want done, and who has any.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{self, Poll},
};

use interlock_kernel::{
    bus::{
        Flow, HandlerError, HandlerTable, NoHandlers, On, Origin, Reaction, Read, ReadRun,
        RowChange, Visit, Write,
    },
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::{Key, Position, Version},
    time::Time,
};

#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Door;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
enum DoorEvent {
    Opened(Opened),
    Shut(Shut),
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Opened;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Shut;

impl Entity for Door {
    const TYPE: &'static str = "door";
    type Command = ();
    type Event = DoorEvent;
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(DoorEvent::Opened(Opened), ()))
    }

    fn apply(&mut self, _: &DoorEvent) {}

    fn command_name((): &()) -> &'static str {
        "push"
    }

    fn event_name(event: &DoorEvent) -> &'static str {
        match event {
            DoorEvent::Opened(_) => "opened",
            DoorEvent::Shut(_) => "shut",
        }
    }
}

interlock_kernel::handlers! {
    /// Who reacts to a door.
    struct DoorHandlers for Door {
        DoorEvent::Opened => opened: Opened,
        DoorEvent::Shut => shut: Shut,
    }
}

fn origin() -> Origin {
    Origin {
        entity: "door",
        key: Key::new("front").unwrap(),
        version: Version(1),
        position: Position(7),
        at: Time(0),
    }
}

/// How many handlers an event has, in either phase.
struct Counted;

impl Visit for Counted {
    type Out = (usize, usize);

    fn on<Ev>(self, on: &On<Ev>, _: &Ev) -> (usize, usize) {
        (on.write.len(), on.read.len())
    }
}

const OPENED: DoorEvent = DoorEvent::Opened(Opened);
const SHUT: DoorEvent = DoorEvent::Shut(Shut);

fn table(read: Vec<Read<Opened>>) -> DoorHandlers {
    let pushes = Write::new("pushes", |_: &Opened, origin: &Origin| {
        let row = RowChange::Delete { table: "doors".to_owned(), key: vec![1] };
        Ok(Reaction::none().send::<Door>(origin.key.clone(), ()).row(row))
    });
    DoorHandlers { opened: On { write: vec![pushes], read }, shut: On::nobody() }
}

#[test]
fn a_table_says_who_handles_what() {
    let flow = |event, write: &[&'static str], read: &[&'static str]| Flow {
        event,
        write: write.to_vec(),
        read: read.to_vec(),
    };
    let opens = table(vec![Read::new("shows", |_, _| ())]);
    let flows = [flow("opened", &["pushes"], &["shows"]), flow("shut", &[], &[])];
    assert_eq!(opens.flow(), flows);
    assert_eq!((opens.route(&OPENED, Counted), opens.route(&SHUT, Counted)), ((1, 1), (0, 0)));
    let shared = Arc::new(opens);
    assert_eq!(HandlerTable::<Door>::flow(&shared), flows);
    assert_eq!(HandlerTable::<Door>::route(&shared, &OPENED, Counted), (1, 1));
}

#[test]
fn a_table_is_empty_when_neither_phase_has_a_handler() {
    let none = DoorHandlers { opened: On::nobody(), shut: On::nobody() };
    assert!(none.is_empty() && HandlerTable::<Door>::is_empty(&NoHandlers));
    assert!(!table(Vec::new()).is_empty(), "it has a write handler");
    let reads = On { write: Vec::new(), read: vec![Read::new("shows", |_, _| ())] };
    assert!(!DoorHandlers { opened: reads, shut: On::nobody() }.is_empty());
    assert_eq!(HandlerTable::<Door>::route(&NoHandlers, &SHUT, Counted), (0, 0));
    assert_eq!(HandlerTable::<Door>::flow(&NoHandlers), []);
}

#[test]
fn a_write_handler_says_what_it_wants_done_in_order() {
    let table = table(Vec::new());
    let Reaction { sends, rows } = table.opened.write[0].react(&Opened, &origin()).unwrap();
    assert_eq!(format!("{sends:?}"), "[push to door/front]");
    assert_eq!(rows, [RowChange::Delete { table: "doors".to_owned(), key: vec![1] }]);
    let refuses =
        Write::new("refuses", |_: &Opened, _: &Origin| Err(HandlerError("it is stuck".to_owned())));
    assert_eq!(refuses.react(&Opened, &origin()).unwrap_err().to_string(), "it is stuck");
}

#[test]
fn a_read_handler_is_done_at_once_or_when_what_it_waits_for_is() {
    let shown = Arc::new(AtomicU32::new(0));
    let counts = shown.clone();
    let now = Read::new("now", move |_: &Opened, _: &Origin| {
        counts.fetch_add(1, Ordering::Relaxed);
    });
    assert!(matches!(now.show(&Opened, &origin()), ReadRun::Done));
    assert_eq!(shown.load(Ordering::Relaxed), 1);
    let failed = || HandlerError("nobody is there".to_owned());
    let later = Read::later("later", move |_: &Opened, _: &Origin| async move { Err(failed()) });
    let ReadRun::Later(mut waits) = later.show(&Opened, &origin()) else { panic!("it waits") };
    let polled = waits.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop()));
    assert_eq!(polled, Poll::Ready(Err(failed())));
}
