//! The quota against a slow model, and its own promises one by one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "quota/model.rs"]
mod model;

use std::num::NonZeroU32;

use interlock_kernel::{
    expiry::Step,
    ids::{Outcome, Worker},
    quota::{ClaimId, Limit, Quota, QuotaChange, QuotaEvent, QuotaRefusal},
    time::{Millis, Time},
};
use model::{Model, Standing};
use proptest::prelude::*;

const RETENTION: Millis = Millis(200);

fn worker(index: usize) -> Worker {
    Worker::new(&format!("w{index}")).unwrap()
}

fn outcome(index: usize) -> Outcome {
    Outcome::new(["win", "loss"][index % 2]).unwrap()
}

fn claim(number: u64) -> ClaimId {
    ClaimId::parse(&format!("c{number}")).unwrap()
}

/// A quota with the timer that its steps ask for.
struct Subject {
    quota: Quota,
    timer: Option<Time>,
}

impl Subject {
    fn new(change: &QuotaChange, now: Time) -> Self {
        let quota = Quota::new(&change.create(now).expect("it names a limit"));
        Self { quota, timer: None }
    }

    fn take<A>(&mut self, step: Step<QuotaEvent, A>) -> A {
        step.events.iter().for_each(|event| self.quota.apply(event));
        self.timer = step.alarm.or(self.timer);
        self.quota.check();
        if let Some(due) = self.quota.next_due() {
            let timer = self.timer.expect("something expires, so there is a timer");
            assert!(timer <= due, "the timer fires at {timer}, too late for {due}");
        }
        step.answer
    }

    /// The timer fires, if it is its time; otherwise somebody asks without it.
    fn fire(&mut self, now: Time) {
        self.timer = self.timer.filter(|timer| now < *timer);
        let step = self.quota.expire(now);
        self.take(step);
    }
}

fn limited(limit: u64, workers: Option<u32>) -> Subject {
    let workers = workers.map(|workers| NonZeroU32::new(workers).unwrap());
    let limit = Some(Limit::Of(limit));
    Subject::new(&QuotaChange { limit, workers, ..QuotaChange::keep(RETENTION) }, Time(0))
}

#[derive(Debug, Clone)]
enum Op {
    Configure(Option<Limit>, Option<u32>, Option<u64>),
    Claim(usize),
    /// Start, or renew for a time.
    Extend(u64, Option<Option<u64>>),
    /// Settle with an outcome, or abandon.
    End(u64, Option<usize>),
    Retire(usize),
    Pass(u64),
    PassToNextExpiry,
    PassToTimer,
    Fire,
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![6 => (0..9u64).prop_map(Limit::Of), 1 => Just(Limit::Unlimited)]
}

fn op() -> impl Strategy<Value = Op> {
    let which = 1..14u64;
    let split = proptest::option::weighted(0.3, 1..5u32);
    let ttl = proptest::option::of(1..40u64);
    prop_oneof![
        1 => (proptest::option::of(limit()), split, ttl.clone())
            .prop_map(|(limit, split, ttl)| Op::Configure(limit, split, ttl)),
        10 => (0..7usize).prop_map(Op::Claim),
        5 => (which.clone(), proptest::option::of(ttl))
            .prop_map(|(which, renewal)| Op::Extend(which, renewal)),
        6 => (which, proptest::option::of(0..2usize))
            .prop_map(|(which, outcome)| Op::End(which, outcome)),
        1 => (0..7usize).prop_map(Op::Retire),
        3 => (0..30u64).prop_map(Op::Pass),
        4 => Just(Op::PassToNextExpiry),
        2 => Just(Op::PassToTimer),
        2 => Just(Op::Fire),
    ]
}

/// The model never forgets; the quota may, after the retention.
fn forgiven(model: &Model, number: u64, found: &Result<(), &str>) -> bool {
    let Some(claim) = model.claims.get(number as usize - 1) else { return false };
    *found == Err("unknown_claim") && claim.ended_at + RETENTION < model.now
}

fn code<A>(result: &Result<A, QuotaRefusal>) -> Result<(), &'static str> {
    result.as_ref().map(|_| ()).map_err(QuotaRefusal::code)
}

fn run_op(subject: &mut Subject, model: &mut Model, op: &Op) -> Result<(), TestCaseError> {
    let (quota, now) = (&subject.quota, model.now);
    // Any claim that was granted, and now and then the one after the last.
    let pick = |which: &u64| 1 + which % (model.claims.len() as u64 + 1);
    match op {
        Op::Configure(limit, split, ttl) => {
            let workers = split.and_then(NonZeroU32::new);
            let claim_ttl_ms = ttl.map(Millis);
            let change =
                QuotaChange { limit: *limit, workers, claim_ttl_ms, retention_ms: RETENTION };
            let found = quota.configure(&change, now);
            prop_assert_eq!(code(&found), model.configure(*limit, *split, claim_ttl_ms));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Claim(index) => {
            let found = quota.claim(&worker(*index), now);
            let expected = model.claim(&worker(*index));
            let seen = found.as_ref().map(|step| {
                let grant = &step.answer;
                (grant.number, grant.remaining, grant.expires_at)
            });
            prop_assert_eq!(seen.map_err(Clone::clone), expected);
            found.map(|step| subject.take(step)).ok();
        }
        Op::Extend(which, renewal) => {
            let number = pick(which);
            let (id, ttl) = (claim(number), renewal.flatten().map(Millis));
            let starts = renewal.is_none();
            let found = if starts { quota.start(id, now) } else { quota.renew(id, ttl, now) };
            if forgiven(model, number, &code(&found)) {
                return Ok(());
            }
            let seen = found.as_ref().map(|step| step.answer.expires_at);
            let expected = model.extend(number, ttl, starts);
            prop_assert_eq!(seen.map_err(QuotaRefusal::code), expected);
            found.map(|step| subject.take(step)).ok();
        }
        Op::End(which, index) => {
            let number = pick(which);
            let outcome = index.map(outcome);
            let id = claim(number);
            let found = match &outcome {
                Some(outcome) => quota.settle(id, outcome, now),
                None => quota.abandon(id, now),
            };
            if forgiven(model, number, &code(&found)) {
                return Ok(());
            }
            let seen = found.as_ref().map(|step| !step.events.is_empty());
            prop_assert_eq!(seen.map_err(QuotaRefusal::code), model.end(number, outcome));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Retire(index) => {
            let found = quota.retire(&worker(*index), now);
            let seen = found.as_ref().map(|step| !step.events.is_empty());
            prop_assert_eq!(seen.map_err(QuotaRefusal::code), model.retire(&worker(*index)));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Pass(span) => model.pass(Millis(*span)),
        Op::PassToNextExpiry => {
            model.pass(quota.next_due().map_or(Millis(0), |due| due.since(now)));
        }
        Op::PassToTimer => {
            model.pass(subject.timer.map_or(Millis(0), |timer| timer.since(now)));
            subject.fire(model.now);
        }
        Op::Fire => subject.fire(now),
    }
    Ok(())
}

/// Compares everything that can be seen, with everything that is over recorded.
fn compare(subject: &Subject, model: &Model) -> Result<(), TestCaseError> {
    let quota = subject.quota.recorded(model.now);
    quota.check();
    prop_assert_eq!(quota.totals(), model.counts(|_| true));
    prop_assert_eq!(quota.remaining(), model.remaining());
    let mut names = model.names.clone();
    names.sort();
    let expected: Vec<_> = names.iter().map(|name| (name, model.worker(name))).collect();
    prop_assert_eq!(quota.workers().collect::<Vec<_>>(), expected);
    for (outcome, count) in quota.outcomes() {
        let settled = Standing::Settled(outcome.clone());
        let expected = model.claims.iter().filter(|claim| claim.standing == settled).count();
        prop_assert_eq!(*count, expected as u64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_quota_does_what_its_model_does(
        limit in limit(),
        split in proptest::option::of(1..5u32),
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let ttl = Millis(20);
        let change = QuotaChange {
            limit: Some(limit),
            workers: split.and_then(NonZeroU32::new),
            claim_ttl_ms: Some(ttl),
            retention_ms: RETENTION,
        };
        let now = Time(1_000);
        let mut subject = Subject::new(&change, now);
        let mut model = Model {
            now, limit, split, ttl,
            claims: vec![], shares: vec![], names: vec![], retired: vec![],
        };
        for op in &ops {
            run_op(&mut subject, &mut model, op)?;
            compare(&subject, &model)?;
        }
        let stored = postcard::to_stdvec(&subject.quota).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Quota>(&stored).unwrap(), subject.quota.clone());
        let json = serde_json::to_string(&subject.quota).unwrap();
        prop_assert_eq!(serde_json::from_str::<Quota>(&json).unwrap(), subject.quota);
    }
}

#[test]
fn ten_are_split_among_three_as_four_three_three() {
    let mut subject = limited(10, Some(3));
    for index in [2, 0, 1] {
        let step = subject.quota.claim(&worker(index), Time(0)).unwrap();
        subject.take(step);
    }
    let quotas: Vec<_> = subject.quota.workers().map(|(_, used)| used.quota.unwrap()).collect();
    assert_eq!(quotas, [3, 3, 4], "numbered by first granted claim, not by name");
}

#[test]
fn a_new_name_passes_over_a_vacant_share_of_which_nothing_is_left() {
    let mut subject = limited(2, Some(2));
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.retire(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.claim(&worker(1), Time(0)).unwrap();
    subject.take(step);
    assert_eq!(subject.quota.remaining(), Limit::Of(0), "the second share is not stranded");
}

#[test]
fn a_limit_is_a_number_or_a_word() {
    for (limit, json) in [(Limit::Of(100), "100"), (Limit::Unlimited, "\"unlimited\"")] {
        assert_eq!(serde_json::to_string(&limit).unwrap(), json);
        assert_eq!(serde_json::from_str::<Limit>(json).unwrap(), limit);
        let stored = postcard::to_stdvec(&limit).unwrap();
        assert_eq!(postcard::from_bytes::<Limit>(&stored).unwrap(), limit);
    }
    for wrong in ["-1", "1.5", "\"infinite\"", "null", "true", "[]"] {
        assert!(serde_json::from_str::<Limit>(wrong).is_err(), "{wrong} is no limit");
    }
    assert!(Limit::Of(u64::MAX) < Limit::Unlimited);
}

#[test]
fn only_ids_as_they_are_written_are_read() {
    assert_eq!(ClaimId::parse("c17").unwrap().to_string(), "c17");
    for wrong in ["", "c", "c0", "c017", "c+1", "l1", "17", "c1 ", "c99999999999999999999"] {
        assert_eq!(ClaimId::parse(wrong), None, "{wrong:?}");
    }
}

#[test]
fn extreme_numbers_break_nothing() {
    for limit in [Limit::Of(u64::MAX), Limit::Unlimited] {
        let change = QuotaChange {
            limit: Some(limit),
            workers: NonZeroU32::new(u32::MAX),
            claim_ttl_ms: Some(Millis(u64::MAX)),
            retention_ms: Millis(u64::MAX),
        };
        let mut subject = Subject::new(&change, Time(1));
        let step = subject.quota.claim(&worker(0), Time(1)).unwrap();
        subject.take(step);
        let step = subject.quota.renew(claim(1), Some(Millis(0)), Time(2)).unwrap();
        assert_eq!(step.answer.expires_at, Time(3), "nothing is born dead");
        subject.take(step);
        let step = subject.quota.settle(claim(1), &outcome(0), Time(2)).unwrap();
        subject.take(step);
        subject.quota.check();
    }
}

#[test]
#[should_panic(expected = "recorded before anything else")]
fn a_decision_without_the_expiries_it_rests_on_is_a_bug() {
    let mut subject = limited(1, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.claim(&worker(1), Time(60_000)).unwrap();
    subject.quota.apply(&step.events[1]);
}

#[test]
fn endings_are_forgotten_after_the_retention_and_not_before() {
    let mut subject = limited(5, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.settle(claim(1), &outcome(0), Time(10)).unwrap();
    subject.take(step);
    for (at, expected) in [(210, None), (211, Some("unknown_claim"))] {
        let step = subject.quota.claim(&worker(0), Time(at)).unwrap();
        subject.take(step);
        let again = subject.quota.settle(claim(1), &outcome(0), Time(at));
        assert_eq!(code(&again).err(), expected, "at {at}");
    }
}

#[test]
fn a_renewal_sets_no_timer_until_the_timer_has_fired() {
    let mut subject = limited(1, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let mut set = 0;
    for now in (10_000..=600_000).step_by(10_000) {
        if subject.timer == Some(Time(now)) {
            subject.fire(Time(now));
        }
        let step = subject.quota.renew(claim(1), None, Time(now)).unwrap();
        set += usize::from(step.alarm.is_some());
        subject.take(step);
    }
    assert_eq!(set, 10, "sixty renewals, one claim of a minute, ten minutes");
}

#[test]
fn asking_early_what_is_over_leaves_the_timer_alone() {
    let mut subject = limited(1, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.renew(claim(1), None, Time(10_000)).unwrap();
    subject.take(step);
    assert_eq!(subject.quota.expire(Time(59_999)).alarm, None, "it is still to fire");
    assert_eq!(subject.quota.expire(Time(60_000)).alarm, Some(Time(70_000)), "it has fired");
}

#[test]
fn a_hundred_thousand_claims_are_renewed_and_settled_one_by_one() {
    const CLAIMS: u64 = 100_000;
    let mut subject = limited(CLAIMS, None);
    for number in 1..=CLAIMS {
        let step = subject.quota.claim(&worker(number as usize % 100), Time(number / 100)).unwrap();
        step.events.iter().for_each(|event| subject.quota.apply(event));
    }
    for number in 1..=CLAIMS {
        let step = subject.quota.renew(claim(number), None, Time(2_000)).unwrap();
        step.events.iter().for_each(|event| subject.quota.apply(event));
        let step = subject.quota.settle(claim(number), &outcome(0), Time(2_000)).unwrap();
        step.events.iter().for_each(|event| subject.quota.apply(event));
    }
    subject.quota.check();
    assert_eq!(subject.quota.totals().settled, CLAIMS);
}

#[test]
fn a_share_that_is_only_claimed_says_when_to_ask_again_and_one_that_is_settled_does_not() {
    let mut subject = limited(4, Some(2));
    for (index, at) in [(0, 0), (1, 10_000), (0, 20_000)] {
        let step = subject.quota.claim(&worker(index), Time(at)).unwrap();
        subject.take(step);
    }
    let refused = |subject: &Subject, at: u64| {
        let refusal = subject.quota.claim(&worker(0), Time(at)).unwrap_err();
        (refusal.code(), refusal.retry_after())
    };
    let claimed = |ms| ("worker_quota_claimed", Some(Millis(ms)));
    assert_eq!(refused(&subject, 30_000), claimed(30_000));
    let step = subject.quota.settle(claim(1), &outcome(0), Time(30_000)).unwrap();
    subject.take(step);
    assert_eq!(refused(&subject, 30_000), claimed(50_000), "not when another's claim expires");
    let step = subject.quota.start(claim(3), Time(30_000)).unwrap();
    subject.take(step);
    assert_eq!(refused(&subject, 90_000), claimed(60_000), "who knows when a doubt ends");
    let step = subject.quota.settle(claim(3), &outcome(0), Time(90_000)).unwrap();
    subject.take(step);
    assert_eq!(refused(&subject, 90_000), ("worker_quota_reached", None));
}

#[test]
fn what_is_in_doubt_and_renewed_has_a_holder_again() {
    let mut subject = limited(1, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.quota.start(claim(1), Time(0)).unwrap();
    subject.take(step);
    // Recorded by the timer, or by the renewal itself.
    for (at, is_recorded) in [(60_000, true), (150_000, false)] {
        if is_recorded {
            subject.fire(Time(at));
            assert_eq!(subject.quota.totals().in_doubt, 1);
        }
        let step = subject.quota.renew(claim(1), None, Time(at)).unwrap();
        let names: Vec<_> = step.events.iter().map(QuotaEvent::name).collect();
        let expected: &[_] = if is_recorded { &["renewed"] } else { &["in_doubt", "renewed"] };
        assert_eq!(names, expected);
        assert!(subject.take(step).started);
        assert_eq!((subject.quota.totals().claimed, subject.quota.totals().in_doubt), (1, 0));
    }
}

#[test]
fn only_a_quota_that_is_all_claimed_says_when_to_ask_again() {
    let mut subject = limited(1, None);
    let step = subject.quota.claim(&worker(0), Time(0)).unwrap();
    subject.take(step);
    let refusal = subject.quota.claim(&worker(1), Time(20_000)).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.retry_after()),
        ("quota_all_claimed", Some(Millis(40_000)))
    );
    assert_eq!(QuotaRefusal::Exhausted.retry_after(), None);
}
