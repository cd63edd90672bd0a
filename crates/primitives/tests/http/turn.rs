//! `/turns`, sentence by sentence.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Ask, ask},
    support::Server,
};

fn post(key: &str, turn: u64, value: Value) -> Ask {
    ask(&format!("POST /turns/{key}")).json(json!({"turn": turn, "value": value}))
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /turns/{key}"))
}

fn won(won: bool, turn: u64, value: Value, next_turn: u64, version: u64) -> Value {
    json!({"won": won, "turn": turn, "value": value, "next_turn": next_turn, "version": version})
}

/// One winner per turn.
pub async fn walk(server: &Server) {
    // It comes into being with its first successful POST.
    server.no(get("t"), "404 unknown_turn").await;
    server.no(ask("DELETE /turns/t"), "404 unknown_turn").await;
    server.no(post("t", 2, json!("b")), "409 turn_ahead").await;
    server.no(get("t"), "404 unknown_turn").await;

    // Turns start at 1; the first value wins.
    server.yes(post("t", 1, json!("a")), 200, won(true, 1, json!("a"), 2, 1)).await;
    let last = json!({"next_turn": 2, "last": {"turn": 1, "value": "a"}, "version": 1});
    server.yes(get("t"), 200, last).await;

    // An old turn returns its winner, and nothing changes.
    server.yes(post("t", 1, json!("b")), 200, won(false, 1, json!("a"), 2, 1)).await;
    server.yes(post("t", 1, json!("a")), 200, won(false, 1, json!("a"), 2, 1)).await;
    server.yes(post("t", 2, json!({"x": [1]})), 200, won(true, 2, json!({"x": [1]}), 3, 2)).await;
    server.yes(post("t", 1, json!("c")), 200, won(false, 1, json!("a"), 3, 2)).await;
    server.no(post("t", 4, json!(0)), "409 turn_ahead").await;
    server.no(post("t", (1 << 53) - 1, json!(0)), "409 turn_ahead").await;

    // Closed: nothing is played any more, and everything can be read.
    server.yes(ask("DELETE /turns/t"), 200, json!({"version": 3})).await;
    for turn in [1, 3, 9] {
        let closed = server.no(post("t", turn, json!("z")), "410 closed").await;
        assert_eq!(
            (closed.json()["version"].clone(), closed.header("etag")),
            (json!(3), Some("\"3\""))
        );
    }
    server.no(ask("DELETE /turns/t"), "410 closed").await;
    let last = json!({"next_turn": 3, "last": {"turn": 2, "value": {"x": [1]}}, "version": 3});
    server.yes(get("t"), 200, last).await;
    server.yes(post("u", 1, json!(null)), 200, won(true, 1, json!(null), 2, 1)).await;
}

/// The last 1,000 winners are kept.
pub async fn walk_long(server: &Server) {
    server.send(&post("long", 1, json!(1)).id("first")).await;
    for turn in 2..=1000 {
        server.send(&post("long", turn, json!(turn))).await;
    }
    server.yes(post("long", 1, json!(0)), 200, won(false, 1, json!(1), 1001, 1000)).await;
    server.send(&post("long", 1001, json!(1001))).await;
    server.no(post("long", 1, json!(0)), "410 turn_gone").await;
    server.yes(post("long", 2, json!(0)), 200, won(false, 2, json!(2), 1002, 1001)).await;
    // The winner's own repeat gets its recorded reply, turn_gone or not.
    let again = post("long", 1, json!(1)).id("first");
    assert!(server.yes(again, 200, won(true, 1, json!(1), 2, 1)).await.replayed());
}

#[tokio::test]
async fn a_turn_has_one_winner() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn the_last_thousand_winners_are_kept() {
    walk_long(&Server::start().await).await;
}

#[tokio::test]
async fn values_come_back_byte_for_byte() {
    let server = Server::start().await;
    for (turn, value) in (1..).zip([
        r#"1.0000000000000000000001"#,
        r#"1e400"#,
        r#"{"b":1, "a" : [ 1,2 ],"b":2}"#,
        r#""é\u00e9\n \ud83d\ude00""#,
        r#""half \ud800""#,
        r#"-0"#,
        r#""""#,
    ]) {
        let body = format!(r#"{{"turn":{turn},"value": {value} }}"#);
        let answer = server.raw(&ask("POST /turns/t").text(&body)).await;
        let expected = format!(
            r#"{{"won":true,"turn":{turn},"value":{value},"next_turn":{},"version":{turn}}}"#,
            turn + 1
        );
        assert_eq!(answer.text, expected);
        let shown = server.raw(&get("t")).await;
        assert!(shown.text.contains(&format!(r#""last":{{"turn":{turn},"value":{value}}}"#)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_play_a_turn_at_once_one_wins_and_all_learn_who() {
    let server = Server::start().await;
    for turn in 1..=20 {
        let players = (0..16).map(|player| {
            let ask = post("t", turn, json!(player));
            let server = &server;
            async move { (player, server.send(&ask).await.json()) }
        });
        let answers = join_all(players).await;
        let winners: Vec<_> = answers
            .iter()
            .filter(|(_, answer)| answer["won"] == true)
            .map(|(player, _)| *player)
            .collect();
        let told: BTreeSet<_> =
            answers.iter().map(|(_, answer)| answer["value"].as_u64()).collect();
        assert_eq!(winners.len(), 1, "turn {turn}");
        assert_eq!(told, BTreeSet::from([Some(winners[0])]), "turn {turn}");
    }
    let versions = server.send(&get("t")).await.json();
    assert_eq!((&versions["next_turn"], &versions["version"]), (&json!(21), &json!(20)));
}
