//! Machines that never come back, and one that comes back late: the others of the run end it, and count right.

use std::{path::Path, time::Duration};

use interlock_battles::{
    domain::{
        overhead::Overheads,
        run::{Ending, Mode, Plan, RunView, Settlement, Tally},
    },
    fake::Faults,
    fleet::{
        Fleet, Report,
        counter::Counter,
        logs::{LogName, Logs},
    },
    limits,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::ClaimId,
};
use interlock_runtime::{
    Runtime,
    feed::{Feed, Filter, From},
};
use tempfile::TempDir;

use crate::support::{Ground, settings};

const RUN: &str = "test";

/// How long a claim lasts, and a moment.
fn ttl() -> Duration {
    limits::CLAIM_TTL.as_duration() + Duration::from_secs(1)
}

/// A run, its home, and a machine that has died while it played for it on the account "one".
struct Scene {
    ground: Ground,
    runtime: Runtime,
    counter: Counter,
    dead: TempDir,
}

impl Scene {
    /// So many battles of which some are in play when it dies.
    async fn new(faults: Faults, seed: u64, target: u64) -> Self {
        let mut ground = Ground::new(faults, seed).await;
        let runtime = ground.runtime().await;
        let counter = Counter::new(&runtime, Key::new(RUN).unwrap());
        let plan = Plan { shares: None, ..ground.plan(target, 1, Mode::Ladder) };
        counter.open(plan, limits::CLAIM_TTL, interlock_battles::RETENTION).await.unwrap();
        let dead = tempfile::tempdir().unwrap();
        let scene = Self { ground, runtime, counter, dead };
        let fleet = scene.machine("w", "one", scene.dead.path()).await;
        let mut news = fleet.tracker().news();
        while scene.view().await.live.iter().filter(|battle| battle.room.is_some()).count() < 3 {
            news.changed().await.unwrap();
        }
        drop(fleet);
        scene.ground.server.drop_all();
        scene.ground.pass(ttl());
        let view = scene.view().await;
        assert!(view.in_doubt > 0, "something was in play: {view:?}");
        scene
    }

    /// The workers of a machine with an account and a folder of its own.
    async fn machine(&self, prefix: &str, account: &str, folder: &Path) -> Fleet {
        let settings = settings(prefix, 3, &[account], folder);
        Fleet::start(self.counter.clone(), settings).await.unwrap()
    }

    async fn view(&self) -> RunView {
        self.counter.view().await.unwrap()
    }

    async fn feed(&self) -> Feed {
        let filter = Filter { entity: "run".to_owned(), key: Key::new(RUN).unwrap() };
        self.runtime.feed(From::Start, Some(filter)).await.unwrap()
    }

    /// What the dead machine would say of the run.
    async fn told_there(&self) -> Report {
        let logs = Logs::new(self.dead.path().to_owned());
        Report::of(RUN, &self.view().await, &logs).unwrap()
    }
}

/// Counted is what the server says of these accounts, and what the logs say on either machine.
#[track_caller]
fn is_exact(scene: &Scene, reports: [&Report; 2], target: u64, accounts: &[&str]) {
    let truth = scene.ground.truth_of(accounts);
    for report in reports {
        assert_eq!((report.finished, report.claimed), (target, 0));
        assert_eq!((report.drift, report.late), (0, 0), "{report:?}");
        assert_eq!(Tally { void: 0, ..report.total }, truth, "the server knows better");
    }
    let elsewhere: u64 = reports.iter().map(|report| report.elsewhere).sum();
    assert_eq!(elsewhere, target, "each battle is judged on one machine");
}

#[tokio::test]
async fn what_a_machine_that_never_comes_back_had_begun_is_seen_to_its_end_by_another() {
    let scene = Scene::new(Faults::default(), 41, 12).await;
    let here = tempfile::tempdir().unwrap();
    let mut feed = scene.feed().await;
    let others = tokio::spawn(scene.machine("b", "two", here.path()).await.ended());
    // Somebody looks on.
    while !feed.next().await.unwrap().unwrap().iter().any(|event| event.name == "renewed") {}
    scene.ground.server.run_timers_out();
    let report = others.await.unwrap().unwrap();
    assert!(scene.ground.truth("one").losses > 0, "whoever is away loses");
    assert!(report.total.void == 0 && !scene.view().await.taken_up.is_empty());
    is_exact(&scene, [&report, &scene.told_there().await], 12, &["one", "two"]);
}

#[tokio::test]
async fn the_same_account_plays_on_under_other_names_of_workers() {
    let scene = Scene::new(Faults::default(), 42, 12).await;
    let here = tempfile::tempdir().unwrap();
    let report = scene.machine("b", "one", here.path()).await.ended().await.unwrap();
    assert!(report.total.void == 0 && !scene.view().await.taken_up.is_empty());
    is_exact(&scene, [&report, &scene.told_there().await], 12, &["one"]);
}

#[tokio::test]
async fn what_nobody_can_know_is_void_when_whoever_may_has_had_the_time_to_say_so() {
    let scene = Scene::new(Faults { idle: true, ..Faults::default() }, 43, 3).await;
    let in_doubt = scene.view().await.live;
    scene.ground.server.restart();
    let here = tempfile::tempdir().unwrap();
    let others = scene.machine("b", "two", here.path()).await;
    let (brake, tracker) = (others.brake(), others.tracker());
    let (mut news, others) = (tracker.news(), tokio::spawn(others.ended()));
    // All are asked for, and left.
    while scene.ground.server.missed() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.view().await.total.void, 0, "who knows it may come back");
    scene.ground.pass(limits::DOUBT);
    // What was void is played anew.
    while tracker.battles().len() < 3 {
        news.changed().await.unwrap();
    }
    brake.forfeit();
    let report = others.await.unwrap().unwrap();
    assert_eq!((report.total.void, report.total.forfeits), (3, 3));
    is_exact(&scene, [&report, &scene.told_there().await], 3, &["one", "two"]);

    // The dead machine had kept the log of one, and died before it was counted.
    let lost = &in_doubt[0];
    let room = &lost.room.as_ref().unwrap().id;
    let name = LogName { worker: &lost.worker, account: "one", claim: lost.claim, room };
    let logs = Logs::new(scene.dead.path().to_owned());
    logs.keep(&name, "|player|p1|one|\n|win|one\n").unwrap();
    let back = scene.machine("w", "one", scene.dead.path()).await.ended().await.unwrap();
    assert_eq!((back.finished, back.drift, back.late), (3, 0, 1), "late, and no drift");
}

#[tokio::test]
async fn a_log_that_is_kept_here_settles_a_doubt_at_once() {
    let scene = Scene::new(Faults::default(), 44, 12).await;
    let in_doubt = scene.view().await.live;
    scene.ground.server.restart();
    let logs = Logs::new(scene.dead.path().to_owned());
    for battle in &in_doubt {
        let room = &battle.room.as_ref().unwrap().id;
        let name = LogName { worker: &battle.worker, account: "one", claim: battle.claim, room };
        logs.keep(&name, "|player|p1|one|\n|win|one\n").unwrap();
    }
    let before = scene.view().await.total.wins;
    // On the same machine, another account and other workers.
    let report = scene.machine("b", "two", scene.dead.path()).await.ended().await.unwrap();
    assert_eq!((report.finished, report.drift, report.elsewhere), (12, 0, 0));
    let two = scene.ground.truth("two").wins;
    assert_eq!(report.total.wins, before + in_doubt.len() as u64 + two);
    assert_eq!(report.total.void, 0);
}

#[tokio::test]
async fn a_battle_that_others_settled_meanwhile_counts_as_they_said_and_stops_no_fleet() {
    let faults = Faults { idle: true, ..Faults::default() };
    let scene = Scene::new(faults, 45, 3).await;
    let fleet = scene.machine("w", "one", scene.dead.path()).await;
    let mut news = fleet.tracker().news();
    while fleet.tracker().battles().len() < 3 {
        news.changed().await.unwrap();
    }
    let voided: Vec<ClaimId> = fleet.tracker().battles().into_keys().take(1).collect();
    for claim in &voided {
        let (ending, overheads) = (Ending::Void, Overheads::default());
        let by = Some(Worker::new("b0").unwrap());
        let settlement = Settlement { claim: *claim, ending, rating: None, overheads, by };
        scene.counter.end(settlement).await.unwrap();
    }
    fleet.brake().forfeit();
    let report = fleet.ended().await.unwrap();
    assert_eq!((report.total.forfeits, report.total.void), (2, 1));
    assert_eq!((report.drift, report.late), (0, 1));
}

#[tokio::test]
async fn whoever_drains_takes_nothing_up() {
    let scene = Scene::new(Faults { idle: true, ..Faults::default() }, 46, 3).await;
    let here = tempfile::tempdir().unwrap();
    let mut feed = scene.feed().await;
    let others = scene.machine("b", "two", here.path()).await;
    let brake = others.brake();
    let others = tokio::spawn(others.ended());
    while !feed.next().await.unwrap().unwrap().iter().any(|event| event.name == "renewed") {}
    // What it only looks at, it leaves.
    brake.drain();
    let report = others.await.unwrap().unwrap();
    assert_eq!((report.finished, report.claimed), (0, 3));
    scene.ground.pass(ttl());
    assert_eq!(scene.view().await.in_doubt, 3);
}
