//! What a restart must not change, on a real disk and after a crash.

use std::sync::Arc;

use interlock_runtime::store::{
    StoreError,
    memory::{AppendFault, MemoryStore},
};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Ask, ask},
    commands::{check_repeat, every_change},
    support::{Clock, Server},
};

/// Sends every kind of change under an id of its own.
async fn change_everything(server: &Server) -> Vec<(Ask, Answer)> {
    let mut sent = Vec::new();
    for (number, ask) in every_change().into_iter().enumerate() {
        let ask = ask.id(&format!("{number}"));
        let answer = server.send(&ask).await;
        assert!(answer.status < 300, "{answer:?}");
        sent.push((ask, answer));
    }
    sent
}

/// What can be read of the entities that [`change_everything`] leaves behind.
async fn read_everything(server: &Server) -> Vec<Answer> {
    let mut read = Vec::new();
    for path in
        ["quotas/a", "turns/a", "jobs/a", "values/a", "values/a/versions", "pools/a", "barriers/a"]
    {
        let mut answer = server.send(&ask(&format!("GET /{path}"))).await;
        answer.headers.retain(|(name, _)| name != "date");
        read.push(answer);
    }
    read
}

#[tokio::test]
async fn repeats_get_the_same_reply_after_a_restart_on_sqlite() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::new());
    let server = Server::sqlite(folder.path(), clock.clone()).await;
    let sent = change_everything(&server).await;
    let read = read_everything(&server).await;
    server.stop().await;
    for _ in 0..2 {
        let server = Server::sqlite(folder.path(), clock.clone()).await;
        for (ask, first) in &sent {
            check_repeat(first, &server.send(ask).await);
        }
        assert_eq!(read_everything(&server).await, read);
        server.stop().await;
    }
}

#[tokio::test]
async fn repeats_get_the_same_reply_after_a_crash() {
    let (store, clock) = (MemoryStore::new(), Clock::new());
    let server = Server::on(Arc::new(store.clone()), clock.clone()).await;
    let sent = change_everything(&server).await;
    let read = read_everything(&server).await;
    server.crash();
    let server = Server::on(Arc::new(store.reopen()), clock).await;
    for (ask, first) in &sent {
        check_repeat(first, &server.send(ask).await);
    }
    assert_eq!(read_everything(&server).await, read);
}

#[tokio::test]
async fn what_ended_while_the_server_was_down_is_over_when_it_comes_back() {
    let (store, clock) = (MemoryStore::new(), Clock::new());
    let server = Server::on(Arc::new(store.clone()), clock.clone()).await;
    let lease = || ask("POST /pools/p/leases").json(json!({"holder": "h", "ttl_ms": 1000}));
    server.send(&ask("PUT /pools/p/members/m").json(json!({"limit": 1}))).await;
    server.send(&lease()).await;
    let start = ask("POST /jobs/j/runs");
    server.send(&start.json(json!({"holder": "h", "min_interval_ms": 0, "ttl_ms": 1000}))).await;
    server.crash();
    clock.pass(1_000);
    let server = Server::on(Arc::new(store.reopen()), clock).await;
    let mut events =
        server.follow(&ask("GET /events?from=start&entity=pool/p")).await.ok().unwrap();
    let types: Vec<_> = events.take(3).await.into_iter().map(|event| event.event).collect();
    assert_eq!(types, ["member_put", "leased", "expired"], "its timer has survived");
    assert_eq!(server.send(&lease()).await.json()["token"], 2, "tokens only grow");
    let last = server.send(&ask("GET /jobs/j")).await.json()["last"]["outcome"].clone();
    assert_eq!(last, "expired");
}

#[tokio::test]
async fn a_refused_commit_is_a_503_and_leaves_nothing_behind() {
    let (store, clock) = (MemoryStore::new(), Clock::new());
    let server = Server::on(Arc::new(store.clone()), clock).await;
    let post = |value: Value| ask("POST /turns/t").json(json!({"turn": 1, "value": value})).id("x");
    store.fail_next_append(AppendFault::Refused(StoreError::Full("no space left".to_owned())));
    let refused = server.no(post(json!("a")), "503 store_unavailable").await;
    assert_eq!(refused.header("retry-after"), Some("2"));
    server.no(ask("GET /turns/t"), "404 unknown_turn").await;
    // Not remembered: the key may be used for anything.
    let won = server.send(&post(json!("b"))).await;
    assert_eq!((won.json()["value"].clone(), won.replayed()), (json!("b"), false));
}

#[tokio::test]
async fn a_stopping_runtime_is_a_503_for_those_who_wait_too() {
    let server = Server::start().await;
    server.send(&ask("PUT /pools/p/members/m").json(json!({"limit": 0}))).await;
    let wait = ask("POST /pools/p/leases");
    let wait = wait.json(json!({"holder": "h", "ttl_ms": 1000, "wait_ms": 300_000}));
    let mut waiting = crate::client::Client::connect(server.address).await;
    waiting.send(&wait).await;
    while server.send(&ask("GET /pools/p")).await.json()["waiting"] == 0 {
        tokio::task::yield_now().await;
    }
    server.runtime.stop().await;
    assert_eq!(waiting.read("POST").await.verdict(), "503 shutting_down");
    let refused = server.send(&ask("DELETE /pools/p")).await;
    assert_eq!(refused.verdict(), "503 shutting_down");
    assert!(refused.header("retry-after").is_some());
}
