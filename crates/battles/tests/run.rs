//! A run against a naive model of it, and its refusals.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use interlock_battles::{
    domain::{
        overhead::Overheads,
        run::{
            Ending, LiveBattle, Mode, Outcome, Plan, Room, Run, RunCommand, RunRejection, RunReply,
            RunView, Settlement, Tally,
        },
    },
    limits,
};
use interlock_kernel::{
    ids::Worker,
    kit::{Alone, Answer},
    quota::{ClaimId, Limit, QuotaRefusal},
    time::Millis,
};
use proptest::prelude::*;

const TTL: Millis = Millis::from_secs(60);

fn plan(target: Limit, shares: Option<u32>) -> Plan {
    Plan {
        server: "ws://127.0.0.1:8000/showdown/websocket".to_owned(),
        format: "gen9randombattle".to_owned(),
        mode: Mode::Ladder,
        target,
        shares: shares.map(|shares| NonZeroU32::new(shares).unwrap()),
    }
}

fn open(plan: Plan) -> RunCommand {
    RunCommand::Open { plan, claim_ttl_ms: TTL, retention_ms: Millis::from_secs(86_400) }
}

fn opened(target: Limit, shares: Option<u32>) -> Alone<Run> {
    let mut run = Alone::new();
    let sent = run.send(open(plan(target, shares)));
    assert_eq!(run.reply(sent), RunReply::Open { created: true });
    run
}

fn worker(number: usize) -> Worker {
    Worker::new(&format!("w{number}")).unwrap()
}

fn room(number: usize) -> Room {
    Room {
        id: format!("battle-gen9randombattle-{number}"),
        account: "bot".to_owned(),
        opponent: Some("rival".to_owned()),
    }
}

fn claim(run: &mut Alone<Run>, by: usize) -> Result<ClaimId, RunRejection> {
    let sent = run.send(RunCommand::Claim { worker: worker(by), team: Some("rain".to_owned()) });
    match run.answer(sent) {
        Answer::Reply(RunReply::Claimed(grant), _) => Ok(grant.claim),
        Answer::Rejected(rejection) => Err(rejection.clone()),
        Answer::Reply(..) | Answer::Waiting => unreachable!("a claim is granted or refused"),
    }
}

fn begin(run: &mut Alone<Run>, claim: ClaimId, number: usize) -> Result<(), RunRejection> {
    let sent = run.send(RunCommand::Begin { claim, room: room(number) });
    done(run.answer(sent))
}

fn end(run: &mut Alone<Run>, claim: ClaimId, ending: Ending) -> Result<(), RunRejection> {
    let overheads = Overheads::default();
    let sent =
        run.send(RunCommand::End(Settlement { claim, ending, rating: None, overheads, by: None }));
    done(run.answer(sent))
}

fn done(answer: &Answer<Run>) -> Result<(), RunRejection> {
    match answer {
        Answer::Reply(..) => Ok(()),
        Answer::Rejected(rejection) => Err(rejection.clone()),
        Answer::Waiting => unreachable!("a run lets nobody wait"),
    }
}

fn view(run: &Alone<Run>) -> RunView {
    run.state().ledger().unwrap().view(run.now())
}

const WIN: Ending = Ending::Of(Outcome::Win);

#[test]
fn a_million_and_one_battles_are_a_limit_like_any_other() {
    let mut run = opened(Limit::Of(1_000_001), Some(3));
    assert!(claim(&mut run, 0).is_ok());
    assert_eq!(view(&run).remaining, Limit::Of(1_000_000));
    assert_eq!(view(&run).workers[&worker(0)].quota, Some(333_334));
}

#[test]
fn the_last_battle_is_claimed_once() {
    let mut run = opened(Limit::Of(1), None);
    let first = claim(&mut run, 0).unwrap();
    assert!(matches!(
        claim(&mut run, 1),
        Err(RunRejection::Refused(QuotaRefusal::AllClaimed { .. }))
    ));
    begin(&mut run, first, 1).unwrap();
    end(&mut run, first, Ending::Of(Outcome::Tie)).unwrap();
    assert_eq!(claim(&mut run, 1), Err(QuotaRefusal::Exhausted.into()));
    assert_eq!((view(&run).total.ties, view(&run).total.finished()), (1, 1));
}

#[test]
fn a_battle_ends_once_however_often_it_is_told() {
    let mut run = opened(Limit::Of(5), None);
    let won = claim(&mut run, 0).unwrap();
    begin(&mut run, won, 1).unwrap();
    for _ in 0..3 {
        end(&mut run, won, WIN).unwrap();
    }
    let late = end(&mut run, won, Ending::Of(Outcome::Loss));
    assert!(matches!(late, Err(RunRejection::Refused(QuotaRefusal::ClaimSettled { .. }))));
    assert_eq!((view(&run).total.wins, view(&run).total.losses), (1, 0));
    assert_eq!(view(&run).teams["rain"].wins, 1);
}

#[test]
fn what_a_dead_worker_had_claimed_comes_back_and_what_it_had_begun_is_in_doubt() {
    let mut run = opened(Limit::Of(2), None);
    let begun = claim(&mut run, 0).unwrap();
    begin(&mut run, begun, 1).unwrap();
    claim(&mut run, 0).unwrap();
    run.pass(TTL);
    let now = view(&run);
    assert_eq!((now.claimed, now.in_doubt, now.remaining), (0, 1, Limit::Of(1)));
    assert_eq!(now.live.len(), 1);
    // The server's log tells how it ended.
    end(&mut run, begun, WIN).unwrap();
    assert_eq!((view(&run).total.wins, view(&run).in_doubt), (1, 0));
}

#[test]
fn a_void_battle_counts_for_nothing_and_is_played_anew() {
    let mut run = opened(Limit::Of(1), None);
    let lost = claim(&mut run, 0).unwrap();
    begin(&mut run, lost, 1).unwrap();
    end(&mut run, lost, Ending::Void).unwrap();
    end(&mut run, lost, Ending::Void).unwrap();
    assert_eq!((view(&run).total.void, view(&run).total.finished()), (1, 0));
    // A restarted server names its rooms anew.
    let again = claim(&mut run, 0).unwrap();
    begin(&mut run, again, 1).unwrap();
    end(&mut run, again, WIN).unwrap();
    assert_eq!(view(&run).total.finished(), 1);
}

#[test]
fn a_room_belongs_to_one_claim_and_a_claim_to_one_room() {
    let mut run = opened(Limit::Of(2), None);
    let [one, two] = [0, 1].map(|by| claim(&mut run, by).unwrap());
    assert_eq!(end(&mut run, one, WIN), Err(RunRejection::NotBegun(one)));
    begin(&mut run, one, 1).unwrap();
    begin(&mut run, one, 1).unwrap();
    assert_eq!(
        begin(&mut run, two, 1),
        Err(RunRejection::RoomTaken { room: room(1).id, claim: one })
    );
    let elsewhere = begin(&mut run, one, 2);
    assert_eq!(elsewhere, Err(RunRejection::OtherRoom { claim: one, room: room(1).id }));
    let sent = run.send(RunCommand::GiveBack { claim: one });
    assert_eq!(run.rejection(sent), RunRejection::Begun(one));
    let sent = run.send(RunCommand::GiveBack { claim: two });
    assert_eq!(run.reply(sent), RunReply::Done);
}

#[test]
fn a_battle_that_several_watch_counts_once_however_late_one_of_them_comes() {
    let mut run = Alone::new();
    let mode = Mode::Watch(["ann".to_owned(), "bob".to_owned()]);
    run.send(open(Plan { mode, ..plan(Limit::Unlimited, None) }));
    let [one, two] = [0, 1].map(|by| claim(&mut run, by).unwrap());
    begin(&mut run, one, 1).unwrap();
    end(&mut run, one, WIN).unwrap();
    let taken = RunRejection::RoomTaken { room: room(1).id, claim: one };
    assert_eq!(begin(&mut run, two, 1), Err(taken));
    begin(&mut run, two, 2).unwrap();
    end(&mut run, two, WIN).unwrap();
    assert_eq!(view(&run).total.wins, 2);
}

#[test]
fn frequent_opponents_are_shown_apart_and_all_others_together() {
    let mut run = opened(Limit::Unlimited, None);
    let mut play = |opponent: String| {
        let claim = claim(&mut run, 0).unwrap();
        let room = Room { id: format!("battle-{claim}"), opponent: Some(opponent), ..room(0) };
        run.send(RunCommand::Begin { claim, room });
        end(&mut run, claim, WIN).unwrap();
    };
    for number in 0..limits::OPPONENTS + 5 {
        play(format!("rival{number}"));
    }
    play("rival7".to_owned());
    play("rival7".to_owned());
    let view = view(&run);
    assert_eq!(view.opponents.len(), limits::OPPONENTS_SHOWN);
    assert_eq!(view.opponents["rival7"].wins, 3);
    let shown: u64 = view.opponents.values().map(Tally::finished).sum();
    assert_eq!(shown + view.other_opponents.finished(), view.total.finished());
}

#[test]
fn a_run_goes_on_as_what_it_was_opened_as() {
    let mut run = opened(Limit::Of(2), None);
    let sent = run.send(open(plan(Limit::Of(5), None)));
    assert_eq!(run.reply(sent), RunReply::Open { created: false });
    assert_eq!(view(&run).plan.target, Limit::Of(5));
    let other = Plan { format: "gen9ou".to_owned(), ..plan(Limit::Of(5), None) };
    let sent = run.send(open(other));
    let refused = run.rejection(sent).to_string();
    assert!(refused.contains("format gen9randombattle, not gen9ou"), "{refused}");
    let nameless = Plan { format: String::new(), ..plan(Limit::Of(5), None) };
    let sent = Alone::<Run>::new().send(open(nameless.clone()));
    let mut fresh = Alone::<Run>::new();
    assert_eq!(fresh.send(open(nameless)), sent);
    assert_eq!(fresh.rejection(sent), RunRejection::BadText("format"));
}

#[test]
fn a_run_that_watches_goes_on_for_the_same_two() {
    let watch = |one: &str, two: &str| {
        let mode = Mode::Watch([one.to_owned(), two.to_owned()]);
        open(Plan { mode, ..plan(Limit::Of(2), None) })
    };
    let mut run = Alone::<Run>::new();
    let nobody = run.send(watch("ann", ""));
    assert_eq!(run.rejection(nobody), RunRejection::BadText("name"));
    run.send(watch("ann", "bob"));
    let same = run.send(watch("ann", "bob"));
    assert_eq!(run.reply(same), RunReply::Open { created: false });
    let other = run.send(watch("ann", "eve"));
    let refused = run.rejection(other).to_string();
    assert!(refused.contains("mode watch ann bob, not watch ann eve"), "{refused}");
    run.check_replay();
}

#[test]
fn only_single_battles_of_generation_9_are_played() {
    let refusal = |format: &str| {
        let mut run = Alone::<Run>::new();
        let sent = run.send(open(Plan { format: format.to_owned(), ..plan(Limit::Of(5), None) }));
        let answer = run.answer(sent);
        done(answer).err()
    };
    for format in ["gen9ou", "[Gen 9] Random Battle", "gen91v1", "gen9monotype@@@Dynamax Clause"] {
        assert_eq!(refusal(format), None, "{format}");
    }
    for format in ["gen8ou", "ou", "gen9vgc2025regg", "gen9randomdoublesbattle", "gen92v2doubles"] {
        assert_eq!(refusal(format), Some(RunRejection::BadFormat(format.to_owned())));
    }
}

/// What a test does to a run.
#[derive(Debug, Clone)]
enum Act {
    Claim(usize),
    Begin(usize, usize),
    Renew(usize),
    End(usize, Ending),
    GiveBack(usize),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let ending = prop_oneof![
        Just(WIN),
        Just(Ending::Of(Outcome::Loss)),
        Just(Ending::Of(Outcome::Tie)),
        Just(Ending::Of(Outcome::Forfeit)),
        Just(Ending::Void),
    ];
    prop_oneof![
        4 => (0..4_usize).prop_map(Act::Claim),
        4 => (0..12_usize, 0..6_usize).prop_map(|(claim, room)| Act::Begin(claim, room)),
        1 => (0..12_usize).prop_map(Act::Renew),
        4 => (0..12_usize, ending).prop_map(|(claim, ending)| Act::End(claim, ending)),
        1 => (0..12_usize).prop_map(Act::GiveBack),
        1 => (1..40_u64).prop_map(Act::Pass),
    ]
}

/// The same by pencil: what became of each claim.
#[derive(Debug, Default)]
struct Pencil {
    over: BTreeMap<ClaimId, Ending>,
    given_back: BTreeSet<ClaimId>,
}

fn sums_up(run: &Alone<Run>, target: u64, pencil: &Pencil) {
    let now = view(run);
    let count =
        |which: Ending| pencil.over.values().filter(|ending| **ending == which).count() as u64;
    assert_eq!(now.total.wins, count(WIN));
    assert_eq!(now.total.losses, count(Ending::Of(Outcome::Loss)));
    assert_eq!(now.total.ties, count(Ending::Of(Outcome::Tie)));
    assert_eq!(now.total.forfeits, count(Ending::Of(Outcome::Forfeit)));
    assert_eq!(now.total.void, count(Ending::Void));
    let Limit::Of(remaining) = now.remaining else { panic!("it has a limit") };
    let live = now.claimed + now.in_doubt;
    assert_eq!(now.total.finished() + live + remaining, target);
    assert_eq!(now.live.len() as u64, live, "every live claim is a live battle");
    let by_worker: u64 = now.workers.values().map(|worker| worker.tally.finished()).sum();
    assert_eq!(by_worker, now.total.finished());
    for worker in now.workers.values() {
        let used = worker.tally.finished() + worker.claimed;
        assert!(worker.quota.is_none_or(|quota| used <= quota), "a share is overrun");
    }
    let mut rooms: Vec<_> =
        now.live.iter().filter_map(|LiveBattle { room, .. }| room.as_ref()).collect();
    rooms.sort_by(|one, two| one.id.cmp(&two.id));
    assert!(rooms.windows(2).all(|pair| pair[0].id != pair[1].id), "a room belongs to one claim");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_the_counts_are_right(
        target in 1..12_u64,
        shares in proptest::option::of(1..4_u32),
        acts in proptest::collection::vec(act(), 0..80),
    ) {
        let mut run = opened(Limit::Of(target), shares);
        let (mut claims, mut pencil) = (Vec::new(), Pencil::default());
        for act in acts {
            let of = |claims: &[ClaimId], at: usize| claims.get(at).copied();
            match act {
                Act::Claim(by) => claims.extend(claim(&mut run, by)),
                Act::Begin(at, number) => {
                    if let Some(claim) = of(&claims, at) {
                        let _ = begin(&mut run, claim, number);
                    }
                }
                Act::Renew(at) => {
                    if let Some(claim) = of(&claims, at) {
                        run.send(RunCommand::Renew { claim });
                    }
                }
                Act::End(at, ending) => {
                    if let Some(claim) = of(&claims, at)
                        && end(&mut run, claim, ending).is_ok()
                        // Void once more, though it never began: no harm, and no battle.
                        && !pencil.given_back.contains(&claim)
                    {
                        let before = pencil.over.insert(claim, ending);
                        prop_assert!(before.is_none_or(|before| before == ending));
                    }
                }
                Act::GiveBack(at) => {
                    if let Some(claim) = of(&claims, at) {
                        let sent = run.send(RunCommand::GiveBack { claim });
                        if done(run.answer(sent)).is_ok() && !pencil.over.contains_key(&claim) {
                            pencil.given_back.insert(claim);
                        }
                    }
                }
                Act::Pass(seconds) => {
                    run.pass(Millis::from_secs(seconds));
                }
            }
            sums_up(&run, target, &pencil);
            run.state().check();
        }
        run.check_replay();
    }
}
