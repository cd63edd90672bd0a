use interlock_runtime::record::{ChunkBuilder, Head, Raw};

use super::*;
use crate::own::tally::{Add, Added, Tally, TallyEvent};

fn moment(tick: u64) -> Moment {
    Moment { tick, log_time_min: Time(tick), log_time_max: Time(tick) }
}

fn told(sent: u64, heard: u64, what: What) -> Told {
    Told { sent: moment(sent), heard: moment(heard), what }
}

/// The answer to the command that made a version: its place.
fn made(version: u64) -> What {
    let reply = codec::encode(&(usize::try_from(version).unwrap() - 1));
    What::Changed { version: Version(version), reply }
}

/// The log of these commands, each id adding the thing of that name; `events` may say otherwise.
fn log(ids: &[&str], events: impl Fn(&str) -> String) -> Vec<Chunk> {
    let mut builder = ChunkBuilder::new(Position(1));
    for (place, id) in (0..).zip(ids) {
        let added = [TallyEvent::Added(Added(events(id)))];
        let (events, What::Changed { reply, .. }) = (codec::encode(&added[..]), made(place + 1))
        else {
            unreachable!("it was made")
        };
        builder.push(&Record::Decided(Decided {
            head: Head {
                entity: Tally::TYPE,
                key: "k",
                version: Version(place + 1),
                prev: Position(place),
                at: Time(place + 1),
                due: Time::NEVER,
                schema: 1,
            },
            caller: "",
            cause: Cause::Id(id),
            command: "add",
            fingerprint: 0,
            events_count: 1,
            events: Raw(&events),
            reply: Raw(&reply),
            timers: Raw(&[]),
            effects: Raw(&[]),
            closes: false,
        }));
    }
    vec![builder.seal()]
}

/// What a ledger says of a log, after these answers to `a` and `b`.
fn settled(answers: &[(&str, Told)], log: &[Chunk]) -> Result<(), String> {
    let (key, mut ledger) = (Key::new("k").unwrap(), Ledger::<Tally>::default());
    for id in ["a", "b"] {
        ledger.asked(&key, &CommandId::new(id).unwrap(), &Add(id.to_owned()), moment(1));
    }
    for (id, told) in answers {
        ledger.told(&key, &CommandId::new(id).unwrap(), told.clone())?;
    }
    ledger.settle(log, &[]).map(drop)
}

#[test]
fn an_honest_server_is_believed() {
    let answers =
        [("a", told(1, 4, made(1))), ("b", told(2, 5, made(2))), ("a", told(6, 7, made(1)))];
    assert_eq!(settled(&answers, &log(&["a", "b"], str::to_owned)), Ok(()));
    assert_eq!(
        settled(&answers[..1], &log(&["a", "b"], str::to_owned)),
        Ok(()),
        "b is not answered"
    );
    assert_eq!(settled(&[], &log(&["b"], str::to_owned)), Ok(()), "a was never done");
}

#[test]
fn what_is_acknowledged_and_lost_is_told() {
    let answers = [("a", told(1, 4, made(1))), ("b", told(2, 5, made(2)))];
    let wrong = settled(&answers, &log(&["a"], str::to_owned)).unwrap_err();
    assert!(wrong.contains("b was acknowledged at 2, and is lost"), "{wrong}");
}

#[test]
fn two_answers_to_one_id_are_told() {
    let answers = [("a", told(1, 4, made(1))), ("a", told(5, 6, made(2)))];
    let wrong = settled(&answers, &log(&["a"], str::to_owned)).unwrap_err();
    assert!(wrong.contains("a got two answers"), "{wrong}");
}

#[test]
fn a_record_that_was_not_decided_so_is_told() {
    let log = log(&["a"], |_| "something else".to_owned());
    let wrong = settled(&[], &log).unwrap_err();
    assert!(wrong.contains("is not what decide says"), "{wrong}");
}

#[test]
fn answers_that_no_order_explains_are_told() {
    // A tally refuses nobody.
    let answers = [("a", told(1, 4, What::Rejected))];
    let wrong = settled(&answers, &log(&["b"], str::to_owned)).unwrap_err();
    assert!(wrong.contains("no order"), "{wrong}");
}

#[test]
fn an_order_against_time_is_told() {
    // The second was sent when the first was answered; versions say that it came before.
    let answers = [("a", told(1, 2, made(2))), ("b", told(3, 4, made(1)))];
    let (key, mut ledger) = (Key::new("k").unwrap(), Ledger::<Tally>::default());
    for ((id, told), first) in answers.iter().zip([1, 3]) {
        let id = CommandId::new(id).unwrap();
        ledger.asked(&key, &id, &Add(id.as_str().to_owned()), moment(first));
        ledger.told(&key, &id, told.clone()).unwrap();
    }
    let wrong = ledger.settle(&log(&["b", "a"], str::to_owned), &[]).unwrap_err();
    assert!(wrong.contains("b stands before what was answered before it"), "{wrong}");
}

/// What a ledger says of a log of `a`, while `b` was told to wait.
fn waited(wait: impl FnOnce(&mut Wait)) -> Result<(), String> {
    let (key, mut ledger) = (Key::new("k").unwrap(), Ledger::<Tally>::default());
    for id in ["a", "b"] {
        ledger.asked(&key, &CommandId::new(id).unwrap(), &Add(id.to_owned()), moment(1));
    }
    let (id, from) = (CommandId::new("b").unwrap(), Position(1));
    let (arrived, until, to, answered) = (Time(1), Time(9), None, None);
    let mut waiting = Wait { entity: Tally::TYPE, key, id, arrived, until, from, to, answered };
    wait(&mut waiting);
    ledger.settle(&log(&["a"], str::to_owned), &[waiting]).map(drop)
}

#[test]
fn whoever_waits_although_it_could_go_on_is_told() {
    let wrong = waited(|_| ()).unwrap_err();
    assert!(wrong.contains("b waits at version 1, although it could go on"), "{wrong}");
}

#[test]
fn whoever_is_not_known_to_wait_is_left_alone() {
    assert_eq!(waited(|wait| wait.from = Position(3)), Ok(()), "that is not durable yet");
    assert_eq!(waited(|wait| wait.to = Some(Position(1))), Ok(()), "its process had gone");
    assert_eq!(waited(|wait| wait.answered = Some(Version(1))), Ok(()), "it was answered");
    assert_eq!(waited(|wait| wait.until = Time(1)), Ok(()), "its wait was over");
}

#[test]
fn a_history_that_is_too_wide_is_not_said_to_be_cross_checked() {
    let settled = |width: usize| {
        let (key, mut ledger) = (Key::new("k").unwrap(), Ledger::<Tally>::default());
        let ids: Vec<String> = (0..width).map(|number| number.to_string()).collect();
        for id in &ids {
            ledger.asked(&key, &CommandId::new(id).unwrap(), &Add(id.clone()), moment(1));
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ledger.settle(&log(&ids, str::to_owned), &[])
    };
    assert_eq!(settled(3), Ok(CrossChecked { done: 1, left_out: 0 }));
    assert_eq!(settled(linear::WIDTH_MAX + 1), Ok(CrossChecked { done: 0, left_out: 1 }));
}
