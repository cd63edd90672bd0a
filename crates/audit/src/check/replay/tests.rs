//! Histories that decide as they should, and lies.

use serde_json::{Value, json};

use super::super::{Event, Kept, Request, Verdict, check};

/// Midnight, and so many milliseconds.
fn at(ms: u64) -> String {
    let time = interlock_kernel::time::Time(1_767_225_600_000 + ms);
    time.to_string()
}

/// A command that is sent and answered within the millisecond.
fn asked(entity: &str, id: &str, ms: u64, command: Value, (status, body): (u16, Value)) -> Event {
    Event::Request(Request {
        entity: entity.to_owned(),
        id: id.to_owned(),
        start_us: ms * 1_000,
        end_us: Some(ms * 1_000 + 900),
        status: Some(status),
        replayed: Some(false),
        body: Some(body),
        command: Some(command),
        at: Some(serde_json::from_value(json!(at(ms))).unwrap()),
    })
}

fn kept(entity: &str, id: &str, version: u64, ms: u64, events: Option<Vec<Value>>) -> Event {
    let at = serde_json::from_value(json!(at(ms))).unwrap();
    Event::Kept(Kept { entity: entity.to_owned(), id: id.to_owned(), version, at, events })
}

const QUOTA: &str = "quota/q";

fn claims(id: &str, ms: u64, answer: (u16, Value)) -> Event {
    asked(QUOTA, id, ms, json!({"Claim": {"worker": "w"}}), answer)
}

fn refused(code: &str, version: u64) -> (u16, Value) {
    (409, json!({"code": code, "status": 409, "version": version}))
}

fn granted(number: u64, ms: u64, version: u64) -> (u16, Value) {
    let body = json!({
        "claim": format!("c{number}"), "worker": "w", "number": number, "remaining": 0,
        "expires_at": at(ms + 60_000), "version": version,
    });
    (201, body)
}

/// A quota of one, and the claim that takes it.
fn one_claim() -> Vec<Event> {
    let change = json!({"Put": {
        "limit": 1, "workers": null, "claim_ttl_ms": null, "retention_ms": 86_400_000,
    }});
    vec![
        asked(QUOTA, "put", 0, change, (201, json!({"version": 1}))),
        kept(QUOTA, "put", 1, 0, None),
        claims("a", 10, granted(1, 10, 2)),
        kept(QUOTA, "a", 2, 10, None),
    ]
}

fn verdict(mut history: Vec<Event>, more: Vec<Event>) -> Verdict {
    history.extend(more);
    check(&history)
}

#[test]
fn refusals_and_repeats_without_effect_are_right_where_decide_says_the_same() {
    let settle = |id, ms, answer| {
        asked(QUOTA, id, ms, json!({"Settle": {"claim": "c1", "outcome": "won"}}), answer)
    };
    let settled = || (200, json!({"claim": "c1", "outcome": "won", "version": 3}));
    let more = vec![
        claims("b", 20, refused("quota_all_claimed", 2)),
        settle("c", 30, settled()),
        kept(QUOTA, "c", 3, 30, None),
        // Again, it changes nothing and is not kept.
        settle("d", 40, settled()),
        claims("e", 50, refused("quota_exhausted", 3)),
    ];
    let verdict = verdict(one_claim(), more);
    assert_eq!(verdict.wrong, Vec::<String>::new());
    assert_eq!((verdict.answers, verdict.refusals, verdict.decided_again), (6, 2, 6));
}

#[test]
fn what_is_over_by_the_time_of_the_answer_is_over_although_nobody_has_recorded_it() {
    let late = claims("b", 60_010, granted(2, 60_010, 3));
    let recorded = kept(QUOTA, "b", 3, 60_010, None);
    let verdict = verdict(one_claim(), vec![late, recorded]);
    assert_eq!(verdict.wrong, Vec::<String>::new());
}

#[test]
fn every_lie_is_found() {
    let never_was = refused("quota_all_claimed", 9);
    let over = kept(QUOTA, "b", 3, 20, None);
    let claimed = || json!([{"type": "claimed", "data": {}}]).as_array().cloned();
    let expiry = |version, ms, events| kept(QUOTA, "timer:expiry", version, ms, events);
    let cases: [(&str, Vec<Event>); 10] = [
        ("a timer before its time", vec![expiry(3, 20, None)]),
        ("a timer that was never set", vec![kept(QUOTA, "timer:bell", 3, 20, None)]),
        ("a timer that fires twice", vec![expiry(3, 60_010, None), expiry(4, 60_010, None)]),
        ("refused too early", vec![claims("b", 20, refused("quota_exhausted", 2))]),
        ("refused on an old look", vec![claims("b", 20, refused("quota_all_claimed", 1))]),
        ("refused at no version", vec![claims("b", 20, never_was)]),
        ("over the limit", vec![claims("b", 20, granted(2, 20, 3)), over]),
        ("a success that left nothing", vec![claims("b", 20, granted(2, 20, 2))]),
        ("kept and never sent", vec![kept(QUOTA, "x", 3, 20, None)]),
        (
            "other events",
            vec![
                claims("b", 60_010, granted(2, 60_010, 3)),
                kept(QUOTA, "b", 3, 60_010, claimed()),
            ],
        ),
    ];
    for (lie, more) in cases {
        assert!(!verdict(one_claim(), more).wrong.is_empty(), "{lie}");
    }
    let mut other_reply = one_claim();
    other_reply[2] = claims("a", 10, granted(7, 10, 2));
    assert!(!check(&other_reply).wrong.is_empty(), "another reply than was decided");
}

#[test]
fn a_timer_that_finds_nothing_over_is_set_again_and_makes_no_version() {
    let renews = Event::Request(Request {
        entity: QUOTA.to_owned(),
        id: "b".to_owned(),
        start_us: 30_000_000,
        end_us: None,
        status: None,
        replayed: None,
        body: None,
        command: Some(json!({"Renew": {"claim": "c1", "ttl_ms": null}})),
        at: Some(serde_json::from_value(json!(at(30_000))).unwrap()),
    });
    let expiry = |version, ms, events| kept(QUOTA, "timer:expiry", version, ms, events);
    let more = vec![
        renews,
        kept(QUOTA, "b", 3, 30_000, None),
        expiry(3, 60_010, Some(Vec::new())),
        expiry(4, 90_000, None),
    ];
    let verdict = verdict(one_claim(), more);
    assert_eq!(verdict.wrong, Vec::<String>::new());
    assert_eq!(verdict.decided_again, 5);
}

#[test]
fn a_hundred_thousand_operations_are_decided_once_more() {
    const TURN: &str = "turn/t";
    let mut history = Vec::new();
    for turn in 1..=100_000_u64 {
        let (id, next) = (format!("op-{turn}"), turn + 1);
        let command = json!({"Post": {"turn": turn, "value": turn}});
        let body = json!(
            {"won": true, "turn": turn, "value": turn, "next_turn": next, "version": turn}
        );
        history.push(asked(TURN, &id, turn, command, (200, body)));
        history.push(kept(TURN, &id, turn, turn, None));
    }
    let verdict = check(&history);
    assert_eq!(verdict.wrong, Vec::<String>::new());
    assert_eq!((verdict.answers, verdict.decided_again), (100_000, 100_000));
}
