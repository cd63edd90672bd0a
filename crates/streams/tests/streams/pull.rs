//! The pull: what counts as a stream, how it ends, and that it feeds a hub byte for byte.

use std::time::Duration;

use bytes::Bytes;
use interlock_streams::{
    fake::{Content, FakeEngine, Settings, Speed, counted::Check},
    io::{
        disconnect::Disconnect, engine::Engine, fault::Fault, hub::hub, pull::PullEnd,
        ts::PACKET_BYTES,
    },
};

use crate::support::{Canned, counted, deadline, http, next, rest, soon, started};

const SILENCE: Duration = Duration::from_secs(60);

async fn fake(settings: Settings) -> (FakeEngine, Engine) {
    let fake = FakeEngine::start(settings).await.unwrap();
    let engine = Engine::new(fake.url());
    (fake, engine)
}

fn unlimited() -> Settings {
    Settings { speed: Speed::Unlimited, ..Settings::default() }
}

async fn fault_of_opening(canned: &Canned) -> Fault {
    let opened = canned.engine().open(&canned.session(), deadline()).await;
    opened.unwrap_err().fault
}

#[tokio::test]
async fn a_text_is_no_stream() {
    let html = "<html>Good Games</html>".repeat(100);
    let (_fake, engine) = fake(Settings { content: Content::Text(html), ..unlimited() }).await;
    let session = started(&engine, "news", "p").await;
    let fault = engine.open(&session, deadline()).await.unwrap_err().fault;
    assert!(
        matches!(&fault, Fault::NotTransportStream(start) if start.starts_with("<html>")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_stream_that_ends_before_three_packets_is_none() {
    let two = Canned::new(http("200 OK", "video/mp2t", &counted(0, 2))).await;
    assert!(matches!(fault_of_opening(&two).await, Fault::NotTransportStream(_)));
    let nothing = Canned::new(http("200 OK", "video/mp2t", &[])).await;
    assert!(matches!(fault_of_opening(&nothing).await, Fault::Ended(None)));
}

#[tokio::test]
async fn an_http_error_at_the_playback_url_is_the_engines_word() {
    let canned = Canned::new(http("500 Oops", "text/plain", b"unknown playback session id")).await;
    let fault = fault_of_opening(&canned).await;
    assert!(
        matches!(&fault, Fault::Said(words) if words.contains("unknown playback")),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_followed_and_an_endless_one_is_not() {
    let (fake, engine) = fake(unlimited()).await;
    let mut session = started(&engine, "other", "p").await;
    session.playback_url = format!("{}/ace/getstream?id=news&pid=q", fake.url());
    engine.open(&session, deadline()).await.unwrap();

    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://e/x\r\nContent-Length: 0\r\n\r\n";
    let fault = fault_of_opening(&Canned::new(redirect).await).await;
    assert!(matches!(&fault, Fault::BadAnswer(what) if what.contains("redirects")), "{fault:?}");
}

#[tokio::test]
async fn small_chunks_are_merged_and_no_byte_is_lost() {
    const CHUNKS: usize = 2000;
    let stream = counted(0, CHUNKS);
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for packet in stream.chunks(PACKET_BYTES) {
        answer.extend_from_slice(b"bc\r\n");
        answer.extend_from_slice(packet);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    let canned = Canned::new(answer).await;
    let mut pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
    let (mut read, mut reads) = (Vec::new(), 0);
    while let Some(bytes) = pull.read().await.unwrap() {
        read.extend_from_slice(&bytes);
        reads += 1;
    }
    assert!(read == stream, "the bytes differ");
    assert!(reads < CHUNKS / 4, "{reads} reads");
}

#[tokio::test]
async fn a_break_that_is_seen_while_merging_is_told_after_the_bytes() {
    let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for packet in counted(0, 20).chunks(PACKET_BYTES) {
        answer.extend_from_slice(&[b"bc\r\n", packet, b"\r\n"].concat());
    }
    let mut canned = Canned::hangs_up(answer).await;
    let mut pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
    soon("the engine to hang up", canned.gone.recv()).await.unwrap();
    let mut read = Vec::new();
    let fault = loop {
        match soon("the break", pull.read()).await {
            Ok(Some(bytes)) => read.extend_from_slice(&bytes),
            Ok(None) => panic!("a broken answer must not look complete"),
            Err(error) => break error.fault,
        }
    };
    assert!(matches!(fault, Fault::Ended(Some(_))), "{fault:?}");
    assert!(read == counted(0, 20), "the bytes differ");
}

#[tokio::test]
async fn dropping_a_pull_closes_its_connection() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let mut canned = Canned::new([head, counted(0, 10).to_vec()].concat()).await;
    let pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
    drop(pull);
    soon("the engine to notice", canned.gone.recv()).await.unwrap();
}

#[tokio::test]
async fn an_unfinished_opening_closes_its_connection() {
    let mut canned = Canned::new("HTTP/1.1 200 OK\r\n\r\nG").await;
    let deadline = tokio::time::Instant::now() + Duration::from_millis(50);
    let opened = canned.engine().open(&canned.session(), deadline).await;
    assert!(matches!(opened.unwrap_err().fault, Fault::TimedOut("play a stream")));
    soon("the engine to notice", canned.gone.recv()).await.unwrap();
}

#[tokio::test]
async fn what_the_engine_sends_is_what_players_get() {
    let (_fake, engine) = fake(Settings { break_after_bytes: Some(40 << 20), ..unlimited() }).await;
    let session = started(&engine, "news", "p").await;
    let pull = engine.open(&session, deadline()).await.unwrap();
    let (mut feed, hub) = hub();
    let mut player = hub.join(Disconnect::default()).unwrap();
    let feeding = async move { pull.feed(&mut feed, SILENCE).await };
    let playing = async {
        let mut check = Check::default();
        while let Some(bytes) = next(&mut player).await {
            check.next(&bytes).unwrap();
        }
        check
    };
    let (end, check) = soon("the stream", async { tokio::join!(feeding, playing) }).await;
    assert!(matches!(end, PullEnd::Failed(error) if matches!(error.fault, Fault::Ended(Some(_)))));
    assert_eq!(check.first_packet(), Some(0));
    assert_eq!(check.next_offset(), Some(hub.stats().received_bytes));
    assert!(hub.stats().received_bytes > 39 << 20);
}

#[tokio::test]
async fn a_session_that_is_stopped_ends_its_pull_in_good_order() {
    let (_fake, engine) = fake(unlimited()).await;
    let session = started(&engine, "news", "p").await;
    let pull = engine.open(&session, deadline()).await.unwrap();
    let (mut feed, _hub) = hub();
    let feeding = pull.feed(&mut feed, SILENCE);
    let (end, stopped) = tokio::join!(feeding, engine.stop(&session.command_url, deadline()));
    stopped.unwrap();
    assert!(matches!(end, PullEnd::Over), "{end:?}");
}

#[tokio::test]
async fn another_pull_can_go_on_with_the_feed_of_a_dead_one() {
    let (mut feed, hub) = hub();
    let mut player = hub.join(Disconnect::default()).unwrap();
    for first in [0, 100] {
        let canned = Canned::new(http("200 OK", "video/mp2t", &counted(first, 100))).await;
        let pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
        assert!(matches!(pull.feed(&mut feed, SILENCE).await, PullEnd::Over));
    }
    drop(feed);
    assert!(rest(&mut player).await == counted(0, 200), "the bytes differ");
}

#[tokio::test]
async fn a_stream_that_falls_silent_fails() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let canned = Canned::new([head, counted(0, 10).to_vec()].concat()).await;
    let pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
    let (mut feed, _hub) = hub();
    let end = pull.feed(&mut feed, Duration::from_millis(50)).await;
    assert!(matches!(end, PullEnd::Failed(error) if matches!(error.fault, Fault::TimedOut(_))));
}

#[tokio::test]
async fn a_closed_hub_ends_a_pull_that_waits_for_bytes() {
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    let canned = Canned::new([head, counted(0, 10).to_vec()].concat()).await;
    let pull = canned.engine().open(&canned.session(), deadline()).await.unwrap();
    let (mut feed, hub) = hub();
    let mut player = hub.join(Disconnect::default()).unwrap();
    let playing = async {
        assert!(next(&mut player).await.is_some());
        hub.close();
    };
    let feeding = soon("the pull to end", pull.feed(&mut feed, SILENCE));
    let (end, ()) = tokio::join!(feeding, playing);
    assert!(matches!(end, PullEnd::Closed));
    let end: Option<Bytes> = next(&mut player).await;
    assert_eq!(end, None);
}
