//! The contract of turns, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use std::num::NonZeroU64;

use interlock_kernel::{
    json::Json,
    kit::{Alone, Answer},
};
use interlock_primitives::domain::turn::{
    TurnCommand, TurnEntity, TurnRejection, TurnReply, TurnResult,
};
use serde_json::json;

fn turns() -> Alone<TurnEntity> {
    Alone::new()
}

fn number(turn: u64) -> NonZeroU64 {
    NonZeroU64::new(turn).unwrap()
}

/// Posts and gives back what the HTTP body says besides the version.
fn post(turns: &mut Alone<TurnEntity>, turn: u64, value: &str) -> serde_json::Value {
    serde_json::to_value(try_post(turns, turn, value).unwrap()).unwrap()
}

fn try_post(
    turns: &mut Alone<TurnEntity>,
    turn: u64,
    value: &str,
) -> Result<TurnResult, TurnRejection> {
    let value = Json::parse(value).unwrap();
    let sent = turns.send(TurnCommand::Post { turn: number(turn), value });
    stored::check(turns);
    match turns.answer(sent) {
        Answer::Reply(reply @ TurnReply::Posted(result), _) => {
            stored::survives(reply);
            Ok(result.clone())
        }
        Answer::Rejected(rejection) => Err(rejection.clone()),
        other @ (Answer::Reply(TurnReply::Closed, _) | Answer::Waiting) => panic!("{other:?}"),
    }
}

fn code(turns: &mut Alone<TurnEntity>, turn: u64) -> &'static str {
    try_post(turns, turn, "0").unwrap_err().code()
}

#[test]
fn the_first_value_wins_and_opens_the_next_turn() {
    let mut turns = turns();
    let won = post(&mut turns, 1, r#"{"choice": "north"}"#);
    assert_eq!(won, json!({"won": true, "turn": 1, "value": {"choice": "north"}, "next_turn": 2}));
}

#[test]
fn whoever_comes_later_gets_the_winner_and_changes_nothing() {
    let mut turns = turns();
    post(&mut turns, 1, "\"a\"");
    post(&mut turns, 2, "\"b\"");
    let version = turns.version();
    let late = post(&mut turns, 1, "\"c\"");
    assert_eq!(late, json!({"won": false, "turn": 1, "value": "a", "next_turn": 3}));
    let same = post(&mut turns, 1, "\"a\"");
    assert_eq!(same, late, "the value does not tell who won");
    assert_eq!(turns.version(), version);
}

#[test]
fn any_json_can_win_null_included_and_comes_back_as_it_was() {
    let mut turns = turns();
    for (turn, value) in
        [(1, "null"), (2, "[1.0, {\"b\":1,\"a\":2}]"), (3, "123456789012345678901")]
    {
        let result = try_post(&mut turns, turn, value).unwrap();
        assert_eq!(result.value.as_str(), value);
    }
}

#[test]
fn a_turn_beyond_the_next_is_refused() {
    let mut turns = turns();
    assert_eq!(code(&mut turns, 2), "turn_ahead");
    assert_eq!(turns.version().0, 0, "a refusal brings nothing into being");
    post(&mut turns, 1, "1");
    assert_eq!(code(&mut turns, 3), "turn_ahead");
    assert_eq!(code(&mut turns, u64::MAX), "turn_ahead");
}

#[test]
fn the_last_thousand_turns_are_kept_and_older_ones_are_gone() {
    let mut turns = turns();
    for turn in 1..=1_001 {
        turns.send(TurnCommand::Post { turn: number(turn), value: Json::null() });
    }
    assert_eq!(post(&mut turns, 2, "1")["won"], json!(false));
    assert_eq!(code(&mut turns, 1), "turn_gone");
}

#[test]
fn the_view_shows_the_next_turn_and_the_last_winner() {
    let mut turns = turns();
    assert_eq!(turns.state().view(turns.version()).unwrap_err().code(), "unknown_turn");
    post(&mut turns, 1, "{\"a\":null}");
    let view = serde_json::to_value(turns.state().view(turns.version()).unwrap()).unwrap();
    let last = json!({"turn": 1, "value": {"a": null}});
    assert_eq!(view, json!({"next_turn": 2, "last": last, "version": 1}));
}

#[test]
fn closing_needs_a_turn_that_was_won() {
    let mut turns = turns();
    let unknown = turns.send(TurnCommand::Close);
    assert_eq!(turns.rejection(unknown).code(), "unknown_turn");
    post(&mut turns, 1, "1");
    let closed = turns.send(TurnCommand::Close);
    assert_eq!(turns.reply(closed), TurnReply::Closed);
    assert!(turns.is_closed());
    assert!(turns.state().view(turns.version()).is_ok(), "its state stays readable");
    stored::check(&turns);
}
