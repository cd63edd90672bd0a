//! Who gets which slot, and when it is free again: counted at the engines.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use interlock_kernel::time::Millis;
use interlock_streams::{
    domain::engines::Ending as Why,
    fake::{Ending, FakeEngine, OnStart, OnStop, Settings},
};

use crate::support::{Process, config, engines, in_use, stream_path};

fn none_was_over(fakes: &[FakeEngine]) {
    assert!(fakes.iter().all(|fake| fake.stats().over_limit == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_on_ten_engines_with_two_slots_are_two_on_each() {
    let fakes = engines(10, Settings::default()).await;
    let process = Process::new(config(&fakes, 2)).await;
    let all = join_all((0..20).map(|stream| process.plays(stream))).await;
    for fake in &fakes {
        let stats = fake.stats();
        assert_eq!((stats.active, stats.most_active, stats.over_limit), (2, 2, 0));
    }
    let overview = process.service.overview().await;
    assert_eq!((overview.drift, in_use(&overview)), (0, 20));

    let (status, problem, headers) = process.refuses(&stream_path(99)).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"engines_full".into())
    );
    let after: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after} s");
    drop(all);
    process.until_free().await;
    none_was_over(&fakes);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn players_that_zap_without_a_pause_never_bring_an_engine_over_its_limit() {
    let cold = Settings { cold_start: Duration::from_millis(20), limit: 1, ..Settings::default() };
    let slow_stop = OnStop::ConfirmAfter(Duration::from_millis(30));
    let fakes = engines(3, Settings { on_stop: slow_stop, ..cold }).await;
    let process = Process::new(config(&fakes, 1)).await;
    let zaps = |player: u64| {
        let process = &process;
        async move {
            for round in 0..6 {
                let mut playing =
                    process.ask(Method::GET, &stream_path(player * 3 + round % 4)).await;
                match playing.status {
                    StatusCode::OK => drop(playing.next().await),
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("{other}: {}", playing.problem().await),
                }
            }
        }
    };
    join_all((0..6).map(zaps)).await;
    process.until_free().await;
    none_was_over(&fakes);
    process.stop().await;
}

#[tokio::test]
async fn a_stream_whose_player_comes_back_goes_on() {
    let fakes = engines(1, Settings::default()).await;
    let mut config = config(&fakes, 1);
    config.linger = Millis::from_secs(60);
    let process = Process::new(config).await;
    drop(process.plays(1).await);
    process.until("it to linger", |seen| seen.streams[0].phase == "lingering").await;
    let again = process.ask(Method::GET, &stream_path(1)).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_eq!(fakes[0].stats().started, 1);
    process.stop().await;
    assert_eq!(
        fakes[0].stats().sessions[&1].ended,
        Some(Ending::Stopped),
        "stopped with the service"
    );
}

#[tokio::test]
async fn a_stream_without_players_gives_way_and_the_longest_unwatched_first() {
    let fakes = engines(1, Settings::default()).await;
    let mut config = config(&fakes, 2);
    config.linger = Millis::from_secs(60);
    let process = Process::new(config).await;
    for stream in [2, 1] {
        drop(process.plays(stream).await);
        let lingers = |count: usize| {
            move |phases: Vec<&str>| phases.iter().filter(|p| **p == "lingering").count() == count
        };
        let expected = lingers(if stream == 2 { 1 } else { 2 });
        process
            .until("it to linger", |seen| expected(seen.streams.iter().map(|s| s.phase).collect()))
            .await;
    }
    let _third = process.plays(3).await;
    let stats = fakes[0].stats();
    assert_eq!((stats.most_active, stats.over_limit), (2, 0));
    assert_eq!(stats.sessions[&1].ended, Some(Ending::Stopped), "the first one left");
    assert_eq!(stats.sessions[&2].ended, None);
    let _fourth = process.plays(4).await;
    let (status, ..) = process.refuses(&stream_path(5)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "players are not thrown out");
    none_was_over(&fakes);
    let history = process.service.history(10).await.unwrap();
    assert!(history.iter().all(|past| past.ending == Why::GaveWay), "{history:?}");
}

#[tokio::test]
async fn a_slot_whose_session_cannot_be_stopped_is_free_when_the_engine_has_ended_it_itself() {
    for on_stop in [OnStop::Hang, OnStop::Fail("no".to_owned())] {
        let idle_timeout = Duration::from_millis(800);
        let settings = Settings { on_stop, idle_timeout, limit: 1, ..Settings::default() };
        let fakes = engines(1, settings).await;
        let mut config = config(&fakes, 1);
        config.engine_idle = Millis(1_000);
        let process = Process::new(config).await;
        drop(process.plays(1).await);
        // Comes while the slot is closing, and waits for it.
        let _second = process.plays(2).await;
        let stats = fakes[0].stats();
        assert_eq!(stats.sessions[&1].ended, Some(Ending::Idle));
        assert_eq!((stats.most_active, stats.over_limit), (1, 0));
        assert!(stats.stop_requests >= 1);
    }
}

#[tokio::test]
async fn a_broken_stream_sets_no_engine_aside() {
    let fakes = engines(3, Settings::default()).await;
    let process = Process::new(config(&fakes, 1)).await;
    let on_start =
        |on: OnStart| fakes.iter().for_each(|fake| fake.change(|s| s.on_start = on.clone()));
    for stream in 1..=3 {
        on_start(OnStart::Fail("failed to load content".to_owned()));
        assert_eq!(process.refuses(&stream_path(stream)).await.0, StatusCode::BAD_GATEWAY);
    }
    on_start(OnStart::Answer);
    let all = join_all((10..13).map(|stream| process.plays(stream))).await;
    assert_eq!(all.len(), fakes.len());
    assert!(fakes.iter().all(|fake| fake.stats().active == 1));
}

#[tokio::test]
async fn an_engine_that_fails_different_streams_is_set_aside_for_a_while() {
    let fails = OnStart::Fail("failed to load content".to_owned());
    let fakes = [
        FakeEngine::start(Settings { on_start: fails, ..Settings::default() }).await.unwrap(),
        FakeEngine::start(Settings { limit: 9, ..Settings::default() }).await.unwrap(),
    ];
    let mut config = config(&fakes, 9);
    config.ejection = Millis(1_000);
    let process = Process::new(config).await;
    let mut playing = Vec::new();
    for stream in 1..=2 {
        playing.push(process.plays(stream).await);
    }
    let aside = |seen: &interlock_streams::service::Overview| seen.engines[0].aside_until.is_some();
    process.until("it to be set aside", aside).await;
    assert_eq!(fakes[0].stats().start_requests, 2);
    playing.push(process.plays(3).await);
    assert_eq!(fakes[0].stats().start_requests, 2, "it is left alone");

    fakes[0].change(|settings| settings.on_start = OnStart::Answer);
    process.until("it to come back", |seen| !aside(seen)).await;
    playing.push(process.plays(4).await);
    assert_eq!(fakes[0].stats().active, 1);
    let engines: BTreeSet<_> =
        process.service.overview().await.streams.into_iter().filter_map(|s| s.engine).collect();
    assert_eq!(engines.len(), 2);
}
