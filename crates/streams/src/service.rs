//! The service: players on one side, engines on the other, one carrier per stream between them.
//!
//! ```text
//! player ─► Service::play ─► the stream's carrier (one per stream) ─► Engines (a slot) ─► engine
//!    ▲                             │
//!    └────────── hub ◄─── pull ◄───┘
//! ```
//!
//! A player joins the hub of its stream, or begins the stream, in one step under one lock: so however many
//! ask at once, one carrier asks one engine. The lock also guards the end of a stream: a stream ends only
//! while nobody can be joining it. And it guards the line of those who wait for a slot: who may wait, and who
//! is refused at once, the engines' entity decides.
//!
//! Not here: which engine, and when a slot is free ([`crate::domain::engines`]); moving bytes
//! ([`crate::io`]).

use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use interlock_kernel::{ids::Key, time::Millis};
use interlock_runtime::{Builder, Handle, Meta, Runtime, SendError};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout, timeout_at},
};

mod carrier;
mod config;
mod health;
pub(crate) mod history;
mod line;
mod live;
mod overview;
mod stop;

use self::live::{Live, Phase, Streams};
pub use self::{
    config::{Config, EngineConfig},
    history::PastSession,
    overview::{EngineLoad, LiveStream, Overview},
};
use crate::{
    domain::{
        engines::{Command, EngineSpec, Engines, Rules},
        stream::Stream,
    },
    handlers,
    io::{
        disconnect::Disconnect,
        engine::StreamKey,
        hub::{Feed, JoinError, Player},
    },
    limits,
};

/// The one key of the entity that holds all engines.
const MAIN: &str = "main";

/// Why a player gets no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// Every engine is at its limit.
    #[error("every engine is at its limit")]
    Full {
        /// When a slot may be free.
        retry_after: Millis,
    },
    /// No engine could start the stream: what became of the last one, without its own words.
    #[error("no engine could start the stream: {0}")]
    NoEngine(String),
    /// The player's time was over first, while this was so.
    #[error("no engine started the stream in time: {0}")]
    OutOfTime(String),
    /// The stream has as many players as one can have.
    #[error("the stream has as many players as it can have")]
    TooManyPlayers,
    /// The store cannot commit now.
    #[error("the store cannot commit now: {0}")]
    Unavailable(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The entity types of the service.
#[must_use]
pub fn register(builder: Builder, freed: &Freed) -> Builder {
    let table = handlers::engines(freed.clone());
    builder.entity_with::<Engines, _>(table, Some(Arc::new(stop::Stopper))).entity::<Stream>()
}

/// Rings when whoever waits for a slot should look again: one became free, or one will not.
#[derive(Debug, Clone, Default)]
pub struct Freed(Arc<Notify>);

impl Freed {
    /// Something changed.
    pub fn ring(&self) {
        self.0.notify_waiters();
    }
}

/// The streams service. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Service(Arc<Shared>);

struct Shared {
    config: Config,
    runtime: Runtime,
    engines: Handle<Engines>,
    main: Key,
    /// Tells this process's players from those of others that use the same engines.
    tag: u64,
    freed: Freed,
    streams: Mutex<Streams>,
    /// Sessions that their engines did not know when they were last asked.
    strangers: AtomicU64,
    /// Rings when a carrier is done.
    ended: Notify,
    /// Rings when the service stops.
    stop: Notify,
}

impl Service {
    /// Takes over the engines: what a process before this one had in use is stopped first.
    ///
    /// # Errors
    /// When the engines cannot be committed to the store.
    pub async fn start(
        runtime: &Runtime,
        config: Config,
        freed: Freed,
    ) -> Result<Self, SendError<interlock_kernel::pool::PoolRefusal>> {
        let service = Self(Arc::new(Shared {
            runtime: runtime.clone(),
            engines: runtime.handle(),
            tag: runtime.env().random(),
            strangers: AtomicU64::new(0),
            main: Key::new(MAIN).expect("a valid key"),
            freed,
            streams: Mutex::default(),
            ended: Notify::new(),
            stop: Notify::new(),
            config,
        }));
        let config = &service.0.config;
        let spec = |engine: &EngineConfig| EngineSpec {
            name: engine.name.clone(),
            url: engine.url.to_string(),
            limit: engine.limit,
            forwarded: engine.forwarded,
        };
        let engines = config.engines.iter().map(spec).collect();
        let rules = Rules {
            lease_ttl: config.lease_ttl,
            engine_idle: config.engine_idle,
            ejection: config.ejection,
            start_timeout: config.start_timeout,
        };
        service.0.ask(Command::Begin { engines, rules }).await?;
        tokio::spawn(health::watch(service.clone()));
        Ok(service)
    }

    /// Joins a stream, beginning it if need be; returns once its bytes flow. Dropping the future leaves the
    /// stream.
    ///
    /// # Errors
    /// See [`PlayError`].
    pub async fn play(&self, key: &StreamKey, disconnect: Disconnect) -> Result<Player, PlayError> {
        let deadline = Instant::now() + self.0.config.start_deadline.as_duration();
        let (player, mut phase) = self.join(key, disconnect, deadline)?;
        let flows = async {
            loop {
                match &*phase.borrow_and_update() {
                    Phase::Starting => {}
                    Phase::Flowing { .. } => return Ok(()),
                    Phase::Failed(error) => return Err(error.clone()),
                }
                if phase.changed().await.is_err() {
                    return Err(PlayError::NoEngine("the stream ended while it began".to_owned()));
                }
            }
        };
        match timeout_at(deadline, flows).await {
            Ok(Ok(())) => Ok(player),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(PlayError::OutOfTime("the player's time is over".to_owned())),
        }
    }

    /// Joins the stream's hub, or makes it together with its carrier.
    fn join(
        &self,
        key: &StreamKey,
        disconnect: Disconnect,
        deadline: Instant,
    ) -> Result<(Player, watch::Receiver<Phase>), PlayError> {
        let name = stream_name(key);
        let mut streams = self.0.streams();
        if streams.stopping {
            return Err(PlayError::Stopping);
        }
        if let Some(live) = streams.live.get(&name) {
            let was_unwatched = *live.hub.players().borrow() == 0;
            match live.hub.join(disconnect.clone()) {
                Ok(player) => {
                    live.goes_on_until(deadline);
                    if was_unwatched {
                        // Its slot will not be free after all.
                        live.asked.store(false, Relaxed);
                        self.0.freed.ring();
                    }
                    return Ok((player, live.phase.subscribe()));
                }
                Err(JoinError::Full) => return Err(PlayError::TooManyPlayers),
                // The engine just ended it; its carrier has yet to notice. This player begins anew.
                Err(JoinError::Ended) => {}
            }
        }
        let (live, feed) = Live::new(key, deadline);
        let player = live.hub.join(disconnect).map_err(|_| PlayError::TooManyPlayers)?;
        let watched = live.phase.subscribe();
        let live = Arc::new(live);
        streams.live.insert(name, live.clone());
        streams.carriers += 1;
        drop(streams);
        self.carry(live, feed);
        Ok((player, watched))
    }

    fn carry(&self, live: Arc<Live>, feed: Feed) {
        let shared = self.0.clone();
        tokio::spawn(async move {
            carrier::carry(&shared, live, feed).await;
            shared.streams().carriers -= 1;
            shared.ended.notify_waiters();
        });
    }

    /// Ends all streams and waits until their engines confirmed the end of their sessions, but no longer
    /// than [`limits::STOP_TIME`]: what is left is stopped at the next start.
    pub async fn stop(&self) {
        {
            let mut streams = self.0.streams();
            streams.stopping = true;
            streams.live.values().for_each(|live| live.hub.close());
        }
        self.0.stop.notify_waiters();
        let stopped = async {
            self.0.carriers_are_done().await;
            self.0.sessions_are_stopped().await;
        };
        if timeout(limits::STOP_TIME, stopped).await.is_err() {
            tracing::warn!("some sessions could not be stopped; the next start stops them");
        }
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().expect("nothing panics while it holds the streams")
    }

    /// Returns when the service stops.
    async fn stops(&self) {
        let stop = self.stop.notified();
        if !self.streams().stopping {
            stop.await;
        }
    }

    async fn carriers_are_done(&self) {
        loop {
            let ended = self.ended.notified();
            if self.streams().carriers == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Returns when no engine is being asked to stop a session.
    async fn sessions_are_stopped(&self) {
        loop {
            let freed = self.freed.0.notified();
            let Ok(view) = self.engines.view(&self.main).await else { return };
            let mut uses = view.state.uses().values();
            if !uses.any(|used| used.idle_at.is_some() && used.command_url.is_some()) {
                return;
            }
            freed.await;
        }
    }

    async fn ask(
        &self,
        command: Command,
    ) -> Result<crate::domain::engines::Reply, SendError<interlock_kernel::pool::PoolRefusal>> {
        let sent = self.engines.send(&self.main, command, Meta::default()).await;
        sent.map(|receipt| receipt.reply)
    }
}

/// What a stream is called in keys and timelines. The same 40 digits as content id and as infohash are two
/// streams.
#[must_use]
pub fn stream_name(key: &StreamKey) -> String {
    match key {
        StreamKey::ContentId(id) => format!("id-{}", id.to_ascii_lowercase()),
        StreamKey::Infohash(hash) => format!("infohash-{}", hash.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests;
