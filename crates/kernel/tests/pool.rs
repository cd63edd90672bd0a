//! The pool against a slow model, and its own promises one by one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "pool/model.rs"]
mod model;

use std::{collections::BTreeMap, num::NonZeroU32};

use interlock_kernel::{
    expiry::Step,
    ids::{Holder, Member, Token},
    pool::{
        AfterLease, Criterion, LeaseId, LeaseRequest, MemberChange, MemberState, Pool, PoolEvent,
        PoolRefusal, PoolRules, Ranking, Reason, Rule, RunnerUp, Standing,
    },
    time::{Millis, Time},
};
use model::{Labels, Model};
use proptest::{option, prelude::*};

fn member(index: usize) -> Member {
    Member::new(&format!("m{index}")).unwrap()
}

fn lease(number: u64) -> LeaseId {
    LeaseId::parse(&format!("l{number}")).unwrap()
}

fn labels(zone: Option<&str>) -> Labels {
    zone.map(|zone| ("zone".to_owned(), zone.to_owned())).into_iter().collect()
}

fn request(ttl: u64) -> LeaseRequest {
    LeaseRequest::new(Holder::new("h").unwrap(), Millis(ttl))
}

fn of_limit(limit: u32) -> MemberChange {
    MemberChange { limit: Some(limit), ..MemberChange::default() }
}

/// A pool with the timer that its steps ask for.
struct Subject {
    pool: Pool,
    timer: Option<Time>,
}

impl Subject {
    fn new(rules: PoolRules) -> Self {
        Self { pool: Pool::new(rules), timer: None }
    }

    fn with_limits(limits: &[u32]) -> Self {
        let mut subject = Self::new(PoolRules::default());
        for (index, limit) in limits.iter().enumerate() {
            let step = subject.pool.put_member(&member(index), &of_limit(*limit), Time(0));
            subject.take(step.unwrap());
        }
        subject
    }

    fn take<A>(&mut self, step: Step<PoolEvent, A>) -> A {
        step.events.iter().for_each(|event| self.pool.apply(event));
        self.timer = step.alarm.or(self.timer);
        self.pool.check();
        if let Some(due) = self.pool.next_due() {
            let timer = self.timer.expect("something expires, so there is a timer");
            assert!(timer <= due, "the timer fires at {timer}, too late for {due}");
        }
        step.answer
    }

    fn lease(&mut self, request: &LeaseRequest, now: u64) -> String {
        let step = self.pool.lease(request, Time(now)).expect("a member fits");
        self.take(step).held.member.to_string()
    }

    /// The timer fires, if it is its time; otherwise somebody asks without it.
    fn fire(&mut self, now: Time) {
        self.timer = self.timer.filter(|timer| now < *timer);
        let step = self.pool.expire(now);
        self.take(step);
    }
}

#[derive(Debug, Clone)]
enum Op {
    Put(usize, MemberChange),
    Remove(usize),
    SetAside(usize, u64),
    Readmit(usize),
    Lease {
        ttl: u64,
        sticky: Option<usize>,
        zone: Option<&'static str>,
        avoid: Option<usize>,
    },
    /// Confirm, or renew for a time.
    Extend(u64, bool, Option<Option<u64>>),
    Release(u64, bool),
    Closed(u64),
    Pass(u64),
    PassToNext,
    PassToTimer,
    Fire,
}

fn change() -> impl Strategy<Value = MemberChange> {
    let zone = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let state = prop_oneof![4 => Just(MemberState::Active), 1 => Just(MemberState::Draining)];
    let standing = (0..3u8, any::<bool>());
    (
        option::weighted(0.8, 0..4u32),
        option::of(1..4u32),
        option::of(zone),
        option::of(state),
        option::of(standing),
    )
        .prop_map(|(limit, weight, zone, state, standing)| MemberChange {
            limit,
            weight: weight.and_then(NonZeroU32::new),
            labels: zone.map(labels),
            state,
            standing: standing.map(|(tier, preferred)| Standing { tier, preferred }),
        })
}

fn op() -> impl Strategy<Value = Op> {
    let which = 1..25u64;
    // Now and then a token that is not the lease's.
    let off = prop_oneof![9 => Just(false), 1 => Just(true)];
    let zone = prop_oneof![3 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let avoid = option::weighted(0.2, 0..4usize);
    let leased = (1..40u64, option::weighted(0.3, 0..2usize), zone, avoid);
    let held = (which.clone(), off);
    prop_oneof![
        5 => (0..4usize, change()).prop_map(|(member, change)| Op::Put(member, change)),
        1 => (0..4usize).prop_map(Op::Remove),
        1 => (0..4usize, 0..40u64).prop_map(|(member, span)| Op::SetAside(member, span)),
        1 => (0..4usize).prop_map(Op::Readmit),
        10 => leased.prop_map(|(ttl, sticky, zone, avoid)| Op::Lease { ttl, sticky, zone, avoid }),
        5 => (held.clone(), option::of(option::of(1..40u64)))
            .prop_map(|((which, off), renewal)| Op::Extend(which, off, renewal)),
        4 => held.prop_map(|(which, off)| Op::Release(which, off)),
        3 => which.prop_map(Op::Closed),
        3 => (0..25u64).prop_map(Op::Pass),
        3 => Just(Op::PassToNext),
        2 => Just(Op::PassToTimer),
        2 => Just(Op::Fire),
    ]
}

fn changed(found: &Result<Step<PoolEvent, ()>, PoolRefusal>) -> Result<bool, &'static str> {
    found.as_ref().map(|step| !step.events.is_empty()).map_err(PoolRefusal::code)
}

fn run_op(subject: &mut Subject, model: &mut Model, op: &Op) -> Result<(), TestCaseError> {
    let (pool, now) = (&subject.pool, model.now);
    // Any lease that was granted, and now and then the one after the last.
    let pick = |which: &u64| 1 + which % (model.leases.len() as u64 + 1);
    match op {
        Op::Put(index, change) => {
            let found = pool.put_member(&member(*index), change, now);
            let seen = found.as_ref().map(|step| step.answer).map_err(PoolRefusal::code);
            prop_assert_eq!(seen, model.put(&member(*index), change));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Remove(index) => {
            let found = pool.remove_member(&member(*index), now);
            let seen = found.as_ref().map(|step| step.answer).map_err(PoolRefusal::code);
            prop_assert_eq!(seen, model.remove(&member(*index)));
            found.map(|step| subject.take(step)).ok();
        }
        Op::SetAside(index, span) => {
            let until = now + Millis(*span);
            let found = pool.set_aside(&member(*index), until, now);
            let seen = found.as_ref().map(|_| ()).map_err(PoolRefusal::code);
            prop_assert_eq!(seen, model.set_aside(&member(*index), Some(until)));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Readmit(index) => {
            let found = pool.readmit(&member(*index), now);
            let seen = found.as_ref().map(|_| ()).map_err(PoolRefusal::code);
            prop_assert_eq!(seen, model.set_aside(&member(*index), None));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Lease { ttl, sticky, zone, avoid } => {
            let sticky = sticky.map(|index| format!("s{index}"));
            let labels = labels(*zone);
            let avoid = avoid.map(member).into_iter().collect();
            let wanted = LeaseRequest { sticky, labels, avoid, ..request(*ttl) };
            return run_lease(subject, model, wanted);
        }
        Op::Extend(which, off, renewal) => {
            let (number, token) = (pick(which), pick(which) + u64::from(*off));
            let (ttl, confirms) = (renewal.flatten().map(Millis), renewal.is_none());
            let (id, sent) = (lease(number), Token(token));
            let found = match confirms {
                true => pool.confirm(id, sent, now),
                false => pool.renew(id, sent, ttl, now),
            };
            let seen = found.as_ref().map(|step| step.answer.expires_at);
            let expected = model.extend(number, token, ttl, confirms);
            prop_assert_eq!(seen.map_err(PoolRefusal::code), expected);
            found.map(|step| subject.take(step)).ok();
        }
        Op::Release(which, off) => {
            let (number, token) = (pick(which), pick(which) + u64::from(*off));
            let found = pool.release(lease(number), Token(token), now);
            prop_assert_eq!(changed(&found), model.release(number, token));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Closed(which) => {
            let number = pick(which);
            let found = pool.closed(lease(number), now);
            prop_assert_eq!(changed(&found), model.closed(number));
            found.map(|step| subject.take(step)).ok();
        }
        Op::Pass(span) => model.pass(Millis(*span)),
        Op::PassToNext => model.pass_to_next(),
        Op::PassToTimer => {
            model.pass(subject.timer.map_or(Millis(0), |timer| timer.since(now)));
            subject.fire(model.now);
        }
        Op::Fire => subject.fire(now),
    }
    Ok(())
}

fn run_lease(
    subject: &mut Subject,
    model: &mut Model,
    wanted: LeaseRequest,
) -> Result<(), TestCaseError> {
    let pool = &subject.pool;
    let found = pool.lease(&wanted, model.now);
    let seen = found.as_ref().map(|step| {
        let (held, reason) = (&step.answer.held, &step.answer.reason);
        let before = (reason.pending, reason.active, reason.closing);
        let chosen = (held.token, held.member.clone(), before);
        (chosen, reason.fitting as usize, second_in(&reason.rule))
    });
    let expected = model.lease(&wanted);
    let token = Token(model.leases.len() as u64);
    let full = |retry_after| PoolRefusal::Full { retry_after };
    let expected = expected.map_err(full).map(|chosen| {
        let used = chosen.before;
        let before = (used.pending, used.active, used.closing);
        ((token, chosen.member, before), chosen.fitting, chosen.second)
    });
    prop_assert_eq!(seen.map_err(Clone::clone), expected);
    if let Ok(step) = found {
        let record = &pool.members()[&step.answer.held.member];
        let is_recorded = record.aside_until.is_none() && record.in_use.total() < record.limit;
        prop_assert_eq!(step.answer.unrecorded, !is_recorded);
        subject.take(step);
    }
    Ok(())
}

/// Compares everything that can be seen, with everything that is over recorded.
fn compare(subject: &Subject, model: &Model) -> Result<(), TestCaseError> {
    let pool = subject.pool.recorded(model.now);
    pool.check();
    let mut expected: Vec<_> = model.members.iter().collect();
    expected.sort_by_key(|member| &member.name);
    prop_assert_eq!(pool.members().len(), expected.len());
    for ((name, record), expected) in pool.members().iter().zip(expected) {
        prop_assert_eq!(name, &expected.name);
        prop_assert_eq!(record.limit, expected.limit);
        prop_assert_eq!(record.weight.get(), expected.weight);
        prop_assert_eq!(&record.labels, &expected.labels);
        prop_assert_eq!(record.state, expected.state);
        prop_assert_eq!(record.standing, expected.standing);
        prop_assert_eq!(record.leaving, expected.leaving);
        prop_assert_eq!(record.aside_until, expected.aside_until);
        prop_assert_eq!(record.in_use, model.in_use(name));
    }
    Ok(())
}

fn rules() -> impl Strategy<Value = PoolRules> {
    let ranking = prop_oneof![Just(Ranking::LeastLoaded), Just(Ranking::HealthiestFirst)];
    let after_lease = prop_oneof![Just(AfterLease::Free), Just(AfterLease::Closing)];
    (ranking, after_lease).prop_map(|(ranking, after_lease)| PoolRules { ranking, after_lease })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_pool_does_what_its_model_does(
        rules in rules(),
        ops in proptest::collection::vec(op(), 1..100),
    ) {
        let mut subject = Subject::new(rules);
        let mut model = Model::new(rules, Time(1_000));
        for op in &ops {
            run_op(&mut subject, &mut model, op)?;
            compare(&subject, &model)?;
        }
        let stored = postcard::to_stdvec(&subject.pool).unwrap();
        prop_assert_eq!(postcard::from_bytes::<Pool>(&stored).unwrap(), subject.pool.clone());
        let json = serde_json::to_string(&subject.pool).unwrap();
        prop_assert_eq!(serde_json::from_str::<Pool>(&json).unwrap(), subject.pool);
    }
}

#[test]
fn weights_share_the_load_without_rounding() {
    let mut subject = Subject::with_limits(&[100, 100]);
    let heavy = MemberChange { weight: NonZeroU32::new(3), ..MemberChange::default() };
    let step = subject.pool.put_member(&member(1), &heavy, Time(0)).unwrap();
    subject.take(step);
    let taken: Vec<_> = (0..8).map(|_| subject.lease(&request(1_000), 1)).collect();
    // After m1, m1 both have a load of 1/1 and 3/3: m0 was never granted.
    assert_eq!(taken, ["m1", "m1", "m0", "m1", "m1", "m1", "m0", "m1"]);
}

#[test]
fn a_choice_tells_what_it_saw() {
    let mut subject = Subject::with_limits(&[2, 9]);
    let sticky = LeaseRequest { sticky: Some("s".into()), ..request(1_000) };
    let mut ask = |wanted: &LeaseRequest| {
        let step = subject.pool.lease(wanted, Time(0)).unwrap();
        let Reason { rule, fitting, pending, limit, .. } = subject.take(step).reason;
        (rule, fitting, pending, limit)
    };
    let m1 = RunnerUp {
        by: Criterion::Name,
        member: member(1),
        pending: 0,
        active: 0,
        closing: 0,
        weight: NonZeroU32::MIN,
    };
    assert_eq!(ask(&sticky), (Rule::Before(m1), 2, 0, 2), "the first of its string");
    assert_eq!(ask(&sticky), (Rule::Sticky, 2, 1, 2), "m1 is less loaded, and strange");
    assert_eq!(ask(&sticky), (Rule::Only, 1, 0, 9), "m0 is full");
}

/// The member that came second, where the choice was between two.
fn second_in(rule: &Rule) -> Option<Member> {
    match rule {
        Rule::Before(second) => Some(second.member.clone()),
        Rule::Sticky | Rule::Ranked | Rule::Only => None,
    }
}

/// What decided between m0 and m1, which are like this; m0 has had a lease, m1 another after it.
fn decides(ranking: Ranking, changes: [MemberChange; 2]) -> (usize, Criterion) {
    let mut subject = Subject::new(PoolRules { ranking, ..PoolRules::default() });
    for (index, change) in changes.iter().enumerate() {
        let change = MemberChange { limit: Some(9), ..change.clone() };
        let step = subject.pool.put_member(&member(index), &change, Time(0)).unwrap();
        subject.take(step);
        let avoid = [member(1 - index)].into();
        let step = subject.pool.lease(&LeaseRequest { avoid, ..request(1) }, Time(0)).unwrap();
        subject.take(step);
    }
    let reason = subject.pool.lease(&request(1), Time(0)).unwrap().answer.reason;
    let Rule::Before(second) = reason.rule else { panic!("there are two: {}", reason.rule) };
    assert_eq!((second.pending, second.active, second.closing), (1, 0, 0));
    (usize::from(second.member == member(0)), second.by)
}

#[test]
fn a_choice_tells_the_criterion_that_decided_it() {
    let plain = || [MemberChange::default(), MemberChange::default()];
    let standing = |tier, preferred| MemberChange {
        standing: Some(Standing { tier, preferred }),
        ..MemberChange::default()
    };
    let heavy = MemberChange { weight: NonZeroU32::new(2), ..MemberChange::default() };
    let (by_load, by_health) = (Ranking::LeastLoaded, Ranking::HealthiestFirst);
    let cases = [
        (by_load, [MemberChange::default(), heavy], (1, Criterion::LeastLoaded)),
        (by_load, plain(), (0, Criterion::LongestUngranted)),
        (by_health, [standing(1, true), standing(0, false)], (1, Criterion::Healthiest)),
        (by_health, [standing(0, false), standing(0, true)], (1, Criterion::Preferred)),
        (by_health, plain(), (0, Criterion::LongestUnused)),
    ];
    for (ranking, changes, expected) in cases {
        assert_eq!(decides(ranking, changes), expected);
    }
}

#[test]
fn reasons_of_older_records_are_read() {
    // Sticky or ranked; two fitted; 1 pending, 3 active, 0 closing; a limit of 9, a weight of 1.
    for (rule, stored) in [(Rule::Sticky, 0), (Rule::Ranked, 1)] {
        let reason: Reason = postcard::from_bytes(&[stored, 2, 1, 3, 0, 9, 1]).unwrap();
        let weight = NonZeroU32::MIN;
        let says = Reason { rule, fitting: 2, pending: 1, active: 3, closing: 0, limit: 9, weight };
        assert_eq!(reason, says);
    }
}

#[test]
fn a_lease_that_is_over_draws_nobody_to_its_member() {
    let mut subject = Subject::with_limits(&[9, 9]);
    let sticky = LeaseRequest { sticky: Some("s".into()), ..request(100) };
    subject.lease(&sticky, 0);
    let chosen = |now| subject.pool.lease(&sticky, Time(now)).unwrap().answer.held.member;
    assert_eq!(chosen(99), member(0));
    assert_eq!(chosen(100), member(1), "never granted comes first");
}

#[test]
fn putting_the_same_and_removing_again_change_nothing() {
    let mut subject = Subject::with_limits(&[1]);
    let step = subject.pool.put_member(&member(0), &of_limit(1), Time(0)).unwrap();
    assert!(step.events.is_empty());
    subject.lease(&request(100), 0);
    let step = subject.pool.remove_member(&member(0), Time(0)).unwrap();
    subject.take(step);
    let step = subject.pool.remove_member(&member(0), Time(0)).unwrap();
    assert!(step.events.is_empty() && !step.answer, "it is on its way out, not gone");
    let step = subject.pool.put_member(&member(0), &MemberChange::default(), Time(0)).unwrap();
    assert!(!step.events.is_empty() && !step.answer, "it stays, and was not created");
}

#[test]
fn a_slot_that_is_free_but_not_recorded_is_marked() {
    let mut subject = Subject::with_limits(&[1]);
    subject.lease(&request(100), 0);
    assert!(subject.pool.lease(&request(100), Time(99)).is_err());
    let step = subject.pool.lease(&request(100), Time(100)).unwrap();
    assert!(step.answer.unrecorded, "whoever waits must be asked first");
    subject.fire(Time(100));
    let step = subject.pool.lease(&request(100), Time(100)).unwrap();
    assert!(!step.answer.unrecorded);
}

/// The timer of 100 has fired and found that what it was set for ends at 150 now; a lease ends at 400.
fn fired(with: impl Fn(&mut Subject)) -> Subject {
    let mut subject = Subject::with_limits(&[2, 0]);
    subject.lease(&request(400), 0);
    with(&mut subject);
    subject.fire(Time(100));
    assert_eq!(subject.timer, Some(Time(150)));
    subject
}

#[test]
fn the_timer_is_set_for_what_is_left_and_not_for_what_just_ended() {
    let leased = fired(|subject| {
        subject.lease(&request(100), 0);
        let step = subject.pool.renew(lease(2), Token(2), None, Time(50)).unwrap();
        subject.take(step);
    });
    let aside = fired(|subject| {
        for (now, until) in [(0, 100), (50, 150)] {
            let step = subject.pool.set_aside(&member(1), Time(until), Time(now)).unwrap();
            subject.take(step);
        }
    });
    let (pool, other, now) = (&aside.pool, member(1), Time(110));
    let released = leased.pool.release(lease(2), Token(2), now).unwrap().alarm;
    assert_eq!(released, Some(Time(400)));
    assert_eq!(pool.readmit(&other, now).unwrap().alarm, Some(Time(400)));
    assert_eq!(pool.remove_member(&other, now).unwrap().alarm, Some(Time(400)));
    assert_eq!(pool.set_aside(&other, Time(300), now).unwrap().alarm, Some(Time(300)));
}

#[test]
fn a_full_pool_says_when_the_next_lease_ends_but_not_longer_than_a_minute() {
    let mut subject = Subject::with_limits(&[1]);
    subject.lease(&request(90_000), 0);
    for (now, expected) in [(0, 60_000), (30_001, 59_999), (89_999, 1)] {
        let refusal = subject.pool.lease(&request(1), Time(now)).unwrap_err();
        assert_eq!(refusal.retry_after(), Some(Millis(expected)), "at {now}");
    }
}

#[test]
fn extreme_numbers_break_nothing() {
    let mut subject = Subject::new(PoolRules::default());
    let change = MemberChange { weight: NonZeroU32::new(u32::MAX), ..of_limit(u32::MAX) };
    for index in 0..2 {
        let step = subject.pool.put_member(&member(index), &change, Time(0)).unwrap();
        subject.take(step);
    }
    for _ in 0..4 {
        subject.lease(&request(u64::MAX), 1);
    }
    let step = subject.pool.renew(lease(1), Token(1), Some(Millis(0)), Time(5)).unwrap();
    assert_eq!(step.answer.expires_at, Time(6), "nothing is born dead");
    subject.take(step);
    subject.fire(Time(6));
    let strange = subject.pool.release(lease(u64::MAX), Token(u64::MAX), Time(6));
    assert_eq!(strange.unwrap_err().code(), "unknown_lease");
}

#[test]
#[should_panic(expected = "recorded before anything else")]
fn a_decision_without_the_expiries_it_rests_on_is_a_bug() {
    let mut subject = Subject::with_limits(&[1]);
    subject.lease(&request(100), 0);
    let step = subject.pool.lease(&request(100), Time(100)).unwrap();
    subject.pool.apply(&step.events[1]);
}

#[test]
#[should_panic(expected = "only a member with room is leased")]
fn a_grant_beyond_the_limit_is_a_bug() {
    let mut subject = Subject::with_limits(&[1]);
    let step = subject.pool.lease(&request(100), Time(0)).unwrap();
    let mut second = step.events.clone();
    let PoolEvent::Leased(leased) = &mut second[0] else { panic!("a grant") };
    (leased.lease, leased.token) = (lease(2), Token(2));
    subject.take(step);
    subject.pool.apply(&second[0]);
}

#[test]
fn a_hundred_thousand_leases_are_confirmed_and_released_one_by_one() {
    const LEASES: u64 = 100_000;
    let mut subject = Subject::with_limits(&[LEASES as u32 / 2, LEASES as u32 / 2]);
    let run = |step: Result<Vec<PoolEvent>, PoolRefusal>, pool: &mut Pool| {
        step.unwrap().iter().for_each(|event| pool.apply(event));
    };
    let pool = &mut subject.pool;
    for number in 1..=LEASES {
        let now = Time(number / 100);
        run(pool.lease(&request(60_000), now).map(|step| step.events), pool);
    }
    assert_eq!(pool.lease(&request(1), Time(2_000)).unwrap_err().code(), "pool_full");
    for number in 1..=LEASES {
        let (id, token) = (lease(number), Token(number));
        run(pool.confirm(id, token, Time(2_000)).map(|step| step.events), pool);
        run(pool.release(id, token, Time(2_000)).map(|step| step.events), pool);
    }
    pool.check();
    assert!(pool.leases().is_empty());
}

#[test]
fn labels_must_all_be_carried() {
    let mut subject = Subject::with_limits(&[1, 1]);
    let two: Labels = BTreeMap::from([("zone".into(), "a".into()), ("gpu".into(), "yes".into())]);
    let change = MemberChange { labels: Some(two), ..MemberChange::default() };
    let step = subject.pool.put_member(&member(1), &change, Time(0)).unwrap();
    subject.take(step);
    let ask = |labels: &[(&str, &str)]| LeaseRequest {
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        ..request(100)
    };
    for missing in [&[("zone", "b")][..], &[("zone", "a"), ("disk", "ssd")], &[("gpu", "no")]] {
        assert!(subject.pool.lease(&ask(missing), Time(0)).is_err(), "{missing:?}");
    }
    assert_eq!(subject.lease(&ask(&[("gpu", "yes"), ("zone", "a")]), 0), "m1");
}
