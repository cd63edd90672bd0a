//! The client of the engine's API.

use std::time::Duration;

use interlock_streams::{
    fake::{FakeEngine, OnStart, OnStop, Settings},
    io::{
        engine::{Engine, EngineUrl, Session, StreamKey},
        fault::{EngineError, Fault},
    },
};
use tokio::time::Instant;

use crate::support::{Canned, deadline, http, key, soon, started};

async fn fake(settings: Settings) -> (FakeEngine, Engine) {
    let fake = FakeEngine::start(settings).await.unwrap();
    let engine = Engine::new(fake.url());
    (fake, engine)
}

fn at_once() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

/// The fault of a start that the canned answer gets.
async fn fault_of_start(canned: Canned) -> Fault {
    let started = canned.engine().start(&key("news"), "player-1", deadline()).await;
    started.unwrap_err().fault
}

#[tokio::test]
async fn a_stream_is_started_described_played_and_stopped() {
    let (fake, engine) = fake(Settings::default()).await;
    let session = started(&engine, "news", "player-1").await;
    assert!(session.is_live);
    let stat = engine.stat(&session.stat_url, deadline()).await.unwrap();
    assert_eq!((stat.status.as_str(), stat.downloaded), ("prebuf", 0));

    let mut pull = engine.open(&session, deadline()).await.unwrap();
    assert!(pull.read().await.unwrap().is_some());
    let stat = engine.stat(&session.stat_url, deadline()).await.unwrap();
    assert_eq!(stat.status, "dl");

    engine.stop(&session.command_url, deadline()).await.unwrap();
    assert_eq!(fake.stats().active, 0);
}

#[tokio::test]
async fn content_ids_and_infohashes_are_told_apart() {
    let (fake, engine) = fake(Settings::default()).await;
    engine.start(&StreamKey::ContentId("same".into()), "a", deadline()).await.unwrap();
    engine.start(&StreamKey::Infohash("same".into()), "b", deadline()).await.unwrap();
    let hashes: Vec<String> = fake.stats().sessions.into_values().map(|s| s.infohash).collect();
    assert_eq!(hashes[1], "same");
    assert_ne!(hashes[0], "same");
}

#[tokio::test]
async fn urls_lead_to_where_the_engine_was_reached() {
    let advertised = Some("engine-7.internal:6878".into());
    let (_fake, engine) = fake(Settings { advertised, ..Settings::default() }).await;
    let session = started(&engine, "news", "player-1").await;
    let Session { playback_url, stat_url, command_url, .. } = &session;
    for url in [playback_url, stat_url, command_url] {
        assert!(url.starts_with(&format!("{}/ace/", _fake.url())), "{url}");
    }
    engine.open(&session, deadline()).await.unwrap();
}

#[tokio::test]
async fn a_dead_engine_is_told_from_one_that_hangs_and_one_that_says_no() {
    let (fake, engine) = fake(Settings::default()).await;
    let news = key("news");
    let start = |deadline| engine.start(&news, "player-1", deadline);

    fake.change(|settings| settings.on_start = OnStart::Fail("failed to load content".into()));
    let said = start(deadline()).await.unwrap_err().fault;
    assert!(matches!(said, Fault::Said(words) if words == "failed to load content"));

    fake.change(|settings| settings.on_start = OnStart::Hang);
    let hangs = start(at_once()).await.unwrap_err().fault;
    assert!(matches!(hangs, Fault::TimedOut("start a stream")));

    fake.kill().await;
    let dead = start(deadline()).await.unwrap_err().fault;
    assert!(matches!(dead, Fault::Refused(_)));
}

#[tokio::test]
async fn a_cold_start_is_waited_for() {
    let cold_start = Duration::from_millis(20);
    let (fake, engine) =
        fake(Settings { cold_start, prebuffer: cold_start, ..Settings::default() }).await;
    let session = started(&engine, "news", "player-1").await;
    engine.open(&session, deadline()).await.unwrap();
    assert_eq!(fake.stats().active, 1);
}

#[tokio::test]
async fn a_stop_counts_only_when_the_engine_confirmed_it() {
    let (fake, engine) = fake(Settings::default()).await;
    let session = started(&engine, "news", "player-1").await;
    let stop = |deadline| engine.stop(&session.command_url, deadline);

    fake.change(|settings| settings.on_stop = OnStop::Fail("cannot".into()));
    let said = stop(deadline()).await.unwrap_err().fault;
    assert!(matches!(said, Fault::Said(words) if words == "cannot"));

    fake.change(|settings| settings.on_stop = OnStop::Hang);
    assert!(matches!(stop(at_once()).await.unwrap_err().fault, Fault::TimedOut("stop a stream")));
    assert_eq!(fake.stats().active, 1, "nothing was stopped so far");

    fake.change(|settings| settings.on_stop = OnStop::ConfirmAfter(Duration::from_millis(20)));
    stop(deadline()).await.unwrap();
    assert_eq!(fake.stats().active, 0);
}

#[tokio::test]
async fn a_stop_is_confirmed_by_ok_and_nothing_else() {
    let answer = http("200 OK", "application/json", br#"{"response":"later","error":null}"#);
    let canned = Canned::new(answer).await;
    let stopped = canned.engine().stop(&canned.session().command_url, deadline()).await;
    assert!(matches!(stopped.unwrap_err().fault, Fault::Said(words) if words == "later"));
}

#[tokio::test]
async fn a_session_that_is_unknown_is_stopped() {
    let (fake, engine) = fake(Settings::default()).await;
    let session = started(&engine, "news", "player-1").await;
    engine.stop(&session.command_url, deadline()).await.unwrap();
    engine.stop(&session.command_url, deadline()).await.unwrap();
    assert_eq!(fake.stats().stop_requests, 2);
}

#[tokio::test]
async fn a_lost_connection_does_not_confirm_a_stop() {
    let (fake, engine) = fake(Settings::default()).await;
    let session = started(&engine, "news", "player-1").await;
    fake.change(|settings| settings.on_stop = OnStop::Hang);
    let die = async {
        fake.wait_until(|stats| stats.stop_requests == 1).await;
        fake.kill().await;
    };
    let (stopped, ()) = tokio::join!(engine.stop(&session.command_url, deadline()), die);
    assert!(matches!(stopped.unwrap_err().fault, Fault::Ended(_)));
}

#[tokio::test]
async fn health_and_version_are_reported() {
    let (fake, engine) = fake(Settings::default()).await;
    assert!(engine.is_connected(deadline()).await.unwrap());
    assert_eq!(engine.version(deadline()).await.unwrap(), "3.2.3");
    fake.change(|settings| settings.is_connected = false);
    assert!(!engine.is_connected(deadline()).await.unwrap());
}

#[tokio::test]
async fn an_error_object_is_the_engines_word_too() {
    let answer = http("200 OK", "application/json", br#"{"error":{"message":"no","code":7}}"#);
    let engine = Canned::new(answer).await.engine();
    let error: EngineError = engine.version(deadline()).await.unwrap_err();
    assert!(error.to_string().ends_with(": it said: no"), "{error}");
}

#[tokio::test]
async fn an_http_error_is_the_engines_word() {
    let canned = Canned::new(http("500 Broken", "text/plain", b"out of\r\nmemory")).await;
    let fault = fault_of_start(canned).await;
    assert!(
        matches!(&fault, Fault::Said(words) if words.contains("500") && words.ends_with("out ofmemory")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn answers_that_break_the_protocol_or_a_limit_are_bad() {
    let json = |body: &str| http("200 OK", "application/json", body.as_bytes());
    let long_url = format!("http://e/{}", "x".repeat(3000));
    let with_url = format!(
        r#"{{"response":{{"playback_url":"{long_url}","stat_url":"http://e/s","command_url":"http://e/c",
            "infohash":"h","playback_session_id":"s","is_live":true}},"error":null}}"#
    );
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let bad = [
        json("<html>"),
        json("{}"),
        json(r#"{"response":{},"error":null}"#),
        json(&with_url),
        json(&format!(r#"{{"response":null,"error":"{}"}}"#, "x".repeat(70_000))),
        long_head.into(),
        "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(),
    ];
    for answer in bad {
        let start = answer.slice(..answer.len().min(100));
        let fault = soon("an error", fault_of_start(Canned::new(answer).await)).await;
        assert!(matches!(fault, Fault::BadAnswer(_)), "{start:?} gave {fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_stops_short_has_ended() {
    let whole = http("200 OK", "application/json", br#"{"response":"ok","error":null}"#);
    for length in [0, 10, whole.len() - 5] {
        let fault = fault_of_start(Canned::hangs_up(whole.slice(..length)).await).await;
        assert!(matches!(fault, Fault::Ended(_)), "{length} bytes gave {fault:?}");
    }
}

#[tokio::test]
async fn keys_and_pids_that_would_change_the_request_are_refused() {
    let (fake, engine) = fake(Settings::default()).await;
    for (id, pid) in [("x&id=y", "p"), ("x", "p&id=y"), ("", "p"), ("x", "a b"), ("../x", "p")] {
        let fault = engine.start(&key(id), pid, deadline()).await.unwrap_err().fault;
        assert!(matches!(fault, Fault::BadAnswer(_)), "{id:?} {pid:?}");
    }
    assert_eq!(fake.stats().start_requests, 0);
}

#[test]
fn an_engine_url_is_scheme_host_and_perhaps_a_port() {
    for good in ["http://127.0.0.1:6878", "http://engine-1:80", "http://[::1]:6878"] {
        assert_eq!(good.parse::<EngineUrl>().unwrap().to_string(), good);
    }
    let cases = [
        ("http://e:1/", "e:1"),
        ("http://e", "e:80"),
        ("http://e/", "e:80"),
        ("http://[::1]", "[::1]:80"),
    ];
    for (text, authority) in cases {
        let url: EngineUrl = text.parse().unwrap();
        assert_eq!(url.to_string(), format!("http://{authority}"));
    }
    for bad in [
        "",
        "e",
        "e:1",
        "https://e",
        "https://e:1",
        "http://e:1/path",
        "http://e/path",
        "http://u@e",
        "http://u@e:1",
        "http://e:x",
        "http://e:",
        "http://e:65536",
        "http://e?q",
    ] {
        assert!(bad.parse::<EngineUrl>().is_err(), "{bad}");
    }
}
