//! Commands over real sockets: bodies, keys, ids and conditions, good and bad.

use crate::support::{Server, read_answer, read_one, request};
use interlock_web::{limits, serve::Settings};
use tokio::io::AsyncWriteExt;

const JSON: &str = "content-type: application/json";

/// Sends one request and checks the verdict.
async fn check(line: &str, headers: &[&str], body: &str, expected: &str) {
    let server = Server::start(Settings::default()).await;
    let answer = server.talk(&request(line, headers, body)).await;
    let sent: String = body.chars().take(100).collect();
    assert_eq!(answer.verdict(), expected, "{line} {headers:?} {sent}\n{}", answer.0);
}

#[tokio::test]
async fn a_command_is_read_and_answered() {
    let server = Server::start(Settings::default()).await;
    let body = r#"{"worker":"w0","ttl_ms":500}"#;
    let answer = server.talk(&request("POST /quotas/a%3Ab/claims", &[JSON], body)).await;
    assert_eq!(answer.verdict(), "201");
    let expected = serde_json::json!({"key": "a:b", "worker": "w0", "ttl_ms": 500});
    assert_eq!(answer.json(), expected);
    for line in ["content-type: application/json", "etag: \"1\"", "idempotent-replayed: true"] {
        assert!(answer.0.contains(&format!("\r\n{line}\r\n")), "{line}\n{}", answer.0);
    }
}

#[tokio::test]
async fn a_body_must_be_declared_as_json() {
    let body = r#"{"worker":"w0"}"#;
    let line = "POST /quotas/q/claims";
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;x=y"] {
        check(line, &[&format!("content-type: {good}")], body, "201").await;
    }
    for bad in ["text/plain", "application/jsonx", "application/problem+json", "", "json", "é"] {
        check(line, &[&format!("content-type: {bad}")], body, "415 not_json").await;
    }
    check(line, &[], body, "415 not_json").await;
}

#[tokio::test]
async fn no_body_stands_for_the_empty_object() {
    check("DELETE /values/v", &[], "", "204").await;
    check("DELETE /values/v", &[JSON], "", "204").await;
    check("DELETE /values/v", &[JSON], "{}", "204").await;
    check("DELETE /values/v", &[JSON], r#"{"x":1}"#, "400 unknown_field").await;
    check("DELETE /values/v", &["content-type: text/plain"], "", "415 not_json").await;
    check("POST /notes", &[], "", "204").await;
    check("POST /quotas/q/claims", &[], "", "400 missing_field").await;
    check("PUT /values/v", &[], "", "400 bad_json").await;
}

#[tokio::test]
async fn bodies_that_do_not_parse_are_refused() {
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(5));
    for body in ["{", "nul", "{\"worker\":\"w0\"} x", "{\"worker\":\"w0\",}", "\u{feff}{}", &deep] {
        check("POST /quotas/q/claims", &[JSON], body, "400 bad_json").await;
    }
    check("POST /quotas/q/claims", &[JSON], "[]", "400 wrong_type").await;
    check("POST /quotas/q/claims", &[JSON], r#"{"worker":"w0","x":1}"#, "400 unknown_field").await;
    let absurd = r#"{"worker":"w0","ttl_ms":1e400}"#;
    check("POST /quotas/q/claims", &[JSON], absurd, "400 wrong_type").await;
}

#[tokio::test]
async fn a_value_is_kept_byte_for_byte() {
    let server = Server::start(Settings::default()).await;
    for body in ["null", "1e400", r#"{"b" : 1.0,"a":[ 1 ],"b":"\ud83d\ude00"}"#, "\"é\""] {
        let answer = server.talk(&request("PUT /values/v", &[JSON], body)).await;
        assert_eq!(answer.0.split_once("\r\n\r\n").unwrap().1, body);
    }
    let deep = "[".repeat(limits::JSON_DEPTH + 1) + &"]".repeat(limits::JSON_DEPTH + 1);
    check("PUT /values/v", &[JSON], &deep, "400 bad_json").await;
}

#[tokio::test]
async fn bodies_are_bounded() {
    let padded = |bytes: usize| {
        let body = r#"{"worker":"w0"}"#;
        body.to_owned() + &" ".repeat(bytes - body.len())
    };
    let line = "POST /quotas/q/claims";
    check(line, &[JSON], &padded(limits::BODY_BYTES), "201").await;
    check(line, &[JSON], &padded(limits::BODY_BYTES + 1), "413 too_large").await;
    check(line, &[JSON], &padded(5 << 20), "413 too_large").await;
    check(line, &[JSON], &padded(limits::DRAIN_BYTES + 70_000), "413 too_large").await;
    check("PUT /values/v", &[JSON], &padded(limits::LARGE_BODY_BYTES), "200").await;
    check("PUT /values/v", &[JSON], &padded(limits::LARGE_BODY_BYTES + 1), "413 too_large").await;
    check("POST /no", &[JSON], &padded(5 << 20), "404 not_found").await;
}

#[tokio::test]
async fn chunked_bodies_are_bounded_too() {
    let server = Server::start(Settings::default()).await;
    let head = "POST /quotas/q/claims HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let small = "f\r\n{\"worker\":\"w0\"}\r\n0\r\n\r\n".to_owned();
    let split = "5\r\n{\"wor\r\na\r\nker\":\"w0\"}\r\n0\r\n\r\n".to_owned();
    let large = format!("{:x}\r\n{}\r\n0\r\n\r\n", 100_000, " ".repeat(100_000));
    let broken = "zz\r\n{}\r\n".to_owned();
    for (chunks, expected) in
        [(small, "201"), (split, "201"), (large, "413 too_large"), (broken, "400 bad_request")]
    {
        let answer = server.talk(format!("{head}{chunks}").as_bytes()).await;
        assert_eq!(answer.verdict(), expected, "{chunks:.40}");
    }
}

#[tokio::test]
async fn who_announces_too_much_is_told_before_sending_it() {
    let server = Server::start(Settings::default()).await;
    for (expect, sent) in [("expect: 100-continue\r\n", ""), ("", ""), ("", "{\"worker\":")] {
        let mut stream = server.connect().await;
        let head = format!(
            "POST /quotas/q/claims HTTP/1.1\r\nhost: localhost\r\n{expect}\
             content-type: application/json\r\ncontent-length: 70000\r\n\r\n{sent}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert_eq!(answer.verdict(), "413 too_large", "{}", answer.0);
        assert!(answer.0.contains("connection: close\r\n"), "{}", answer.0);
    }
}

#[tokio::test]
async fn a_connection_outlives_a_body_that_was_too_large() {
    let server = Server::start(Settings::default()).await;
    let mut stream = server.connect().await;
    let body = " ".repeat(limits::BODY_BYTES + 1);
    for _ in 0..2 {
        let head = "POST /quotas/q/claims HTTP/1.1\r\nhost: localhost\r\n\
                    content-type: application/json\r\n";
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_one(&mut stream).await;
        assert_eq!(answer.verdict(), "413 too_large", "{}", answer.0);
        assert!(!answer.0.contains("connection: close"), "{}", answer.0);
    }
}

#[tokio::test]
async fn keys_in_paths_follow_the_rule_of_names() {
    let long = "x".repeat(201);
    for key in ["", "a%20b", "%2e", "..", "a%2Fb", "%ff", "%00", "a%zz", "%C3%A9", &long] {
        let line = format!("POST /quotas/{key}/claims");
        check(&line, &[JSON], r#"{"worker":"w0"}"#, "400 bad_key").await;
    }
    let longest = format!("POST /quotas/{}/claims", "x".repeat(200));
    check(&longest, &[JSON], r#"{"worker":"w0"}"#, "201").await;
}

#[tokio::test]
async fn command_ids_are_visible_ascii_and_come_once() {
    let long = format!("idempotency-key: {}", "x".repeat(256));
    let longest = format!("idempotency-key: {}", "x".repeat(255));
    for headers in [
        &["idempotency-key:"][..],
        &["idempotency-key: a b"],
        &["idempotency-key: é"],
        &["idempotency-key: a\tb"],
        &[&long],
        &["idempotency-key: a", "idempotency-key: a"],
    ] {
        let headers = [headers, &[JSON]].concat();
        let line = "POST /quotas/q/claims";
        check(line, &headers, r#"{"worker":"w0"}"#, "400 bad_idempotency_key").await;
    }
    for good in ["idempotency-key: ~!\"{}", &longest] {
        check("POST /quotas/q/claims", &[JSON, good], r#"{"worker":"w0"}"#, "201").await;
    }
}

#[tokio::test]
async fn conditions_that_cannot_be_understood_are_refused() {
    check("PUT /values/v", &[JSON, "if-match: 17"], "1", "400 bad_condition").await;
    check("PUT /values/v", &[JSON, "if-none-match: x"], "1", "400 bad_condition").await;
    let token = "interlock-fencing-token: -1";
    check("PUT /values/v", &[JSON, token], "1", "400 bad_fencing_token").await;
    check("PUT /values/v", &[JSON, "if-match: W/\"1\", \"2\""], "1", "200").await;
}
