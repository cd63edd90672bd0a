//! What checks are for: a state that was tampered with is not taken for a good one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::panic::catch_unwind;

use interlock_kernel::{
    barrier::{Barrier, Parties},
    ids::{Holder, Member, Party, Worker},
    job::Job,
    pool::{LeaseRequest, MemberChange, Pool, PoolRules},
    quota::{Limit, Quota, QuotaChange},
    time::{Millis, Time},
    turn::Turn,
    value::Value,
};
use serde::{Serialize, de::DeserializeOwned};

/// Checks a state, then each of these changes of what is stored of it.
fn notices<S>(state: &S, check: fn(&S), lies: &[(&str, &str)])
where
    S: Serialize + DeserializeOwned,
{
    check(state);
    let stored = serde_json::to_string(state).unwrap();
    for (truth, lie) in lies {
        assert!(stored.contains(truth), "{truth} is not in {stored}");
        let bent: S = serde_json::from_str(&stored.replacen(truth, lie, 1)).unwrap();
        let checked = catch_unwind(std::panic::AssertUnwindSafe(|| check(&bent)));
        assert!(checked.is_err(), "{lie} for {truth} is not noticed");
    }
}

#[test]
fn a_turn_whose_winners_are_gone_is_noticed() {
    notices(&Turn::default(), Turn::check, &[(r#""next":1"#, r#""next":2"#)]);
}

#[test]
fn a_run_that_nobody_knows_is_noticed() {
    notices(&Job::default(), Job::check, &[(r#""started":0"#, r#""started":1"#)]);
}

#[test]
fn a_token_without_a_write_is_noticed() {
    notices(&Value::default(), Value::check, &[(r#""token":null"#, r#""token":7"#)]);
}

#[test]
fn a_barrier_that_is_complete_too_early_is_noticed() {
    let mut barrier = Barrier::default();
    let parties = ["a", "b"].map(|name| Party::new(name).unwrap());
    let opened = barrier.set(Some(&Parties::new(parties.to_vec()).unwrap())).unwrap();
    barrier.apply(&opened.unwrap());
    let lies = [(r#""complete":false"#, r#""complete":true"#)];
    notices(&barrier, Barrier::check, &lies);
}

#[test]
fn a_pool_whose_sums_are_not_those_of_its_leases_is_noticed() {
    let mut pool = Pool::new(PoolRules::default());
    let change = MemberChange { limit: Some(2), ..MemberChange::default() };
    let put = pool.put_member(&Member::new("m").unwrap(), &change, Time(0)).unwrap();
    put.events.iter().for_each(|event| pool.apply(event));
    let request = LeaseRequest::new(Holder::new("h").unwrap(), Millis(5));
    let leased = pool.lease(&request, Time(0)).unwrap();
    leased.events.iter().for_each(|event| pool.apply(event));
    let lies = [
        (r#""granted":1"#, r#""granted":0"#),
        (r#""pending":1"#, r#""pending":2"#),
        (r#""roomy":["m"]"#, r#""roomy":[]"#),
        (r#""sticky":{}"#, r#""sticky":{"s":["l1"]}"#),
        (r#""by_time":[["1970"#, r#""by_time":[["1971"#),
    ];
    notices(&pool, Pool::check, &lies);
}

#[test]
fn a_quota_whose_sums_are_not_those_of_its_claims_is_noticed() {
    let change = QuotaChange { limit: Some(Limit::Of(3)), ..QuotaChange::keep(Millis(200)) };
    let mut quota = Quota::new(&change.create(Time(0)).unwrap());
    let claimed = quota.claim(&Worker::new("w").unwrap(), Time(0)).unwrap();
    claimed.events.iter().for_each(|event| quota.apply(event));
    let lies = [(r#""granted":1"#, r#""granted":0"#), (r#""claimed":1"#, r#""claimed":2"#)];
    notices(&quota, Quota::check, &lies);
}
