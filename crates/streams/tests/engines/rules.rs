//! Each rule by itself.

use interlock_kernel::{
    entity::{Context, Entity},
    ids::{Caller, Key, Member},
    kit::Alone,
    pool::PoolRefusal,
    time::Millis,
};
use interlock_streams::domain::{
    engines::{Command, Ending, EngineSpec, Engines, Freed, Session},
    engines_event::EnginesEvent,
};

use crate::support::{
    RULES, acquire, begin, done, engines, failed, flowing, granted, is_full, member, release, spec,
    started,
};

fn two() -> [EngineSpec; 2] {
    [spec("a", 1, false), spec("b", 1, false)]
}

fn freed(engines: &Alone<Engines>) -> Vec<Freed> {
    let how = |event: &EnginesEvent| {
        if let EnginesEvent::Free(free) = event { Some(free.how) } else { None }
    };
    engines.events().iter().filter_map(how).collect()
}

fn aside(engines: &Alone<Engines>) -> Vec<Member> {
    let members = engines.state().pool().members().iter();
    members
        .filter(|(_, record)| record.aside_until.is_some())
        .map(|(name, _)| name.clone())
        .collect()
}

#[test]
fn the_healthy_then_the_least_used_then_the_forwarded_then_the_longest_unused_is_chosen() {
    let mut all = engines(&[spec("a", 9, false), spec("b", 9, true), spec("c", 9, false)]);
    let chosen = |all: &mut Alone<Engines>| granted(all, "s", &[]).engine;
    let first: Vec<_> = (0..3).map(|_| chosen(&mut all)).collect();
    assert_eq!(first, ["b", "a", "c"].map(member), "the forwarded first, each once");
    done(&mut all, Command::Health { engine: member("b"), healthy: false });
    assert_eq!([chosen(&mut all), chosen(&mut all), chosen(&mut all)], ["a", "c", "a"].map(member));
    done(&mut all, Command::Health { engine: member("b"), healthy: true });
    assert_eq!(chosen(&mut all), member("b"), "the least used");
}

#[test]
fn a_choice_tells_what_decided_and_who_came_second() {
    let mut all = engines(&[spec("a", 9, false), spec("b", 9, true), spec("c", 9, false)]);
    let mut rule = || granted(&mut all, "s", &[]).reason.rule.to_string();
    assert_eq!(rule(), "preferred, before a (0 pending, 0 active, 0 closing)");
    assert_eq!(rule(), "first by name, before c (0 pending, 0 active, 0 closing)");
    assert_eq!(rule(), "fewest used, before b (1 pending, 0 active, 0 closing)");
    flowing(&mut all, "t", &["a", "c"]);
    let mut rule = |avoid: &[&str]| granted(&mut all, "s", avoid).reason.rule.to_string();
    assert_eq!(rule(&["c"]), "fewest used, before b (1 pending, 1 active, 0 closing)");
    assert_eq!(rule(&["a", "c"]), "no other fitted");
    done(&mut all, Command::Health { engine: member("a"), healthy: false });
    let rule = granted(&mut all, "s", &["c"]).reason.rule.to_string();
    assert_eq!(rule, "healthiest, before a (2 pending, 0 active, 0 closing)");
}

#[test]
fn a_slot_is_free_when_the_engine_acknowledged_the_stop_and_not_before() {
    let mut one = engines(&[spec("a", 1, false)]);
    let lease = flowing(&mut one, "s", &[]).lease;
    done(&mut one, release(lease, Ending::Unwatched, Session::Perhaps));
    assert_eq!(one.effects().len(), 1);
    assert_eq!(one.effects()[0].command_url, format!("http://engine/ace/cmd/{lease}"));
    one.pass(Millis(1_000_000));
    assert!(is_full(&mut one, "t"), "an unanswered stop frees nothing by itself");
    done(&mut one, Command::Stopped { lease });
    assert_eq!(freed(&one), [Freed::Acknowledged]);
    granted(&mut one, "t", &[]);
    one.check_replay();
}

#[test]
fn a_slot_whose_stop_failed_is_free_once_the_engines_idle_time_has_passed() {
    let mut one = engines(&[spec("a", 1, false)]);
    let lease = flowing(&mut one, "s", &[]).lease;
    done(&mut one, release(lease, Ending::EngineEnded, Session::Perhaps));
    one.pass(Millis(2_000));
    done(&mut one, Command::StopFailed { lease });
    one.pass(Millis(RULES.engine_idle.0 - 2_001));
    assert!(is_full(&mut one, "t"));
    one.pass(Millis(1));
    assert_eq!(freed(&one), [Freed::Idle]);
}

#[test]
fn what_was_never_opened_is_free_at_once_and_what_perhaps_was_is_not() {
    let cases = [
        (Session::None, 0),
        (Session::Perhaps, RULES.engine_idle.0),
        (Session::Unanswered, RULES.start_timeout.0 + RULES.engine_idle.0),
    ];
    for (session, after) in cases {
        let mut one = engines(&[spec("a", 1, false)]);
        let lease = granted(&mut one, "s", &[]).lease;
        done(&mut one, release(lease, Ending::Cancelled, session));
        assert!(one.effects().is_empty(), "there is nothing to ask");
        if after > 0 {
            one.pass(Millis(after - 1));
            assert!(is_full(&mut one, "t"), "{session:?}");
            one.pass(Millis(1));
        }
        granted(&mut one, "t", &[]);
    }
}

#[test]
fn an_answer_that_comes_late_is_stopped() {
    let mut one = engines(&[spec("a", 1, false)]);
    let lease = granted(&mut one, "s", &[]).lease;
    done(&mut one, release(lease, Ending::Cancelled, Session::Unanswered));
    done(&mut one, started(lease));
    assert_eq!(one.effects().len(), 1);
    done(&mut one, Command::Stopped { lease });
    granted(&mut one, "t", &[]);
}

#[test]
fn a_lease_that_is_not_renewed_ends_and_its_session_is_stopped() {
    let mut one = engines(&[spec("a", 1, false)]);
    let lease = flowing(&mut one, "s", &[]).lease;
    for _ in 0..5 {
        one.pass(Millis(10_000));
        done(&mut one, Command::Renew { lease });
    }
    assert!(one.effects().is_empty());
    one.pass(RULES.lease_ttl);
    assert_eq!(one.effects().len(), 1, "the timer saw to it");
    let late = one.send(Command::Renew { lease });
    assert_eq!(one.rejection(late), PoolRefusal::LeaseOver(lease));
}

#[test]
fn a_new_process_stops_all_that_the_last_one_had() {
    let mut all = engines(&two());
    let known = flowing(&mut all, "s", &[]).lease;
    let unknown = granted(&mut all, "t", &[]).lease;
    done(&mut all, begin(&two()));
    assert!(is_full(&mut all, "u"));
    assert_eq!(all.effects().iter().map(|stop| stop.lease).collect::<Vec<_>>(), [known]);
    done(&mut all, Command::Stopped { lease: known });
    granted(&mut all, "u", &[]);
    all.pass(RULES.start_timeout).pass(RULES.engine_idle);
    let uses = all.state().uses();
    assert!(!uses.contains_key(&unknown), "nobody heard of it, but it must be over");
    all.check_replay();
}

#[test]
fn an_engine_that_left_the_configuration_goes_with_its_last_use() {
    let mut all = engines(&two());
    let lease = flowing(&mut all, "s", &["b"]).lease;
    done(&mut all, begin(&[spec("b", 1, false)]));
    assert!(all.state().url(&member("a")).is_some(), "its session is still to be stopped");
    done(&mut all, Command::Stopped { lease });
    assert_eq!(all.state().url(&member("a")), None);
    assert_eq!(granted(&mut all, "t", &[]).engine, member("b"));
    assert!(is_full(&mut all, "u"));
}

#[test]
fn an_engine_that_fails_what_others_can_is_set_aside_and_comes_back() {
    let mut all = engines(&[spec("a", 9, true), spec("b", 9, false)]);
    for stream in ["s", "t"] {
        assert!(aside(&all).is_empty());
        let lease = granted(&mut all, stream, &["b"]).lease;
        done(&mut all, failed(lease, false));
        flowing(&mut all, stream, &["a"]);
    }
    assert_eq!(aside(&all), [member("a")]);
    assert_eq!(granted(&mut all, "u", &[]).engine, member("b"));
    all.pass(RULES.ejection);
    assert!(aside(&all).is_empty());
    all.check_replay();
}

#[test]
fn streams_that_fail_everywhere_set_nobody_aside() {
    let mut all = engines(&two());
    for stream in ["s", "t", "u", "v"] {
        for avoid in ["a", "b"] {
            let lease = granted(&mut all, stream, &[avoid]).lease;
            done(&mut all, failed(lease, false));
        }
    }
    assert!(aside(&all).is_empty());
}

#[test]
fn an_engine_that_cannot_be_reached_is_set_aside_after_two_streams() {
    let mut all = engines(&two());
    for stream in ["s", "s", "t"] {
        assert!(aside(&all).is_empty(), "one stream says little");
        let lease = granted(&mut all, stream, &["b"]).lease;
        done(&mut all, failed(lease, true));
    }
    assert_eq!(aside(&all), [member("a")]);
}

#[test]
fn a_release_that_comes_after_the_end_of_its_lease_but_before_the_timer_is_taken_in() {
    let mut one = engines(&[spec("a", 2, false)]);
    let lease = granted(&mut one, "s", &[]).lease;
    let now = one.now() + RULES.lease_ttl;
    let (key, caller) = (Key::new("main").unwrap(), Caller::local());
    let cx = Context {
        now,
        arrived: now,
        version: one.version(),
        key: &key,
        caller: &caller,
        id: None,
        random: 0,
    };
    for command in [failed(lease, true), acquire("t", &[]), Command::Stopped { lease }] {
        let decision = one.state().decide(&command, &cx).unwrap();
        let mut state = one.state().clone();
        decision.events.iter().for_each(|event| state.apply(event));
        state.pool().check();
        let used = state.uses().get(&lease);
        assert!(used.is_none_or(|used| used.idle_at.is_some()), "its end was recorded first");
    }
}
