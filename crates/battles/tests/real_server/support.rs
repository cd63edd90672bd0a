//! Starts the real server, and lets players meet on it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use interlock_battles::{
    io::{
        Account, BattleEvent, Client, Event, Events, Finished, Settings,
        local::{LocalServer, find_package},
        play,
    },
    players::{Budget, Player, Thinkers},
};
use tokio::time::timeout;

pub const FORMAT: &str = "gen9randombattle";

/// A server that runs until this is dropped.
pub struct Server(LocalServer);

/// Where `./test` puts it; `INTERLOCK_SHOWDOWN_DIR` names another folder of the package.
pub fn package() -> PathBuf {
    let usual = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        root.join("target/showdown/node_modules/pokemon-showdown")
    };
    let folder = std::env::var_os("INTERLOCK_SHOWDOWN_DIR").map_or_else(usual, PathBuf::from);
    find_package(Some(folder)).expect("./test installs the server")
}

impl Server {
    pub async fn start() -> Self {
        Self(LocalServer::start(&package()).await.unwrap())
    }

    pub async fn enter(&self, name: &str) -> (Client, Events) {
        Client::connect(self.0.url(), &Account::unregistered(name)).await.unwrap()
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
    duel_in(server, FORMAT, names, settings).await
}

/// The same in another format.
pub async fn duel_in(
    server: &Server,
    format: &str,
    names: [&str; 2],
    settings: [Settings; 2],
) -> [Seen; 2] {
    let [(one, one_events), (two, two_events)] =
        [server.enter(names[0]).await, server.enter(names[1]).await];
    one.team(None).await.unwrap();
    one.challenge(names[1], format).await.unwrap();
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
            Event::NoRoom(_) | Event::Tournament { .. } | Event::Listing(_) => (),
        }
    }
}
