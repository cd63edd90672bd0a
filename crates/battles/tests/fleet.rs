//! A fleet on the stand-in server: counts are exact, whatever goes wrong. The judge is the server's own record.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeMap, num::NonZeroU32, path::Path, sync::Arc};

use interlock_battles::{
    domain::run::{Ending, Mode, Plan, Tally},
    fake::{Fake, Faults, Played},
    fleet::{
        Brake, Fleet, FleetSettings, Report,
        counter::Counter,
        logs::{Logs, SaveReplay},
    },
    io::{Account, Settings},
    limits,
    players::{Budget, Random, Thinkers},
    register,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::Limit,
    time::Millis,
};
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};
use tempfile::TempDir;

struct Ground {
    server: Fake,
    store: MemoryStore,
    folder: TempDir,
}

impl Ground {
    async fn new(faults: Faults, seed: u64) -> Self {
        let server = Fake::start(faults, seed).await.unwrap();
        Self { server, store: MemoryStore::new(), folder: tempfile::tempdir().unwrap() }
    }

    /// A process: a runtime on what an earlier one left.
    async fn runtime(&mut self) -> Runtime {
        self.store = self.store.reopen();
        let env = Env::new(Tokio::current(), Arc::new(self.store.clone()));
        register(Builder::new(env)).start().await.unwrap()
    }

    fn plan(&self, target: u64, workers: u32, mode: Mode) -> Plan {
        Plan {
            server: self.server.url(),
            format: "gen9randombattle".to_owned(),
            mode,
            target: Limit::Of(target),
            shares: NonZeroU32::new(workers),
        }
    }

    async fn fleet(&self, runtime: &Runtime, plan: &Plan, accounts: &[&str]) -> Fleet {
        let counter = Counter::new(runtime, Key::new("test").unwrap());
        let retention = Millis::from_secs(86_400);
        counter.open(plan.clone(), limits::CLAIM_TTL, retention).await.unwrap();
        let workers = plan.shares.map_or(4, NonZeroU32::get);
        let name = |number| Worker::new(&format!("w{number}")).unwrap();
        let settings = FleetSettings {
            server: None,
            accounts: accounts.iter().map(|name| Account::Unproven((*name).to_owned())).collect(),
            workers: (0..workers).map(name).collect(),
            teams: Vec::new(),
            playing: Settings {
                player: Arc::new(Random),
                thinkers: Arc::new(Thinkers::on_all_cores()),
                budget: Budget::Iterations(1),
                seed: 1,
            },
            partner: None,
            folder: self.folder.path().to_owned(),
            save: SaveReplay::Never,
        };
        Fleet::start(counter, settings).await.unwrap()
    }

    /// Plays a run to its end, undisturbed.
    async fn play(&mut self, plan: &Plan, accounts: &[&str]) -> Report {
        let runtime = self.runtime().await;
        self.fleet(&runtime, plan, accounts).await.ended().await.unwrap()
    }

    /// What the server says of an account's battles.
    fn truth(&self, account: &str) -> Tally {
        truth(&self.server.played(), account)
    }
}

fn truth(played: &[Played], account: &str) -> Tally {
    let mut tally = Tally::default();
    for Played { players, outcomes, .. } in played {
        let Some(place) = players.iter().position(|player| player == account) else { continue };
        if let Some(outcomes) = outcomes {
            tally.add(Ending::Of(outcomes[place]));
        }
    }
    tally
}

#[track_caller]
fn is_exact(report: &Report, target: u64, truth: Tally) {
    assert_eq!(report.finished, target);
    assert_eq!((report.claimed, report.drift), (0, 0));
    let Tally { wins, losses, ties, forfeits, void: _ } = report.total;
    assert_eq!(Tally { wins, losses, ties, forfeits, void: 0 }, truth, "the server knows better");
    let by_worker: u64 = report.workers.values().map(|worker| worker.finished).sum();
    assert_eq!(by_worker, target);
}

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
async fn workers_share_several_accounts() {
    let mut ground = Ground::new(Faults::default(), 2).await;
    let plan = ground.plan(9, 3, Mode::Ladder);
    let report = ground.play(&plan, &["a", "b", "c"]).await;
    let mut all = Tally::default();
    for account in ["a", "b", "c"] {
        let truth = ground.truth(account);
        assert_eq!(truth.finished(), 3);
        all.wins += truth.wins;
        all.losses += truth.losses;
        all.ties += truth.ties;
    }
    is_exact(&report, 9, all);
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
async fn lost_connections_doubled_frames_and_stale_requests_change_no_count() {
    let faults = Faults {
        drop: Some(60),
        double: Some(10),
        stale: Some(10),
        name_taken: Some(4),
        throttle: Some(10),
    };
    let mut ground = Ground::new(faults, 7).await;
    let plan = ground.plan(20, 4, Mode::Ladder);
    let report = ground.play(&plan, &["bot"]).await;
    is_exact(&report, 20, ground.truth("bot"));
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
    assert_eq!(logs.recount().unwrap(), Tally { void: 0, ..report.total });
    let rooms: BTreeMap<String, _> =
        ground.server.played().into_iter().map(|played| (played.room, played.outcomes)).collect();
    assert_eq!(rooms.len(), 6, "each battle has a room of its own");
    assert!(Path::new(ground.folder.path()).join("logs/bot/0").is_dir());
}
