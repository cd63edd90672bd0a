//! The contract of quotas, sentence by sentence.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod stored;

use std::num::NonZeroU32;

use interlock_kernel::{
    entity::{Context, Entity, Refusal},
    ids::{Caller, Key, Outcome, Version, Worker},
    kit::{Alone, Answer},
    quota::{ClaimId, Limit, QuotaChange},
    time::{Millis, Time},
};
use interlock_primitives::domain::quota::{
    QuotaCommand, QuotaEntity, QuotaEvent, QuotaRejection, QuotaReply,
};
use serde_json::{Value, json};

const RETENTION: Millis = Millis::from_secs(86_400);
const MINUTE: Millis = Millis::from_secs(60);

/// Sends a command and gives back what the HTTP body says besides the version, or the code.
fn ask(quota: &mut Alone<QuotaEntity>, command: QuotaCommand) -> Result<Value, &'static str> {
    let sent = quota.send(command);
    stored::check(quota);
    if let Answer::Reply(reply, _) = quota.answer(sent) {
        stored::survives(reply);
    }
    let body = match quota.answer(sent) {
        Answer::Reply(QuotaReply::Put { created }, _) => Ok(json!({ "created": created })),
        Answer::Reply(QuotaReply::Claimed(grant), _) => serde_json::to_value(grant),
        Answer::Reply(QuotaReply::Extended(extended), _) => serde_json::to_value(extended),
        Answer::Reply(QuotaReply::Settled(settled), _) => serde_json::to_value(settled),
        Answer::Reply(QuotaReply::Abandoned(abandoned), _) => serde_json::to_value(abandoned),
        Answer::Reply(QuotaReply::Retired(retired), _) => serde_json::to_value(retired),
        Answer::Reply(QuotaReply::Closed | QuotaReply::Expired, _) => Ok(json!({})),
        Answer::Rejected(rejection) => return Err(rejection.code()),
        Answer::Waiting => panic!("a quota lets nobody wait"),
    };
    Ok(body.unwrap())
}

fn quota(limit: Limit, workers: Option<u32>) -> Alone<QuotaEntity> {
    let mut quota = Alone::new();
    let workers = workers.map(|workers| NonZeroU32::new(workers).unwrap());
    let change = QuotaChange { limit: Some(limit), workers, ..QuotaChange::keep(RETENTION) };
    assert_eq!(ask(&mut quota, QuotaCommand::Put(change)), Ok(json!({ "created": true })));
    quota
}

fn of(limit: u64) -> Alone<QuotaEntity> {
    quota(Limit::Of(limit), None)
}

fn worker(name: &str) -> Worker {
    Worker::new(name).unwrap()
}

fn put_limit(quota: &mut Alone<QuotaEntity>, limit: u64) -> Result<Value, &'static str> {
    let limit = Some(Limit::Of(limit));
    ask(quota, QuotaCommand::Put(QuotaChange { limit, ..QuotaChange::keep(RETENTION) }))
}

fn claim(quota: &mut Alone<QuotaEntity>, name: &str) -> Result<Value, &'static str> {
    ask(quota, QuotaCommand::Claim { worker: worker(name) })
}

fn claims<const N: usize>(quota: &mut Alone<QuotaEntity>, names: [&str; N]) {
    for name in names {
        claim(quota, name).unwrap();
    }
}

fn start(quota: &mut Alone<QuotaEntity>, claim: &str) -> Result<Value, &'static str> {
    ask(quota, QuotaCommand::Start { claim: ClaimId::parse(claim) })
}

fn renew(
    quota: &mut Alone<QuotaEntity>,
    claim: &str,
    ttl: Option<u64>,
) -> Result<Value, &'static str> {
    let (claim, ttl_ms) = (ClaimId::parse(claim), ttl.map(Millis));
    ask(quota, QuotaCommand::Renew { claim, ttl_ms })
}

fn settle(
    quota: &mut Alone<QuotaEntity>,
    claim: &str,
    outcome: &str,
) -> Result<Value, &'static str> {
    let (claim, outcome) = (ClaimId::parse(claim), Outcome::new(outcome).unwrap());
    ask(quota, QuotaCommand::Settle { claim, outcome })
}

fn abandon(quota: &mut Alone<QuotaEntity>, claim: &str) -> Result<Value, &'static str> {
    ask(quota, QuotaCommand::Abandon { claim: ClaimId::parse(claim) })
}

fn retire(quota: &mut Alone<QuotaEntity>, name: &str) -> Result<Value, &'static str> {
    ask(quota, QuotaCommand::RetireWorker { worker: worker(name) })
}

fn view(quota: &Alone<QuotaEntity>) -> Value {
    serde_json::to_value(quota.state().view(quota.version(), quota.now()).unwrap()).unwrap()
}

/// claimed, in doubt, settled, remaining.
fn counts(quota: &Alone<QuotaEntity>) -> [u64; 4] {
    let view = view(quota);
    ["claimed", "in_doubt", "settled", "remaining"].map(|count| view[count].as_u64().unwrap())
}

/// Decides at a moment that the timer has not reached.
fn decide_late(
    quota: &Alone<QuotaEntity>,
    command: &QuotaCommand,
    now: Time,
) -> Result<(Vec<QuotaEvent>, QuotaReply), QuotaRejection> {
    let cx = Context {
        now,
        arrived: now,
        version: quota.version(),
        key: &Key::new("test").unwrap(),
        caller: &Caller::local(),
        id: None,
        random: 0,
    };
    match quota.state().decide(command, &cx) {
        Ok(decision) => Ok((decision.events, decision.reply)),
        Err(Refusal::Rejected(rejection)) => Err(rejection),
        Err(Refusal::Wait { .. }) => panic!("a quota lets nobody wait"),
    }
}

#[test]
fn a_quota_that_was_never_put_is_unknown() {
    let mut quota = Alone::new();
    let unknown = Err("unknown_quota");
    assert_eq!(claim(&mut quota, "w0"), unknown);
    assert_eq!(start(&mut quota, "c1"), unknown);
    assert_eq!(renew(&mut quota, "garbage", None), unknown);
    assert_eq!(settle(&mut quota, "c1", "win"), unknown);
    assert_eq!(abandon(&mut quota, "c1"), unknown);
    assert_eq!(retire(&mut quota, "w0"), unknown);
    assert_eq!(ask(&mut quota, QuotaCommand::Close), unknown);
    assert_eq!(ask(&mut quota, QuotaCommand::Expire), Ok(json!({})), "a stray timer harms nobody");
    let view = quota.state().view(Version(0), quota.now());
    assert_eq!(view.unwrap_err().code(), "unknown_quota");
    assert_eq!(quota.version(), Version(0));
}

#[test]
fn a_limit_is_required_on_creation_only() {
    let mut quota = Alone::new();
    let keep = || QuotaCommand::Put(QuotaChange::keep(RETENTION));
    assert_eq!(ask(&mut quota, keep()), Err("missing_field"));
    assert!(put_limit(&mut quota, 3).is_ok());
    assert_eq!(ask(&mut quota, keep()), Ok(json!({ "created": false })));
    assert_eq!(view(&quota)["limit"], 3);
}

#[test]
fn put_keeps_what_it_does_not_name_and_changes_nothing_when_it_names_what_is() {
    let mut quota = quota(Limit::Of(10), Some(3));
    let change = QuotaChange { claim_ttl_ms: Some(Millis(500)), ..QuotaChange::keep(RETENTION) };
    assert_eq!(ask(&mut quota, QuotaCommand::Put(change.clone())), Ok(json!({ "created": false })));
    assert_eq!(quota.version(), Version(2));
    assert_eq!(ask(&mut quota, QuotaCommand::Put(change)), Ok(json!({ "created": false })));
    assert_eq!(quota.version(), Version(2), "the same again changes nothing");
    let granted = claim(&mut quota, "w0").unwrap();
    assert_eq!(granted["expires_at"], json!(quota.now() + Millis(500)));
    assert_eq!(view(&quota)["workers"]["w0"]["quota"], 4, "split among three still");
}

#[test]
fn a_limit_below_what_is_used_changes_nothing() {
    let mut quota = of(5);
    claims(&mut quota, ["a", "a", "a"]);
    start(&mut quota, "c1").unwrap();
    settle(&mut quota, "c2", "win").unwrap();
    quota.pass(MINUTE);
    assert_eq!(counts(&quota), [0, 1, 1, 3], "c1 is in doubt, c3 came back");
    claims(&mut quota, ["a"]);
    let before = quota.version();
    assert_eq!(put_limit(&mut quota, 2), Err("limit_below_used"));
    assert_eq!((quota.version(), view(&quota)["limit"].clone()), (before, json!(5)));
    assert!(put_limit(&mut quota, 3).is_ok());
    assert_eq!(counts(&quota), [1, 1, 1, 0]);
}

#[test]
fn workers_cannot_change_after_the_first_claim() {
    let split = |workers| {
        let workers = NonZeroU32::new(workers);
        QuotaCommand::Put(QuotaChange { workers, ..QuotaChange::keep(RETENTION) })
    };
    let mut quota = of(5);
    assert!(ask(&mut quota, split(2)).is_ok());
    assert!(ask(&mut quota, split(3)).is_ok());
    claims(&mut quota, ["a"]);
    assert_eq!(ask(&mut quota, split(2)), Err("quota_started"));
    assert!(ask(&mut quota, split(3)).is_ok(), "the same is no change");
    abandon(&mut quota, "c1").unwrap();
    assert_eq!(ask(&mut quota, split(2)), Err("quota_started"), "for ever");
}

#[test]
fn a_grant_tells_everything_and_its_number_only_grows() {
    let mut quota = of(2);
    let expires_at = quota.now() + MINUTE;
    let granted = claim(&mut quota, "w0").unwrap();
    let expected = json!({
        "claim": "c1", "worker": "w0", "number": 1, "remaining": 1, "expires_at": expires_at,
    });
    assert_eq!(granted, expected);
    abandon(&mut quota, "c1").unwrap();
    let granted = claim(&mut quota, "w0").unwrap();
    assert_eq!((&granted["number"], &granted["remaining"]), (&json!(2), &json!(1)));
}

#[test]
fn nothing_left_and_nothing_outstanding_is_exhausted() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    settle(&mut quota, "c1", "win").unwrap();
    assert_eq!(claim(&mut quota, "a"), Err("quota_exhausted"));
    assert_eq!(claim(&mut of(0), "a"), Err("quota_exhausted"));
}

#[test]
fn nothing_left_now_says_when_the_next_claim_expires() {
    let mut quota = of(2);
    claims(&mut quota, ["a"]);
    quota.pass(Millis(10_000));
    claims(&mut quota, ["a"]);
    start(&mut quota, "c1").unwrap();
    quota.pass(Millis(1_000));
    let refused = |quota: &mut Alone<QuotaEntity>| {
        let sent = quota.send(QuotaCommand::Claim { worker: worker("a") });
        let rejection = quota.rejection(sent);
        (rejection.code(), rejection.retry_after_ms())
    };
    assert_eq!(refused(&mut quota), ("quota_all_claimed", Some(59_000)));
    start(&mut quota, "c2").unwrap();
    quota.pass(MINUTE);
    assert_eq!(counts(&quota), [0, 2, 0, 0]);
    assert_eq!(refused(&mut quota), ("quota_all_claimed", Some(60_000)), "all is in doubt");
}

#[test]
fn refusals_come_in_the_order_of_the_contract() {
    let mut quota = quota(Limit::Of(3), Some(2));
    claims(&mut quota, ["a", "a"]);
    assert_eq!(claim(&mut quota, "a"), Err("worker_quota_claimed"));
    claims(&mut quota, ["b"]);
    for name in ["a", "b", "c"] {
        assert_eq!(claim(&mut quota, name), Err("quota_all_claimed"), "{name}");
    }
    for id in ["c1", "c2", "c3"] {
        settle(&mut quota, id, "win").unwrap();
    }
    for name in ["a", "b", "c"] {
        assert_eq!(claim(&mut quota, name), Err("quota_exhausted"), "{name}");
    }
    put_limit(&mut quota, 4).unwrap();
    assert_eq!(claim(&mut quota, "c"), Err("too_many_workers"));
    assert_eq!(claim(&mut quota, "a"), Err("worker_quota_reached"));
    claims(&mut quota, ["b"]);
}

#[test]
fn a_refused_name_takes_no_number() {
    let mut quota = quota(Limit::Of(1), Some(2));
    claims(&mut quota, ["a"]);
    assert_eq!(claim(&mut quota, "x"), Err("quota_all_claimed"));
    put_limit(&mut quota, 3).unwrap();
    assert_eq!(view(&quota)["workers"].as_object().unwrap().len(), 1);
    claims(&mut quota, ["b"]);
    assert_eq!(view(&quota)["workers"]["b"]["quota"], 1);
    assert_eq!(claim(&mut quota, "x"), Err("too_many_workers"));
}

#[test]
fn a_claim_that_did_not_start_comes_back_at_its_expiry() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    quota.pass(Millis(59_999));
    assert_eq!(counts(&quota), [1, 0, 0, 0]);
    quota.pass(Millis(1));
    assert_eq!(counts(&quota), [0, 0, 0, 1]);
    assert!(matches!(quota.events().last(), Some(QuotaEvent::Expired(_))), "the timer said so");
    for refused in [
        start(&mut quota, "c1"),
        renew(&mut quota, "c1", None),
        settle(&mut quota, "c1", "win"),
        abandon(&mut quota, "c1"),
    ] {
        assert_eq!(refused, Err("claim_expired"));
    }
}

#[test]
fn a_claim_that_had_started_is_in_doubt_until_somebody_knows() {
    let mut quota = of(3);
    claims(&mut quota, ["a", "a", "a"]);
    for id in ["c1", "c2", "c3"] {
        assert_eq!(start(&mut quota, id).unwrap()["started"], true);
    }
    quota.pass(MINUTE);
    assert_eq!(counts(&quota), [0, 3, 0, 0]);
    settle(&mut quota, "c1", "win").unwrap();
    abandon(&mut quota, "c2").unwrap();
    assert_eq!(counts(&quota), [0, 1, 1, 1]);
    assert_eq!(renew(&mut quota, "c3", None).unwrap()["started"], true);
    assert_eq!(counts(&quota), [1, 0, 1, 1], "somebody has taken it up");
    quota.pass(MINUTE);
    quota.pass(Millis::from_secs(1_000_000));
    assert_eq!(counts(&quota), [0, 1, 1, 1], "time alone does not settle it");
}

#[test]
fn start_and_renew_begin_the_time_anew() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    quota.pass(Millis(50_000));
    let renewed = renew(&mut quota, "c1", None).unwrap();
    assert_eq!(renewed["expires_at"], json!(quota.now() + MINUTE), "as long as at first");
    assert_eq!((&renewed["number"], &renewed["started"]), (&json!(1), &json!(false)));
    quota.pass(Millis(50_000));
    let started = start(&mut quota, "c1").unwrap();
    assert_eq!(started["expires_at"], json!(quota.now() + MINUTE));
    quota.pass(Millis(50_000));
    let again = start(&mut quota, "c1").unwrap();
    assert_eq!(again["expires_at"], json!(quota.now() + MINUTE), "start again: 200");
    let short = renew(&mut quota, "c1", Some(100)).unwrap();
    assert_eq!(short["expires_at"], json!(quota.now() + Millis(100)));
    assert_eq!(short["started"], true, "a renewal does not take the start back");
    quota.pass(Millis(100));
    assert_eq!(counts(&quota), [0, 1, 0, 0]);
}

#[test]
fn settling_again_with_the_same_outcome_changes_nothing() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    let first = settle(&mut quota, "c1", "win").unwrap();
    assert_eq!(first, json!({ "claim": "c1", "outcome": "win" }));
    let before = quota.version();
    assert_eq!(settle(&mut quota, "c1", "win"), Ok(first));
    assert_eq!(quota.version(), before);
    for refused in [
        settle(&mut quota, "c1", "loss"),
        start(&mut quota, "c1"),
        renew(&mut quota, "c1", None),
        abandon(&mut quota, "c1"),
    ] {
        assert_eq!(refused, Err("claim_settled"));
    }
    assert_eq!(view(&quota)["outcomes"], json!({ "win": 1 }));
}

#[test]
fn abandoning_again_changes_nothing() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    let first = abandon(&mut quota, "c1").unwrap();
    let before = quota.version();
    assert_eq!(abandon(&mut quota, "c1"), Ok(first));
    assert_eq!(quota.version(), before);
    for refused in
        [settle(&mut quota, "c1", "win"), start(&mut quota, "c1"), renew(&mut quota, "c1", None)]
    {
        assert_eq!(refused, Err("claim_over"));
    }
    assert_eq!(counts(&quota), [0, 0, 0, 1]);
}

#[test]
fn a_claim_that_never_was_is_unknown() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    for strange in ["c2", "c0", "c01", "l1", "", "c99999999999999999999"] {
        assert_eq!(start(&mut quota, strange), Err("unknown_claim"));
        assert_eq!(renew(&mut quota, strange, None), Err("unknown_claim"));
        assert_eq!(settle(&mut quota, strange, "win"), Err("unknown_claim"));
        assert_eq!(abandon(&mut quota, strange), Err("unknown_claim"));
    }
}

#[test]
fn ended_claims_are_remembered_as_long_as_command_ids() {
    let mut quota = of(5);
    claims(&mut quota, ["a"]);
    abandon(&mut quota, "c1").unwrap();
    quota.pass(RETENTION);
    claims(&mut quota, ["a"]);
    assert_eq!(settle(&mut quota, "c1", "win"), Err("claim_over"));
    quota.pass(Millis(1));
    claims(&mut quota, ["a"]);
    assert_eq!(settle(&mut quota, "c1", "win"), Err("unknown_claim"));
}

#[test]
fn get_shows_every_count_and_they_add_up() {
    let mut quota = quota(Limit::Of(7), Some(2));
    claims(&mut quota, ["a", "a", "a", "b", "b"]);
    start(&mut quota, "c1").unwrap();
    quota.pass(MINUTE);
    claims(&mut quota, ["a", "b", "b"]);
    settle(&mut quota, "c6", "win").unwrap();
    settle(&mut quota, "c7", "loss").unwrap();
    let expected = json!({
        "limit": 7, "claimed": 1, "in_doubt": 1, "settled": 2, "remaining": 3,
        "outcomes": { "win": 1, "loss": 1 },
        "workers": {
            "a": { "quota": 4, "claimed": 0, "in_doubt": 1, "settled": 1 },
            "b": { "quota": 3, "claimed": 1, "in_doubt": 0, "settled": 1 },
        },
        "version": quota.version(),
    });
    assert_eq!(view(&quota), expected);
}

#[test]
fn an_unlimited_quota_says_so_and_never_ends() {
    let mut quota = quota(Limit::Unlimited, Some(2));
    let granted = claim(&mut quota, "a").unwrap();
    assert_eq!(granted["remaining"], "unlimited");
    for _ in 0..100 {
        claims(&mut quota, ["a"]);
    }
    let seen = view(&quota);
    assert_eq!((&seen["limit"], &seen["remaining"]), (&json!("unlimited"), &json!("unlimited")));
    assert_eq!(
        seen["workers"]["a"],
        json!({
            "quota": null, "claimed": 101, "in_doubt": 0, "settled": 0,
        })
    );
    claims(&mut quota, ["b"]);
    assert_eq!(claim(&mut quota, "c"), Err("too_many_workers"));
    assert_eq!(put_limit(&mut quota, 101), Err("limit_below_used"));
    put_limit(&mut quota, 102).unwrap();
    assert_eq!(claim(&mut quota, "b"), Err("quota_all_claimed"));
}

#[test]
fn without_a_split_nobody_has_a_quota_of_its_own() {
    let mut quota = of(3);
    claims(&mut quota, ["a", "b", "c"]);
    assert_eq!(view(&quota)["workers"]["b"]["quota"], Value::Null);
}

#[test]
fn ten_are_split_among_three_as_four_three_three() {
    let mut quota = quota(Limit::Of(10), Some(3));
    claims(&mut quota, ["z", "y", "x"]);
    let seen = view(&quota);
    let quotas = ["z", "y", "x"].map(|name| seen["workers"][name]["quota"].as_u64().unwrap());
    assert_eq!(quotas, [4, 3, 3], "numbered by first granted claim");
    for name in ["z", "y", "x"] {
        while claim(&mut quota, name).is_ok() {}
    }
    assert_eq!(counts(&quota), [10, 0, 0, 0], "the sum over the workers is the total");
}

#[test]
fn a_retired_workers_share_goes_to_the_next_new_name() {
    let mut quota = quota(Limit::Of(10), Some(2));
    claims(&mut quota, ["a", "a", "a", "b"]);
    settle(&mut quota, "c1", "win").unwrap();
    assert_eq!(claim(&mut quota, "n"), Err("too_many_workers"));
    assert_eq!(retire(&mut quota, "a"), Ok(json!({ "worker": "a" })));
    let before = quota.version();
    assert!(retire(&mut quota, "a").is_ok());
    assert_eq!(quota.version(), before, "retiring again changes nothing");
    assert_eq!(claim(&mut quota, "a"), Err("worker_retired"));
    assert_eq!(retire(&mut quota, "stranger"), Err("unknown_worker"));

    claims(&mut quota, ["n"]);
    let seen = view(&quota);
    let retired = json!({
        "quota": 3, "claimed": 2, "in_doubt": 0, "settled": 1, "retired": true,
    });
    assert_eq!(seen["workers"]["a"], retired, "it stays listed, with what it uses");
    let successor = json!({ "quota": 2, "claimed": 1, "in_doubt": 0, "settled": 0 });
    assert_eq!(seen["workers"]["n"], successor, "five, less what the retired one uses");
    claims(&mut quota, ["n"]);
    assert_eq!(claim(&mut quota, "n"), Err("worker_quota_claimed"));
    assert_eq!(claim(&mut quota, "m"), Err("too_many_workers"));

    renew(&mut quota, "c2", None).unwrap();
    start(&mut quota, "c2").unwrap();
    abandon(&mut quota, "c2").unwrap();
    assert_eq!(view(&quota)["workers"]["n"]["quota"], 3, "what it abandons goes there too");
    claims(&mut quota, ["n"]);
    quota.pass(MINUTE);
    assert_eq!(view(&quota)["workers"]["n"]["quota"], 4, "what expires as well");
}

#[test]
fn the_sums_over_the_workers_are_the_totals_through_retirements() {
    let mut quota = quota(Limit::Of(9), Some(3));
    claims(&mut quota, ["a", "b", "c", "a", "b"]);
    retire(&mut quota, "a").unwrap();
    claims(&mut quota, ["d"]);
    retire(&mut quota, "d").unwrap();
    retire(&mut quota, "c").unwrap();
    claims(&mut quota, ["e"]);
    assert_eq!(view(&quota)["workers"]["e"]["quota"], 2, "c's, for of a's and d's nothing is left");
    assert_eq!(claim(&mut quota, "f"), Err("worker_quota_claimed"));
    abandon(&mut quota, "c6").unwrap();
    claims(&mut quota, ["f"]);
    assert_eq!(view(&quota)["workers"]["f"]["quota"], 1, "what d gave back");
    let seen = view(&quota);
    let sum = |field: &str| -> u64 {
        seen["workers"].as_object().unwrap().values().map(|w| w[field].as_u64().unwrap()).sum()
    };
    assert_eq!(sum("claimed"), seen["claimed"].as_u64().unwrap());
    assert_eq!(sum("quota"), 9, "so do the quotas, once every share is taken");
}

#[test]
fn what_is_due_is_over_before_the_timer_says_so() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    let expiry = quota.now() + MINUTE;
    let command = QuotaCommand::Claim { worker: worker("b") };
    let early = decide_late(&quota, &command, Time(expiry.0 - 1)).unwrap_err();
    assert_eq!((early.code(), early.retry_after_ms()), ("quota_all_claimed", Some(1)));
    let (events, _) = decide_late(&quota, &command, expiry).unwrap();
    let [QuotaEvent::Expired(expired), QuotaEvent::Claimed(claimed)] = &events[..] else {
        panic!("the expiry comes first: {events:?}")
    };
    assert_eq!((expired.claim.to_string(), claimed.claim.to_string()), ("c1".into(), "c2".into()));
    let late = serde_json::to_value(quota.state().view(quota.version(), expiry).unwrap()).unwrap();
    assert_eq!((&late["claimed"], &late["remaining"]), (&json!(0), &json!(1)));
}

#[test]
fn a_closed_quota_leaves_no_timer() {
    let mut quota = of(1);
    claims(&mut quota, ["a"]);
    assert_eq!(quota.timers().len(), 1);
    ask(&mut quota, QuotaCommand::Close).unwrap();
    assert!(quota.is_closed() && quota.timers().is_empty());
    assert_eq!(counts(&quota), [1, 0, 0, 0], "its state stays readable");
}

#[test]
fn one_timer_serves_all_claims_and_renewals_leave_it() {
    let mut quota = of(1_000);
    claims(&mut quota, ["a", "a", "a"]);
    let first = quota.timers().values().next().unwrap().0;
    quota.pass(Millis(30_000));
    for id in ["c1", "c2", "c3"] {
        renew(&mut quota, id, None).unwrap();
    }
    assert_eq!(quota.timers().len(), 1);
    assert_eq!(quota.timers().values().next().unwrap().0, first);
    quota.pass(Millis(60_000));
    assert_eq!(counts(&quota), [0, 0, 0, 1_000]);
    assert!(quota.timers().is_empty());
}

#[test]
fn no_command_breaks_it_however_strange_its_numbers() {
    let strange = QuotaChange {
        limit: Some(Limit::Of(u64::MAX)),
        workers: NonZeroU32::new(u32::MAX),
        claim_ttl_ms: Some(Millis(u64::MAX)),
        retention_ms: Millis(u64::MAX),
    };
    let mut quota = Alone::new();
    ask(&mut quota, QuotaCommand::Put(strange)).unwrap();
    claims(&mut quota, ["a", "b"]);
    renew(&mut quota, "c1", Some(0)).unwrap();
    renew(&mut quota, "c2", Some(u64::MAX)).unwrap();
    quota.pass(Millis(10));
    assert_eq!(counts(&quota), [1, 0, 0, u64::MAX - 1]);
}
