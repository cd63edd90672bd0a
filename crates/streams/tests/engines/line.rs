//! Who gets a slot, who may wait for one, who is refused.

use interlock_kernel::{
    kit::{Alone, Answer},
    pool::{LeaseId, PoolRefusal},
    time::Millis,
};
use interlock_streams::domain::engines::{Asker, Command, Ending, Engines, Reply, Session};
use proptest::prelude::*;

use crate::support::{asker, begin, done, engines, failed, flowing, granted, release, spec};

/// What somebody is told. A promise to each is what those ahead rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Granted,
    Closing,
    GivesWay(LeaseId),
    Full,
    AllTried,
}

fn ask(all: &mut Alone<Engines>, who: &Asker, ahead: &[Asker], unwatched: &[LeaseId]) -> Told {
    let (asker, ahead, unwatched) = (who.clone(), ahead.to_vec(), unwatched.to_vec());
    let sent = all.send(Command::Acquire { asker, ahead, unwatched });
    match all.answer(sent) {
        Answer::Reply(Reply::Granted(_), _) => Told::Granted,
        Answer::Reply(Reply::Soon { gives_way: None }, _) => Told::Closing,
        Answer::Reply(Reply::Soon { gives_way: Some(lease) }, _) => Told::GivesWay(*lease),
        Answer::Reply(Reply::AllTried, _) => Told::AllTried,
        Answer::Rejected(PoolRefusal::Full { .. }) => Told::Full,
        other @ (Answer::Reply(..) | Answer::Rejected(_) | Answer::Waiting) => panic!("{other:?}"),
    }
}

/// What each of these is told, who all stand in one line.
fn told(all: &mut Alone<Engines>, line: &[Asker], unwatched: &[LeaseId]) -> Vec<Told> {
    (0..line.len()).map(|place| ask(all, &line[place], &line[..place], unwatched)).collect()
}

fn line(count: usize) -> Vec<Asker> {
    (0..count).map(|number| asker(&format!("new-{number}"), &[])).collect()
}

/// A slot that closes, on none of these engines.
fn closes(all: &mut Alone<Engines>, stream: &str, avoid: &[&str]) -> LeaseId {
    let lease = flowing(all, stream, avoid).lease;
    done(all, release(lease, Ending::Unwatched, Session::Perhaps));
    lease
}

#[test]
fn slots_are_promised_first_come_first_served_and_each_once() {
    let mut all = engines(&[spec("a", 3, false)]);
    let unwatched = flowing(&mut all, "idle", &[]).lease;
    closes(&mut all, "over", &[]);
    flowing(&mut all, "busy", &[]);
    let promised = [Told::Closing, Told::GivesWay(unwatched), Told::Full, Told::Full];
    assert_eq!(told(&mut all, &line(4), &[unwatched]), promised);
    assert_eq!(told(&mut all, &line(2), &[]), [Told::Closing, Told::Full], "it is watched again");
}

#[test]
fn a_newcomer_gets_a_free_slot_only_if_nobody_ahead_needs_it() {
    let mut all = engines(&[spec("a", 1, false)]);
    let line = line(2);
    assert_eq!(ask(&mut all, &line[1], &line[..1], &[]), Told::Full);
    assert_eq!(ask(&mut all, &line[0], &[], &[]), Told::Granted);
}

#[test]
fn who_has_its_slot_and_was_not_told_yet_needs_no_other() {
    let mut all = engines(&[spec("a", 2, false)]);
    closes(&mut all, "over", &[]);
    let line = line(2);
    assert_eq!(ask(&mut all, &line[0], &[], &[]), Told::Granted);
    assert_eq!(ask(&mut all, &line[1], &line[..1], &[]), Told::Closing);
}

#[test]
fn a_slot_on_an_engine_that_the_one_ahead_has_tried_is_for_the_one_behind() {
    let mut all = engines(&[spec("a", 1, false), spec("b", 1, false)]);
    closes(&mut all, "over", &["a"]);
    let (ahead, behind) = (asker("first", &["a"]), asker("second", &[]));
    assert_eq!(ask(&mut all, &ahead, &[], &[]), Told::Closing, "b is closing");
    assert_eq!(ask(&mut all, &behind, &[ahead], &[]), Told::Granted, "a is free");
}

#[test]
fn slots_that_a_lowered_limit_takes_away_are_promised_to_nobody() {
    let mut one = engines(&[spec("a", 3, false)]);
    (0..3).for_each(|number| drop(flowing(&mut one, &format!("old-{number}"), &[])));
    // The next process finds all three closing, and two of them are over its limit.
    done(&mut one, begin(&[spec("a", 1, false)]));
    assert_eq!(told(&mut one, &line(2), &[]), [Told::Closing, Told::Full]);
}

#[test]
fn full_is_told_from_all_tried() {
    let mut all = engines(&[spec("a", 1, false), spec("b", 1, false), spec("c", 0, false)]);
    let tried = |engines: &[&str]| asker("new", engines);
    assert_eq!(ask(&mut all, &tried(&["a", "b"]), &[], &[]), Told::AllTried, "c never can");
    flowing(&mut all, "busy", &["a"]);
    assert_eq!(ask(&mut all, &tried(&["a"]), &[], &[]), Told::Full, "b is only busy");
    assert_eq!(ask(&mut Alone::new(), &tried(&[]), &[], &[]), Told::AllTried, "there is none");
}

#[test]
fn an_engine_that_is_set_aside_is_not_waited_for_but_asked_about_again() {
    let mut one = engines(&[spec("a", 9, false), spec("b", 1, false)]);
    for stream in ["s", "t"] {
        let lease = granted(&mut one, stream, &["b"]).lease;
        done(&mut one, failed(lease, true));
    }
    flowing(&mut one, "busy", &[]);
    assert_eq!(ask(&mut one, &asker("new", &["b"]), &[], &[]), Told::AllTried, "a is aside");
    assert_eq!(ask(&mut one, &asker("new", &[]), &[], &[]), Told::Full);
    one.pass(Millis(30_000));
    assert_eq!(ask(&mut one, &asker("new", &["b"]), &[], &[]), Told::Granted);
}

proptest! {
    #[test]
    fn exactly_as_many_have_hope_as_there_are_slots(
        limits in prop::collection::vec(0..4_u32, 1..4),
        uses in prop::collection::vec(0..3_u8, 0..8),
        waiting in 0..10_usize,
    ) {
        let named = |(index, limit): (usize, &u32)| spec(&format!("e{index}"), *limit, index == 1);
        let specs: Vec<_> = limits.iter().enumerate().map(named).collect();
        let mut all = engines(&specs);
        let (mut unwatched, mut closing) = (Vec::new(), 0);
        let total = limits.iter().sum::<u32>() as usize;
        for (number, state) in uses.iter().take(total).enumerate() {
            let lease = flowing(&mut all, &format!("old-{number}"), &[]).lease;
            match state {
                0 => {}
                1 => unwatched.push(lease),
                _ => {
                    closing += 1;
                    done(&mut all, release(lease, Ending::Unwatched, Session::Perhaps));
                }
            }
        }
        let free = total - uses.len().min(total);
        // A grant would change what the next is told: those who find a free slot do not ask here.
        let line = line(free + waiting);
        let told: Vec<Told> = (free..line.len())
            .map(|place| ask(&mut all, &line[place], &line[..place], &unwatched))
            .collect();
        let mut expected = vec![Told::Closing; closing];
        expected.extend(unwatched.iter().map(|lease| Told::GivesWay(*lease)));
        expected.resize(expected.len().max(waiting), Told::Full);
        prop_assert_eq!(&told, &expected[..waiting]);
    }
}
