//! Battles that are found by tournaments: counted like all others, and nobody is kept waiting.

use interlock_battles::{
    domain::{
        run::{Mode, Outcome, Plan},
        tournament::News,
    },
    fake::Faults,
    fleet::{
        Fleet,
        session::{Match, Session, SessionSettings, Stage},
    },
    io::{Account, Client, Event, Events, play},
    limits,
};
use interlock_kernel::quota::Limit;
use tokio::{sync::watch, time::timeout};

use crate::support::{Ground, is_exact, settings};

const FORMAT: &str = "gen9randombattle";

fn mode(room: &str) -> Mode {
    Mode::Tournament(room.to_owned())
}

#[tokio::test]
async fn tournaments_are_played_one_after_the_other_until_the_count_is_reached() {
    for room in ["lobby", "tours"] {
        let mut ground = Ground::new(Faults::default(), 30).await;
        ground.server.hold_tournaments(room, FORMAT, 4, 3);
        let plan = ground.plan(12, 1, mode(room));
        let report = ground.play(&plan, &["bot"]).await;
        is_exact(&report, 12, ground.truth("bot"));
        assert!(report.total.wins > 0 && report.total.losses > 1, "{report:?}");
    }
}

#[tokio::test]
async fn lost_connections_in_tournaments_change_no_count() {
    let faults =
        Faults { drop: Some(60), double: Some(10), name_taken: Some(4), ..Faults::default() };
    let mut ground = Ground::new(faults, 31).await;
    ground.server.hold_tournaments("lobby", FORMAT, 4, 3);
    let plan = ground.plan(20, 2, mode("lobby"));
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 20, ground.truth("bot"));
}

/// Those who meet in a tournament and are of one run have one battle, not two.
#[tokio::test]
async fn accounts_of_one_run_that_meet_count_their_battle_once() {
    let mut ground = Ground::new(Faults::default(), 32).await;
    ground.server.hold_tournaments("lobby", FORMAT, 4, 0);
    let plan = Plan { target: Limit::Unlimited, ..ground.plan(0, 4, mode("lobby")) };
    let runtime = ground.runtime().await;
    let fleet = ground.fleet(&runtime, &plan, &["a", "b", "c", "d"]).await;
    let (brake, mut news) = (fleet.brake(), fleet.tracker().news());
    for _ in 0..100 {
        news.changed().await.unwrap();
    }
    brake.drain();
    let report = fleet.ended().await.unwrap();
    let ended = ground.server.played().into_iter().filter(|it| it.outcomes.is_some()).count();
    assert_eq!(report.finished, ended as u64);
    assert_eq!((report.claimed, report.drift), (0, 0));
}

#[tokio::test]
async fn a_process_that_dies_in_a_tournament_comes_back_to_it() {
    let mut ground = Ground::new(Faults::default(), 33).await;
    ground.server.hold_tournaments("lobby", FORMAT, 8, 7);
    let plan = ground.plan(12, 1, mode("lobby"));
    for life in 1..=4 {
        ground.play_some(&plan, &["bot"], life * 3).await;
        ground.server.drop_all();
    }
    ground.server.restart();
    let report = ground.play(&plan, &["bot"]).await;
    let truth = ground.truth("bot");
    assert!(truth.finished() - 12 <= report.total.void, "{truth:?} {report:?}");
    assert_eq!((report.finished, report.claimed, report.drift), (12, 0, 0));
}

#[tokio::test]
async fn who_has_no_battle_left_to_play_keeps_no_tournament_waiting() {
    let ground = Ground::new(Faults::default(), 35).await;
    ground.server.hold_tournaments("lobby", FORMAT, 4, 3);
    let (stage, staged) = watch::channel(Stage::Playing);
    let as_bot = SessionSettings {
        url: ground.server.url(),
        account: Account::unregistered("bot"),
        format: FORMAT.to_owned(),
        matching: Match::Tournament("lobby".to_owned()),
    };
    let session = Session::start(as_bot, Vec::new(), staged).await.unwrap();
    let playing = settings("w", 1, &[], ground.folder.path()).playing;
    // Two are left of four, and the bot is one of them.
    loop {
        let room = session.find(None).await.unwrap();
        let name = room.id().to_owned();
        let finished = play(room, &playing, |_| {}).await.unwrap();
        session.done(&name).await;
        if finished.end.outcome("bot") == Outcome::Win {
            break;
        }
    }
    let watcher = Account::unregistered("watcher");
    let (client, mut events) = Client::connect(&ground.server.url(), &watcher).await.unwrap();
    client.join("lobby").await.unwrap();
    let told = async |events: &mut Events| {
        let event = events.recv().await.expect("it stays");
        if let Event::Tournament { news, .. } = event { Some(news) } else { None }
    };
    while told(&mut events).await != Some(News::UpdateEnd) {}
    // From now on, time is what somebody waits for.
    tokio::time::pause();
    let over = async { while told(&mut events).await != Some(News::Over) {} };
    timeout(limits::TOURNAMENT_WAITS * 2, over).await.expect("the bot leaves");
    drop(stage);
}

#[tokio::test]
async fn a_room_that_is_not_there_is_said_so_and_nothing_stays_claimed() {
    let mut ground = Ground::new(Faults::default(), 34).await;
    ground.server.hold_tournaments("lobby", FORMAT, 2, 1);
    let plan = ground.plan(2, 2, mode("nowhere"));
    let runtime = ground.runtime().await;
    let fleet: Fleet = ground.fleet(&runtime, &plan, &["bot"]).await;
    let error = fleet.ended().await.unwrap_err().to_string();
    assert!(error.starts_with("the room nowhere is not there"), "{error}");
    let report = ground.view(&runtime).await;
    assert_eq!((report.claimed, report.total.finished()), (0, 0));
}
