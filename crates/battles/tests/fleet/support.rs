//! A fleet, the stand-in server, and what the server says of its battles.

use std::{
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use interlock_battles::{
    domain::run::{Ending, Mode, Plan, RunView, Tally},
    fake::{Fake, Faults, Played},
    fleet::{Fleet, FleetSettings, Fleets, Report, counter::Counter, logs::SaveReplay},
    io::{Account, Settings},
    limits,
    players::{Budget, Random, Thinkers},
    register,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::Limit,
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, Task, World, tokio::Tokio},
    store::memory::MemoryStore,
};
use tempfile::TempDir;

/// The real world, but that its clocks may be ahead.
pub struct Ahead {
    real: Tokio,
    by_ms: Arc<AtomicU64>,
}

impl World for Ahead {
    fn now(&self) -> Duration {
        self.real.now() + Duration::from_millis(self.by_ms.load(Relaxed))
    }

    fn wall(&self) -> Time {
        self.real.wall() + Millis(self.by_ms.load(Relaxed))
    }

    fn random(&self) -> u64 {
        self.real.random()
    }

    fn spawn(&self, name: &'static str, task: Task) {
        self.real.spawn(name, task);
    }

    fn sleep(&self, span: Duration) -> Task {
        self.real.sleep(span)
    }
}

pub struct Ground {
    pub server: Fake,
    ahead_ms: Arc<AtomicU64>,
    pub store: MemoryStore,
    pub folder: TempDir,
}

impl Ground {
    pub async fn new(faults: Faults, seed: u64) -> Self {
        let server = Fake::start(faults, seed).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Self { server, ahead_ms: Arc::default(), store: MemoryStore::new(), folder }
    }

    /// So much time passes at once, for the run.
    pub fn pass(&self, span: Duration) {
        self.ahead_ms.fetch_add(span.as_millis() as u64, Relaxed);
    }

    /// A process: a runtime on what an earlier one left.
    pub async fn runtime(&mut self) -> Runtime {
        self.store = self.store.reopen();
        let world = Ahead { real: Tokio::current(), by_ms: Arc::clone(&self.ahead_ms) };
        let env = Env::new(world, Arc::new(self.store.clone()));
        register(Builder::new(env), &Fleets::new(self.folder.path())).start().await.unwrap()
    }

    pub fn plan(&self, target: u64, workers: u32, mode: Mode) -> Plan {
        Plan {
            server: self.server.url(),
            format: "gen9randombattle".to_owned(),
            mode,
            target: Limit::Of(target),
            shares: NonZeroU32::new(workers),
        }
    }

    pub async fn fleet(&self, runtime: &Runtime, plan: &Plan, accounts: &[&str]) -> Fleet {
        self.open(runtime, plan).await;
        let counter = Counter::new(runtime, Key::new("test").unwrap());
        let workers = plan.shares.map_or(4, NonZeroU32::get);
        let settings = settings("w", workers, accounts, self.folder.path());
        Fleet::start(counter, settings).await.unwrap()
    }

    /// Opens a run that nobody plays yet.
    pub async fn open(&self, runtime: &Runtime, plan: &Plan) {
        let counter = Counter::new(runtime, Key::new("test").unwrap());
        let retention = Millis::from_secs(86_400);
        counter.open(plan.clone(), limits::CLAIM_TTL, retention).await.unwrap();
    }

    /// The run as it stands.
    pub async fn view(&self, runtime: &Runtime) -> RunView {
        Counter::new(runtime, Key::new("test").unwrap()).view().await.unwrap()
    }

    /// Plays a run to its end, undisturbed.
    pub async fn play(&mut self, plan: &Plan, accounts: &[&str]) -> Report {
        let runtime = self.runtime().await;
        self.fleet(&runtime, plan, accounts).await.ended().await.unwrap()
    }

    /// Plays until there was so much news, or the run is at its end.
    pub async fn play_some(&mut self, plan: &Plan, accounts: &[&str], news: usize) {
        let runtime = self.runtime().await;
        let fleet = self.fleet(&runtime, plan, accounts).await;
        let mut told = fleet.tracker().news();
        let enough = async {
            for _ in 0..news {
                told.changed().await.unwrap();
            }
        };
        tokio::select! {
            report = fleet.ended() => drop(report.unwrap()),
            () = enough => {}
        }
    }

    /// What the server says of an account's battles.
    pub fn truth(&self, account: &str) -> Tally {
        truth(&self.server.played(), account)
    }

    pub fn truth_of(&self, accounts: &[&str]) -> Tally {
        let mut sum = Tally::default();
        for truth in accounts.iter().map(|account| self.truth(account)) {
            sum.wins += truth.wins;
            sum.losses += truth.losses;
            sum.ties += truth.ties;
            sum.forfeits += truth.forfeits;
        }
        sum
    }
}

pub fn truth(played: &[Played], account: &str) -> Tally {
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
pub fn is_exact(report: &Report, target: u64, truth: Tally) {
    assert_eq!(report.finished, target);
    assert_eq!((report.claimed, report.drift), (0, 0));
    let Tally { wins, losses, ties, forfeits, void: _ } = report.total;
    assert_eq!(Tally { wins, losses, ties, forfeits, void: 0 }, truth, "the server knows better");
    let by_worker: u64 = report.workers.values().map(|worker| worker.finished).sum();
    assert_eq!(by_worker, target);
}

/// So many workers of one machine, who play at random.
pub fn settings(prefix: &str, workers: u32, accounts: &[&str], folder: &Path) -> FleetSettings {
    let name = |number| Worker::new(&format!("{prefix}{number}")).unwrap();
    FleetSettings {
        server: None,
        accounts: accounts.iter().map(|name| Account::unregistered(*name)).collect(),
        workers: (0..workers).map(name).collect(),
        teams: Vec::new(),
        playing: Settings {
            player: Arc::new(Random),
            thinkers: Arc::new(Thinkers::on_all_cores()),
            budget: Budget::Iterations(1),
            seed: 1,
        },
        partner: None,
        folder: folder.to_owned(),
        save: SaveReplay::Never,
    }
}
