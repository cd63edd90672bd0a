//! `/values`, sentence by sentence.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Ask, ask},
    support::Server,
};

fn put(key: &str, content: Value) -> Ask {
    ask(&format!("PUT /values/{key}")).json(content)
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /values/{key}"))
}

fn rollback(key: &str, to: u64) -> Ask {
    ask(&format!("POST /values/{key}/rollback")).json(json!({"to": to}))
}

/// Writes a value that nobody has written to.
async fn create(server: &Server, key: &str, content: Value) {
    let ask = put(key, content).header("if-none-match", "*");
    server.yes(ask, 201, json!({"version": 1})).await;
}

/// Reads the bare JSON, with its version.
async fn read(server: &Server, ask: Ask) -> (Value, String) {
    let answer = server.send(&ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    (answer.json(), answer.header("etag").unwrap().to_owned())
}

/// Replaced whole, by compare-and-set.
pub async fn walk(server: &Server) {
    for request in [
        get("v"),
        ask("GET /values/v/versions"),
        rollback("v", 1),
        ask("DELETE /values/v"),
        ask("GET /values/v?version=1"),
    ] {
        server.no(request, "404 unknown_value").await;
    }
    // Neither condition: 428, whether there is a value or not.
    server.no(put("v", json!(1)), "428 precondition_required").await;
    server
        .no(put("v", json!(1)).header("interlock-fencing-token", "1"), "428 precondition_required")
        .await;
    for tag in ["*", "\"0\"", "\"1\""] {
        server.no(put("v", json!(1)).header("if-match", tag), "412 precondition_failed").await;
    }

    create(server, "v", json!({"a": [1, null]})).await;
    assert_eq!(read(server, get("v")).await, (json!({"a": [1, null]}), "\"1\"".to_owned()));
    server.no(put("v", json!(2)), "428 precondition_required").await;
    server
        .no(put("v", json!(2)).header("if-none-match", "\"7\""), "428 precondition_required")
        .await;
    let absent = put("v", json!(2)).header("if-none-match", "*");
    let refused = server.no(absent, "412 precondition_failed").await;
    assert_eq!(refused.json()["version"], 1, "so that the writer knows what to read");
    server.no(put("v", json!(2)).header("if-match", "\"2\""), "412 precondition_failed").await;
    server.no(put("v", json!(2)).header("if-match", "W/\"1\""), "412 precondition_failed").await;
    let both = put("v", json!(2)).header("if-match", "\"1\"").header("if-none-match", "*");
    server.no(both, "412 precondition_failed").await;

    server
        .yes(put("v", json!("two")).header("if-match", "\"1\""), 200, json!({"version": 2}))
        .await;
    let one_of = put("v", json!(null)).header("if-match", "\"9\", \"2\"");
    server.yes(one_of, 200, json!({"version": 3})).await;
    server.yes(put("v", json!(4)).header("if-match", "*"), 200, json!({"version": 4})).await;
    assert_eq!(read(server, get("v")).await, (json!(4), "\"4\"".to_owned()));
    let second = read(server, ask("GET /values/v?version=2")).await;
    assert_eq!(second, (json!("two"), "\"2\"".to_owned()));
    server.no(ask("GET /values/v?version=5"), "404 unknown_version").await;
    server.no(ask("GET /values/v?version=0"), "404 unknown_version").await;
    server.no(ask("GET /values/v?version=x"), "400 wrong_type").await;
    server.no(ask("GET /values/v?version=%ff"), "400 bad_request").await;

    // A new version with the old content.
    server.no(rollback("v", 9), "404 unknown_version").await;
    server.no(rollback("v", 1).header("if-match", "\"3\""), "412 precondition_failed").await;
    server.no(rollback("v", 1).header("if-none-match", "\"3\""), "428 precondition_required").await;
    server.yes(rollback("v", 2).header("if-match", "\"4\""), 200, json!({"version": 5})).await;
    server.yes(rollback("v", 1), 200, json!({"version": 6})).await;
    assert_eq!(read(server, get("v")).await, (json!({"a": [1, null]}), "\"6\"".to_owned()));

    server.yes(ask("DELETE /values/v"), 200, json!({"version": 7})).await;
    for closed in [
        put("v", json!(0)).header("if-match", "*"),
        put("v", json!(0)),
        rollback("v", 1),
        ask("DELETE /values/v"),
    ] {
        server.no(closed, "410 closed").await;
    }
    assert_eq!(read(server, get("v")).await, (json!({"a": [1, null]}), "\"6\"".to_owned()));
}

/// The last 20 versions.
pub async fn walk_versions(server: &Server) {
    create(server, "many", json!(1)).await;
    for version in 2..=25 {
        server.pass(1_000).await;
        let ask = put("many", json!(version)).header("if-match", &format!("\"{}\"", version - 1));
        server.yes(ask, 200, json!({"version": version})).await;
    }
    let newest = server.clock.after(0);
    let versions = server.send(&ask("GET /values/many/versions")).await.json();
    let numbers: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["version"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (6..=25).rev().collect::<Vec<_>>(), "newest first");
    assert_eq!(versions["versions"][0], json!({"version": 25, "at": newest}));
    server.no(ask("GET /values/many?version=5"), "404 unknown_version").await;
    server.no(rollback("many", 5), "404 unknown_version").await;
    assert_eq!(read(server, ask("GET /values/many?version=6")).await.0, json!(6));
}

/// A write with an outdated fencing token is refused.
pub async fn walk_fencing(server: &Server) {
    let fenced = |ask: Ask, token: &str| ask.header("interlock-fencing-token", token);
    let matching =
        |version: u64| put("f", json!(version)).header("if-match", &format!("\"{version}\""));
    create(server, "f", json!(0)).await;
    server.yes(fenced(matching(1), "5"), 200, json!({"version": 2})).await;
    server.no(fenced(matching(2), "4"), "409 stale_token").await;
    // 412 comes first, and a refused write does not raise the token seen.
    server.no(fenced(matching(1), "4"), "412 precondition_failed").await;
    server.no(fenced(matching(1), "9"), "412 precondition_failed").await;
    server.yes(fenced(matching(2), "5"), 200, json!({"version": 3})).await;
    server.yes(matching(3), 200, json!({"version": 4})).await;
    server.no(fenced(rollback("f", 1), "4"), "409 stale_token").await;
    server.yes(fenced(rollback("f", 1), "7"), 200, json!({"version": 5})).await;
    server.no(fenced(matching(5), "6"), "409 stale_token").await;
    for garbage in ["-1", "x", "1.0", "9007199254740992", ""] {
        server.no(fenced(matching(5), garbage), "400 bad_fencing_token").await;
    }
    for garbage in ["5", "\"5", "*, \"5\""] {
        let ask = put("f", json!(0)).header("if-match", garbage);
        server.no(ask, "400 bad_condition").await;
    }
}

#[tokio::test]
async fn a_value_is_replaced_by_those_who_know_what_they_replace() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn the_last_twenty_versions_are_kept() {
    walk_versions(&Server::start().await).await;
}

#[tokio::test]
async fn an_outdated_token_writes_nothing() {
    walk_fencing(&Server::start().await).await;
}

#[tokio::test]
async fn a_value_comes_back_byte_for_byte() {
    let server = Server::start().await;
    let large = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    for (number, content) in (0..).zip([
        r#"{"b":1, "a" : [ 1,2 ],"b":2}"#,
        "1.0000000000000000000001",
        "1e400",
        "[\n  1\n]",
        r#""half \ud800""#,
        "null",
        &large,
    ]) {
        let put = ask(&format!("PUT /values/v{number}")).text(&format!(" {content}"));
        let put = put.header("if-none-match", "*");
        let expected = if content.len() < 1 << 20 { 201 } else { 413 };
        assert_eq!(server.send(&put).await.status, expected, "a space makes it too large");
        let shown = server.raw(&get(&format!("v{number}"))).await;
        assert!(expected == 413 || shown.text == content, "{}", shown.text);
    }
    let put = ask("PUT /values/large").text(&large).header("if-none-match", "*");
    assert_eq!(server.send(&put).await.status, 201, "1 MiB");
    assert!(server.raw(&get("large")).await.text == large);
}

#[tokio::test]
async fn a_reader_keeps_what_it_asked_for_with_head_too() {
    let server = Server::start().await;
    create(&server, "v", json!([1])).await;
    let head = server.send(&ask("HEAD /values/v")).await;
    assert_eq!((head.status, head.header("etag")), (200, Some("\"1\"")));
    assert_eq!((head.header("content-length"), head.text.as_str()), (Some("3"), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_to_another_one() {
    let server = Server::start().await;
    create(&server, "counter", json!(0)).await;
    let increment = async |server: &Server| {
        loop {
            let (count, tag) = read(server, get("counter")).await;
            let next = put("counter", json!(count.as_u64().unwrap() + 1)).header("if-match", &tag);
            let answer: Answer = server.send(&next).await;
            match answer.verdict().as_str() {
                "200" => return,
                verdict => assert_eq!(verdict, "412 precondition_failed"),
            }
        }
    };
    let writers = (0..8).map(|_| async {
        for _ in 0..10 {
            increment(&server).await;
        }
    });
    join_all(writers).await;
    assert_eq!(read(&server, get("counter")).await, (json!(80), "\"81\"".to_owned()));
}
