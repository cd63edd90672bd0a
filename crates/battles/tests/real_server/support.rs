//! Starts the real server, and lets players meet on it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use interlock_battles::{
    io::{Account, BattleEvent, Client, Event, Events, Finished, Settings, play},
    players::{Budget, Player, Thinkers},
};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

pub const FORMAT: &str = "gen9randombattle";

/// A server that runs until this is dropped.
pub struct Server {
    pub url: String,
    _process: Child,
    _lock: File,
}

/// Where `./test` puts it; `INTERLOCK_SHOWDOWN` names another folder of the package.
fn package() -> PathBuf {
    let usual = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        root.join("target/showdown/node_modules/pokemon-showdown")
    };
    let folder = std::env::var_os("INTERLOCK_SHOWDOWN").map_or_else(usual, PathBuf::from);
    assert!(
        folder.join("pokemon-showdown").exists(),
        "{}: run ./test, it installs the server",
        folder.display()
    );
    folder
}

impl Server {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        // Servers in one folder write the same files, so there is one at a time, whoever runs the tests.
        let lock = File::create(package().join("logs/interlock.lock")).unwrap();
        lock.lock().unwrap();
        let mut process = Command::new("node")
            .args(["pokemon-showdown", "start", "--no-security", "--skip-build", &port.to_string()])
            .current_dir(package())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        // It says that it listens a little before it does; only a connection proves it.
        let ready = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(
                    process.try_wait().unwrap().is_none(),
                    "the server ended before it was ready"
                );
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), ready).await.expect("the server starts");
        Self {
            url: format!("ws://127.0.0.1:{port}/showdown/websocket"),
            _process: process,
            _lock: lock,
        }
    }

    pub async fn enter(&self, name: &str) -> (Client, Events) {
        Client::connect(&self.url, &Account::Unproven(name.to_owned())).await.unwrap()
    }
}

pub fn settings(player: impl Player + 'static, seed: u64) -> Settings {
    let thinkers = Arc::new(Thinkers::on_all_cores());
    Settings { player: Arc::new(player), thinkers, budget: Budget::Iterations(1000), seed }
}

/// What one side saw of a battle.
pub struct Seen {
    pub finished: Finished,
    pub events: Vec<BattleEvent>,
}

/// Plays one battle between two new accounts, and returns what both saw.
pub async fn duel(server: &Server, names: [&str; 2], settings: [Settings; 2]) -> [Seen; 2] {
    let [(one, one_events), (two, two_events)] =
        [server.enter(names[0]).await, server.enter(names[1]).await];
    one.team(None).await.unwrap();
    one.challenge(names[1], FORMAT).await.unwrap();
    let [first, second] = settings;
    let sides = async { tokio::join!(side(one, one_events, first), side(two, two_events, second)) };
    timeout(Duration::from_secs(300), sides).await.expect("a battle ends").into()
}

/// Plays one battle, challenged or not.
pub async fn side(client: Client, mut events: Events, settings: Settings) -> Seen {
    loop {
        match events.recv().await.expect("the connection stays") {
            Event::Challenge { from, .. } => {
                client.team(None).await.unwrap();
                client.accept(&from).await.unwrap();
            }
            Event::Battle(room) => {
                let mut events = Vec::new();
                let finished = play(room, &settings, |event| events.push(event)).await.unwrap();
                return Seen { finished, events };
            }
            Event::Searches(_) => (),
            Event::Popup(text) => panic!("{text}"),
            Event::NoRoom(_) => (),
        }
    }
}
