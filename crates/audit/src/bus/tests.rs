use std::sync::Arc;

use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, Write},
    ids::Version,
    time::Time,
};
use interlock_runtime::{
    Builder, codec,
    env::Env,
    record::{ChunkBuilder, Head, Raw},
};

use super::*;
use crate::{
    cases::parts::key,
    choice::{Replay, Schedule},
    own::tally::{Add, Added, Tally, TallyEvent},
    world::Sim,
};

interlock_kernel::handlers! {
    /// Who reacts to a tally.
    struct Handlers for Tally {
        TallyEvent::Added => added: Added,
    }
}

/// What is added to `source` is added to `mirror` and to a table, and shown.
fn bus() -> Bus {
    let copy = Write::new("copy", |Added(what): &Added, origin: &Origin| {
        if origin.key != key("source") {
            return Ok(Reaction::none());
        }
        let add = Reaction::none().send::<Tally>(key("mirror"), Add(what.clone()));
        Ok(add.row(row(what)))
    });
    let look = Read::new("look", |_: &Added, _: &Origin| {});
    let handlers = Handlers { added: On { write: vec![copy], read: vec![look] } };
    let world = Sim::new(Box::new(Replay::new(Schedule::default())));
    let env = Env::new(world, Arc::new(MemoryStore::new()));
    let builder = Builder::new(env).entity_with::<Tally, _>(handlers, None);
    let codecs = builder.codecs();
    Bus::new(builder.reactions(), codecs).expect("there are handlers")
}

fn row(what: &str) -> RowChange {
    let (table, key) = ("seen".to_owned(), what.as_bytes().to_vec());
    RowChange::Put { table, key, value: Vec::new() }
}

/// A record of a tally: its key, its version, what is added, and by whose command.
type Line<'a> = (&'a str, u64, &'a str, &'a str);

const X: Line<'_> = ("source", 1, "x", "a");
const Y: Line<'_> = ("source", 2, "y", "b");
const X_COPIED: Line<'_> = ("mirror", 1, "x", "tally/source@1.0.0");
const Y_COPIED: Line<'_> = ("mirror", 2, "y", "tally/source@2.0.0");

/// The id of a client's command that closes the tally.
const CLOSES: &str = "closes";

/// The log of these records, a chunk each.
fn log(lines: &[Line<'_>]) -> Vec<Chunk> {
    let record = |(place, (key, version, what, id)): (u64, &Line<'_>)| {
        let mut builder = ChunkBuilder::new(Position(place));
        let events = codec::encode(&[TallyEvent::Added(Added((*what).to_owned()))][..]);
        let (version, at) = (Version(*version), Time(place));
        let (prev, due) = (Position(0), Time::NEVER);
        builder.push(&Record::Decided(Decided {
            head: Head { entity: "tally", key, version, prev, at, due, schema: 1 },
            caller: if *key == "source" || *id == CLOSES { "" } else { "on:copy" },
            cause: Cause::Id(id),
            command: "add",
            fingerprint: 0,
            events_count: 1,
            events: Raw(&events),
            reply: Raw(&[]),
            timers: Raw(&[]),
            effects: Raw(&[]),
            closes: *id == CLOSES,
        }));
        builder.seal()
    };
    (1..).zip(lines).map(record).collect()
}

/// A read handler's call: for the record of a version of `source` at a position, with the log's end and the rows
/// that are written.
fn call(key_of: &str, version: u64, position: u64, end: u64, rows: usize) -> Call {
    let (version, position, at) = (Version(version), Position(position), Time(position));
    let origin = Origin { entity: "tally", key: key(key_of), version, position, at };
    Call { origin, handler: "look", end: Position(end), rows }
}

/// What is said of a run of `x` and `y`, in which everything went well.
fn calls() -> Vec<Call> {
    vec![
        call("source", 1, 1, 4, 1),
        call("mirror", 1, 3, 4, 1),
        call("source", 2, 2, 5, 2),
        call("mirror", 2, 4, 5, 2),
    ]
}

fn settled(lines: &[Line<'_>], rows: &[&str], reads: Vec<Call>) -> Result<(), String> {
    settled_after(lines, &rows.iter().map(|what| written(what)).collect::<Vec<_>>(), reads)
}

fn written(what: &str) -> RowEvent {
    RowEvent::Written(row(what))
}

fn doubted(what: &str) -> RowEvent {
    RowEvent::Doubted(row(what))
}

fn settled_after(lines: &[Line<'_>], rows: &[RowEvent], reads: Vec<Call>) -> Result<(), String> {
    let seen = Seen { reads, ..Seen::default() };
    bus().settle(&Left { log: &log(lines), letters: &[], rows, seen: &seen })
}

fn wrong(lines: &[Line<'_>], rows: &[&str], reads: Vec<Call>, expected: &str) {
    let wrong = settled(lines, rows, reads).expect_err(expected);
    assert!(wrong.contains(expected), "{wrong}");
}

const WELL: [Line<'_>; 4] = [X, Y, X_COPIED, Y_COPIED];

#[test]
fn handlers_that_do_their_work_once_and_in_order_are_believed() {
    assert_eq!(settled(&WELL, &["x", "y"], calls()), Ok(()));
    let again = [calls(), calls()].concat();
    assert_eq!(settled(&WELL, &["x", "y"], again), Ok(()), "screens may be drawn again");
}

#[test]
fn a_command_that_is_missing_doubled_or_nobodys_is_told() {
    wrong(&[X, Y, X_COPIED], &["x", "y"], calls(), "tally/source@2.0.0 of copy");
    let twice = [X, Y, X_COPIED, Y_COPIED, ("mirror", 3, "y", "tally/source@2.0.0")];
    wrong(&twice, &["x", "y"], calls(), "was done 2 times");
    let nobodys = [X, Y, X_COPIED, Y_COPIED, ("mirror", 3, "y", "7")];
    wrong(&nobodys, &["x", "y"], calls(), "no record asks for it");
}

#[test]
fn commands_of_a_later_record_come_later() {
    let swapped = [X, Y, ("mirror", 1, "y", Y_COPIED.3), ("mirror", 2, "x", X_COPIED.3)];
    wrong(&swapped, &["x", "y"], calls(), "overtakes a command before it");
}

#[test]
fn a_row_that_is_missing_or_written_again_is_told() {
    wrong(&WELL, &["x"], calls(), "is written 0 times, and wanted 1");
    wrong(&WELL, &["x", "y", "x"], calls(), "is written 2 times, and wanted 1");
}

#[test]
fn a_row_that_a_power_loss_took_is_written_again() {
    let lost = RowEvent::Lost(1);
    let again = [written("x"), written("y"), lost.clone(), written("y")];
    assert_eq!(settled_after(&WELL, &again, calls()), Ok(()));
    let wrong = settled_after(&WELL, &again[..3], calls()).unwrap_err();
    assert!(wrong.contains("is written 0 times, and wanted 1"), "{wrong}");
    let mut meanwhile = calls();
    meanwhile[2] = call("source", 2, 2, 5, 3);
    let wrong = settled_after(&WELL, &again, meanwhile).unwrap_err();
    assert!(wrong.contains("look is shown tally/source@2 before phase 1 is over"), "{wrong}");
}

#[test]
fn a_row_whose_writer_was_told_that_it_failed_may_be_written_again() {
    let again = [doubted("x"), written("y"), written("x")];
    assert_eq!(settled_after(&WELL, &again, calls()), Ok(()));
    assert_eq!(settled_after(&WELL, &[doubted("x"), written("y")], calls()), Ok(()));
    let twice = [doubted("x"), written("y"), written("x"), written("x")];
    let wrong = settled_after(&WELL, &twice, calls()).unwrap_err();
    assert!(wrong.contains("is written 2 times, and wanted 1"), "{wrong}");
}

#[test]
fn phase_2_begins_when_phase_1_is_durable() {
    let instead = |place: usize, call: Call| {
        let mut calls = calls();
        calls[place] = call;
        calls
    };
    let early = "look is shown tally/source@1 before phase 1 is over";
    wrong(&WELL, &["x", "y"], instead(0, call("source", 1, 1, 3, 1)), early);
    wrong(&WELL, &["x", "y"], instead(0, call("source", 1, 1, 4, 0)), early);
    let uncommitted = "look is shown tally/mirror@1 before its commit";
    wrong(&WELL, &["x", "y"], instead(1, call("mirror", 1, 3, 3, 1)), uncommitted);
}

#[test]
fn every_record_is_shown_and_in_order() {
    let mut left_out = calls();
    left_out.pop();
    wrong(&WELL, &["x", "y"], left_out, "look is never shown the record at position 4");
    let mut swapped = calls();
    swapped.swap(0, 2);
    wrong(&WELL, &["x", "y"], swapped, "look is shown tally/source@1 after a later record");
}

#[test]
fn what_its_target_refuses_need_not_be_done() {
    let closed = [X, Y, X_COPIED, ("mirror", 2, "z", CLOSES)];
    assert_eq!(settled(&closed, &["x", "y"], calls()), Ok(()));
}
