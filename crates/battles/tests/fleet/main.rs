//! A fleet on the stand-in server: counts are exact, whatever goes wrong. The judge is the server's own record.
#![allow(missing_docs, clippy::unwrap_used)]

mod doubts;
mod joined;
mod support;
mod tournaments;
mod watching;

use std::{collections::BTreeMap, path::Path};

use interlock_battles::{
    domain::{
        chance::Chance,
        run::{Mode, Plan, Tally},
    },
    fake::Faults,
    fleet::{
        Brake, Fleet, FleetSettings,
        counter::Counter,
        logs::{Logs, SaveReplay},
    },
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::Limit,
    time::Millis,
};
use interlock_runtime::feed::{Filter, From};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use self::support::{Ground, is_exact, settings};

#[tokio::test]
async fn a_run_is_played_exactly_and_split_exactly() {
    let mut ground = Ground::new(Faults::default(), 1).await;
    let plan = ground.plan(14, 4, Mode::Ladder);
    let report = ground.play(&plan, &["Bot 1"]).await;
    is_exact(&report, 14, ground.truth("bot1"));
    let shares: Vec<u64> = report.workers.values().map(|worker| worker.finished).collect();
    assert_eq!(shares, [4, 4, 3, 3]);
    assert_eq!(report.total.void, 0);
}

#[tokio::test]
async fn a_share_that_a_late_request_has_claimed_comes_back_and_is_played() {
    let mut ground = Ground::new(Faults::default(), 12).await;
    let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = ground.server.url();
    let rest = server.strip_prefix("ws://").unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    let behind = format!("ws://{}/{path}", gate.local_addr().unwrap());
    let plan = Plan { server: behind, ..ground.plan(1, 1, Mode::Ladder) };
    let runtime = ground.runtime().await;
    let counter = Counter::new(&runtime, Key::new("test").unwrap());
    counter.open(plan, Millis::from_secs(1), Millis::from_secs(86_400)).await.unwrap();
    let late = async {
        // Whoever connects has given back what was claimed before.
        let (mut fleet, _) = gate.accept().await.unwrap();
        counter.claim(Worker::new("w0").unwrap(), None).await.unwrap();
        let mut server = TcpStream::connect(address).await.unwrap();
        // The battles are over, or the test is.
        let _ = copy_bidirectional(&mut fleet, &mut server).await;
        std::future::pending::<()>().await;
    };
    let settings = settings("w", 1, &["Bot 1"], ground.folder.path());
    let playing = async { Fleet::start(counter.clone(), settings).await.unwrap().ended().await };
    tokio::select! {
        report = playing => is_exact(&report.unwrap(), 1, ground.truth("bot1")),
        () = late => unreachable!("it waits for ever"),
    }
}

#[tokio::test]
async fn workers_share_several_accounts() {
    let mut ground = Ground::new(Faults::default(), 2).await;
    let plan = ground.plan(9, 3, Mode::Ladder);
    let report = ground.play(&plan, &["a", "b", "c"]).await;
    for account in ["a", "b", "c"] {
        assert_eq!(ground.truth(account).finished(), 3);
    }
    is_exact(&report, 9, ground.truth_of(&["a", "b", "c"]));
}

#[tokio::test]
async fn a_bot_plays_against_itself_and_counts_one_side() {
    let mut ground = Ground::new(Faults::default(), 3).await;
    let plan = ground.plan(4, 2, Mode::SelfPlay);
    let report = ground.play(&plan, &["one", "two"]).await;
    is_exact(&report, 4, ground.truth("one"));
    assert_eq!(ground.truth("two").finished(), 4);
}

#[tokio::test]
async fn pairs_of_accounts_take_turns_in_challenging() {
    let mut ground = Ground::new(Faults::default(), 11).await;
    let plan = ground.plan(8, 2, Mode::SelfPlay);
    let report = ground.play(&plan, &["one", "two", "three", "four"]).await;
    let played = ground.server.played();
    let firsts = |name: &str| played.iter().filter(|played| played.players[0] == name).count();
    assert_eq!([firsts("one"), firsts("four")], [4, 4], "challengers come first");
    let [one, three] = [ground.truth("one"), ground.truth("three")];
    let both = Tally {
        wins: one.wins + three.wins,
        losses: one.losses + three.losses,
        ties: one.ties + three.ties,
        ..Tally::default()
    };
    is_exact(&report, 8, both);
}

#[tokio::test]
async fn challenges_are_made_one_after_the_other() {
    let mut ground = Ground::new(Faults::default(), 4).await;
    let plan = ground.plan(5, 2, Mode::Challenge("Rival X".to_owned()));
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 5, ground.truth("bot"));
}

/// Beats of the search that go on in play, or of two workers, would come sooner.
#[tokio::test]
async fn a_claim_is_kept_alive_by_one_beat_a_third_of_its_time_apart() {
    let mut ground = Ground::new(Faults { idle: true, ..Faults::default() }, 14).await;
    let runtime = ground.runtime().await;
    let run = Key::new("test").unwrap();
    let counter = Counter::new(&runtime, run.clone());
    let (ttl, plan) = (Millis(600), ground.plan(1, 1, Mode::Ladder));
    counter.open(plan, ttl, Millis::from_secs(86_400)).await.unwrap();
    let settings = support::settings("w", 1, &["bot"], ground.folder.path());
    let fleet = Fleet::start(counter, settings).await.unwrap();
    let filter = Filter { entity: "run".to_owned(), key: run };
    let mut feed = runtime.feed(From::Start, Some(filter)).await.unwrap();
    let mut beats = Vec::new();
    while beats.len() < 8 {
        let news = feed.next().await.unwrap().expect("the fleet plays");
        beats
            .extend(news.into_iter().filter(|event| event.name == "renewed").map(|event| event.at));
    }
    for pair in beats.windows(2) {
        assert!(pair[1].since(pair[0]) >= Millis(ttl.0 / 3 - 1), "{beats:?}");
    }
    fleet.brake().forfeit();
    assert_eq!(fleet.ended().await.unwrap().total.forfeits, 1);
}

#[tokio::test]
async fn a_replay_that_cannot_be_saved_keeps_no_battle_from_counting() {
    let mut ground = Ground::new(Faults::default(), 13).await;
    std::fs::write(ground.folder.path().join("replays"), "in the way").unwrap();
    let plan = ground.plan(3, 1, Mode::Ladder);
    let runtime = ground.runtime().await;
    let counter = Counter::new(&runtime, Key::new("test").unwrap());
    let settings = FleetSettings {
        save: SaveReplay::Always,
        ..support::settings("w", 1, &["bot"], ground.folder.path())
    };
    let fleet = Fleet::open(counter, plan, settings, Brake::default()).await.unwrap();
    is_exact(&fleet.ended().await.unwrap(), 3, ground.truth("bot"));
}

#[tokio::test]
async fn a_fleet_that_drains_finishes_what_is_in_play() {
    let mut ground = Ground::new(Faults::default(), 5).await;
    let plan = Plan { target: Limit::Unlimited, ..ground.plan(0, 3, Mode::Ladder) };
    let runtime = ground.runtime().await;
    let fleet = ground.fleet(&runtime, &plan, &["bot"]).await;
    let (brake, mut news) = (fleet.brake(), fleet.tracker().news());
    news.changed().await.unwrap();
    brake.drain();
    let report = fleet.ended().await.unwrap();
    assert!(report.finished > 0);
    is_exact(&report, report.finished, ground.truth("bot"));
    assert_eq!(report.total.forfeits, 0);
}

#[tokio::test]
async fn a_fleet_that_gives_up_forfeits_and_counts_it() {
    let mut ground = Ground::new(Faults::default(), 6).await;
    let plan = Plan { target: Limit::Unlimited, ..ground.plan(0, 3, Mode::Ladder) };
    let runtime = ground.runtime().await;
    let fleet = ground.fleet(&runtime, &plan, &["bot"]).await;
    let (brake, mut news): (Brake, _) = (fleet.brake(), fleet.tracker().news());
    news.changed().await.unwrap();
    brake.forfeit();
    let report = fleet.ended().await.unwrap();
    is_exact(&report, report.finished, ground.truth("bot"));
}

#[tokio::test]
async fn lost_connections_doubled_frames_stale_requests_and_lost_choices_change_no_count() {
    let faults = Faults {
        drop: Some(60),
        double: Some(10),
        stale: Some(10),
        lose: Some(10),
        name_taken: Some(4),
        throttle: Some(10),
        ..Faults::default()
    };
    let mut ground = Ground::new(faults, 7).await;
    let plan = ground.plan(20, 4, Mode::Ladder);
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 20, ground.truth("bot"));
}

/// Whoever is refused because so many are played waits for one of them to end, and not for a pause that grows.
#[tokio::test]
async fn a_limit_of_games_at_once_costs_no_battle() {
    let faults = Faults { games: Some(2), ..Faults::default() };
    let mut ground = Ground::new(faults, 12).await;
    let plan = ground.plan(24, 6, Mode::Ladder);
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 24, ground.truth("bot"));
}

/// Plays on in a new process, on what is durable, after the old one was cut off at some moment.
#[tokio::test]
async fn a_process_that_dies_loses_and_doubles_nothing() {
    let mut ground = Ground::new(Faults::default(), 8).await;
    let plan = ground.plan(24, 4, Mode::Ladder);
    for life in 1..=6_u32 {
        let runtime = ground.runtime().await;
        let fleet = ground.fleet(&runtime, &plan, &["bot"]).await;
        let mut news = fleet.tracker().news();
        for _ in 0..life * 3 {
            news.changed().await.unwrap();
        }
        // Everything of this life is gone at once.
        drop((fleet, runtime));
        ground.server.drop_all();
    }
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 24, ground.truth("bot"));
}

/// Everything at once: each life ends after a random number of news, its connections after that, while the server
/// loses, doubles and refuses things; at times it restarts as well.
#[test]
fn whatever_goes_wrong_at_once_every_battle_is_counted_once() {
    let outside = tokio::runtime::Builder::new_multi_thread();
    let outside = { outside }.worker_threads(1).enable_all().build().unwrap();
    for seed in 0..9_u64 {
        let faults = Faults {
            drop: Some(300),
            double: Some(10),
            stale: Some(10),
            name_taken: Some(8),
            throttle: Some(100),
            ..Faults::default()
        };
        let mut ground = outside.block_on(Ground::new(faults, seed));
        let mut chance = Chance::new(seed);
        let plan = ground.plan(100, 8, Mode::Ladder);
        for _ in 0..5 {
            let life = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            life.block_on(ground.play_some(&plan, &["one", "two"], chance.below(150)));
            // Everything of this life is gone at once.
            drop(life);
            let restarts = seed % 3 == 2 && chance.below(3) == 0;
            if restarts { ground.server.restart() } else { ground.server.drop_all() }
        }
        let report = outside.block_on(ground.play(&plan, &["one", "two"]));
        let mut truth = ground.truth_of(&["one", "two"]);
        // What ended on a server that then forgot it, while nobody was there to write it down, is void.
        let forgotten = truth.finished() - 100;
        assert!(forgotten <= report.total.void, "{truth:?} {report:?}");
        if forgotten > 0 {
            assert_eq!(seed % 3, 2, "a server that remembers is believed");
            truth = Tally { void: 0, ..report.total };
        }
        is_exact(&report, 100, truth);
    }
}

#[tokio::test]
async fn a_server_that_restarts_voids_what_was_in_play_and_nothing_else() {
    let mut ground = Ground::new(Faults::default(), 9).await;
    let plan = ground.plan(16, 4, Mode::Ladder);
    let runtime = ground.runtime().await;
    let fleet = ground.fleet(&runtime, &plan, &["bot"]).await;
    let mut news = fleet.tracker().news();
    for _ in 0..3 {
        for _ in 0..15 {
            news.changed().await.unwrap();
        }
        ground.server.restart();
    }
    let report = fleet.ended().await.unwrap();
    is_exact(&report, 16, ground.truth("bot"));
    assert!(report.total.void > 0, "something was in play");
}

#[tokio::test]
async fn a_log_without_a_count_settles_what_is_in_doubt() {
    let mut ground = Ground::new(Faults::default(), 10).await;
    let plan = ground.plan(6, 2, Mode::Ladder);
    let report = ground.play(&plan, &["bot"]).await;
    let logs = Logs::new(ground.folder.path().to_owned());
    let by_worker = report.workers.values().map(|worker| Tally { void: 0, ..worker.tally });
    assert!(logs.recount(&[]).unwrap().workers.into_values().eq(by_worker));
    let rooms: BTreeMap<String, _> =
        ground.server.played().into_iter().map(|played| (played.room, played.outcomes)).collect();
    assert_eq!(rooms.len(), 6, "each battle has a room of its own");
    assert!(Path::new(ground.folder.path()).join("logs/w0/bot/0").is_dir());
}
