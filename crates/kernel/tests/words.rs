//! What people read: names of events in feeds and timelines, reasons, refusals.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZeroU32;

use interlock_kernel::{
    ids::{Holder, Member, Outcome, Version, Worker},
    json::Json,
    pool::{
        AfterLease, Criterion, LeaseRequest, MemberChange, Pool, PoolEvent, PoolRules, Rule,
        RunnerUp,
    },
    quota::{Limit, Quota, QuotaChange, QuotaEvent},
    time::{Millis, Time},
    value::Rejection,
};

/// Takes what was decided, and returns what feeds call it.
fn quota_takes(quota: &mut Quota, events: &[QuotaEvent]) -> Vec<&'static str> {
    events.iter().for_each(|event| quota.apply(event));
    events.iter().map(QuotaEvent::name).collect()
}

fn pool_takes(pool: &mut Pool, events: &[PoolEvent]) -> Vec<&'static str> {
    events.iter().for_each(|event| pool.apply(event));
    events.iter().map(PoolEvent::name).collect()
}

#[test]
fn events_of_a_quota_are_named_as_feeds_show_them() {
    let now = Time(0);
    let change = QuotaChange { limit: Some(Limit::Unlimited), ..QuotaChange::keep(Millis(200)) };
    let mut quota = Quota::new(&change.create(now).unwrap());
    let worker = Worker::new("w").unwrap();
    let mut claims = Vec::new();
    for _ in 0..4 {
        let step = quota.claim(&worker, now).unwrap();
        claims.push(step.answer.claim);
        assert_eq!(quota_takes(&mut quota, &step.events), ["claimed"]);
    }
    let due = quota.next_due().unwrap();
    let [begins, renews, settles, gives_back] = claims[..] else { panic!("four were claimed") };
    for claim in [begins, settles] {
        let step = quota.start(claim, now).unwrap();
        assert_eq!(quota_takes(&mut quota, &step.events), ["started"]);
    }
    let step = quota.renew(renews, None, now).unwrap();
    assert_eq!(quota_takes(&mut quota, &step.events), ["renewed"]);
    let step = quota.settle(settles, &Outcome::new("win").unwrap(), now).unwrap();
    assert_eq!(quota_takes(&mut quota, &step.events), ["settled"]);
    let step = quota.abandon(gives_back, now).unwrap();
    assert_eq!(quota_takes(&mut quota, &step.events), ["abandoned"]);
    let step = quota.expire(due);
    let mut names = quota_takes(&mut quota, &step.events);
    names.sort_unstable();
    assert_eq!(names, ["expired", "in_doubt"]);
    assert_eq!(quota.next_due(), None);
    let less = QuotaChange { limit: Some(Limit::Of(9)), ..change };
    let step = quota.configure(&less, due).unwrap();
    assert_eq!(quota_takes(&mut quota, &step.events), ["configured"]);
    let step = quota.retire(&worker, due).unwrap();
    assert_eq!(quota_takes(&mut quota, &step.events), ["worker_retired"]);
}

#[test]
fn events_of_a_pool_are_named_as_feeds_show_them() {
    let now = Time(0);
    let rules = PoolRules { after_lease: AfterLease::Closing, ..PoolRules::default() };
    let (mut pool, member) = (Pool::new(rules), Member::new("m").unwrap());
    let change = MemberChange { limit: Some(3), ..MemberChange::default() };
    let step = pool.put_member(&member, &change, now).unwrap();
    assert_eq!(pool_takes(&mut pool, &step.events), ["member_put"]);
    let request = LeaseRequest::new(Holder::new("h").unwrap(), Millis(5));
    let step = pool.lease(&request, now).unwrap();
    let lease = step.answer.held.lease;
    assert_eq!(pool_takes(&mut pool, &step.events), ["leased"]);
    assert_eq!(pool.next_due(), Some(Time(5)));
    let step = pool.confirm(lease, lease.token(), now).unwrap();
    assert_eq!(pool_takes(&mut pool, &step.events), ["confirmed"]);
    let step = pool.renew(lease, lease.token(), None, Time(1)).unwrap();
    assert_eq!(pool_takes(&mut pool, &step.events), ["renewed"]);
    let step = pool.expire(Time(6));
    assert_eq!(pool_takes(&mut pool, &step.events), ["expired"]);
    let step = pool.closed(lease, Time(6)).unwrap();
    assert_eq!(pool_takes(&mut pool, &step.events), ["slot_closed"]);
}

#[test]
fn a_choice_says_by_what_it_was_made() {
    let ranked = [
        (Criterion::LeastLoaded, "least loaded"),
        (Criterion::LongestUngranted, "longest ungranted"),
        (Criterion::Healthiest, "healthiest"),
        (Criterion::FewestUsed, "fewest used"),
        (Criterion::Preferred, "preferred"),
        (Criterion::LongestUnused, "longest unused"),
        (Criterion::Name, "first by name"),
    ];
    for (by, words) in ranked {
        assert_eq!(by.to_string(), words);
    }
    let member = Member::new("m").unwrap();
    let weight = NonZeroU32::MIN;
    let runner_up =
        RunnerUp { by: Criterion::FewestUsed, member, pending: 1, active: 2, closing: 0, weight };
    let words = "fewest used, before m (1 pending, 2 active, 0 closing)";
    assert_eq!(Rule::Before(runner_up).to_string(), words);
    assert_eq!(Rule::Only.to_string(), "no other fitted");
}

#[test]
fn what_is_refused_says_what_is_there() {
    let refused = |current| Rejection::ConditionFailed { current }.to_string();
    assert_eq!(refused(Some(Version(3))), "the condition does not hold: the current version is 3");
    assert_eq!(refused(None), "the condition does not hold: there is no such value");
}

#[test]
fn values_and_limits_read_as_they_are_written() {
    let json = Json::parse(r#"{"a":[1,2]}"#).unwrap();
    assert_eq!(
        (format!("{json}"), format!("{json:?}")),
        (json.as_str().to_owned(), json.as_str().to_owned())
    );
    assert_eq!(
        (Limit::Of(7).to_string(), Limit::Unlimited.to_string()),
        ("7".into(), "unlimited".into())
    );
}
