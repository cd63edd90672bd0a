//! A server in a process of its own, and fleets on it.

use std::{
    io::{BufRead, BufReader, Read},
    num::NonZeroU32,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
};

use interlock_battles::{
    domain::{
        contestant::Contestant,
        run::{Ending, Mode, Plan, Tally},
    },
    fake::{Fake, Faults},
    fleet::{Fleet, FleetSettings, Fleets, counter::Counter, logs::SaveReplay},
    io::{
        Account, Settings,
        local::{LocalServer, find_package},
    },
    limits,
    players::Thinkers,
    register,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::Limit,
};
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, tokio::Tokio},
    store::sqlite::{SqliteOptions, SqliteStore},
};

/// Where is played.
pub struct Ground {
    pub url: String,
    /// For the table.
    pub name: &'static str,
    server: Child,
    said: BufReader<ChildStdout>,
    /// The server ends with it.
    leash: Option<ChildStdin>,
}

impl Ground {
    /// The real server where it is installed, else the stand-in.
    pub fn start() -> Self {
        match find_package(None) {
            Ok(_) => Self::child("real", "real server"),
            Err(_) => Self::child("calm", "stand-in"),
        }
    }

    /// The stand-in: `calm`, `waiting` (rivals never choose) or `faulty` (connections get lost).
    pub fn stand_in(kind: &str) -> Self {
        Self::child(kind, "stand-in")
    }

    fn child(kind: &str, name: &'static str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut process = Command::new(program);
        process.args(["server-child", kind]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = process.spawn().expect("this program can be started again");
        let mut said = BufReader::new(server.stdout.take().expect("it is piped"));
        let (url, leash) = (line(&mut said), server.stdin.take());
        Self { url, name, server, said, leash }
    }

    /// Ends the stand-in, which then says how its battles ended for the accounts that played them.
    pub fn truth(mut self) -> Tally {
        drop(self.leash.take());
        serde_json::from_str(&line(&mut self.said)).expect("it says so")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn line(said: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    said.read_line(&mut line).expect("it says something");
    line.trim().to_owned()
}

/// A server of this kind, until standard input ends.
pub async fn server_child(kind: &str) {
    let until_let_go =
        || tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let faults = match kind {
        "real" => {
            let package = find_package(None).expect("it was there just now");
            let server = LocalServer::start(&package).await.expect("it starts");
            println!("{}", server.url());
            let _let_go = until_let_go().await;
            return;
        }
        "waiting" => Faults { idle: true, ..Faults::default() },
        "faulty" => Faults { drop: Some(2000), ..Faults::default() },
        _ => Faults::default(),
    };
    let server = Fake::start(faults, 1).await.expect("a port is free");
    println!("{}", server.url());
    let _let_go = until_let_go().await;
    let mut truth = Tally::default();
    let outcomes = server.played().into_iter().filter_map(|played| played.outcomes);
    outcomes.flatten().for_each(|outcome| truth.add(Ending::Of(outcome)));
    println!("{}", serde_json::to_string(&truth).expect("numbers are plain"));
}

/// Who plays.
pub struct Side<'a> {
    pub accounts: &'a [&'a str],
    pub workers: u32,
    pub player: Contestant,
    pub partner: Contestant,
}

/// A process's part: a runtime on this folder, and a fleet for its one run.
pub async fn fleet(
    folder: &Path,
    url: &str,
    mode: Mode,
    target: Limit,
    side: &Side<'_>,
) -> (Runtime, Counter, Fleet) {
    let store = SqliteStore::open(&SqliteOptions::new(folder)).expect("the folder is ours");
    let env = Env::new(Tokio::current(), Arc::new(store));
    let runtime = register(Builder::new(env), &Fleets::new(folder)).start().await;
    let runtime = runtime.expect("the folder is ours");
    let counter = Counter::new(&runtime, Key::new("bench").expect("a name"));
    let plan = Plan {
        server: "bench".to_owned(),
        format: "gen9randombattle".to_owned(),
        mode,
        target,
        shares: NonZeroU32::new(side.workers),
    };
    let opened = counter.open(plan, limits::CLAIM_TTL, interlock_battles::RETENTION).await;
    opened.expect("its plan is always the same");
    let thinkers = Arc::new(Thinkers::on_all_cores());
    let worker = |number| Worker::new(&format!("w{number}")).expect("a name");
    let settings = FleetSettings {
        server: Some(url.to_owned()),
        accounts: side.accounts.iter().map(|name| Account::unregistered(*name)).collect(),
        workers: (0..side.workers).map(worker).collect(),
        teams: Vec::new(),
        playing: Settings::of(side.player, &thinkers, 1),
        partner: Some(Settings::of(side.partner, &thinkers, 2)),
        folder: folder.join("logs"),
        save: SaveReplay::Never,
    };
    let fleet = Fleet::start(counter.clone(), settings).await.expect("the server is there");
    (runtime, counter, fleet)
}
