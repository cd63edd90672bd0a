//! `/barriers`, sentence by sentence.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Ask, ask},
    support::Server,
};

fn put(key: &str, body: Value) -> Ask {
    ask(&format!("PUT /barriers/{key}")).json(body)
}

fn parties(names: &[&str]) -> Value {
    json!({"parties": names})
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /barriers/{key}"))
}

fn arrive(key: &str, body: Value) -> Ask {
    ask(&format!("POST /barriers/{key}/arrivals")).json(body)
}

fn attendance(arrived: u64, missing: u64, completed_by_this: bool, version: u64) -> Value {
    json!({
        "arrived": arrived, "missing": missing, "complete": missing == 0,
        "completed_by_this": completed_by_this, "version": version,
    })
}

/// All have arrived, once.
pub async fn walk(server: &Server) {
    for request in [get("b"), arrive("b", json!({"party": "p1"})), ask("DELETE /barriers/b")] {
        server.no(request, "404 unknown_barrier").await;
    }
    let missing = server.no(ask("PUT /barriers/b"), "400 missing_field").await;
    assert_eq!(missing.json()["field"], "parties");

    // Distinct names in any order, replaceable until somebody arrives.
    server.yes(put("b", parties(&["x"])), 201, json!({"version": 1})).await;
    server.yes(put("b", parties(&["p2", "p1"])), 200, json!({"version": 2})).await;
    server.yes(put("b", parties(&["p1", "p2"])), 200, json!({"version": 2})).await;
    server.yes(put("b", json!({})), 200, json!({"version": 2})).await;
    let twice = server.no(put("b", parties(&["p1", "p1"])), "400 bad_value").await;
    assert_eq!(twice.json()["field"], "parties[1]");
    server.no(put("b", parties(&[])), "400 out_of_range").await;
    let shown = json!({
        "parties": ["p1", "p2"], "arrived": [], "missing": ["p1", "p2"], "values": {},
        "complete": false, "version": 2,
    });
    server.yes(get("b"), 200, shown).await;

    // A stranger; no value means null; the same value again changes nothing.
    server.no(arrive("b", json!({"party": "x"})), "404 unknown_party").await;
    server.yes(arrive("b", json!({"party": "p2"})), 200, attendance(1, 1, false, 3)).await;
    let null = json!({"party": "p2", "value": null});
    server.yes(arrive("b", null), 200, attendance(1, 1, false, 3)).await;
    server.no(put("b", parties(&["p1"])), "409 barrier_started").await;
    server.yes(put("b", parties(&["p2", "p1"])), 200, json!({"version": 3})).await;

    // Another value needs `revise`.
    let other =
        |revise: bool| arrive("b", json!({"party": "p2", "value": {"x": 1.0}, "revise": revise}));
    server.no(other(false), "409 already_arrived").await;
    server.yes(other(true), 200, attendance(1, 1, false, 4)).await;
    let same = arrive("b", json!({"party": "p2", "value": {"x": 1}}));
    server.yes(same, 200, attendance(1, 1, false, 4)).await;

    // The last one completes it; afterwards nothing is revised.
    let last = || arrive("b", json!({"party": "p1", "value": [1]}));
    server.yes(last(), 200, attendance(2, 0, true, 5)).await;
    server.yes(last(), 200, attendance(2, 0, false, 5)).await;
    server.no(arrive("b", json!({"party": "p1", "value": 2})), "409 barrier_complete").await;
    server
        .no(arrive("b", json!({"party": "p1", "value": 2, "revise": true})), "409 barrier_complete")
        .await;
    let shown = |version: u64| {
        json!({
            "parties": ["p1", "p2"], "arrived": ["p1", "p2"], "missing": [],
            "values": {"p1": [1], "p2": {"x": 1.0}}, "complete": true, "version": version,
        })
    };
    server.yes(get("b"), 200, shown(5)).await;

    server.yes(ask("DELETE /barriers/b"), 200, json!({"version": 6})).await;
    for closed in [last(), put("b", json!({})), ask("DELETE /barriers/b")] {
        server.no(closed, "410 closed").await;
    }
    server.yes(get("b"), 200, shown(6)).await;
}

#[tokio::test]
async fn a_barrier_completes_once() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn ten_thousand_parties_fit_and_one_more_does_not() {
    let server = Server::start().await;
    let names: Vec<_> = (0..=10_000).map(|n| format!("{n:0>90}")).collect();
    server.no(put("b", json!({"parties": names})), "400 out_of_range").await;
    server.yes(put("b", json!({"parties": names[1..]})), 201, json!({"version": 1})).await;
    server.yes(arrive("b", json!({"party": names[7]})), 200, attendance(1, 9_999, false, 2)).await;
    let long: Vec<_> = (0..10_000).map(|n| format!("{n:0>110}")).collect();
    server.no(put("long", json!({"parties": long})), "413 too_large").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_order_and_the_repeats_one_decision_completes_it() {
    let server = Server::start().await;
    for round in 0..10 {
        let key = format!("b{round}");
        let names: Vec<_> = (0..8).map(|n| format!("p{n}")).collect();
        server.send(&put(&key, json!({"parties": names}))).await;
        let arrivals = names.iter().cycle().take(32).map(|name| {
            let ask = arrive(&key, json!({"party": name, "value": name}));
            let server = &server;
            async move { server.send(&ask).await.json() }
        });
        let answers = join_all(arrivals).await;
        let completing =
            answers.iter().filter(|answer| answer["completed_by_this"] == true).count();
        assert_eq!(completing, 1, "round {round}");
        let shown = server.send(&get(&key)).await.json();
        assert_eq!((&shown["complete"], &shown["version"]), (&json!(true), &json!(9)));
    }
}
