//! The contract of values, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use interlock_kernel::{
    ids::{Token, Version},
    json::Json,
    kit::{Alone, Answer},
    time::Millis,
    value::{Condition, Guard},
};
use interlock_primitives::domain::value::{ValueCommand, ValueEntity, ValueRejection, ValueReply};
use serde_json::json;

fn value() -> Alone<ValueEntity> {
    Alone::new()
}

fn any() -> Guard {
    Guard { condition: Some(Condition::Any), token: None }
}

fn absent() -> Guard {
    Guard { condition: Some(Condition::Absent), token: None }
}

fn matching(versions: &[u64]) -> Guard {
    let versions = versions.iter().copied().map(Version).collect();
    Guard { condition: Some(Condition::Versions(versions)), token: None }
}

fn fenced(guard: Guard, token: u64) -> Guard {
    Guard { token: Some(Token(token)), ..guard }
}

/// Sends a command; the reply comes with the version after it.
fn ask(
    value: &mut Alone<ValueEntity>,
    command: ValueCommand,
) -> Result<(ValueReply, u64), ValueRejection> {
    let sent = value.send(command);
    stored::check(value);
    match value.answer(sent) {
        Answer::Reply(reply, version) => {
            stored::survives(reply);
            Ok((reply.clone(), version.0))
        }
        Answer::Rejected(rejection) => Err(rejection.clone()),
        Answer::Waiting => panic!("a value lets nobody wait"),
    }
}

/// Writes; gives back the version, or the code of the refusal.
fn put(value: &mut Alone<ValueEntity>, content: &str, guard: Guard) -> Result<u64, &'static str> {
    let content = Json::parse(content).unwrap();
    let answer = ask(value, ValueCommand::Put { content, guard });
    answer.map(|(_, version)| version).map_err(|rejection| rejection.code())
}

fn rollback(value: &mut Alone<ValueEntity>, to: u64, guard: Guard) -> Result<u64, &'static str> {
    let answer = ask(value, ValueCommand::Rollback { to: Version(to), guard });
    answer.map(|(_, version)| version).map_err(|rejection| rejection.code())
}

/// The bare JSON that `GET` shows, or the code of the refusal.
fn read(value: &Alone<ValueEntity>, version: Option<u64>) -> Result<String, &'static str> {
    let kept = value.state().content(version.map(Version));
    kept.map(|kept| kept.content.to_string()).map_err(|rejection| rejection.code())
}

#[test]
fn a_write_without_a_condition_is_refused() {
    let mut value = value();
    assert_eq!(put(&mut value, "1", Guard::default()), Err("precondition_required"));
    put(&mut value, "1", absent()).unwrap();
    assert_eq!(put(&mut value, "2", Guard::default()), Err("precondition_required"));
    assert_eq!(put(&mut value, "2", fenced(Guard::default(), 9)), Err("precondition_required"));
}

#[test]
fn if_none_match_creates_once() {
    let mut value = value();
    let command = |content: &str| ValueCommand::Put {
        content: Json::parse(content).unwrap(),
        guard: absent(),
    };
    assert_eq!(ask(&mut value, command("1")), Ok((ValueReply::Put { created: true }, 1)));
    assert_eq!(ask(&mut value, command("2")).unwrap_err().code(), "precondition_failed");
    assert_eq!(read(&value, None).unwrap(), "1");
}

#[test]
fn if_match_replaces_what_was_seen_and_nothing_newer() {
    let mut value = value();
    assert_eq!(put(&mut value, "0", matching(&[1])), Err("precondition_failed"));
    assert_eq!(put(&mut value, "0", any()), Err("precondition_failed"));
    put(&mut value, "1", absent()).unwrap();
    assert_eq!(put(&mut value, "2", matching(&[1])), Ok(2));
    assert_eq!(put(&mut value, "3", matching(&[1])), Err("precondition_failed"));
    assert_eq!(put(&mut value, "3", matching(&[])), Err("precondition_failed"));
    assert_eq!(put(&mut value, "3", matching(&[7, 2])), Ok(3));
    assert_eq!(put(&mut value, "4", any()), Ok(4));
    let replaced = ValueCommand::Put { content: Json::null(), guard: any() };
    assert_eq!(ask(&mut value, replaced), Ok((ValueReply::Put { created: false }, 5)));
}

#[test]
fn a_content_comes_back_byte_for_byte() {
    let mut value = value();
    let text = "{\"b\": 1.0,\n \"a\": 12345678901234567890123, \"b\": \"\\u0041\"}";
    put(&mut value, text, absent()).unwrap();
    assert_eq!(read(&value, None).unwrap(), text);
    let state = serde_json::to_string(value.state()).unwrap();
    assert!(state.contains(text), "{state}");
}

#[test]
fn the_same_content_again_is_a_new_version() {
    let mut value = value();
    put(&mut value, "1", absent()).unwrap();
    assert_eq!(put(&mut value, "1", matching(&[1])), Ok(2));
}

#[test]
fn a_token_lower_than_one_seen_is_stale() {
    let mut value = value();
    put(&mut value, "1", fenced(absent(), 5)).unwrap();
    assert_eq!(put(&mut value, "2", fenced(any(), 4)), Err("stale_token"));
    assert_eq!(put(&mut value, "2", fenced(any(), 5)), Ok(2));
    assert_eq!(put(&mut value, "3", any()), Ok(3), "the token is optional");
    assert_eq!(put(&mut value, "4", fenced(any(), 4)), Err("stale_token"));
    assert_eq!(put(&mut value, "4", fenced(any(), 6)), Ok(4));
    assert_eq!(put(&mut value, "5", fenced(any(), 5)), Err("stale_token"));
    assert_eq!(rollback(&mut value, 1, fenced(Guard::default(), 5)), Err("stale_token"));
}

#[test]
fn a_failed_condition_comes_before_a_stale_token_and_raises_no_token() {
    let mut value = value();
    put(&mut value, "1", fenced(absent(), 5)).unwrap();
    assert_eq!(put(&mut value, "2", fenced(matching(&[9]), 4)), Err("precondition_failed"));
    assert_eq!(put(&mut value, "2", fenced(matching(&[9]), 100)), Err("precondition_failed"));
    assert_eq!(rollback(&mut value, 9, fenced(any(), 100)), Err("unknown_version"));
    assert_eq!(put(&mut value, "2", fenced(any(), 5)), Ok(2));
}

#[test]
fn the_last_twenty_versions_are_kept() {
    let mut value = value();
    put(&mut value, "1", absent()).unwrap();
    for content in 2..=25 {
        value.pass(Millis(1));
        put(&mut value, &content.to_string(), any()).unwrap();
    }
    let shown = serde_json::to_value(value.state().versions().unwrap()).unwrap();
    let versions = shown["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 20);
    assert_eq!(versions[0], json!({"version": 25, "at": value.now()}));
    assert_eq!(versions[19]["version"], json!(6));
    assert_eq!(read(&value, Some(6)).unwrap(), "6");
    for unknown in [0, 5, 26, u64::MAX] {
        assert_eq!(read(&value, Some(unknown)), Err("unknown_version"));
        assert_eq!(rollback(&mut value, unknown, any()), Err("unknown_version"));
    }
    assert_eq!(rollback(&mut value, 6, any()), Ok(26), "the oldest kept one, about to go");
    assert_eq!(read(&value, None).unwrap(), "6");
}

#[test]
fn a_rollback_is_a_new_version_with_the_old_content() {
    let mut value = value();
    assert_eq!(rollback(&mut value, 1, any()), Err("unknown_value"));
    put(&mut value, "{\"a\": 1}", absent()).unwrap();
    put(&mut value, "2", any()).unwrap();
    assert_eq!(rollback(&mut value, 1, Guard::default()), Ok(3), "the condition is optional");
    assert_eq!(read(&value, None).unwrap(), "{\"a\": 1}");
    assert_eq!(read(&value, Some(2)).unwrap(), "2");
    assert_eq!(rollback(&mut value, 2, matching(&[2])), Err("precondition_failed"));
    assert_eq!(rollback(&mut value, 2, absent()), Err("precondition_failed"));
    assert_eq!(rollback(&mut value, 2, fenced(matching(&[3]), 7)), Ok(4));
    assert_eq!(put(&mut value, "5", fenced(any(), 6)), Err("stale_token"));
}

#[test]
fn closing_needs_a_value() {
    let mut value = value();
    assert_eq!(ask(&mut value, ValueCommand::Close).unwrap_err().code(), "unknown_value");
    assert_eq!(read(&value, None), Err("unknown_value"));
    assert_eq!(value.state().versions().unwrap_err().code(), "unknown_value");
    put(&mut value, "1", absent()).unwrap();
    assert_eq!(ask(&mut value, ValueCommand::Close), Ok((ValueReply::Closed, 2)));
    assert!(value.is_closed());
    assert_eq!(read(&value, None).unwrap(), "1", "its state stays readable");
}
