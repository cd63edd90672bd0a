//! `/quotas`, sentence by sentence.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Ask, ask},
    support::Server,
};

fn put(key: &str, body: Value) -> Ask {
    ask(&format!("PUT /quotas/{key}")).json(body)
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /quotas/{key}"))
}

fn claim(key: &str, worker: &str) -> Ask {
    ask(&format!("POST /quotas/{key}/claims")).json(json!({"worker": worker}))
}

/// `start`, `renew`, `settle` or `abandon`.
fn of(key: &str, claim: &str, verb: &str) -> Ask {
    ask(&format!("POST /quotas/{key}/claims/{claim}/{verb}"))
}

fn settle(key: &str, claim: &str, outcome: &str) -> Ask {
    of(key, claim, "settle").json(json!({"outcome": outcome}))
}

fn retire(key: &str, worker: &str) -> Ask {
    ask(&format!("DELETE /quotas/{key}/workers/{worker}"))
}

/// Claims; gives back the claim's id.
async fn granted(server: &Server, key: &str, worker: &str) -> String {
    let answer = server.send(&claim(key, worker)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["claim"].as_str().unwrap().to_owned()
}

/// Reads the counts, which must add up.
async fn counts(server: &Server, key: &str) -> Value {
    let shown = server.send(&get(key)).await.json();
    let number = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let used = |of: &Value| number(of, "claimed") + number(of, "in_doubt") + number(of, "settled");
    match shown["limit"].as_u64() {
        Some(limit) => assert_eq!(used(&shown) + number(&shown, "remaining"), limit, "{shown}"),
        None => assert_eq!(shown["remaining"], "unlimited"),
    }
    let of_workers = shown["workers"].as_object().unwrap().values().map(used).sum::<u64>();
    assert_eq!(of_workers, used(&shown), "the sum over the workers is the total: {shown}");
    shown
}

/// How a quota is set up.
pub async fn walk_setup(server: &Server) {
    let others = [get("s"), claim("s", "w"), ask("DELETE /quotas/s"), retire("s", "w")];
    let claims = ["start", "renew", "abandon"].map(|verb| of("s", "c1", verb));
    for request in others.into_iter().chain(claims).chain([settle("s", "c1", "x")]) {
        server.no(request, "404 unknown_quota").await;
    }
    let missing = server.no(put("s", json!({"workers": 2})), "400 missing_field").await;
    assert_eq!(missing.json()["field"], "limit");

    server.yes(put("s", json!({"limit": 5, "workers": 2})), 201, json!({"version": 1})).await;
    let fresh = json!({
        "limit": 5, "claimed": 0, "in_doubt": 0, "settled": 0, "remaining": 5,
        "outcomes": {}, "workers": {}, "version": 1,
    });
    server.yes(get("s"), 200, fresh).await;
    // What is not named stays; what stays the same changes nothing.
    server.yes(put("s", json!({"workers": 2})), 200, json!({"version": 1})).await;
    server.yes(ask("PUT /quotas/s"), 200, json!({"version": 1})).await;
    server.yes(put("s", json!({"workers": 3})), 200, json!({"version": 2})).await;
    server.yes(put("s", json!({"claim_ttl_ms": 100})), 200, json!({"version": 3})).await;

    let first = granted(server, "s", "w0").await;
    server.no(put("s", json!({"workers": 2})), "409 quota_started").await;
    server.yes(put("s", json!({"workers": 3, "limit": 1})), 200, json!({"version": 5})).await;
    server.no(put("s", json!({"limit": 0})), "409 limit_below_used").await;
    assert_eq!(counts(server, "s").await["limit"], 1, "nothing changed");
    server.send(&of("s", &first, "abandon")).await;
    server.yes(put("s", json!({"limit": 0})), 200, json!({"version": 7})).await;
    server.no(claim("s", "w0"), "409 quota_exhausted").await;

    // Unlimited is a word.
    server.yes(put("s", json!({"limit": "unlimited"})), 200, json!({"version": 8})).await;
    let granted = server.send(&claim("s", "w0")).await.json();
    assert_eq!(granted["remaining"], "unlimited");
    let shown = counts(server, "s").await;
    assert_eq!(shown["workers"]["w0"]["quota"], Value::Null, "no share of what has no limit");

    server.yes(ask("DELETE /quotas/s"), 200, json!({"version": 10})).await;
    let claims = ["start", "renew", "abandon"].map(|verb| of("s", "c1", verb));
    let others = [claim("s", "w0"), put("s", json!({})), retire("s", "w0"), settle("s", "c1", "x")];
    for closed in claims.into_iter().chain(others).chain([ask("DELETE /quotas/s")]) {
        server.no(closed, "410 closed").await;
    }
    assert_eq!(counts(server, "s").await["version"], 10);
}

/// How a claim goes.
pub async fn walk_claims(server: &Server) {
    server.send(&put("c", json!({"limit": 2}))).await;
    let until = server.clock.after(60_000);
    let grant = |claim: &str, number: u64, remaining: u64, version: u64| {
        json!({
            "claim": claim, "worker": "w0", "number": number, "remaining": remaining,
            "expires_at": until, "version": version,
        })
    };
    server.yes(claim("c", "w0"), 201, grant("c1", 1, 1, 2)).await;
    server.yes(claim("c", "w0"), 201, grant("c2", 2, 0, 3)).await;
    server.pass(500).await;
    let refused = server.no(claim("c", "w1"), "409 quota_all_claimed").await;
    assert_eq!(refused.header("retry-after"), Some("60"), "until the next expiry, rounded up");

    // Start and renew begin the time anew; start again: 200.
    let extended = |started: bool, ttl_ms: u64, version: u64| {
        json!({
            "claim": "c1", "worker": "w0", "number": 1, "started": started,
            "expires_at": server.clock.after(ttl_ms), "version": version,
        })
    };
    server.yes(of("c", "c1", "renew"), 200, extended(false, 60_000, 4)).await;
    let shorter = of("c", "c1", "renew").json(json!({"ttl_ms": 100}));
    server.yes(shorter, 200, extended(false, 100, 5)).await;
    server.yes(of("c", "c1", "start"), 200, extended(true, 60_000, 6)).await;
    server.yes(of("c", "c1", "start"), 200, extended(true, 60_000, 7)).await;
    server.yes(of("c", "c1", "renew"), 200, extended(true, 60_000, 8)).await;

    // Settled with the same outcome again: nothing changes.
    let settled = json!({"claim": "c1", "outcome": "win", "version": 9});
    server.yes(settle("c", "c1", "win"), 200, settled.clone()).await;
    server.yes(settle("c", "c1", "win"), 200, settled).await;
    server.no(settle("c", "c1", "loss"), "409 claim_settled").await;
    for verb in ["start", "renew", "abandon"] {
        server.no(of("c", "c1", verb), "409 claim_settled").await;
    }
    // Abandoned again: nothing changes.
    let abandoned = json!({"claim": "c2", "version": 10});
    server.yes(of("c", "c2", "abandon"), 200, abandoned.clone()).await;
    server.yes(of("c", "c2", "abandon"), 200, abandoned).await;
    server.no(settle("c", "c2", "win"), "409 claim_over").await;
    for verb in ["start", "renew"] {
        server.no(of("c", "c2", verb), "409 claim_over").await;
    }
    for unknown in ["c9", "c0", "c01", "x", "%20", "l1"] {
        for verb in ["start", "renew", "abandon"] {
            server.no(of("c", unknown, verb), "404 unknown_claim").await;
        }
        server.no(settle("c", unknown, "win"), "404 unknown_claim").await;
    }
    // Settled straight from open; `number` goes on for ever upward.
    assert_eq!(granted(server, "c", "w1").await, "c3");
    server.send(&settle("c", "c3", "win")).await;
    server.no(claim("c", "w1"), "409 quota_exhausted").await;
    let shown = counts(server, "c").await;
    assert_eq!(shown["outcomes"], json!({"win": 2}));
    let one = json!({"quota": null, "claimed": 0, "in_doubt": 0, "settled": 1});
    assert_eq!(shown["workers"], json!({"w0": one, "w1": one}));
}

/// What becomes of claims whose holder vanished.
pub async fn walk_expiry(server: &Server) {
    server.send(&put("e", json!({"limit": 3, "claim_ttl_ms": 1_000}))).await;
    for _ in 0..3 {
        granted(server, "e", "w").await;
    }
    server.send(&of("e", "c2", "start")).await;
    server.send(&of("e", "c3", "start")).await;
    server.pass(999).await;
    let refused = server.no(claim("e", "w"), "409 quota_all_claimed").await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.pass(1).await;
    // Not started: free. Started: in doubt.
    let shown = counts(server, "e").await;
    let one = json!({"quota": null, "claimed": 0, "in_doubt": 2, "settled": 0});
    assert_eq!((&shown["remaining"], &shown["workers"]["w"]), (&json!(1), &one));
    for verb in ["start", "renew", "abandon"] {
        server.no(of("e", "c1", verb), "409 claim_expired").await;
    }
    server.no(settle("e", "c1", "win"), "409 claim_expired").await;
    // In doubt: whoever knows that it goes on says so, and vanishes.
    for verb in ["start", "renew"] {
        let held = server.send(&of("e", "c2", verb)).await;
        assert_eq!(held.json()["started"], json!(true));
        assert_eq!(counts(server, "e").await["in_doubt"], json!(1));
        server.pass(1_000).await;
    }
    assert_eq!(counts(server, "e").await["in_doubt"], json!(2));
    assert_eq!(granted(server, "e", "w").await, "c4");
    server.send(&settle("e", "c4", "win")).await;
    let refused = server.no(claim("e", "w"), "409 quota_all_claimed").await;
    assert_eq!(refused.header("retry-after"), Some("60"), "all that is outstanding is in doubt");
    // In doubt: settle and abandon work.
    assert_eq!(server.send(&settle("e", "c2", "loss")).await.status, 200);
    assert_eq!(server.send(&of("e", "c3", "abandon")).await.status, 200);
    let shown = counts(server, "e").await;
    assert_eq!((&shown["settled"], &shown["remaining"]), (&json!(2), &json!(1)));
}

/// The split among workers.
pub async fn walk_split(server: &Server) {
    server.send(&put("w", json!({"limit": 7, "workers": 3}))).await;
    // ⌊7/3⌋ = 2, plus one for the first 7 mod 3 = 1 workers, numbered by first granted claim.
    for worker in ["c", "c", "c", "a", "a", "b"] {
        granted(server, "w", worker).await;
    }
    server.no(claim("w", "c"), "409 worker_quota_claimed").await;
    server.no(claim("w", "a"), "409 worker_quota_claimed").await;
    server.no(claim("w", "d"), "409 too_many_workers").await;
    let shown = counts(server, "w").await;
    let quotas = ["a", "b", "c"].map(|worker| shown["workers"][worker]["quota"].as_u64().unwrap());
    assert_eq!(quotas, [2, 2, 3]);
    assert!(shown["workers"].get("d").is_none(), "a refused name takes no number");

    // A retired worker's share goes to the next new name, less what it used or still holds.
    server.no(retire("w", "d"), "404 unknown_worker").await;
    server.yes(retire("w", "c"), 200, json!({"worker": "c", "version": 8})).await;
    server.yes(retire("w", "c"), 200, json!({"worker": "c", "version": 8})).await;
    server.no(claim("w", "c"), "409 worker_retired").await;
    server.no(claim("w", "d"), "409 worker_quota_claimed").await;
    server.send(&settle("w", "c1", "win")).await;
    assert_eq!(server.send(&of("w", "c2", "abandon")).await.status, 200, "its claims stay its own");
    granted(server, "w", "d").await;
    server.no(claim("w", "d"), "409 worker_quota_claimed").await;
    let shown = counts(server, "w").await;
    let retired = json!({"quota": 2, "claimed": 1, "in_doubt": 0, "settled": 1, "retired": true});
    assert_eq!(shown["workers"]["c"], retired, "so that the sums hold");
    assert_eq!(shown["workers"]["d"]["quota"], 1);

    // In this order when several apply.
    granted(server, "w", "b").await;
    for worker in ["a", "b", "e"] {
        server.no(claim("w", worker), "409 quota_all_claimed").await;
    }

    // What is only claimed may come back: in a minute, at the latest. What is settled does not.
    server.send(&put("split", json!({"limit": 2, "workers": 2}))).await;
    granted(server, "split", "a").await;
    let refused = server.no(claim("split", "a"), "409 worker_quota_claimed").await;
    assert_eq!(refused.header("retry-after"), Some("60"));
    server.send(&settle("split", "c1", "win")).await;
    let refused = server.no(claim("split", "a"), "409 worker_quota_reached").await;
    assert_eq!(refused.header("retry-after"), None);
}

#[tokio::test]
async fn a_quota_is_created_changed_and_closed() {
    walk_setup(&Server::start().await).await;
}

#[tokio::test]
async fn a_claim_goes_from_granted_to_settled_or_given_back() {
    walk_claims(&Server::start().await).await;
}

#[tokio::test]
async fn a_claim_whose_holder_vanished_comes_back_or_is_in_doubt() {
    walk_expiry(&Server::start().await).await;
}

#[tokio::test]
async fn the_split_is_exact_and_a_retired_workers_share_is_taken_over() {
    walk_split(&Server::start().await).await;
}

#[tokio::test]
async fn a_claim_is_over_at_its_expiry_though_the_timer_is_late() {
    let server = Server::start().await;
    server.send(&put("q", json!({"limit": 2, "claim_ttl_ms": 1_000}))).await;
    granted(&server, "q", "w").await;
    server.clock.pass_unnoticed(999);
    assert_eq!(counts(&server, "q").await["claimed"], 1);
    server.clock.pass_unnoticed(1);
    let shown = counts(&server, "q").await;
    assert_eq!((&shown["claimed"], &shown["version"]), (&json!(0), &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_outcomes_are_counted_and_no_more() {
    let server = Server::start().await;
    server.send(&put("o", json!({"limit": "unlimited"}))).await;
    let server = &server;
    let settlers = (0..50).map(|settler| async move {
        for number in 0..200 {
            let claim = granted(server, "o", "w").await;
            server.send(&settle("o", &claim, &format!("o{settler}-{number}"))).await;
        }
    });
    join_all(settlers).await;
    let claim = granted(server, "o", "w").await;
    server.no(settle("o", &claim, "another"), "409 too_many_outcomes").await;
    assert_eq!(server.send(&settle("o", &claim, "o7-7")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_claim_at_once_a_quota_is_never_overrun() {
    let server = Server::start().await;
    server.send(&put("q", json!({"limit": 100, "workers": 3}))).await;
    let workers = (0..16).map(|number| {
        let server = &server;
        async move {
            let worker = format!("w{}", number % 4);
            let mut numbers = Vec::new();
            for _ in 0..12 {
                let answer = server.send(&claim("q", &worker)).await;
                match answer.verdict().as_str() {
                    "201" => numbers.push(answer.json()["number"].as_u64().unwrap()),
                    "409 too_many_workers" | "409 worker_quota_claimed" => {}
                    other => assert_eq!(other, "409 quota_all_claimed"),
                }
            }
            numbers
        }
    });
    let numbers = join_all(workers).await.concat();
    assert_eq!(numbers.len(), 100);
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), (1..=100).collect());
    let shown = counts(&server, "q").await;
    let mut shares: Vec<_> = shown["workers"]
        .as_object()
        .unwrap()
        .values()
        .map(|one| one["claimed"].as_u64().unwrap())
        .collect();
    shares.sort_unstable();
    assert_eq!(shares, [33, 33, 34]);
}
