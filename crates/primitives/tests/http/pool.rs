//! `/pools`, sentence by sentence.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Ask, Client, ask},
    support::Server,
};

fn put(key: &str, member: &str, body: Value) -> Ask {
    ask(&format!("PUT /pools/{key}/members/{member}")).json(body)
}

fn remove(key: &str, member: &str) -> Ask {
    ask(&format!("DELETE /pools/{key}/members/{member}"))
}

fn get(key: &str) -> Ask {
    ask(&format!("GET /pools/{key}"))
}

/// A lease for a minute, with whatever else is asked.
fn lease(key: &str, more: Value) -> Ask {
    let mut body = json!({"holder": "h", "ttl_ms": 60_000});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(&format!("POST /pools/{key}/leases")).json(body)
}

/// `confirm`, `renew` or `release`.
fn of(key: &str, lease: &str, verb: &str, body: Value) -> Ask {
    ask(&format!("POST /pools/{key}/leases/{lease}/{verb}")).json(body)
}

fn release(key: &str, token: u64) -> Ask {
    of(key, &format!("l{token}"), "release", json!({"token": token}))
}

/// Leases; gives back which member it was.
async fn leased(server: &Server, key: &str, more: Value) -> String {
    let answer = server.send(&lease(key, more)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["member"].as_str().unwrap().to_owned()
}

/// Waits until so many leases wait.
async fn until_waiting(server: &Server, key: &str, count: u64) {
    for _ in 0..100_000 {
        if server.send(&get(key)).await.json()["waiting"] == count {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never happens that {count} wait");
}

/// Sends a lease that has to wait, and waits until it does.
async fn queue_up(server: &Server, key: &str, ask: &Ask) -> Client {
    let waiting = server.send(&get(key)).await.json()["waiting"].as_u64().unwrap();
    let mut client = Client::connect(server.address).await;
    client.send(ask).await;
    until_waiting(server, key, waiting + 1).await;
    client
}

fn member_of(answer: &Answer) -> Value {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["member"].clone()
}

/// Members come, change, drain and go.
pub async fn walk_members(server: &Server) {
    for request in [
        get("m"),
        remove("m", "a"),
        lease("m", json!({})),
        of("m", "l1", "confirm", json!({"token": 1})),
        of("m", "l1", "renew", json!({"token": 1})),
        release("m", 1),
        ask("DELETE /pools/m"),
    ] {
        server.no(request, "404 unknown_pool").await;
    }
    let missing = server.no(put("m", "a", json!({"weight": 2})), "400 missing_field").await;
    assert_eq!(missing.json()["field"], "limit");

    server.yes(put("m", "a", json!({"limit": 2})), 201, json!({"version": 1})).await;
    let all = json!({"limit": 0, "weight": 7, "labels": {"zone": "x"}, "state": "draining"});
    server.yes(put("m", "b", all), 201, json!({"version": 2})).await;
    server.yes(put("m", "a", json!({})), 200, json!({"version": 2})).await;
    server.yes(put("m", "b", json!({"limit": 1})), 200, json!({"version": 3})).await;
    server.yes(put("m", "b", json!({"limit": 1, "weight": 7})), 200, json!({"version": 3})).await;
    let a = json!({
        "member": "a", "limit": 2, "weight": 1, "labels": {}, "state": "active",
        "pending": 0, "active": 0,
    });
    let b = json!({
        "member": "b", "limit": 1, "weight": 7, "labels": {"zone": "x"}, "state": "draining",
        "pending": 0, "active": 0,
    });
    server.yes(get("m"), 200, json!({"members": [a, b], "waiting": 0, "version": 3})).await;

    // A lowered limit stops admission until use has fallen.
    assert_eq!(leased(server, "m", json!({})).await, "a");
    assert_eq!(leased(server, "m", json!({})).await, "a");
    server.send(&put("m", "a", json!({"limit": 1}))).await;
    server.no(lease("m", json!({})), "503 pool_full").await;
    server.send(&release("m", 1)).await;
    server.no(lease("m", json!({})), "503 pool_full").await;
    server.send(&release("m", 2)).await;
    assert_eq!(leased(server, "m", json!({})).await, "a");

    // DELETE drains, then removes.
    server.no(remove("m", "x"), "404 unknown_member").await;
    let removed =
        |gone: bool, version: u64| json!({"member": "a", "removed": gone, "version": version});
    server.yes(remove("m", "a"), 200, removed(false, 10)).await;
    server.yes(remove("m", "a"), 200, removed(false, 10)).await;
    let shown = server.send(&get("m")).await.json();
    assert_eq!(
        (&shown["members"][0]["state"], &shown["members"][0]["pending"]),
        (&json!("draining"), &json!(1))
    );
    server.no(lease("m", json!({})), "503 pool_full").await;
    server.send(&release("m", 3)).await;
    let shown = server.send(&get("m")).await.json();
    assert_eq!(
        (shown["members"].as_array().unwrap().len(), &shown["members"][0]["member"]),
        (1, &json!("b"))
    );
    server.no(remove("m", "a"), "404 unknown_member").await;
    let gone = json!({"member": "b", "removed": true, "version": 12});
    server.yes(remove("m", "b"), 200, gone).await;
    server.yes(get("m"), 200, json!({"members": [], "waiting": 0, "version": 12})).await;

    server.yes(ask("DELETE /pools/m"), 200, json!({"version": 13})).await;
    for closed in [
        put("m", "a", json!({"limit": 1})),
        remove("m", "a"),
        lease("m", json!({"wait_ms": 60_000})),
        of("m", "l1", "confirm", json!({"token": 1})),
        of("m", "l1", "renew", json!({"token": 1})),
        release("m", 1),
        ask("DELETE /pools/m"),
    ] {
        server.no(closed, "410 closed").await;
    }
    server.yes(get("m"), 200, json!({"members": [], "waiting": 0, "version": 13})).await;
}

/// How a lease goes.
pub async fn walk_leases(server: &Server) {
    server.send(&put("l", "a", json!({"limit": 1}))).await;
    let held = |token: u64, state: &str, ttl_ms: u64, version: u64| {
        json!({
            "lease": format!("l{token}"), "member": "a", "token": token, "state": state,
            "expires_at": server.clock.after(ttl_ms), "version": version,
        })
    };
    server.yes(lease("l", json!({})), 201, held(1, "pending", 60_000, 2)).await;
    server.pass(500).await;
    let refused = server.no(lease("l", json!({})), "503 pool_full").await;
    assert_eq!(refused.header("retry-after"), Some("60"));

    let renew = |body: Value| of("l", "l1", "renew", body);
    let confirm = || of("l", "l1", "confirm", json!({"token": 1}));
    server.yes(renew(json!({"token": 1})), 200, held(1, "pending", 60_000, 3)).await;
    server.yes(confirm(), 200, held(1, "active", 60_000, 4)).await;
    let shown = server.send(&get("l")).await.json();
    assert_eq!(
        (&shown["members"][0]["pending"], &shown["members"][0]["active"]),
        (&json!(0), &json!(1))
    );
    server.pass(500).await;
    server.yes(confirm(), 200, held(1, "active", 60_000, 5)).await;
    server.yes(renew(json!({"token": 1, "ttl_ms": 100})), 200, held(1, "active", 100, 6)).await;

    // A wrong token, an unknown lease.
    for token in [0, 2, (1_u64 << 53) - 1] {
        for verb in ["confirm", "renew", "release"] {
            server.no(of("l", "l1", verb, json!({"token": token})), "409 stale_token").await;
        }
    }
    for unknown in ["l2", "l0", "l01", "x", "c1"] {
        for verb in ["confirm", "renew", "release"] {
            server.no(of("l", unknown, verb, json!({"token": 1})), "404 unknown_lease").await;
        }
    }
    // Release of any ended lease: 200, however it ended; the rest is over.
    server.yes(release("l", 1), 200, json!({"lease": "l1", "version": 7})).await;
    server.yes(release("l", 1), 200, json!({"lease": "l1", "version": 7})).await;
    server.no(confirm(), "409 lease_over").await;
    server.no(renew(json!({"token": 1})), "409 lease_over").await;
    server.no(of("l", "l1", "release", json!({"token": 2})), "409 stale_token").await;

    // Expired, pending or active.
    let until = server.clock.after(100);
    let short = server.send(&lease("l", json!({"ttl_ms": 100}))).await.json();
    assert_eq!((&short["token"], &short["expires_at"]), (&json!(2), &json!(until)));
    server.pass(100).await;
    server.no(of("l", "l2", "confirm", json!({"token": 2})), "409 lease_over").await;
    assert_eq!(server.send(&release("l", 2)).await.status, 200);
    assert_eq!(leased(server, "l", json!({})).await, "a", "its slot is free");
}

/// Which member a lease gets.
pub async fn walk_choice(server: &Server) {
    for (member, limit, weight, zone) in [("a", 4, 1, "x"), ("b", 4, 2, "x"), ("c", 4, 1, "y")] {
        let body = json!({"limit": limit, "weight": weight, "labels": {"zone": zone, "k": "v"}});
        server.send(&put("p", member, body)).await;
    }
    // Least (used + 1) / weight; then the oldest last grant, never granted first; then by name.
    for expected in ["b", "a", "c", "b", "b"] {
        assert_eq!(leased(server, "p", json!({})).await, expected);
    }
    // All the asked labels.
    let in_y = json!({"labels": {"zone": "y"}});
    assert_eq!(leased(server, "p", in_y).await, "c");
    assert_eq!(leased(server, "p", json!({"labels": {"zone": "x", "k": "v"}})).await, "a");
    server.no(lease("p", json!({"labels": {"zone": "z"}})), "503 pool_full").await;
    server.no(lease("p", json!({"labels": {"zone": "x", "other": "v"}})), "503 pool_full").await;
    // Where the oldest lease of the same string is, while that fits: c has 2 of 4.
    assert_eq!(leased(server, "p", json!({"sticky": "s", "labels": {"zone": "y"}})).await, "c");
    assert_eq!(leased(server, "p", json!({"sticky": "s"})).await, "c");
    assert_eq!(leased(server, "p", json!({"sticky": "s"})).await, "b", "c is full");
    // b: 4 of 4; a: 2 of 4.
    assert_eq!(leased(server, "p", json!({"sticky": "other"})).await, "a");
}

/// Waiting for a slot.
pub async fn walk_queue(server: &Server) {
    server.send(&put("q", "x", json!({"limit": 1, "labels": {"zone": "x"}}))).await;
    server.send(&put("q", "y", json!({"limit": 1, "labels": {"zone": "y"}}))).await;
    leased(server, "q", json!({"labels": {"zone": "x"}})).await;
    leased(server, "q", json!({"labels": {"zone": "y"}})).await;
    let wait = |more: Value| {
        let mut body = json!({"wait_ms": 300_000});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lease("q", body)
    };
    let mut for_x = queue_up(server, "q", &wait(json!({"labels": {"zone": "x"}}))).await;
    let mut first = queue_up(server, "q", &wait(json!({}))).await;
    let mut second = queue_up(server, "q", &wait(json!({}))).await;
    // The first that fits gets it; one that does not fit blocks nobody; a newcomer overtakes nobody.
    server.send(&release("q", 2)).await;
    assert_eq!(member_of(&first.read("POST").await), "y");
    server.no(lease("q", json!({})), "503 pool_full").await;
    server.send(&release("q", 1)).await;
    assert_eq!(member_of(&for_x.read("POST").await), "x");
    server.send(&release("q", 3)).await;
    assert_eq!(member_of(&second.read("POST").await), "y");

    // At most `wait_ms`.
    let mut patient = queue_up(server, "q", &lease("q", json!({"wait_ms": 1_000}))).await;
    server.clock.pass(1_000);
    let refused = patient.read("POST").await;
    assert_eq!(refused.verdict(), "503 pool_full");
    assert_eq!(refused.header("retry-after"), Some("59"), "until the next expiry");
    until_waiting(server, "q", 0).await;

    // An expiry frees a slot for those who wait; so does a new member, and a raised limit.
    let mut third = queue_up(server, "q", &wait(json!({}))).await;
    server.clock.pass(59_000);
    assert_eq!(third.read("POST").await.status, 201);
    leased(server, "q", json!({})).await;
    let mut fourth = queue_up(server, "q", &wait(json!({}))).await;
    server.send(&put("q", "z", json!({"limit": 1}))).await;
    assert_eq!(member_of(&fourth.read("POST").await), "z");
    let mut fifth = queue_up(server, "q", &wait(json!({}))).await;
    server.send(&put("q", "z", json!({"limit": 2}))).await;
    assert_eq!(member_of(&fifth.read("POST").await), "z");

    // Closed, waiters included.
    let mut last = queue_up(server, "q", &wait(json!({}))).await;
    server.send(&ask("DELETE /pools/q")).await;
    assert_eq!(last.read("POST").await.verdict(), "410 closed");
}

#[tokio::test]
async fn members_come_change_drain_and_go() {
    walk_members(&Server::start().await).await;
}

#[tokio::test]
async fn a_lease_goes_from_pending_to_active_to_over() {
    walk_leases(&Server::start().await).await;
}

#[tokio::test]
async fn a_lease_gets_the_best_member_that_fits() {
    walk_choice(&Server::start().await).await;
}

#[tokio::test]
async fn a_lease_waits_in_a_fair_queue() {
    walk_queue(&Server::start().await).await;
}

#[tokio::test]
async fn a_lease_is_over_at_its_expiry_though_the_timer_is_late() {
    let server = Server::start().await;
    server.send(&put("p", "a", json!({"limit": 1}))).await;
    leased(&server, "p", json!({"ttl_ms": 1_000})).await;
    for (ms, pending) in [(999, 1), (1, 0)] {
        server.clock.pass_unnoticed(ms);
        let shown = server.send(&get("p")).await.json();
        assert_eq!(
            (&shown["members"][0]["pending"], &shown["version"]),
            (&json!(pending), &json!(2))
        );
    }
}

#[tokio::test]
async fn whoever_goes_away_leaves_the_queue() {
    let server = Server::start().await;
    server.send(&put("p", "a", json!({"limit": 1}))).await;
    leased(&server, "p", json!({})).await;
    let wait = lease("p", json!({"wait_ms": 300_000}));
    let gone = queue_up(&server, "p", &wait).await;
    let mut stays = queue_up(&server, "p", &wait).await;
    drop(gone);
    until_waiting(&server, "p", 1).await;
    server.send(&release("p", 1)).await;
    let lease = stays.read("POST").await.json();
    assert_eq!(lease["token"], 2, "nothing was granted to the one who had gone");
}

#[tokio::test]
async fn a_repeat_keeps_the_place_until_the_last_connection_has_gone() {
    let server = Server::start().await;
    server.send(&put("p", "a", json!({"limit": 1}))).await;
    leased(&server, "p", json!({})).await;
    let wait = |id: &str| lease("p", json!({"wait_ms": 300_000})).id(id);
    let first = queue_up(&server, "p", &wait("one")).await;
    let mut other = queue_up(&server, "p", &wait("two")).await;
    let mut again = Client::connect(server.address).await;
    again.send(&wait("one")).await;
    // The repeat waits where the first one does: there are still two in the queue. Only once it has been
    // taken in may the first connection go.
    let reused = lease("p", json!({"wait_ms": 299_999})).id("one");
    server.no(reused, "422 idempotency_key_reused").await;
    drop(first);
    until_waiting(&server, "p", 2).await;
    server.send(&release("p", 1)).await;
    let lease = again.read("POST").await;
    assert_eq!((lease.status, &lease.json()["token"]), (201, &json!(2)));
    server.send(&release("p", 2)).await;
    assert_eq!(other.read("POST").await.json()["token"], 3);
    // The last connection that waits has gone: so has the place.
    let first = queue_up(&server, "p", &wait("three")).await;
    let mut again = Client::connect(server.address).await;
    again.send(&wait("three")).await;
    drop((first, again));
    until_waiting(&server, "p", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_members_fit_and_one_more_does_not() {
    let server = &Server::start().await;
    let putters = (0..50).map(|putter| async move {
        for number in 0..200 {
            let put = put("p", &format!("m{putter}-{number}"), json!({"limit": 0}));
            assert_eq!(server.send(&put).await.status, 201);
        }
    });
    join_all(putters).await;
    server.no(put("p", "another", json!({"limit": 0})), "409 too_many_members").await;
    assert_eq!(server.send(&put("p", "m7-7", json!({"limit": 1}))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_lease_at_once_no_member_is_ever_over_its_limit() {
    let server = Server::start().await;
    server.send(&put("p", "a", json!({"limit": 2}))).await;
    server.send(&put("p", "b", json!({"limit": 3}))).await;
    let holders = (0..12).map(|_| {
        let server = &server;
        async move {
            for _ in 0..5 {
                let answer = server.send(&lease("p", json!({"wait_ms": 300_000}))).await;
                assert_eq!(answer.status, 201, "whoever waits gets a slot in the end");
                let token = answer.json()["token"].as_u64().unwrap();
                let id = format!("l{token}");
                server.send(&of("p", &id, "confirm", json!({"token": token}))).await;
                for member in server.send(&get("p")).await.json()["members"].as_array().unwrap() {
                    let used =
                        member["pending"].as_u64().unwrap() + member["active"].as_u64().unwrap();
                    assert!(used <= member["limit"].as_u64().unwrap(), "{member}");
                }
                server.send(&release("p", token)).await;
            }
        }
    });
    join_all(holders).await;
    let shown = server.send(&get("p")).await.json();
    assert_eq!(shown["waiting"], 0);
    // 2 members put, then a grant, a confirmation and a release for each of 60 leases.
    assert_eq!(shown["version"], 2 + 60 * 3);
}
