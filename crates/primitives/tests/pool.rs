//! The contract of pools, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use std::{collections::BTreeMap, num::NonZeroU32};

use interlock_kernel::{
    entity::{Context, Entity, Refusal, Verdict},
    ids::{Caller, Holder, Key, Member, Token, Version},
    kit::{Alone, Answer, Sent},
    pool::{LeaseId, LeaseRequest, MemberChange, MemberState},
    time::{Millis, Time},
};
use interlock_primitives::domain::pool::{PoolCommand, PoolEntity, PoolEvent, PoolReply};
use serde_json::{Value, json};

const TTL: Millis = Millis(1_000);

fn body(pool: &Alone<PoolEntity>, sent: Sent) -> Result<Value, &'static str> {
    stored::check(pool);
    if let Answer::Reply(reply, _) = pool.answer(sent) {
        stored::survives(reply);
    }
    let body = match pool.answer(sent) {
        Answer::Reply(PoolReply::MemberPut { created }, _) => Ok(json!({ "created": created })),
        Answer::Reply(PoolReply::MemberRemoved(removed), _) => serde_json::to_value(removed),
        Answer::Reply(PoolReply::Leased(held) | PoolReply::Extended(held), _) => {
            serde_json::to_value(held)
        }
        Answer::Reply(PoolReply::Released(released), _) => serde_json::to_value(released),
        Answer::Reply(PoolReply::Closed | PoolReply::Expired, _) => Ok(json!({})),
        Answer::Rejected(rejection) => return Err(rejection.code()),
        Answer::Waiting => return Err("still waiting"),
    };
    Ok(body.unwrap())
}

/// Sends a command and gives back what the HTTP body says besides the version, or the code.
fn ask(pool: &mut Alone<PoolEntity>, command: PoolCommand) -> Result<Value, &'static str> {
    let sent = pool.send(command);
    body(pool, sent)
}

fn member(name: &str) -> Member {
    Member::new(name).unwrap()
}

fn limit(limit: u32) -> MemberChange {
    MemberChange { limit: Some(limit), ..MemberChange::default() }
}

fn put(
    pool: &mut Alone<PoolEntity>,
    name: &str,
    change: MemberChange,
) -> Result<Value, &'static str> {
    ask(pool, PoolCommand::PutMember { member: member(name), change })
}

fn remove(pool: &mut Alone<PoolEntity>, name: &str) -> Result<Value, &'static str> {
    ask(pool, PoolCommand::RemoveMember { member: member(name) })
}

fn pool<const N: usize>(members: [(&str, u32); N]) -> Alone<PoolEntity> {
    let mut pool = Alone::new();
    for (name, of) in members {
        assert_eq!(put(&mut pool, name, limit(of)), Ok(json!({ "created": true })));
    }
    pool
}

fn labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn request() -> LeaseRequest {
    LeaseRequest::new(Holder::new("h").unwrap(), TTL)
}

fn lease(pool: &mut Alone<PoolEntity>, request: LeaseRequest) -> Result<Value, &'static str> {
    ask(pool, PoolCommand::Lease { request, wait_ms: Millis(0) })
}

/// The member that any lease gets.
fn taken(pool: &mut Alone<PoolEntity>) -> String {
    lease(pool, request()).unwrap()["member"].as_str().unwrap().to_owned()
}

fn wait(pool: &mut Alone<PoolEntity>, request: LeaseRequest, wait: u64) -> Sent {
    pool.send(PoolCommand::Lease { request, wait_ms: Millis(wait) })
}

fn confirm(pool: &mut Alone<PoolEntity>, lease: &str, token: u64) -> Result<Value, &'static str> {
    let (lease, token) = (LeaseId::parse(lease), Token(token));
    ask(pool, PoolCommand::Confirm { lease, token })
}

fn renew(
    pool: &mut Alone<PoolEntity>,
    lease: &str,
    token: u64,
    ttl: Option<u64>,
) -> Result<Value, &'static str> {
    let (lease, token) = (LeaseId::parse(lease), Token(token));
    ask(pool, PoolCommand::Renew { lease, token, ttl_ms: ttl.map(Millis) })
}

fn release(pool: &mut Alone<PoolEntity>, lease: &str, token: u64) -> Result<Value, &'static str> {
    let (lease, token) = (LeaseId::parse(lease), Token(token));
    ask(pool, PoolCommand::Release { lease, token })
}

fn view(pool: &Alone<PoolEntity>) -> Value {
    let shown = pool.state().view(pool.version(), pool.now(), pool.waiting());
    serde_json::to_value(shown.unwrap()).unwrap()
}

/// pending and active of each member.
fn uses(pool: &Alone<PoolEntity>) -> Vec<(u64, u64)> {
    let view = view(pool);
    let of =
        |member: &Value| (member["pending"].as_u64().unwrap(), member["active"].as_u64().unwrap());
    view["members"].as_array().unwrap().iter().map(of).collect()
}

/// Decides at a moment that the timer has not reached.
fn decide_late(
    pool: &Alone<PoolEntity>,
    command: &PoolCommand,
    arrived: Time,
    now: Time,
) -> Verdict<PoolEntity> {
    let cx = Context {
        now,
        arrived,
        version: pool.version(),
        key: &Key::new("test").unwrap(),
        caller: &Caller::local(),
        id: None,
        random: 0,
    };
    pool.state().decide(command, &cx)
}

#[test]
fn a_pool_that_never_had_a_member_is_unknown() {
    let mut pool = Alone::new();
    let unknown = Err("unknown_pool");
    assert_eq!(lease(&mut pool, request()), unknown);
    let waiting = wait(&mut pool, request(), 1_000);
    assert_eq!(body(&pool, waiting), unknown, "nobody waits for nothing");
    assert_eq!(confirm(&mut pool, "l1", 1), unknown);
    assert_eq!(renew(&mut pool, "garbage", 1, None), unknown);
    assert_eq!(release(&mut pool, "l1", 1), unknown);
    assert_eq!(remove(&mut pool, "m"), unknown);
    assert_eq!(ask(&mut pool, PoolCommand::Close), unknown);
    assert_eq!(ask(&mut pool, PoolCommand::Expire), Ok(json!({})), "a stray timer harms nobody");
    let view = pool.state().view(Version(0), pool.now(), 0);
    assert_eq!(view.unwrap_err().code(), "unknown_pool");
    assert_eq!(pool.version(), Version(0));
}

#[test]
fn a_pool_outlives_its_last_member() {
    let mut pool = pool([("m", 1)]);
    assert_eq!(remove(&mut pool, "m"), Ok(json!({ "member": "m", "removed": true })));
    assert_eq!(view(&pool)["members"], json!([]));
    assert_eq!(lease(&mut pool, request()), Err("pool_full"));
    assert_eq!(remove(&mut pool, "m"), Err("unknown_member"));
}

#[test]
fn a_members_limit_is_required_on_creation_only_and_the_rest_has_defaults() {
    let mut pool = Alone::new();
    assert_eq!(put(&mut pool, "m", MemberChange::default()), Err("missing_field"));
    assert!(pool.state().view(pool.version(), pool.now(), 0).is_err(), "no pool came of it");
    put(&mut pool, "m", limit(2)).unwrap();
    let expected = json!([{
        "member": "m", "limit": 2, "weight": 1, "labels": {}, "state": "active",
        "pending": 0, "active": 0,
    }]);
    assert_eq!(view(&pool), json!({ "members": expected, "waiting": 0, "version": 1 }));
}

#[test]
fn put_keeps_what_it_does_not_name_and_changes_nothing_when_it_names_what_is() {
    let mut pool = Alone::new();
    let whole = MemberChange {
        weight: NonZeroU32::new(7),
        labels: Some(labels(&[("zone", "a")])),
        state: Some(MemberState::Draining),
        ..limit(2)
    };
    put(&mut pool, "m", whole.clone()).unwrap();
    assert_eq!(put(&mut pool, "m", whole), Ok(json!({ "created": false })));
    assert_eq!(pool.version(), Version(1));
    put(&mut pool, "m", limit(3)).unwrap();
    let expected = json!([{
        "member": "m", "limit": 3, "weight": 7, "labels": { "zone": "a" }, "state": "draining",
        "pending": 0, "active": 0,
    }]);
    assert_eq!(view(&pool)["members"], expected);
}

#[test]
fn a_lease_tells_everything_and_its_token_only_grows() {
    let mut pool = pool([("m", 1)]);
    let expires_at = pool.now() + TTL;
    let expected = json!({
        "lease": "l1", "member": "m", "token": 1, "state": "pending", "expires_at": expires_at,
    });
    assert_eq!(lease(&mut pool, request()), Ok(expected));
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(lease(&mut pool, request()).unwrap()["token"], 2);
    pool.pass(TTL);
    assert_eq!(lease(&mut pool, request()).unwrap()["token"], 3);
}

#[test]
fn never_over_a_members_limit() {
    let mut pool = pool([("a", 2), ("b", 1), ("none", 0)]);
    for _ in 0..3 {
        lease(&mut pool, request()).unwrap();
    }
    confirm(&mut pool, "l1", 1).unwrap();
    assert_eq!(uses(&pool), [(1, 1), (1, 0), (0, 0)], "pending counts like active");
    assert_eq!(lease(&mut pool, request()), Err("pool_full"));
}

#[test]
fn a_lowered_limit_stops_admission_until_use_has_fallen() {
    let mut pool = pool([("m", 3)]);
    for _ in 0..3 {
        lease(&mut pool, request()).unwrap();
    }
    put(&mut pool, "m", limit(1)).unwrap();
    assert_eq!(uses(&pool), [(3, 0)], "nobody loses a lease");
    release(&mut pool, "l1", 1).unwrap();
    release(&mut pool, "l2", 2).unwrap();
    assert_eq!(lease(&mut pool, request()), Err("pool_full"));
    release(&mut pool, "l3", 3).unwrap();
    assert!(lease(&mut pool, request()).is_ok());
}

#[test]
fn a_draining_member_takes_no_leases_and_keeps_those_it_has() {
    let mut pool = pool([("m", 2)]);
    lease(&mut pool, request()).unwrap();
    let drain = MemberChange { state: Some(MemberState::Draining), ..MemberChange::default() };
    put(&mut pool, "m", drain).unwrap();
    assert_eq!(lease(&mut pool, request()), Err("pool_full"));
    assert!(confirm(&mut pool, "l1", 1).is_ok());
    let admit = MemberChange { state: Some(MemberState::Active), ..MemberChange::default() };
    put(&mut pool, "m", admit).unwrap();
    assert!(lease(&mut pool, request()).is_ok());
}

#[test]
fn delete_drains_then_removes() {
    let mut pool = pool([("m", 3)]);
    lease(&mut pool, request()).unwrap();
    lease(&mut pool, request()).unwrap();
    assert_eq!(remove(&mut pool, "m"), Ok(json!({ "member": "m", "removed": false })));
    let before = pool.version();
    assert_eq!(remove(&mut pool, "m"), Ok(json!({ "member": "m", "removed": false })));
    assert_eq!(pool.version(), before, "again, it changes nothing");
    assert_eq!(view(&pool)["members"][0]["state"], "draining");
    assert_eq!(lease(&mut pool, request()), Err("pool_full"));
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(uses(&pool), [(1, 0)]);
    pool.pass(TTL);
    assert_eq!(uses(&pool), [], "it went with its last lease");
    assert!(matches!(pool.events().last(), Some(PoolEvent::MemberRemoved(_))));
    assert_eq!(put(&mut pool, "m", limit(1)), Ok(json!({ "created": true })));
}

#[test]
fn a_member_put_while_it_leaves_stays() {
    let mut pool = pool([("m", 2)]);
    lease(&mut pool, request()).unwrap();
    remove(&mut pool, "m").unwrap();
    assert_eq!(put(&mut pool, "m", MemberChange::default()), Ok(json!({ "created": false })));
    assert_eq!(view(&pool)["members"][0]["state"], "active");
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(uses(&pool), [(0, 0)]);
}

#[test]
fn a_member_fits_when_it_carries_all_the_asked_labels() {
    let mut pool = pool([("plain", 9)]);
    let carries = |carried: &[(&str, &str)]| {
        let labels = Some(labels(carried));
        MemberChange { labels, ..limit(1) }
    };
    put(&mut pool, "a", carries(&[("zone", "a")])).unwrap();
    put(&mut pool, "b", carries(&[("zone", "b"), ("gpu", "yes")])).unwrap();
    let mut want = |wanted: &[(&str, &str)]| {
        let labels = labels(wanted);
        lease(&mut pool, LeaseRequest { labels, ..request() }).map(|body| body["member"].clone())
    };
    assert_eq!(want(&[("zone", "a"), ("gpu", "yes")]), Err("pool_full"));
    assert_eq!(want(&[("gpu", "yes")]), Ok(json!("b")));
    assert_eq!(want(&[("zone", "b")]), Err("pool_full"), "it is full");
    assert_eq!(want(&[("zone", "a")]), Ok(json!("a")));
    assert_eq!(want(&[]), Ok(json!("plain")));
}

#[test]
fn the_least_loaded_by_weight_is_taken() {
    let mut pool = pool([("a", 9), ("b", 9)]);
    let heavy = MemberChange { weight: NonZeroU32::new(3), ..MemberChange::default() };
    put(&mut pool, "b", heavy).unwrap();
    let order: Vec<_> = (0..8).map(|_| taken(&mut pool)).collect();
    // b: 1/3, 2/3; then a 1/1 equals b 3/3, and a was never granted; b 3/3, 4/3, 5/3; a 2/1 equals b 6/3,
    // and a's last grant is older.
    assert_eq!(order, ["b", "b", "a", "b", "b", "b", "a", "b"]);
}

#[test]
fn among_equals_the_oldest_last_grant_comes_first_then_the_name() {
    let mut pool = pool([("b", 9), ("c", 9), ("a", 9)]);
    let first: Vec<_> = (0..3).map(|_| taken(&mut pool)).collect();
    assert_eq!(first, ["a", "b", "c"], "never granted: by name");
    for (id, token) in [("l2", 2), ("l1", 1), ("l3", 3)] {
        release(&mut pool, id, token).unwrap();
    }
    put(&mut pool, "z", limit(9)).unwrap();
    let second: Vec<_> = (0..4).map(|_| taken(&mut pool)).collect();
    assert_eq!(second, ["z", "a", "b", "c"], "by last grant, whatever was released last");
}

#[test]
fn a_sticky_lease_goes_where_the_oldest_of_its_string_is_while_that_fits() {
    let mut pool = pool([("a", 2), ("b", 9)]);
    let sticky = || LeaseRequest { sticky: Some("s".into()), ..request() };
    let mut go = |request| lease(&mut pool, request).unwrap()["member"].clone();
    assert_eq!(go(sticky()), "a");
    assert_eq!(go(request()), "b");
    assert_eq!(go(sticky()), "a", "though b comes first by load and grant");
    assert_eq!(go(sticky()), "b", "a is full");
    release(&mut pool, "l1", 1).unwrap();
    let other = lease(&mut pool, LeaseRequest { sticky: Some("t".into()), ..request() });
    assert_eq!(other.unwrap()["member"], "a", "another string is no reason");
    release(&mut pool, "l5", 5).unwrap();
    assert_eq!(lease(&mut pool, sticky()).unwrap()["member"], "a", "l3 is the oldest");
    release(&mut pool, "l3", 3).unwrap();
    assert_eq!(lease(&mut pool, sticky()).unwrap()["member"], "b", "now l4 is");
}

#[test]
fn confirm_makes_it_active_and_its_time_starts_anew() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    pool.pass(Millis(900));
    let confirmed = confirm(&mut pool, "l1", 1).unwrap();
    let expected = json!({
        "lease": "l1", "member": "m", "token": 1, "state": "active",
        "expires_at": pool.now() + TTL,
    });
    assert_eq!(confirmed, expected);
    assert_eq!(uses(&pool), [(0, 1)]);
    pool.pass(Millis(500));
    assert_eq!(confirm(&mut pool, "l1", 1).unwrap()["state"], "active", "repeated: 200");
}

#[test]
fn renew_begins_the_time_anew_and_keeps_the_state() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    pool.pass(Millis(999));
    let renewed = renew(&mut pool, "l1", 1, None).unwrap();
    assert_eq!(renewed["expires_at"], json!(pool.now() + TTL), "as long as at first");
    assert_eq!(renewed["state"], "pending");
    let longer = renew(&mut pool, "l1", 1, Some(5_000)).unwrap();
    assert_eq!(longer["expires_at"], json!(pool.now() + Millis(5_000)));
    pool.pass(Millis(4_999));
    assert_eq!(uses(&pool), [(1, 0)]);
    pool.pass(Millis(1));
    assert_eq!(uses(&pool), [(0, 0)]);
}

#[test]
fn a_wrong_token_is_stale() {
    let mut pool = pool([("m", 2)]);
    lease(&mut pool, request()).unwrap();
    lease(&mut pool, request()).unwrap();
    for token in [0, 2, u64::MAX] {
        assert_eq!(confirm(&mut pool, "l1", token), Err("stale_token"));
        assert_eq!(renew(&mut pool, "l1", token, None), Err("stale_token"));
        assert_eq!(release(&mut pool, "l1", token), Err("stale_token"));
    }
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(release(&mut pool, "l1", 2), Err("stale_token"), "of an ended lease, too");
}

#[test]
fn release_of_any_ended_lease_is_fine_and_the_rest_is_over() {
    let mut pool = pool([("m", 2)]);
    lease(&mut pool, request()).unwrap();
    lease(&mut pool, request()).unwrap();
    assert_eq!(release(&mut pool, "l1", 1), Ok(json!({ "lease": "l1" })));
    pool.pass(TTL);
    let before = pool.version();
    for (id, token) in [("l1", 1), ("l2", 2)] {
        assert_eq!(release(&mut pool, id, token), Ok(json!({ "lease": id })));
        assert_eq!(confirm(&mut pool, id, token), Err("lease_over"));
        assert_eq!(renew(&mut pool, id, token, None), Err("lease_over"));
    }
    assert_eq!(pool.version(), before, "released once, expired once");
    pool.pass(Millis::from_secs(1_000_000));
    assert!(release(&mut pool, "l1", 1).is_ok(), "however long ago");
}

#[test]
fn a_lease_that_never_was_is_unknown() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    for strange in ["l2", "l0", "l01", "c1", "", "l99999999999999999999"] {
        assert_eq!(confirm(&mut pool, strange, 1), Err("unknown_lease"));
        assert_eq!(renew(&mut pool, strange, 1, None), Err("unknown_lease"));
        assert_eq!(release(&mut pool, strange, 1), Err("unknown_lease"));
    }
}

#[test]
fn a_waiter_gets_the_first_slot_that_is_freed() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    let first = wait(&mut pool, request(), 10_000);
    let second = wait(&mut pool, request(), 10_000);
    assert_eq!(view(&pool)["waiting"], 2);
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(body(&pool, first).unwrap()["lease"], "l2");
    assert_eq!(body(&pool, second), Err("still waiting"));
    pool.pass(TTL);
    assert_eq!(body(&pool, second).unwrap()["lease"], "l3", "an expiry frees a slot as well");
    assert_eq!(view(&pool)["waiting"], 0);
}

#[test]
fn a_wait_ends_as_pool_full_with_retry_after() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    confirm(&mut pool, "l1", 1).unwrap();
    let waiting = wait(&mut pool, request(), 400);
    pool.pass(Millis(399));
    assert_eq!(body(&pool, waiting), Err("still waiting"));
    pool.pass(Millis(1));
    let rejection = pool.rejection(waiting);
    assert_eq!((rejection.code(), rejection.retry_after_ms()), ("pool_full", Some(600)));
    let at_once = pool.send(PoolCommand::Lease { request: request(), wait_ms: Millis(0) });
    assert_eq!(pool.rejection(at_once).retry_after_ms(), Some(600));
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(uses(&pool), [(0, 0)], "who gave up gets nothing");
}

#[test]
fn a_waiter_that_does_not_fit_blocks_nobody_and_is_not_overtaken() {
    let mut pool = pool([("m", 1)]);
    let zoned = MemberChange { labels: Some(labels(&[("zone", "a")])), ..limit(1) };
    put(&mut pool, "z", zoned).unwrap();
    lease(&mut pool, request()).unwrap();
    lease(&mut pool, request()).unwrap();
    let in_zone = LeaseRequest { labels: labels(&[("zone", "a")]), ..request() };
    let picky = wait(&mut pool, in_zone, 60_000);
    let modest = wait(&mut pool, request(), 60_000);
    let late = wait(&mut pool, request(), 60_000);
    release(&mut pool, "l1", 1).unwrap();
    assert_eq!(body(&pool, modest).unwrap()["member"], "m");
    assert_eq!(body(&pool, picky), Err("still waiting"));
    release(&mut pool, "l2", 2).unwrap();
    assert_eq!(body(&pool, picky).unwrap()["member"], "z", "it came before the late one");
    assert_eq!(body(&pool, late), Err("still waiting"));
}

#[test]
fn waiters_are_asked_when_a_member_comes_grows_or_is_active_again() {
    let mut pool = pool([("m", 0)]);
    let [first, second, third] = [1, 2, 3].map(|_| wait(&mut pool, request(), 60_000));
    put(&mut pool, "m", limit(1)).unwrap();
    assert_eq!(body(&pool, first).unwrap()["member"], "m");
    put(&mut pool, "n", limit(1)).unwrap();
    assert_eq!(body(&pool, second).unwrap()["member"], "n");
    let off = MemberChange { state: Some(MemberState::Draining), ..limit(9) };
    put(&mut pool, "m", off).unwrap();
    assert_eq!(body(&pool, third), Err("still waiting"));
    let on = MemberChange { state: Some(MemberState::Active), ..MemberChange::default() };
    put(&mut pool, "m", on).unwrap();
    assert_eq!(body(&pool, third).unwrap()["member"], "m");
}

#[test]
fn a_newcomer_does_not_take_a_slot_that_is_free_but_not_yet_recorded() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    let (expiry, begun) = (pool.now() + TTL, pool.now());
    let command = |wait| PoolCommand::Lease { request: request(), wait_ms: Millis(wait) };
    let waits_until = |verdict: Verdict<PoolEntity>| match verdict {
        Err(Refusal::Wait { until }) => until.since(begun).0,
        other => panic!("not waiting: {:?}", other.map(|decision| decision.events)),
    };
    // Those who wait are asked when the timer records the expiry; until then, so is the newcomer.
    assert_eq!(waits_until(decide_late(&pool, &command(0), expiry, expiry)), 2_000);
    assert_eq!(waits_until(decide_late(&pool, &command(300), expiry, expiry)), 1_300);
    // A timer that does not come harms nobody.
    for (wait, last) in [(0, 1_000), (300, 300)] {
        let last = expiry + Millis(last);
        let decision = decide_late(&pool, &command(wait), expiry, last).unwrap();
        let [PoolEvent::Expired(_), PoolEvent::Leased(leased)] = &decision.events[..] else {
            panic!("the expiry comes first: {:?}", decision.events)
        };
        assert_eq!(leased.lease.to_string(), "l2");
    }
}

#[test]
fn what_is_due_is_over_before_the_timer_says_so() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    let expiry = pool.now() + TTL;
    let command = PoolCommand::Confirm { lease: LeaseId::parse("l1"), token: Token(1) };
    assert!(decide_late(&pool, &command, expiry, Time(expiry.0 - 1)).is_ok());
    let Err(Refusal::Rejected(rejection)) = decide_late(&pool, &command, expiry, expiry) else {
        panic!("it is over")
    };
    assert_eq!(rejection.code(), "lease_over");
    let seen = pool.state().view(pool.version(), expiry, 0).unwrap();
    assert_eq!(seen.members[0].pending, 0);
    assert_eq!(uses(&pool), [(1, 0)]);
}

#[test]
fn one_timer_serves_all_leases_and_renewals_leave_it() {
    let mut pool = pool([("m", 3)]);
    let set_to = |pool: &Alone<PoolEntity>| pool.timers().values().next().unwrap().0;
    lease(&mut pool, request()).unwrap();
    let first = set_to(&pool);
    pool.pass(Millis(500));
    lease(&mut pool, request()).unwrap();
    renew(&mut pool, "l1", 1, None).unwrap();
    assert_eq!((pool.timers().len(), set_to(&pool)), (1, first));
    pool.pass(Millis(500));
    assert_eq!(set_to(&pool), first + Millis(500), "it found nothing due");
    pool.pass(Millis(500));
    assert_eq!(uses(&pool), [(0, 0)]);
    assert!(pool.timers().is_empty());
}

#[test]
fn a_closed_pool_leaves_no_timer() {
    let mut pool = pool([("m", 1)]);
    lease(&mut pool, request()).unwrap();
    ask(&mut pool, PoolCommand::Close).unwrap();
    assert!(pool.is_closed() && pool.timers().is_empty());
    assert_eq!(uses(&pool), [(1, 0)], "its state stays readable");
}

#[test]
fn no_command_breaks_it_however_strange_its_numbers() {
    let mut pool = Alone::new();
    let huge = MemberChange { weight: NonZeroU32::new(u32::MAX), ..limit(u32::MAX) };
    put(&mut pool, "a", huge.clone()).unwrap();
    put(&mut pool, "b", huge).unwrap();
    for ttl in [0, 1, u64::MAX] {
        let request = LeaseRequest { ttl_ms: Millis(ttl), ..request() };
        ask(&mut pool, PoolCommand::Lease { request, wait_ms: Millis(u64::MAX) }).unwrap();
    }
    renew(&mut pool, "l3", 3, Some(u64::MAX)).unwrap();
    pool.pass(Millis(10));
    assert_eq!(uses(&pool).iter().map(|(pending, _)| pending).sum::<u64>(), 1);
    put(&mut pool, "a", limit(0)).unwrap();
    put(&mut pool, "b", limit(0)).unwrap();
    let endless = wait(&mut pool, request(), u64::MAX);
    assert_eq!(body(&pool, endless), Err("still waiting"));
}
