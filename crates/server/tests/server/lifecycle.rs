use interlock_kernel::ids::Member;
use interlock_streams::{
    fake::{Ending, FakeEngine, Settings},
    service::EngineConfig,
};

use crate::support::Running;

const STREAM: &str = "/ace/getstream?id=c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";

#[tokio::test]
async fn who_waits_for_something_is_told_that_the_server_stops() {
    let server = Running::start().await;
    server.command("PUT", "pools/gpu/members/g1", r#"{"limit": 1}"#).await;
    let lease = r#"{"holder": "a", "ttl_ms": 600000, "wait_ms": 300000}"#;
    server.command("POST", "pools/gpu/leases", lease).await;
    let waiter = server.begin("POST", "/api/v1/pools/gpu/leases", lease).await;
    while !server.get("/api/v1/pools/gpu").await.contains("\"waiting\":1") {}
    server.stop().await;
    let answer = waiter.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\"code\":\"shutting_down\""), "{answer}");
}

#[tokio::test]
async fn a_server_that_stops_ends_its_streams_at_their_engines() {
    let engine = FakeEngine::start(Settings::default()).await.unwrap();
    let server = server_with(&engine).await;
    let player = server.feed(STREAM).await;
    assert_eq!(engine.stats().active, 1);
    server.stop().await;
    let stats = engine.stats();
    let ended: Vec<_> = stats.sessions.values().map(|session| session.ended).collect();
    assert_eq!(ended, [Some(Ending::Stopped)], "it does not wait for the engine to notice");
    drop(player);
}

#[tokio::test]
async fn a_timeline_shows_who_reacted() {
    let engine = FakeEngine::start(Settings::default()).await.unwrap();
    let server = server_with(&engine).await;
    let player = server.feed(STREAM).await;
    // Handlers run after the commit, at their own pace.
    while !server.get("/entities/engines/main").await.contains("⇒ ") {}
    let page = server.get("/").await;
    assert!(page.contains("flowing") && page.contains("engines, phase 1"), "{page}");
    drop(player);
    server.stop().await;
}

async fn server_with(engine: &FakeEngine) -> Running {
    let engine = EngineConfig {
        name: Member::new("one").unwrap(),
        url: engine.url(),
        limit: 2,
        forwarded: false,
    };
    Running::with(|config| config.streams.engines.push(engine)).await.unwrap()
}
