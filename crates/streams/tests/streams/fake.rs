//! The fake engine keeps the rules of the real one.

use std::time::Duration;

use interlock_streams::{
    fake::{Ending, FakeEngine, OnStart, Settings, Speed, Stats},
    io::{engine::Engine, fault::Fault},
};
use tokio::time::Instant;

use crate::support::{deadline, key, soon, started};

async fn fake(settings: Settings) -> (FakeEngine, Engine) {
    let fake = FakeEngine::start(settings).await.unwrap();
    let engine = Engine::new(fake.url());
    (fake, engine)
}

fn endings(stats: &Stats) -> Vec<Option<Ending>> {
    stats.sessions.values().map(|session| session.ended).collect()
}

fn ending_of_first(stats: &Stats) -> Option<Ending> {
    stats.sessions.values().next().and_then(|session| session.ended)
}

#[tokio::test]
async fn the_newer_player_of_a_stream_ends_the_bytes_of_the_older() {
    let (fake, engine) = fake(Settings { speed: Speed::Unlimited, ..Settings::default() }).await;
    let older = started(&engine, "news", "a").await;
    let mut pull = engine.open(&older, deadline()).await.unwrap();
    started(&engine, "news", "b").await;
    while soon("the older to end", pull.read()).await.unwrap().is_some() {}
    assert_eq!(endings(&fake.stats()), [Some(Ending::NewerPlayer), None]);
    let fault = engine.open(&older, deadline()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Said(words) if words.contains("unknown playback session id")));
}

#[tokio::test]
async fn the_newer_reader_of_a_session_ends_the_older() {
    let (fake, engine) = fake(Settings { speed: Speed::Unlimited, ..Settings::default() }).await;
    let session = started(&engine, "news", "a").await;
    let mut older = engine.open(&session, deadline()).await.unwrap();
    let mut newer = engine.open(&session, deadline()).await.unwrap();
    let ending = async { while older.read().await.unwrap().is_some() {} };
    soon("the older to end", ending).await;
    assert!(newer.read().await.unwrap().is_some());
    assert_eq!(fake.stats().active, 1);
}

#[tokio::test]
async fn sessions_over_the_limit_are_counted_or_refused_as_told() {
    let (fake, engine) = fake(Settings { limit: 1, ..Settings::default() }).await;
    started(&engine, "one", "a").await;
    started(&engine, "two", "b").await;
    assert_eq!((fake.stats().most_active, fake.stats().over_limit), (2, 1));

    fake.change(|settings| settings.enforce_limit = true);
    let fault = engine.start(&key("three"), "c", deadline()).await.unwrap_err().fault;
    assert!(matches!(fault, Fault::Said(_)));
    assert_eq!(fake.stats().most_active, 2);
}

#[tokio::test]
async fn a_session_that_nobody_reads_is_stopped() {
    let idle_timeout = Duration::from_millis(50);
    let (fake, engine) = fake(Settings { idle_timeout, ..Settings::default() }).await;
    started(&engine, "news", "a").await;
    let stats = soon("the session to end", fake.wait_until(|stats| stats.active == 0)).await;
    assert_eq!(endings(&stats), [Some(Ending::Idle)]);
}

#[tokio::test]
async fn a_session_whose_client_gave_up_waiting_exists_until_it_is_idle() {
    let idle_timeout = Duration::from_millis(200);
    let on_start = OnStart::Hang;
    let (fake, engine) = fake(Settings { idle_timeout, on_start, ..Settings::default() }).await;
    let given_up =
        engine.start(&key("news"), "a", Instant::now() + Duration::from_millis(20)).await;
    assert!(given_up.is_err());
    assert_eq!(fake.stats().started, 1);
    let stats = soon("the session to end", fake.wait_until(|stats| stats.active == 0)).await;
    assert_eq!(ending_of_first(&stats), Some(Ending::Idle));
}

#[tokio::test]
async fn an_engine_that_refuses_lets_its_readers_read_on() {
    let (fake, engine) = fake(Settings { speed: Speed::Unlimited, ..Settings::default() }).await;
    let session = started(&engine, "news", "a").await;
    let mut pull = engine.open(&session, deadline()).await.unwrap();
    fake.refuse().await;
    assert!(matches!(engine.is_connected(deadline()).await.unwrap_err().fault, Fault::Refused(_)));
    let before = fake.stats().sessions[&1].read_bytes;
    let more = async {
        while fake.stats().sessions[&1].read_bytes < before + (8 << 20) {
            pull.read().await.unwrap().unwrap();
        }
    };
    soon("more bytes", more).await;
}

#[tokio::test]
async fn a_killed_engine_breaks_its_connections_and_comes_back_empty() {
    let (fake, engine) = fake(Settings { speed: Speed::Unlimited, ..Settings::default() }).await;
    let session = started(&engine, "news", "a").await;
    let mut pull = engine.open(&session, deadline()).await.unwrap();
    fake.kill().await;
    let broken = async {
        loop {
            match pull.read().await {
                Ok(Some(_)) => (),
                Ok(None) => panic!("a killed engine says no goodbye"),
                Err(error) => break error.fault,
            }
        }
    };
    assert!(matches!(soon("the connection to break", broken).await, Fault::Ended(Some(_))));
    assert_eq!(endings(&fake.stats()), [Some(Ending::EngineDied)]);

    fake.revive().await.unwrap();
    engine.stop(&session.command_url, deadline()).await.expect("it does not know the session");
    started(&engine, "news", "a").await;
    assert_eq!(fake.stats().active, 1);
}
