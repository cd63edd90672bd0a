//! What the paths take and say.

use hyper::{Method, StatusCode};
use interlock_streams::fake::Settings;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Process, config, engines, soon, stream_path};

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

#[tokio::test]
async fn what_names_no_stream_is_a_bad_request() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 1)).await;
    for query in [
        String::new(),
        format!("?id={ID}&infohash={ID}"),
        format!("?id={ID}&pid=7"),
        format!("?id={ID}&pid="),
        "?id=".to_owned(),
        format!("?id={ID}0"),
        format!("?id={}", &ID[1..]),
        format!("?infohash={}x", &ID[1..]),
        format!("?id={ID}&id={ID}"),
    ] {
        let (status, problem, _) = process.refuses(&format!("/ace/getstream{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {problem}");
    }
    assert_eq!(fakes[0].stats().start_requests, 0);
}

#[tokio::test]
async fn a_head_request_troubles_no_engine() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 1)).await;
    let head = process.ask(Method::HEAD, &stream_path(1)).await;
    assert_eq!(
        (head.status, &head.headers["content-type"]),
        (StatusCode::OK, &"video/mp2t".parse().unwrap())
    );
    assert_eq!(process.ask(Method::HEAD, "/ace/getstream").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(fakes[0].stats().start_requests, 0);
}

/// What `/ace/status` says.
async fn status(process: &Process, query: &str) -> Value {
    let mut answer = process.ask(Method::GET, &format!("/ace/status{query}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    serde_json::from_slice(&answer.next().await.unwrap()).unwrap()
}

#[tokio::test]
async fn the_status_tells_of_one_stream_and_of_all() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 2)).await;
    let empty = json!({"clients": 0, "streams": 0, "stream_id": "", "stat_url": ""});
    assert_eq!(status(&process, "").await, empty);
    let _all = (process.plays(1).await, process.plays_on(1).await, process.plays(2).await);
    let all = status(&process, "").await;
    assert_eq!((&all["clients"], &all["streams"]), (&json!(3), &json!(2)));
    let id = format!("{:040x}", 1);
    let one = status(&process, &format!("?id={id}")).await;
    assert_eq!((&one["clients"], &one["stream_id"]), (&json!(2), &json!(id)));
    let stat_url = one["stat_url"].as_str().unwrap();
    assert!(stat_url.starts_with(&format!("{}/ace/stat/", fakes[0].url())), "{stat_url}");
    let (unknown, problem, _) = process.refuses(&format!("/ace/status?id={ID}")).await;
    assert_eq!((unknown, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_stream")));
}

/// What a client gets that sends exactly this, up to so many bytes.
async fn raw(process: &Process, request: &str, bytes: usize) -> Vec<u8> {
    let mut stream = TcpStream::connect(process.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = vec![0; bytes];
    soon("bytes", stream.read_exact(&mut got)).await.unwrap();
    got
}

#[tokio::test]
async fn old_clients_get_the_bytes_bare_and_ranges_are_ignored() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 2)).await;
    let old = format!("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", stream_path(1));
    let got = raw(&process, &old, 5_000).await;
    let split = got.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let head = std::str::from_utf8(&got[..split]).unwrap();
    assert!(head.starts_with("HTTP/1.0 200") && !head.contains("chunked"), "{head}");
    assert_eq!((got[split], got[split + 188]), (0x47, 0x47));

    let path = stream_path(2);
    let range = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-\r\n\r\n");
    let got = raw(&process, &range, 500).await;
    assert!(got.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&got));
}

#[tokio::test]
async fn the_document_tells_every_code_that_the_paths_answer_with() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 1)).await;
    let mut answer = process.ask(Method::GET, "/api/openapi.json").await;
    let mut text = Vec::new();
    while let Some(bytes) = answer.next().await {
        text.extend_from_slice(&bytes);
    }
    let document: Value = serde_json::from_slice(&text).unwrap();
    let play = &document["paths"]["/ace/getstream"]["get"]["responses"];
    assert!(play["200"]["content"]["video/mp2t"].is_object(), "{play}");
    for (status, code) in [
        ("400", "bad_stream"),
        ("502", "no_engine"),
        ("503", "engines_full"),
        ("503", "shutting_down"),
        ("503", "store_unavailable"),
        ("504", "start_timeout"),
    ] {
        let says = play[status]["description"].as_str().unwrap_or_default();
        assert!(says.contains(&format!("`{code}`")), "{status}: {says}");
    }
}
