//! A faithful stand-in for an AceStream engine, on a loopback port: for tests, and for a demo on a machine
//! without any engine.
//!
//! It keeps the engine's rules, above all those that make clients race: one session per `pid`, one
//! session per live stream (the newer stops the older), a session that nobody reads is stopped, a cold
//! start takes its time. It *counts* sessions against a limit and reports, but refuses none over it
//! unless told: a client that exceeds the limit must be seen to do so.
//!
//! Everything that goes wrong with engines can be made to go wrong: see [`Settings`], [`FakeEngine::kill`]
//! and [`FakeEngine::refuse`]. Tests wait for what they expect with [`FakeEngine::wait_until`].
//!
//! Not here: peer-to-peer transfer, HLS, encryption, events other than the end of a session.
//!
//! ```
//! # use interlock_streams::{fake::{FakeEngine, Settings}, io::engine::{Engine, StreamKey}};
//! # use tokio::time::{Duration, Instant};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fake = FakeEngine::start(Settings::default()).await?;
//! let engine = Engine::new(fake.url());
//! let deadline = Instant::now() + Duration::from_secs(10);
//!
//! let session = engine.start(&StreamKey::ContentId("news".into()), "player-1", deadline).await?;
//! assert_eq!(fake.stats().active, 1);
//! engine.stop(&session.command_url, deadline).await?;
//! assert_eq!(fake.stats().active, 0);
//! # Ok(()) }
//! ```

mod api;
pub mod counted;
pub mod looped;
mod sessions;
mod tap;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::looped::Looped;
pub use self::sessions::{Ending, SessionStats, Stats};
use crate::io::engine::EngineUrl;

/// The test pattern: see `assets/pattern.md`.
pub static PATTERN: &[u8] = include_bytes!("../assets/pattern.ts");

/// How a fake engine behaves. May be changed while it runs; what has begun goes on as it began.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sessions that it should have at most. More are counted in [`Stats::over_limit`].
    pub limit: u32,
    /// Refuses sessions over the limit, instead of only counting them.
    pub enforce_limit: bool,
    /// Streams are broadcasts, of which it serves one session each.
    pub is_live: bool,
    /// From the request for a stream to the answer.
    pub cold_start: Duration,
    /// From the answer to the first byte.
    pub prebuffer: Duration,
    /// A session of which nothing is read for so long is stopped.
    pub idle_timeout: Duration,
    /// What a request for a stream gets.
    pub on_start: OnStart,
    /// What a request to stop gets.
    pub on_stop: OnStop,
    /// What is played.
    pub content: Content,
    /// How fast it is played.
    pub speed: Speed,
    /// The connection to a reader breaks, without a proper end, soon before it has had so many bytes.
    pub break_after_bytes: Option<u64>,
    /// The `host:port` in the URLs that it gives, if not the one at which it was asked.
    pub advertised: Option<String>,
    /// What the health check says.
    pub is_connected: bool,
}

/// What a request for a stream gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnStart {
    /// A session, after the cold start.
    Answer,
    /// A session, but never an answer.
    Hang,
    /// No session, but this error.
    Fail(String),
}

/// What a request to stop gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnStop {
    /// The session ends, and the answer says so.
    Confirm,
    /// The same, after a while.
    ConfirmAfter(Duration),
    /// The session goes on, and the answer is this error.
    Fail(String),
    /// The session goes on, and there is no answer.
    Hang,
}

/// What is played.
#[derive(Debug, Clone)]
pub enum Content {
    /// A stream whose every byte can be checked, see [`counted`].
    Counted,
    /// A file over and over.
    Looped(Looped),
    /// A text that is no transport stream.
    Text(String),
}

/// How fast it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// As fast as it is read.
    Unlimited,
    /// At this many bits per second.
    BitsPerSecond(u64),
}

impl Default for Settings {
    /// A fast engine without faults: counted content at 6 Mbit/s, a limit of 2, no cold start.
    fn default() -> Self {
        Self {
            limit: 2,
            enforce_limit: false,
            is_live: true,
            cold_start: Duration::ZERO,
            prebuffer: Duration::ZERO,
            idle_timeout: Duration::from_secs(60),
            on_start: OnStart::Answer,
            on_stop: OnStop::Confirm,
            content: Content::Counted,
            speed: Speed::BitsPerSecond(6_000_000),
            break_after_bytes: None,
            advertised: None,
            is_connected: true,
        }
    }
}

impl Settings {
    /// An engine that shows the test pattern in its own time, for demos.
    #[must_use]
    pub fn demo() -> Self {
        let pattern = Looped::new(Bytes::from_static(PATTERN)).expect("the pattern is tested");
        let speed = Speed::BitsPerSecond(pattern.bits_per_second());
        Self { content: Content::Looped(pattern), speed, ..Self::default() }
    }
}

/// A running fake engine. Dropping it kills it.
#[derive(Debug)]
pub struct FakeEngine {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    settings: Mutex<Settings>,
    stats: watch::Sender<Stats>,
    /// Counts deaths; every connection ends at the next one.
    deaths: watch::Sender<u64>,
}

impl FakeEngine {
    /// Starts an engine on a free loopback port.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), settings).await
    }

    /// Starts an engine at an address.
    pub async fn start_at(address: SocketAddr, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Shared {
            settings: Mutex::new(settings),
            stats: watch::Sender::default(),
            deaths: watch::Sender::default(),
        };
        let engine = Self {
            address: listener.local_addr()?,
            shared: Arc::new(shared),
            acceptor: Mutex::default(),
        };
        engine.listen(listener);
        Ok(engine)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> EngineUrl {
        format!("http://{}", self.address).parse().expect("an address makes a URL")
    }

    /// Changes how it behaves from now on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.settings.lock().expect("nothing panics under the lock"));
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats.borrow().clone()
    }

    /// Waits until what it has seen is as expected.
    pub async fn wait_until(&self, expected: impl FnMut(&Stats) -> bool) -> Stats {
        let mut stats = self.shared.stats.subscribe();
        stats.wait_for(expected).await.expect("the sender lives as long as the engine").clone()
    }

    /// From now on new connections are refused; those that exist go on.
    pub async fn refuse(&self) {
        let acceptor = self.acceptor.lock().expect("nothing panics under the lock").take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            // Its end is the listener's: after it, nobody can connect.
            let _ = acceptor.await;
        }
    }

    /// Dies: every connection breaks, every session is lost, new connections are refused.
    pub async fn kill(&self) {
        self.refuse().await;
        self.shared.die();
    }

    /// Accepts connections again, at the same address, after [`FakeEngine::refuse`] or
    /// [`FakeEngine::kill`].
    pub async fn revive(&self) -> io::Result<()> {
        self.refuse().await;
        self.listen(TcpListener::bind(self.address).await?);
        Ok(())
    }

    fn listen(&self, listener: TcpListener) {
        let acceptor = tokio::spawn(api::accept(Arc::clone(&self.shared), listener));
        *self.acceptor.lock().expect("nothing panics under the lock") = Some(acceptor);
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.get_mut().ok().and_then(Option::take) {
            acceptor.abort();
        }
        self.shared.die();
    }
}

impl Shared {
    fn settings(&self) -> Settings {
        self.settings.lock().expect("nothing panics under the lock").clone()
    }

    fn die(&self) {
        self.stats.send_modify(|stats| stats.end_all(Ending::EngineDied));
        self.deaths.send_modify(|deaths| *deaths += 1);
    }
}
