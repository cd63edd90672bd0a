//! The server against clients of every kind, over real sockets.

use std::time::Duration;

use crate::support::{Server, read_answer, read_one, request};
use interlock_web::{limits, metrics::Text, serve::Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends bytes to a server of their own and checks the verdict.
async fn check(bytes: &[u8], expected: &str) {
    let server = Server::start(Settings::default()).await;
    let answer = server.talk(bytes).await;
    let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert_eq!(answer.verdict(), expected, "{sent}\n{}", answer.0);
    assert_eq!(server.talk(&request("GET /hello", &[], "")).await.verdict(), "200", "goes on");
}

#[tokio::test]
async fn what_is_no_http_is_told_so() {
    for garbage in [
        "\u{16}\u{3}\u{1}\u{0}\u{a5}hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/3.0\r\nhost: localhost\r\n\r\n",
        "GET /  HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: \u{0}\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
    ] {
        let garbage = garbage.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
        check(garbage.as_bytes(), "400 bad_request").await;
    }
}

#[tokio::test]
async fn heads_are_bounded_in_bytes_and_lines() {
    let long = format!("x: {}", "y".repeat(limits::HEAD_BYTES));
    check(&request("GET /hello", &[&long], ""), "431 header_too_large").await;
    let path = format!("GET /{}", "y".repeat(limits::HEAD_BYTES));
    check(&request(&path, &[], ""), "431 header_too_large").await;
    let many = vec!["x: y"; limits::HEADERS - 2];
    check(&request("GET /hello", &many, ""), "200").await;
    let more = vec!["x: y"; limits::HEADERS - 1];
    check(&request("GET /hello", &more, ""), "431 header_too_large").await;
    let endless = format!("GET /hello HTTP/1.1\r\nx: {}", "y".repeat(200_000));
    check(endless.as_bytes(), "431 header_too_large").await;
}

#[tokio::test]
async fn a_half_closed_connection_is_answered() {
    let server = Server::start(Settings::default()).await;
    let whole = "POST /quotas/q/claims HTTP/1.1\r\nhost: localhost\r\n\
                 content-type: application/json\r\ncontent-length: 15\r\n\r\n{\"worker\":\"w0\"}";
    for (sent, expected) in [
        (whole, "201"),
        (&whole[..whole.len() - 1], "400 bad_request"),
        (&whole[..40], "400 bad_request"),
        ("G", "400 bad_request"),
        ("", "nothing"),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_answer(&mut stream).await.verdict(), expected, "{sent}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let head_time = Duration::from_millis(200);
    let linger_time = head_time;
    let server = Server::start(Settings { head_time, linger_time, ..Settings::default() }).await;
    let answer = server.talk(b"GET /hello HTTP/1.1\r\nhost: loc").await;
    assert_eq!(answer.verdict(), "408 request_timeout");
    assert_eq!(server.talk(b"").await.verdict(), "nothing", "silent ones are closed in silence");
    let mut text = Text::new();
    server.traffic.write(&mut text);
    assert!(text.as_str().contains("answers_total{status=\"4xx\"} 1\n"), "{}", text.as_str());

    let (mut reader, mut writer) = server.connect().await.into_split();
    let dribble = tokio::spawn(async move {
        // Paces the sender; nothing waits for it.
        let mut pause = tokio::time::interval(head_time / 20);
        while writer.write_all(b"x").await.is_ok() {
            pause.tick().await;
        }
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("request_timeout"), "{text}");
    drop(reader);
    dribble.await.unwrap();
}

#[tokio::test]
async fn a_second_head_that_does_not_come_is_not_waited_for() {
    let head_time = Duration::from_millis(200);
    let server = Server::start(Settings { head_time, ..Settings::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut stream).await.verdict(), "200");
    stream.write_all(b"GET /hello HTTP/1.1\r\nho").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.verdict(), "408 request_timeout");
}

#[tokio::test]
async fn the_time_for_heads_does_not_run_for_those_who_wait_or_lie_idle() {
    let head_time = Duration::from_millis(100);
    let mut server = Server::start(Settings { head_time, ..Settings::default() }).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /work HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("working").await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle).await.verdict(), "200");

    // Came last, and its time is over: so is that of the others, if it runs at all.
    assert_eq!(server.talk(b"").await.verdict(), "nothing");
    server.go.notify_one();
    assert_eq!(read_one(&mut busy).await.verdict(), "204");
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle).await.verdict(), "200");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_silence() {
    let idle_time = Duration::from_millis(50);
    let server = Server::start(Settings { idle_time, ..Settings::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let answers = read_answer(&mut stream).await;
    assert_eq!(answers.0.matches("HTTP/1.1").count(), 1, "{}", answers.0);
}

#[tokio::test]
async fn one_connection_serves_many_requests_also_sent_at_once() {
    let server = Server::start(Settings::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(read_one(&mut stream).await.verdict(), "200");
    }
    let two = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\nGET /no HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(two).await.unwrap();
    assert_eq!(read_one(&mut stream).await.verdict(), "200");
    assert_eq!(read_one(&mut stream).await.verdict(), "404 not_found");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    check(&request("GET /", &[], ""), "404 not_found").await;
    check(&request("GET /hello/", &[], ""), "404 not_found").await;
    check(&request("GET /%zz", &[], ""), "404 not_found").await;
    check(&request("GET *", &[], ""), "404 not_found").await;
    check(&request("BREW /hello", &[], ""), "405 method_not_allowed").await;
    check(&request("OPTIONS /hello", &[], ""), "405 method_not_allowed").await;
    let server = Server::start(Settings::default()).await;
    let answer = server.talk(&request("POST /hello", &[], "{}")).await;
    assert!(answer.0.contains("\r\nallow: GET, HEAD\r\n"), "{}", answer.0);
    let answer = server.talk(&request("GET /values/v", &[], "")).await;
    assert!(answer.0.contains("\r\nallow: DELETE, PUT\r\n"), "{}", answer.0);
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let server = Server::start(Settings::default()).await;
    let get = server.talk(&request("GET /hello", &[], "")).await.0;
    let head = server.talk(&request("HEAD /hello", &[], "")).await.0;
    let (get_head, body) = get.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"hello\":true}");
    let without_date = |text: &str| {
        text.lines().filter(|line| !line.starts_with("date")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_date(get_head), without_date(head.strip_suffix("\r\n\r\n").unwrap()));
}

#[tokio::test]
async fn a_host_that_is_not_ours_is_refused_first() {
    let foreign = b"GET /no HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    check(foreign, "403 forbidden_host").await;
    check(&request("GET /hello", &["origin: http://evil.example"], ""), "403 forbidden_origin")
        .await;
}

#[tokio::test]
async fn a_panic_costs_one_request() {
    let server = Server::start(Settings::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let answer = read_one(&mut stream).await;
    assert_eq!(answer.verdict(), "500 internal_error");
    assert!(!answer.0.contains("on purpose"), "details stay in the log");
    stream.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut stream).await.verdict(), "200");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = Server::start(Settings { connections: 1, ..Settings::default() }).await;
    let mut first = server.connect().await;
    first.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut first).await.verdict(), "200");

    let mut second = server.connect().await;
    let answer = read_answer(&mut second).await;
    assert_eq!(answer.verdict(), "503 too_many_connections");
    assert!(answer.0.contains("\r\nretry-after: 1\r\n"), "{}", answer.0);

    let mut text = Text::new();
    server.traffic.write(&mut text);
    assert!(text.as_str().contains("\ninterlock_http_connections 1\n"), "{}", text.as_str());
    assert!(text.as_str().contains("\ninterlock_http_connections_refused_total 1\n"));
    assert!(text.as_str().contains("\ninterlock_http_answers_total{status=\"2xx\"} 1\n"));
}

#[tokio::test]
async fn who_waits_for_a_client_learns_that_it_has_gone() {
    let mut server = Server::start(Settings::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("waiting").await;
    drop(stream);
    server.hear("over").await;

    let mut stream = server.connect().await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("waiting").await;
    server.go.notify_one();
    server.hear("woken").await;
    assert_eq!(read_one(&mut stream).await.verdict(), "204");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_let_go() {
    let stall_time = Duration::from_millis(200);
    let mut server = Server::start(Settings { stall_time, ..Settings::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("dropped").await;
}

#[tokio::test]
async fn stopping_lets_requests_end_and_takes_no_new_ones() {
    let mut server = Server::start(Settings::default()).await;
    let address = server.address;
    let go = server.go.clone();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_one(&mut idle).await.verdict(), "200");
    let mut busy = server.connect().await;
    busy.write_all(b"GET /work HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("working").await;

    let stopping = server.stop();
    assert_eq!(read_answer(&mut idle).await.0, "", "an idle connection is closed at once");
    drop(idle);
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    go.notify_one();
    assert_eq!(read_answer(&mut busy).await.verdict(), "204");
    drop(busy);
    assert_eq!(stopping.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn stopping_ends_even_if_a_request_does_not() {
    let drain_time = Duration::from_millis(50);
    let mut server = Server::start(Settings { drain_time, ..Settings::default() }).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /work HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("working").await;
    assert_eq!(server.stop().await.unwrap().cut_off, 1);
}

#[tokio::test]
async fn what_could_go_on_for_long_ends_when_the_server_stops() {
    let mut server = Server::start(Settings::default()).await;
    let mut waiting = server.connect().await;
    waiting.write_all(b"GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("waiting").await;
    let mut feed = server.connect().await;
    feed.write_all(b"GET /feed HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    server.hear("feeding").await;
    let stopping = server.stop();
    assert_eq!(read_answer(&mut waiting).await.verdict(), "503 shutting_down");
    let ended = read_answer(&mut feed).await.0;
    assert!(ended.ends_with("\r\n\r\n0\r\n\r\n"), "a whole answer: {ended}");
    drop((waiting, feed));
    assert_eq!(stopping.await.unwrap().cut_off, 0);
}

#[tokio::test]
async fn who_has_the_answer_is_not_sent_it_again() {
    let server = Server::start(Settings::default()).await;
    for (line, tags, spared) in [
        ("GET /shown/v", "\"17\"", true),
        ("HEAD /shown/v", "\"17\"", true),
        ("GET /shown/v", "\"16\", W/\"17\"", true),
        ("GET /shown/v", "*", true),
        ("GET /shown/v", "\"16\"", false),
        ("GET /shown/v", "\"7\"", false),
        ("GET /shown/v", "17", false),
        ("GET /hello", "*", false),
    ] {
        let header = format!("if-none-match: {tags}");
        let answer = server.talk(&request(line, &[&header], "")).await.0;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = if spared { "HTTP/1.1 304 " } else { "HTTP/1.1 200 " };
        assert!(head.starts_with(status), "{line} {tags}: {answer}");
        assert_eq!(head.contains("etag: \"17\""), line.ends_with("/v"), "{line} {tags}: {answer}");
        assert_eq!(body.is_empty(), spared, "{line} {tags}: {answer}");
        assert_eq!(head.contains("content-type"), !spared, "{line} {tags}: {answer}");
    }
    let refused = request("GET /shown/a%20b", &["if-none-match: *"], "");
    assert_eq!(server.talk(&refused).await.verdict(), "400 bad_key");
}
