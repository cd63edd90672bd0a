//! Fan-out of one unlimited source to a hundred local players, and the first byte for one that joins.
//!
//! The players are another process (`drain-child ADDRESS PATH BYTES`): one thread reads from all of them,
//! hashes what each one gets, and compares with what it must be. The reference is one thread that writes a
//! buffer that is always at hand to the same players in turn.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use interlock_runtime::{
    Builder,
    env::{Env, tokio::Tokio},
    store::sqlite::{SqliteOptions, SqliteStore},
};
use interlock_streams::{
    fake::{FakeEngine, Settings, Speed, counted},
    io::ts::PACKET_BYTES,
    routes::routes,
    service::{Config, EngineConfig, Freed, Service, register},
};
use interlock_web::{
    guard::Guard,
    serve::{App, serve},
    traffic::Traffic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::restart::{child, first_line};

/// Players at once.
const PLAYERS: usize = 100;
/// Bytes that each one takes per measurement.
pub const BYTES: usize = 48 << 20;
/// The reference's buffer.
const HOT: usize = 256 << 10;

fn counted_bytes(bytes: usize) -> BytesMut {
    let mut content = BytesMut::new();
    counted::append(0, bytes.div_ceil(PACKET_BYTES), &mut content);
    content.truncate(bytes);
    content
}

/// Reads so many bytes as every player, and says how many megabytes a second that was in total.
pub async fn drain_child(address: SocketAddr, path: &str, bytes: usize) {
    let expected = if path == "hot" {
        let (hot, mut hash) = (counted_bytes(HOT), crc32fast::Hasher::new());
        (0..bytes / HOT).for_each(|_| hash.update(&hot));
        hash.finalize()
    } else {
        crc32fast::hash(&counted_bytes(bytes))
    };
    let player = |_| drain_one(address, path.to_owned(), bytes, expected);
    let players: Vec<_> = (0..PLAYERS).map(player).map(tokio::task::spawn_local).collect();
    let mut began: Option<Instant> = None;
    for player in players {
        let first = player.await.expect("players do not panic");
        began = Some(began.map_or(first, |earlier| earlier.min(first)));
    }
    let took = began.expect("there are players").elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)]
    let megabytes = (PLAYERS * bytes) as f64 / 1e6;
    println!("{}", megabytes / took);
}

/// One player; returns when its first byte came.
async fn drain_one(address: SocketAddr, path: String, bytes: usize, expected: u32) -> Instant {
    let mut player = tokio::net::TcpStream::connect(address).await.expect("it listens");
    // HTTP/1.0: the body comes as it is, and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    player.write_all(request.as_bytes()).await.expect("it is connected");
    let (mut buffer, mut hash) = (vec![0; HOT], crc32fast::Hasher::new());
    let (mut head, mut left, mut first) = (path != "hot", bytes, None);
    let mut early = Vec::new();
    while left > 0 {
        let read = player.read(&mut buffer).await.expect("it goes on");
        assert!(read > 0, "the stream ended {left} bytes early");
        first.get_or_insert_with(Instant::now);
        let mut got = &buffer[..read];
        if head {
            early.extend_from_slice(got);
            let Some(end) = early.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            assert!(early.starts_with(b"HTTP/1.1 200") || early.starts_with(b"HTTP/1.0 200"));
            (head, got) = (false, &early[end + 4..]);
        }
        let take = got.len().min(left);
        hash.update(&got[..take]);
        left -= take;
    }
    assert_eq!(hash.finalize(), expected, "a player got other bytes than were sent");
    first.expect("it took bytes")
}

/// The reference, in megabytes a second.
pub fn hot_buffer() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound").to_string();
    let mut drain = child(&["drain-child", &address, "hot", &BYTES.to_string()]);
    let hot = counted_bytes(HOT);
    let mut players: Vec<TcpStream> = (0..PLAYERS)
        .map(|_| {
            let (mut player, _) = listener.accept().expect("players come");
            let mut request = [0; 512];
            assert!(player.read(&mut request).expect("they ask") > 0);
            player
        })
        .collect();
    for _ in 0..BYTES / HOT {
        for player in &mut players {
            player.write_all(&hot).expect("they take all");
        }
    }
    let megabytes = first_line(&mut drain).parse().expect("a number");
    drain.wait().expect("it is ours");
    megabytes
}

/// The streams service with one engine of this speed, on loopback.
pub struct Fanout {
    address: SocketAddr,
    engine: FakeEngine,
}

impl Fanout {
    /// Starts it.
    pub async fn start(folder: &Path, speed: Speed) -> Self {
        // Long enough for a hundred players to have asked before the first byte.
        let cold_start = Duration::from_millis(700);
        let settings = Settings { speed, cold_start, limit: 16, ..Settings::default() };
        let engine = FakeEngine::start(settings).await.expect("loopback has free ports");
        let store = SqliteStore::open(&SqliteOptions::new(folder)).expect("a temporary folder");
        let env = Env::new(Tokio::current(), Arc::new(store));
        let freed = Freed::default();
        let runtime = register(Builder::new(env), &freed).start().await.expect("it is empty");
        let name = interlock_kernel::ids::Member::new("engine").expect("a valid name");
        let engines = vec![EngineConfig { name, url: engine.url(), limit: 16, forwarded: false }];
        let linger = interlock_kernel::time::Millis(1);
        let config = Config { engines, linger, ..Config::default() };
        let service = Service::start(&runtime, config, freed).await.expect("it takes over");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("free ports");
        let address = listener.local_addr().expect("it is bound");
        let guard = Guard::new(&[address], &[]).expect("loopback needs no token");
        let app = Arc::new(App::new(routes(service), guard, Arc::new(Traffic::default())));
        tokio::spawn(serve(
            listener,
            app,
            interlock_web::serve::Settings::default(),
            std::future::pending(),
        ));
        Self { address, engine }
    }

    /// Megabytes a second to all players; every round is a stream of its own.
    pub fn megabytes_per_second(&self, round: u64) -> f64 {
        let path = format!("/ace/getstream?id={round:040x}");
        let address = self.address.to_string();
        let mut drain = child(&["drain-child", &address, &path, &BYTES.to_string()]);
        let megabytes = first_line(&mut drain).parse().expect("a number");
        drain.wait().expect("it is ours");
        assert_eq!(self.engine.stats().over_limit, 0, "one session per stream");
        megabytes
    }

    /// Milliseconds from connecting to the first byte of a stream that is being played, one joiner after the
    /// other.
    pub async fn join_ms(&self, joiners: usize) -> Vec<f64> {
        let join = || async {
            let began = Instant::now();
            let mut player =
                tokio::net::TcpStream::connect(self.address).await.expect("it listens");
            let path = format!("/ace/getstream?id={:040x}", 0xf00d);
            let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
            player.write_all(request.as_bytes()).await.expect("it is connected");
            let mut got = Vec::new();
            loop {
                assert!(player.read_buf(&mut got).await.expect("it goes on") > 0);
                let end = got.windows(4).position(|window| window == b"\r\n\r\n");
                if end.is_some_and(|end| got.len() > end + 4) {
                    return (player, began.elapsed().as_secs_f64() * 1e3);
                }
            }
        };
        let (first, _) = join().await;
        let keeps = tokio::spawn(async move {
            let (mut first, mut sink) = (first, vec![0; HOT]);
            while first.read(&mut sink).await.is_ok_and(|read| read > 0) {}
        });
        let mut times = Vec::new();
        for _ in 0..joiners {
            times.push(join().await.1);
        }
        keeps.abort();
        times
    }
}
