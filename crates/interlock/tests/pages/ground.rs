//! A server on which everything is to be seen: entities, streams, a dead letter, and battles on a hostile server.

use std::{net::SocketAddr, path::Path};

use interlock_battles::fake::{Fake, Faults};
use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Position, Version},
    time::Time,
};
use interlock_runtime::{
    dispatch::dead::{Letter, TABLE},
    store::{
        Durability, Store,
        sqlite::{SqliteOptions, SqliteStore},
    },
};
use interlock_server::{config::Config, demo::Demo, server::Server};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// What runs a script where it is taken for HTML.
pub const EVIL: &str = "<img src=x onerror=alert(0)>";

pub struct Ground {
    /// Its rivals wait until they are woken, and are hostile.
    pub showdown: Fake,
    running: Running,
    _player: TcpStream,
    _demo: Demo,
    _folder: TempDir,
}

impl Ground {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let before = Running::start(folder.path(), None).await;
        before.command("PUT", "quotas/stuck", r#"{"limit": 9}"#).await;
        before.stop().await;
        park(folder.path(), "quota", "stuck").await;

        let demo = Demo::start().await.unwrap();
        let running = Running::start(folder.path(), Some(&demo)).await;
        running.command("PUT", "quotas/battles", r#"{"limit": 100}"#).await;
        running.command("POST", "quotas/battles/claims", r#"{"worker": "w0"}"#).await;
        let evil = format!(r#"{{"turn": 1, "value": "{EVIL}"}}"#);
        running.command("POST", "turns/story", &evil).await;
        let stream = demo.url(running.address);
        let stream = stream.strip_prefix(&format!("http://{}", running.address)).unwrap();
        let mut player = running.send("GET", stream, "").await;
        player.read_exact(&mut [0; 64]).await.unwrap();

        let faults = Faults { idle: true, hostile: true, ..Faults::default() };
        let showdown = Fake::start(faults, 6).await.unwrap();
        let ground = Self { showdown, running, _player: player, _demo: demo, _folder: folder };
        ground.play("waiting", "search:1000it").await;
        ground
    }

    /// Opens a run of one battle, and plays it.
    pub async fn play(&self, run: &str, player: &str) {
        let plan = format!(
            r#"{{"server": "{}", "format": "gen9randombattle", "mode": "ladder", "target": 1}}"#,
            self.showdown.url()
        );
        self.command("PUT", &format!("battles/runs/{run}"), &plan).await;
        let crew = format!(r#"{{"usernames": ["Bot {run}"], "player": "{player}"}}"#);
        self.command("PUT", &format!("battles/runs/{run}/fleet"), &crew).await;
    }

    /// Sends a command that is taken.
    pub async fn command(&self, method: &str, path: &str, body: &str) {
        self.running.command(method, path, body).await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.address)
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    async fn start(folder: &Path, demo: Option<&Demo>) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = Config { listen, data: folder.to_owned(), ..Config::default() };
        config.streams.engines.extend(demo.into_iter().flat_map(Demo::engines));
        let mut server = Server::start(&config).await.unwrap();
        server.host_fleets();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            // A test that fails stops it, too.
            server.run(async move { stopped.await.unwrap_or_default() }).await;
        });
        Self { address, stop, served }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
    }

    async fn command(&self, method: &str, path: &str, body: &str) {
        let mut stream = self.send(method, &format!("/api/v1/{path}"), body).await;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Parks an entity at its first record, as if a handler had failed.
async fn park(folder: &Path, entity: &str, key: &str) {
    let store = SqliteStore::open(&SqliteOptions::new(folder)).unwrap();
    let letter = Letter {
        entity: entity.to_owned(),
        key: Key::new(key).unwrap(),
        position: Position(1),
        version: Version(1),
        at: Time(1_000),
        handler: "handler_that_has_a_long_name".to_owned(),
        error: EVIL.to_owned(),
    };
    let put = RowChange::Put {
        table: TABLE.to_owned(),
        key: format!("{entity}/{key}").into_bytes(),
        value: serde_json::to_vec(&letter).unwrap(),
    };
    store.write_rows(vec![put], Durability::Synced).await.unwrap();
    store.close().await;
}
