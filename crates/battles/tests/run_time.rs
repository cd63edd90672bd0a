//! How long a run was played, and what its decisions cost.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use interlock_battles::domain::{
    overhead::Overheads,
    run::{Ending, Mode, Outcome, Plan, Room, Run, RunCommand, RunReply, RunView, Settlement},
};
use interlock_kernel::{
    ids::Worker,
    kit::Alone,
    quota::{ClaimId, Limit},
    time::Millis,
};

const SECOND: Millis = Millis::from_secs(1);

fn opened() -> Alone<Run> {
    let mut run = Alone::new();
    let plan = Plan {
        server: "local".to_owned(),
        format: "gen9randombattle".to_owned(),
        mode: Mode::Ladder,
        target: Limit::Unlimited,
        shares: None,
    };
    let (claim_ttl_ms, retention_ms) = (Millis::from_secs(60), Millis::from_secs(86_400));
    run.send(RunCommand::Open { plan, claim_ttl_ms, retention_ms });
    run
}

fn view(run: &Alone<Run>) -> RunView {
    run.state().ledger().unwrap().view(run.now())
}

fn claim(run: &mut Alone<Run>) -> ClaimId {
    let worker = Worker::new("w0").unwrap();
    let sent = run.send(RunCommand::Claim { worker, team: None });
    let RunReply::Claimed(grant) = run.reply(sent) else { panic!("it is granted") };
    let id = format!("battle-gen9randombattle-{}", grant.claim.number());
    let room = Room { id, account: "bot".to_owned(), opponent: None };
    run.send(RunCommand::Begin { claim: grant.claim, room });
    grant.claim
}

fn end(run: &mut Alone<Run>, claim: ClaimId, costs: &[u64]) {
    let mut overheads = Overheads::default();
    costs.iter().for_each(|cost| overheads.add(Duration::from_micros(*cost), 1));
    let ending = Ending::Of(Outcome::Win);
    run.send(RunCommand::End(Settlement { claim, ending, rating: None, overheads, by: None }));
}

#[test]
fn the_time_counts_in_which_battles_are_claimed() {
    let mut run = opened();
    run.pass(Millis::from_secs(100));
    assert_eq!(view(&run).played_ms, Millis(0));
    let [one, two] = [claim(&mut run), claim(&mut run)];
    run.pass(Millis::from_secs(10));
    end(&mut run, one, &[]);
    run.pass(Millis::from_secs(10));
    end(&mut run, two, &[]);
    run.pass(Millis::from_secs(1000));
    assert_eq!(view(&run).played_ms, Millis::from_secs(20), "at once is not one after the other");
    let three = claim(&mut run);
    run.pass(SECOND);
    end(&mut run, three, &[]);
    assert_eq!(view(&run).played_ms, Millis::from_secs(21));
    run.check_replay();
}

#[test]
fn a_player_that_vanished_played_until_its_last_sign_of_life() {
    let mut run = opened();
    let battle = claim(&mut run);
    run.pass(Millis::from_secs(20));
    run.send(RunCommand::Renew { claim: battle });
    run.pass(Millis::from_secs(5000));
    assert_eq!(view(&run).in_doubt, 1);
    assert_eq!(view(&run).played_ms, Millis::from_secs(20));
    // The next life settles it, and goes on.
    end(&mut run, battle, &[]);
    let battle = claim(&mut run);
    run.pass(Millis::from_secs(3));
    end(&mut run, battle, &[]);
    assert_eq!(view(&run).played_ms, Millis::from_secs(23));
    run.check_replay();
}

#[test]
fn what_decisions_cost_counts_once_for_each_battle() {
    let mut run = opened();
    let [one, two] = [claim(&mut run), claim(&mut run)];
    end(&mut run, one, &[100, 100, 100]);
    end(&mut run, one, &[100, 100, 100]);
    assert_eq!(view(&run).decisions, 3);
    end(&mut run, two, &[10_000]);
    let RunView { decisions, decision_overhead_us: costs, .. } = view(&run);
    assert_eq!(decisions, 4);
    assert!(costs.p50.abs_diff(100) <= 3 && costs.p99.abs_diff(10_000) <= 320, "{costs:?}");
    run.check_replay();
}
