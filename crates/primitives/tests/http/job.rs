//! `/jobs`, sentence by sentence.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Ask, ask},
    support::Server,
};

fn start(key: &str, holder: &str, min_interval_ms: u64, ttl_ms: u64) -> Ask {
    let body = json!({"holder": holder, "min_interval_ms": min_interval_ms, "ttl_ms": ttl_ms});
    ask(&format!("POST /jobs/{key}/runs")).json(body)
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /jobs/{key}"))
}

fn renew(key: &str, run: &str) -> Ask {
    ask(&format!("POST /jobs/{key}/runs/{run}/renew"))
}

fn finish(key: &str, run: &str, outcome: &str) -> Ask {
    ask(&format!("POST /jobs/{key}/runs/{run}/finish")).json(json!({"outcome": outcome}))
}

/// One run at a time.
pub async fn walk(server: &Server) {
    let clock = &server.clock;
    // It comes into being with its first successful POST.
    for request in [get("j"), renew("j", "r1"), finish("j", "r1", "ok"), ask("DELETE /jobs/j")] {
        server.no(request, "404 unknown_job").await;
    }

    let began = clock.after(0);
    let lease = |ttl_ms: u64, version: u64| json!({"run": "r1", "token": 1, "expires_at": clock.after(ttl_ms), "version": version});
    server.yes(start("j", "h", 0, 60_000), 201, lease(60_000, 1)).await;
    let running = json!({
        "run": "r1", "holder": "h", "token": 1,
        "started_at": began, "expires_at": clock.after(60_000),
    });
    server.yes(get("j"), 200, json!({"running": running, "last": null, "version": 1})).await;

    // One run at a time, whoever asks; that comes before the interval.
    server.pass(500).await;
    for holder in ["h", "other"] {
        let refused = server.no(start("j", holder, 1_000_000, 60_000), "409 job_running").await;
        assert_eq!(refused.header("retry-after"), Some("60"), "59.5 s, rounded up");
    }

    // Renewed without ttl_ms: the run's own; with it: that.
    server.pass(500).await;
    server.yes(renew("j", "r1"), 200, lease(60_000, 2)).await;
    server.yes(renew("j", "r1").json(json!({})), 200, lease(60_000, 3)).await;
    server.yes(renew("j", "r1").json(json!({"ttl_ms": 100})), 200, lease(100, 4)).await;
    server.no(renew("j", "r2"), "404 unknown_run").await;
    server.no(renew("j", "x"), "404 unknown_run").await;
    server.no(finish("j", "r01", "ok"), "404 unknown_run").await;

    let ended_at = clock.after(0);
    let ended = json!({"run": "r1", "outcome": "ok", "ended_at": ended_at, "version": 5});
    server.yes(finish("j", "r1", "ok"), 200, ended).await;
    for over in [finish("j", "r1", "ok"), finish("j", "r1", "bad"), renew("j", "r1")] {
        server.no(over, "409 run_over").await;
    }
    let last = json!({"run": "r1", "outcome": "ok", "started_at": began, "ended_at": ended_at});
    server.yes(get("j"), 200, json!({"running": null, "last": last, "version": 5})).await;

    server.yes(ask("DELETE /jobs/j"), 200, json!({"version": 6})).await;
    for closed in [start("j", "h", 0, 100), renew("j", "r1"), finish("j", "r1", "ok")] {
        server.no(closed, "410 closed").await;
    }
    server.no(ask("DELETE /jobs/j"), "410 closed").await;
    server.yes(get("j"), 200, json!({"running": null, "last": last, "version": 6})).await;
}

/// Not too often, expired runs included.
pub async fn walk_interval(server: &Server) {
    let clock = &server.clock;
    let began = clock.after(0);
    server.send(&start("often", "h", 0, 1_000)).await;
    server.pass(999).await;
    server.no(start("often", "h", 0, 1_000), "409 job_running").await;
    server.pass(1).await;
    // The run expired: the interval is still counted from its start.
    let refused = server.no(start("often", "h", 300_000, 1_000), "429 job_too_soon").await;
    assert_eq!(refused.header("retry-after"), Some("299"));
    let shown = server.send(&get("often")).await.json();
    let last = json!({
        "run": "r1", "outcome": "expired", "started_at": began, "ended_at": clock.after(0),
    });
    assert_eq!((&shown["running"], &shown["last"]), (&Value::Null, &last));
    server.no(renew("often", "r1"), "409 run_over").await;
    server.no(finish("often", "r1", "late"), "409 run_over").await;

    // It is the request's own interval that counts.
    let second = server.send(&start("often", "h", 1_000, 1_000)).await.json();
    assert_eq!((&second["run"], &second["token"]), (&json!("r2"), &json!(2)));
    server.send(&finish("often", "r2", "ok")).await;
    server.pass(299_999).await;
    let refused = server.no(start("often", "h", 300_000, 1_000), "429 job_too_soon").await;
    assert_eq!(refused.header("retry-after"), Some("1"), "1 ms, at least a second");
    server.pass(1).await;
    let third = server.send(&start("often", "h", 300_000, 1_000)).await.json();
    assert_eq!((&third["run"], &third["token"]), (&json!("r3"), &json!(3)), "tokens only grow");
}

#[tokio::test]
async fn a_job_runs_once_at_a_time() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn a_job_runs_not_too_often() {
    walk_interval(&Server::start().await).await;
}

#[tokio::test]
async fn a_run_is_over_at_its_expiry_though_the_timer_is_late() {
    let server = Server::start().await;
    server.send(&start("j", "h", 0, 1_000)).await;
    server.clock.pass_unnoticed(999);
    assert!(server.send(&get("j")).await.json()["running"].is_object());
    server.clock.pass_unnoticed(1);
    let shown = server.send(&get("j")).await.json();
    assert_eq!((&shown["running"], &shown["last"]["outcome"]), (&Value::Null, &json!("expired")));
    assert_eq!(shown["version"], 1, "nobody has recorded it");
}

#[tokio::test]
async fn an_expiry_becomes_an_event_while_nobody_asks() {
    let server = Server::start().await;
    let mut events = server.follow(&ask("GET /events?entity=job/j")).await.ok().unwrap();
    server.send(&start("j", "h", 0, 1_000)).await;
    server.pass(1_000).await;
    let events = events.take(2).await;
    let types: Vec<_> = events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(types, ["started", "expired"]);
    assert_eq!(events[1].data["data"]["outcome"], "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_start_a_job_at_once_one_runs_it() {
    let server = Server::start().await;
    for round in 1..=20 {
        let runners = (0..16).map(|runner| {
            let ask = start("j", &format!("h{runner}"), 0, 60_000);
            let server = &server;
            async move { server.send(&ask).await }
        });
        let answers = join_all(runners).await;
        let (began, refused): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status == 201);
        assert_eq!((began.len(), refused.len()), (1, 15), "round {round}");
        assert!(refused.iter().all(|answer| answer.verdict() == "409 job_running"));
        assert_eq!(began[0].json()["token"], round);
        let run = began[0].json()["run"].as_str().unwrap().to_owned();
        server.send(&finish("j", &run, "ok")).await;
    }
}
