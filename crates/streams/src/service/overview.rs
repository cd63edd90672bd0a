//! What the service does at the moment, for pages and metrics.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use interlock_kernel::{ids::Member, time::Time};
use serde::Serialize;

use super::{Service, live::Phase};

/// Everything at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// The engines, by name.
    pub engines: Vec<EngineLoad>,
    /// The streams that are carried, by name.
    pub streams: Vec<LiveStream>,
    /// How far the pool's counts are from the slots that this process really holds, summed over the
    /// engines. Zero when quiet; while a start or an end is under way it may be off for a moment.
    pub drift: u64,
    /// Sessions that flow, and that their engines did not know when they were last asked. Zero when quiet.
    pub unknown_to_engines: u64,
}

/// One engine's load.
#[derive(Debug, Clone, Serialize)]
pub struct EngineLoad {
    /// Its name.
    pub name: Member,
    /// Where it is.
    pub url: String,
    /// Sessions at once.
    pub limit: u32,
    /// Chosen, and not yet flowing.
    pub pending: u32,
    /// Flowing.
    pub active: u32,
    /// Over, and not yet known to be free.
    pub closing: u32,
    /// Whether it answers its health check.
    pub healthy: bool,
    /// Whether it is preferred.
    pub forwarded: bool,
    /// Until when it is set aside.
    pub aside_until: Option<Time>,
}

/// One stream.
#[derive(Debug, Clone, Serialize)]
pub struct LiveStream {
    /// Its key among the entities: `stream/{name}`.
    pub name: String,
    /// `starting`, `flowing` or `lingering`.
    pub phase: &'static str,
    /// Its engine, once it flows.
    pub engine: Option<Member>,
    /// Where the engine tells how it does, once it flows.
    pub stat_url: Option<String>,
    /// Players, the waiting ones included.
    pub players: usize,
    /// Bytes from the engine so far.
    pub received_bytes: u64,
    /// Bytes to players so far.
    pub sent_bytes: u64,
    /// Players that fell behind and were dropped.
    pub dropped: u64,
}

impl Service {
    /// What the service does at the moment. Without the engines while the store cannot be read.
    pub async fn overview(&self) -> Overview {
        let view = self.0.engines.view(&self.0.main).await;
        let (streams, held) = self.live();
        let unknown_to_engines = self.0.strangers.load(Relaxed);
        let Ok(view) = view else {
            return Overview { engines: Vec::new(), streams, drift: 0, unknown_to_engines };
        };
        let engines = view.state.pool().members().iter().map(|(name, member)| EngineLoad {
            name: name.clone(),
            url: view.state.url(name).unwrap_or_default().to_owned(),
            limit: member.limit,
            pending: member.in_use.pending,
            active: member.in_use.active,
            closing: member.in_use.closing,
            healthy: member.standing.tier == 0,
            forwarded: member.standing.preferred,
            aside_until: member.aside_until,
        });
        let engines: Vec<EngineLoad> = engines.collect();
        let drift = engines.iter().map(|engine| {
            let counted = u64::from(engine.pending + engine.active);
            counted.abs_diff(held.get(&engine.name).copied().unwrap_or(0))
        });
        Overview { drift: drift.sum(), streams, engines, unknown_to_engines }
    }

    /// The streams, and the slots that this process holds by engine.
    fn live(&self) -> (Vec<LiveStream>, BTreeMap<Member, u64>) {
        let streams = self.0.streams();
        let mut held: BTreeMap<Member, u64> = BTreeMap::new();
        for slot in streams.held.values() {
            *held.entry(slot.engine.clone()).or_default() += 1;
        }
        let live = streams.live.values().map(|live| {
            let stats = live.hub.stats();
            let (phase, engine, stat_url) = match &*live.phase.borrow() {
                Phase::Starting | Phase::Failed(_) => ("starting", None, None),
                Phase::Flowing { engine, stat_url } => {
                    let phase = if stats.players == 0 { "lingering" } else { "flowing" };
                    (phase, Some(engine.clone()), Some(stat_url.clone()))
                }
            };
            LiveStream {
                name: live.name.clone(),
                phase,
                engine,
                stat_url,
                players: stats.players,
                received_bytes: stats.received_bytes,
                sent_bytes: stats.sent_bytes,
                dropped: stats.dropped,
            }
        });
        (live.collect(), held)
    }

    /// One stream by its name, if it is carried.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<LiveStream> {
        self.live().0.into_iter().find(|stream| stream.name == name)
    }

    /// Players and streams at the moment.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let streams = self.live().0;
        (streams.iter().map(|stream| stream.players).sum(), streams.len())
    }
}
