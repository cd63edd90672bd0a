//! Command ids: what is remembered, what is not, and what tells two requests apart.

use futures_util::future::join_all;
use interlock_web::guard::AccessToken;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Ask, ask},
    support::{Clock, Server},
};

fn post(turn: u64, value: Value) -> Ask {
    ask("POST /turns/t").json(json!({"turn": turn, "value": value}))
}

fn put(content: Value, tag: &str) -> Ask {
    ask("PUT /values/v").json(content).header("if-match", tag)
}

/// Every kind of command that changes something, each on an entity that the ones before have prepared.
pub fn every_change() -> Vec<Ask> {
    let json = |line: &str, body: Value| ask(line).json(body);
    vec![
        json("PUT /quotas/a", json!({"limit": 3})),
        json("PUT /quotas/a", json!({"limit": 4})),
        json("POST /quotas/a/claims", json!({"worker": "w"})),
        ask("POST /quotas/a/claims/c1/start"),
        ask("POST /quotas/a/claims/c1/renew"),
        json("POST /quotas/a/claims/c1/settle", json!({"outcome": "win"})),
        json("POST /quotas/a/claims", json!({"worker": "w"})),
        ask("POST /quotas/a/claims/c2/abandon"),
        ask("DELETE /quotas/a/workers/w"),
        ask("DELETE /quotas/a"),
        json("POST /turns/a", json!({"turn": 1, "value": {"x": 1}})),
        ask("DELETE /turns/a"),
        json("POST /jobs/a/runs", json!({"holder": "h", "min_interval_ms": 0, "ttl_ms": 1000})),
        ask("POST /jobs/a/runs/r1/renew"),
        json("POST /jobs/a/runs/r1/finish", json!({"outcome": "ok"})),
        ask("DELETE /jobs/a"),
        json("PUT /values/a", json!([1])).header("if-none-match", "*"),
        json("PUT /values/a", json!([2])).header("if-match", "\"1\""),
        json("POST /values/a/rollback", json!({"to": 1})).header("interlock-fencing-token", "7"),
        ask("DELETE /values/a"),
        json("PUT /pools/a/members/m", json!({"limit": 1})),
        json("PUT /pools/a/members/m", json!({"limit": 2})),
        json("POST /pools/a/leases", json!({"holder": "h", "ttl_ms": 1000})),
        json("POST /pools/a/leases/l1/confirm", json!({"token": 1})),
        json("POST /pools/a/leases/l1/renew", json!({"token": 1})),
        json("POST /pools/a/leases/l1/release", json!({"token": 1})),
        ask("DELETE /pools/a/members/m"),
        ask("DELETE /pools/a"),
        json("PUT /barriers/a", json!({"parties": ["x"]})),
        json("PUT /barriers/a", json!({"parties": ["p"]})),
        json("POST /barriers/a/arrivals", json!({"party": "p", "value": 1})),
        ask("DELETE /barriers/a"),
    ]
}

/// Checks that an answer is the first one, given again.
pub fn check_repeat(first: &Answer, again: &Answer) {
    assert!(!first.replayed() && again.replayed(), "{first:?} {again:?}");
    let of = |answer: &Answer| {
        let tag = answer.header("etag").map(str::to_owned);
        (answer.status, answer.text.clone(), tag)
    };
    assert_eq!(of(first), of(again));
}

/// The same key with another request gets 422, on every endpoint that takes commands.
pub async fn walk(server: &Server) {
    for (number, request) in every_change().into_iter().enumerate() {
        let id = format!("change-{number}");
        let first = server.send(&request.clone().id(&id)).await;
        assert!(first.status < 300, "{request:?} {first:?}");
        check_repeat(&first, &server.send(&request.clone().id(&id)).await);
        let other = request.header("if-match", "\"99\"");
        server.no(other.id(&id), "422 idempotency_key_reused").await;
    }
}

#[tokio::test]
async fn every_change_is_remembered_and_its_id_belongs_to_it() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn a_repeat_is_answered_before_every_other_rule() {
    let server = Server::start().await;
    let changes: Vec<_> = (0..)
        .zip(every_change())
        .map(|(number, ask): (u64, _)| ask.id(&number.to_string()))
        .collect();
    let mut first = Vec::new();
    for change in &changes {
        first.push(server.send(change).await);
    }
    // By now everything is over, stale, expired, closed.
    server.pass(10_000_000).await;
    for (change, first) in changes.iter().zip(&first) {
        check_repeat(first, &server.send(change).await);
    }
}

#[tokio::test]
async fn white_space_order_and_spelling_make_no_other_request() {
    let server = Server::start().await;
    let first = ask("POST /turns/t").text(r#"{"turn":1,"value":{"a":1.0,"b":"\u00e9"}}"#).id("x");
    let first = server.send(&first).await;
    let again =
        ask("POST /turns/t").text("{ \"value\": {\"b\":\"é\",\n\"a\":1} , \"turn\": 1 }").id("x");
    check_repeat(&first, &server.send(&again).await);
    let first = server.send(&ask("DELETE /turns/t").id("y")).await;
    check_repeat(&first, &server.send(&ask("DELETE /turns/t").id("y").json(json!({}))).await);
}

#[tokio::test]
async fn method_path_conditions_and_body_tell_requests_apart() {
    let server = Server::start().await;
    server.send(&put(json!(0), "*").header("if-none-match", "*")).await;
    server.send(&ask("PUT /values/v").json(json!(0)).header("if-none-match", "*")).await;
    server.yes(put(json!(1), "\"1\"").id("x"), 200, json!({"version": 2})).await;
    for other in [
        put(json!(2), "\"1\""),
        put(json!(1), "\"2\""),
        put(json!(1), "\"1\"").header("interlock-fencing-token", "1"),
        put(json!(1), "\"1\"").header("if-none-match", "*"),
        ask("POST /values/v/rollback").json(json!({"to": 1})),
        ask("DELETE /values/v"),
    ] {
        server.no(other.id("x"), "422 idempotency_key_reused").await;
    }
    // A key is scoped to its entity.
    let elsewhere = ask("PUT /values/w").json(json!(1)).header("if-none-match", "*").id("x");
    server.yes(elsewhere, 201, json!({"version": 1})).await;
}

#[tokio::test]
async fn refusals_and_what_changed_nothing_leave_the_key_free() {
    let server = Server::start().await;
    server.no(post(2, json!("early")).id("x"), "409 turn_ahead").await;
    server.no(ask("DELETE /turns/t").id("x"), "404 unknown_turn").await;
    server.send(&post(1, json!("a"))).await;
    let lost = server.send(&post(1, json!("b")).id("x")).await.json();
    assert_eq!(lost["won"], false);
    // Used for anything, and decided anew.
    let won = server.send(&post(2, json!("c")).id("x")).await;
    assert_eq!((won.json()["won"].clone(), won.replayed()), (json!(true), false));
    check_repeat(&won, &server.send(&post(2, json!("c")).id("x")).await);
}

#[tokio::test]
async fn a_key_is_one_to_255_visible_ascii_characters() {
    let server = Server::start().await;
    for bad in ["", " ", "a b", "é", "\t", &"x".repeat(256)] {
        server.no(post(1, json!(0)).id(bad), "400 bad_idempotency_key").await;
    }
    server.no(post(1, json!(0)).id("x").id("x"), "400 bad_idempotency_key").await;
    for good in ["!", "~", "a,b", "\"q\"", &"x".repeat(255)] {
        let turn = server.send(&ask("GET /turns/t")).await;
        let turn = if turn.status == 404 { 1 } else { turn.json()["next_turn"].as_u64().unwrap() };
        assert_eq!(server.send(&post(turn, json!(0)).id(good)).await.status, 200, "{good}");
    }
}

#[tokio::test]
async fn a_key_is_scoped_to_its_caller() {
    let token =
        |name: &str| AccessToken { name: name.to_owned(), secret: format!("secret-of-{name}") };
    let server = Server::guarded(Clock::new(), &[token("ann"), token("bob")]).await;
    let by = |name: &str, turn: u64| {
        post(turn, json!(name)).id("x").header("authorization", &format!("Bearer secret-of-{name}"))
    };
    let ann = server.send(&by("ann", 1)).await;
    let bob = server.send(&by("bob", 2)).await;
    assert_eq!((ann.json()["won"].clone(), bob.json()["won"].clone()), (json!(true), json!(true)));
    check_repeat(&ann, &server.send(&by("ann", 1)).await);
    check_repeat(&bob, &server.send(&by("bob", 2)).await);
    server.no(by("ann", 2), "422 idempotency_key_reused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_repeats_at_once_have_one_effect_and_one_answer() {
    let server = Server::start().await;
    server.send(&ask("PUT /quotas/q").json(json!({"limit": 1000}))).await;
    for round in 0..10 {
        let claim =
            ask("POST /quotas/q/claims").json(json!({"worker": "w"})).id(&format!("claim-{round}"));
        let answers = join_all((0..50).map(|_| server.send(&claim))).await;
        let replayed = answers.iter().filter(|answer| answer.replayed()).count();
        assert_eq!(replayed, 49, "round {round}");
        for answer in &answers {
            assert_eq!((answer.status, &answer.text), (201, &answers[0].text));
        }
        assert_eq!(answers[0].json()["number"], round + 1, "one effect");
    }
}
