//! The contract of barriers, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use interlock_kernel::{
    barrier::Parties,
    ids::{Party, Version},
    json::Json,
    kit::{Alone, Answer},
};
use interlock_primitives::domain::barrier::{
    BarrierCommand, BarrierEntity, BarrierEvent, BarrierRejection, BarrierReply,
};
use serde_json::{Value, json};

fn party(name: &str) -> Party {
    Party::new(name).unwrap()
}

/// A barrier that awaits these parties.
fn barrier(names: &[&str]) -> Alone<BarrierEntity> {
    let mut barrier = Alone::new();
    assert_eq!(put(&mut barrier, Some(names)), Ok(true));
    barrier
}

fn ask(
    barrier: &mut Alone<BarrierEntity>,
    command: BarrierCommand,
) -> Result<BarrierReply, BarrierRejection> {
    let sent = barrier.send(command);
    stored::check(barrier);
    match barrier.answer(sent) {
        Answer::Reply(reply, _) => {
            stored::survives(reply);
            Ok(reply.clone())
        }
        Answer::Rejected(rejection) => Err(rejection.clone()),
        Answer::Waiting => panic!("a barrier lets nobody wait"),
    }
}

/// Puts; tells whether that created the barrier, or the code of the refusal.
fn put(barrier: &mut Alone<BarrierEntity>, names: Option<&[&str]>) -> Result<bool, &'static str> {
    let parties =
        names.map(|names| Parties::new(names.iter().map(|name| party(name)).collect()).unwrap());
    match ask(barrier, BarrierCommand::Put { parties }) {
        Ok(BarrierReply::Put { created }) => Ok(created),
        Ok(other) => panic!("{other:?}"),
        Err(rejection) => Err(rejection.code()),
    }
}

/// Arrives; gives back what the HTTP body says besides the version, or the code of the refusal.
fn arrive(
    barrier: &mut Alone<BarrierEntity>,
    name: &str,
    value: &str,
    revise: bool,
) -> Result<Value, &'static str> {
    let (party, value) = (party(name), Json::parse(value).unwrap());
    match ask(barrier, BarrierCommand::Arrive { party, value, revise }) {
        Ok(BarrierReply::Arrived(attendance)) => Ok(serde_json::to_value(attendance).unwrap()),
        Ok(other) => panic!("{other:?}"),
        Err(rejection) => Err(rejection.code()),
    }
}

fn attendance(
    arrived: usize,
    missing: usize,
    completed_by_this: bool,
) -> Result<Value, &'static str> {
    Ok(json!({
        "arrived": arrived,
        "missing": missing,
        "complete": missing == 0,
        "completed_by_this": completed_by_this,
    }))
}

fn view(barrier: &Alone<BarrierEntity>) -> Value {
    serde_json::to_value(barrier.state().view(barrier.version()).unwrap()).unwrap()
}

#[test]
fn the_last_arrival_completes_and_no_other_decision_says_so() {
    let mut barrier = barrier(&["p1", "p2", "p3"]);
    assert_eq!(arrive(&mut barrier, "p3", "1", false), attendance(1, 2, false));
    assert_eq!(arrive(&mut barrier, "p1", "2", false), attendance(2, 1, false));
    assert_eq!(arrive(&mut barrier, "p2", "3", false), attendance(3, 0, true));
    for (name, value) in [("p3", "1"), ("p1", "2"), ("p2", "3")] {
        assert_eq!(arrive(&mut barrier, name, value, false), attendance(3, 0, false));
        assert_eq!(arrive(&mut barrier, name, value, true), attendance(3, 0, false));
    }
    let completions = barrier.events().iter().filter(|e| matches!(e, BarrierEvent::Completed(_)));
    assert_eq!(completions.count(), 1);
}

#[test]
fn a_single_party_completes_alone() {
    let mut barrier = barrier(&["p1"]);
    assert_eq!(arrive(&mut barrier, "p1", "null", true), attendance(1, 0, true));
}

#[test]
fn the_same_parties_in_any_order_change_nothing() {
    let mut barrier = barrier(&["p1", "p2"]);
    assert_eq!(put(&mut barrier, Some(&["p2", "p1"])), Ok(false));
    assert_eq!(put(&mut barrier, None), Ok(false));
    assert_eq!(barrier.version(), Version(1));
    arrive(&mut barrier, "p1", "1", false).unwrap();
    assert_eq!(put(&mut barrier, Some(&["p2", "p1"])), Ok(false));
    arrive(&mut barrier, "p2", "1", false).unwrap();
    assert_eq!(put(&mut barrier, Some(&["p2", "p1"])), Ok(false));
    assert_eq!(barrier.version(), Version(3));
}

#[test]
fn other_parties_replace_the_first_ones_until_somebody_arrives() {
    let mut barrier = barrier(&["p1", "p2"]);
    assert_eq!(put(&mut barrier, Some(&["p2", "p3"])), Ok(false));
    assert_eq!(view(&barrier)["parties"], json!(["p2", "p3"]));
    assert_eq!(arrive(&mut barrier, "p1", "1", false), Err("unknown_party"));
    arrive(&mut barrier, "p2", "1", false).unwrap();
    assert_eq!(put(&mut barrier, Some(&["p1", "p2"])), Err("barrier_started"));
    assert_eq!(put(&mut barrier, Some(&["p2"])), Err("barrier_started"));
    assert_eq!(put(&mut barrier, Some(&["p1", "p2", "p3"])), Err("barrier_started"));
    assert_eq!(arrive(&mut barrier, "p3", "1", false), attendance(2, 0, true));
    assert_eq!(put(&mut barrier, Some(&["p1"])), Err("barrier_started"));
}

#[test]
fn a_new_barrier_needs_its_parties() {
    let mut barrier = Alone::new();
    assert_eq!(put(&mut barrier, None), Err("missing_field"));
    assert_eq!(arrive(&mut barrier, "p1", "1", false), Err("unknown_barrier"));
    assert_eq!(barrier.version(), Version(0));
}

#[test]
fn the_same_value_again_changes_nothing_however_it_is_written() {
    let mut barrier = barrier(&["p1", "p2"]);
    let first = arrive(&mut barrier, "p1", r#"{"a": 1.0, "b": "é"}"#, false);
    let version = barrier.version();
    for same in [r#"{"a": 1.0, "b": "é"}"#, r#"{"b":"\u00e9","a":1.0e0}"#] {
        assert_eq!(arrive(&mut barrier, "p1", same, false), first);
        assert_eq!(arrive(&mut barrier, "p1", same, true), first);
    }
    assert_eq!(barrier.version(), version);
    let kept = serde_json::to_string(&barrier.state().view(version).unwrap()).unwrap();
    assert!(kept.contains(r#""p1":{"a": 1.0, "b": "é"}"#), "the first spelling stays: {kept}");
}

#[test]
fn another_value_needs_revise() {
    let mut barrier = barrier(&["p1", "p2"]);
    arrive(&mut barrier, "p1", "1", false).unwrap();
    assert_eq!(arrive(&mut barrier, "p1", "2", false), Err("already_arrived"));
    assert_eq!(arrive(&mut barrier, "p1", "null", false), Err("already_arrived"));
    assert_eq!(arrive(&mut barrier, "p1", "2", true), attendance(1, 1, false));
    assert_eq!(view(&barrier)["values"], json!({"p1": 2}));
    assert_eq!(barrier.version(), Version(3));
}

#[test]
fn big_numbers_are_other_values() {
    let mut barrier = barrier(&["p1", "p2"]);
    arrive(&mut barrier, "p1", "9007199254740993", false).unwrap();
    assert_eq!(arrive(&mut barrier, "p1", "9007199254740992", false), Err("already_arrived"));
}

#[test]
fn nothing_is_revised_after_completion() {
    let mut barrier = barrier(&["p1", "p2"]);
    arrive(&mut barrier, "p1", "1", false).unwrap();
    arrive(&mut barrier, "p2", "1", false).unwrap();
    assert_eq!(arrive(&mut barrier, "p1", "2", false), Err("barrier_complete"));
    assert_eq!(arrive(&mut barrier, "p1", "2", true), Err("barrier_complete"));
    assert_eq!(arrive(&mut barrier, "p9", "2", true), Err("unknown_party"));
}

#[test]
fn the_view_shows_who_has_come_with_what_and_who_has_not() {
    let mut barrier = barrier(&["p2", "p1", "p3"]);
    arrive(&mut barrier, "p3", "[1]", false).unwrap();
    arrive(&mut barrier, "p1", "null", false).unwrap();
    assert_eq!(
        view(&barrier),
        json!({
            "parties": ["p1", "p2", "p3"],
            "arrived": ["p1", "p3"],
            "missing": ["p2"],
            "values": {"p1": null, "p3": [1]},
            "complete": false,
            "version": 3,
        })
    );
    arrive(&mut barrier, "p2", "2", false).unwrap();
    assert_eq!(view(&barrier)["complete"], json!(true));
    let unknown: Alone<BarrierEntity> = Alone::new();
    assert_eq!(unknown.state().view(Version(0)).unwrap_err().code(), "unknown_barrier");
}

#[test]
fn closing_needs_a_barrier() {
    let mut unknown: Alone<BarrierEntity> = Alone::new();
    let refused = ask(&mut unknown, BarrierCommand::Close).unwrap_err();
    assert_eq!(refused.code(), "unknown_barrier");
    let mut barrier = barrier(&["p1"]);
    assert_eq!(ask(&mut barrier, BarrierCommand::Close), Ok(BarrierReply::Closed));
    assert!(barrier.is_closed());
}
