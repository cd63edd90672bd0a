//! How a stream begins: one pull for all who ask, and engines that cannot are passed over.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use interlock_kernel::time::Millis;
use interlock_streams::fake::{Content, Ending, FakeEngine, OnStart, Settings};

use crate::support::{Process, config, engines, stream_path};

#[tokio::test]
async fn a_player_sees_the_bytes_and_its_slot_is_free_when_it_has_left() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 2)).await;
    let mut playing = process.plays(1).await;
    assert_eq!(playing.headers["content-type"], "video/mp2t");
    assert_eq!(playing.headers["cache-control"], "no-store");
    playing.reads(100_000).await;
    assert_eq!(playing.check.first_packet(), Some(0), "from its first byte on");
    let overview = process.until("one active slot", |seen| seen.engines[0].active == 1).await;
    assert_eq!((overview.drift, overview.streams[0].players), (0, 1));

    drop(playing);
    let stats = fakes[0].wait_until(|stats| stats.active == 0).await;
    assert_eq!(stats.sessions[&1].ended, Some(Ending::Stopped));
    process.until_free().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_first_players_of_one_stream_are_one_engine_session() {
    let cold = Settings { cold_start: Duration::from_millis(200), ..Settings::default() };
    let fakes = engines(3, cold).await;
    let process = Process::new(config(&fakes, 2)).await;
    let all = join_all((0..100).map(|_| process.plays(1))).await;
    let started: u64 = fakes.iter().map(|fake| fake.stats().started).sum();
    assert_eq!(started, 1);
    assert!(all.iter().all(|playing| playing.check.first_packet() == Some(0)));
    drop(all);
    process.until_free().await;
    let asked: u64 = fakes.iter().map(|fake| fake.stats().stop_requests).sum();
    assert_eq!(asked, 1, "one session is stopped once");
}

#[tokio::test]
async fn id_and_infohash_are_different_streams_and_case_does_not_matter() {
    let fakes = engines(1, Settings::default()).await;
    let process = Process::new(config(&fakes, 4)).await;
    let digits = "ABCDEF0123456789abcdef0123456789ABCDEF01";
    let ask = |kind: &str, digits: &str| {
        let path = format!("/ace/getstream?{kind}={digits}");
        let process = &process;
        async move { process.ask(Method::GET, &path).await }
    };
    let upper = ask("id", &digits.to_ascii_uppercase()).await;
    let lower = ask("id", &digits.to_ascii_lowercase()).await;
    assert_eq!((upper.status, lower.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(fakes[0].stats().started, 1);
    let hash = ask("infohash", digits).await;
    assert_eq!(hash.status, StatusCode::OK);
    let keys: Vec<_> = fakes[0].stats().sessions.values().map(|s| s.key.clone()).collect();
    assert_eq!(keys, [digits.to_ascii_lowercase(), digits.to_ascii_lowercase()]);
}

/// The first engine is broken, the second is not; who asks gets the stream from the second.
async fn is_passed_over(what: &str, broken: Settings, kill: bool) {
    let fakes = [
        FakeEngine::start(broken).await.unwrap(),
        FakeEngine::start(Settings::default()).await.unwrap(),
    ];
    if kill {
        fakes[0].kill().await;
    }
    let mut config = config(&fakes, 2);
    config.engines[0].forwarded = true;
    config.start_timeout = Millis(700);
    config.engine_idle = Millis(300);
    let process = Process::new(config).await;
    let mut playing = process.plays(1).await;
    playing.reads(1_000).await;
    assert!(kill || fakes[0].stats().start_requests == 1, "{what}: the broken one was asked");
    assert_eq!(fakes[1].stats().active, 1, "{what}");
    drop(playing);
    let overview = process.until_free().await;
    assert!(
        overview.engines.iter().all(|engine| engine.aside_until.is_none()),
        "{what}: once is no pattern"
    );
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_cannot_is_passed_over_for_the_next() {
    let base = || Settings { idle_timeout: Duration::from_millis(300), ..Settings::default() };
    let fails = OnStart::Fail("failed to load content".to_owned());
    is_passed_over("refuses connections", base(), true).await;
    is_passed_over("says no", Settings { on_start: fails, ..base() }, false).await;
    is_passed_over("hangs", Settings { on_start: OnStart::Hang, ..base() }, false).await;
    let text = Content::Text("<html>no stream</html>".repeat(100));
    is_passed_over("sends a text", Settings { content: text, ..base() }, false).await;
    is_passed_over("breaks off", Settings { break_after_bytes: Some(0), ..base() }, false).await;
    let mute = Settings { prebuffer: Duration::from_secs(60), ..base() };
    is_passed_over("sends nothing", mute, false).await;
}

#[tokio::test]
async fn when_no_engine_can_it_is_a_bad_gateway_and_every_slot_is_free() {
    let fails = OnStart::Fail("failed to load content".to_owned());
    let fakes = engines(5, Settings { on_start: fails, ..Settings::default() }).await;
    let process = Process::new(config(&fakes, 1)).await;
    let (status, problem, _) = process.refuses(&stream_path(1)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(problem["code"], "no_engine");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("no engine could start the stream: engine-"), "{detail}");
    assert!(detail.ends_with(" refused"), "neither its address nor its words: {detail}");
    let asked: u64 = fakes.iter().map(|fake| fake.stats().start_requests).sum();
    assert_eq!(asked, 3, "no more than `start_attempts`");
    process.until_free().await;
    process.stop().await;
}

#[tokio::test]
async fn when_the_only_engines_there_are_cannot_it_is_a_bad_gateway_too() {
    let fails = OnStart::Fail("failed to load content".to_owned());
    let fakes = engines(2, Settings { on_start: fails, ..Settings::default() }).await;
    let process = Process::new(config(&fakes, 1)).await;
    let (status, problem, _) = process.refuses(&stream_path(1)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_GATEWAY, &"no_engine".into()));
    let asked: u64 = fakes.iter().map(|fake| fake.stats().start_requests).sum();
    assert_eq!(asked, 2, "each was asked, though one more would have been");
}

#[tokio::test]
async fn when_the_engines_that_were_not_tried_are_busy_it_is_full() {
    let fails = OnStart::Fail("failed to load content".to_owned());
    let fakes = [
        FakeEngine::start(Settings { on_start: fails, ..Settings::default() }).await.unwrap(),
        FakeEngine::start(Settings::default()).await.unwrap(),
    ];
    let process = Process::new(config(&fakes, 1)).await;
    let _busy = process.plays(1).await;
    let (status, problem, headers) = process.refuses(&stream_path(2)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"engines_full".into())
    );
    assert!(headers.contains_key("retry-after"));
    assert_eq!(fakes[0].stats().start_requests, 2, "the other engine could not");
}

#[tokio::test]
async fn out_of_time_is_a_gateway_timeout_and_every_slot_is_free_in_the_end() {
    let idle_timeout = Duration::from_millis(200);
    let hangs = Settings { on_start: OnStart::Hang, idle_timeout, ..Settings::default() };
    let fakes = engines(3, hangs).await;
    let mut config = config(&fakes, 1);
    (config.start_timeout, config.start_deadline) = (Millis(600), Millis(900));
    config.engine_idle = Millis(200);
    let process = Process::new(config).await;
    let (status, problem, _) = process.refuses(&stream_path(1)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::GATEWAY_TIMEOUT, &"start_timeout".into()));
    process.until_free().await;
    process.stop().await;
}

#[tokio::test]
async fn a_player_that_leaves_before_the_engine_answered_leaves_nothing_behind() {
    let cold = Settings { cold_start: Duration::from_millis(500), ..Settings::default() };
    let fakes = engines(1, cold).await;
    let process = Process::new(config(&fakes, 1)).await;
    {
        let path = stream_path(1);
        let asks = process.ask(Method::GET, &path);
        tokio::select! {
            _ = asks => panic!("the engine is slow"),
            _ = fakes[0].wait_until(|stats| stats.started == 1) => {}
        }
    }
    process.until_free().await;
    let stats = fakes[0].stats();
    assert_eq!(stats.sessions[&1].ended, Some(Ending::Stopped));
    assert_eq!(stats.sessions[&1].readers, 0, "nobody wanted its bytes");
    process.stop().await;
}

#[tokio::test]
async fn who_comes_while_an_abandoned_start_is_under_way_gets_that_one() {
    let cold = Settings { cold_start: Duration::from_millis(500), ..Settings::default() };
    let fakes = engines(1, cold).await;
    let process = Process::new(config(&fakes, 1)).await;
    {
        let path = stream_path(1);
        let asks = process.ask(Method::GET, &path);
        tokio::select! {
            _ = asks => panic!("the engine is slow"),
            _ = fakes[0].wait_until(|stats| stats.started == 1) => {}
        }
    }
    process.until("the first player to be gone", |seen| seen.streams[0].players == 0).await;
    let playing = process.plays(1).await;
    assert_eq!(fakes[0].stats().started, 1);
    drop(playing);
    process.until_free().await;
}
