//! Watches the engines: one that does not answer its health check is chosen last.
//!
//! A health check opens no session and never counts as use.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed, time::Duration};

use futures_util::future::join_all;
use interlock_kernel::ids::Member;
use tokio::time::{Instant, timeout};

use super::{EngineConfig, Service, live::Phase};
use crate::{
    domain::engines::Command,
    io::{
        engine::Engine,
        fault::{EngineError, Fault},
    },
};

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest that an engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Checks all engines now and then, until the service has stopped.
pub(super) async fn watch(service: Service) {
    // Every engine counts as healthy until it fails a check.
    let mut known: BTreeMap<Member, bool> = BTreeMap::new();
    loop {
        if service.0.streams().stopping {
            return;
        }
        let checks = join_all(service.0.config.engines.iter().map(check)).await;
        for (engine, healthy) in checks {
            let before = known.get(&engine).copied().unwrap_or(true);
            if before == healthy {
                continue;
            }
            if service.tell_health(&engine, healthy).await {
                known.insert(engine, healthy);
            }
        }
        let strangers = service.strangers().await;
        service.0.strangers.store(strangers, Relaxed);
        // The service stops, or the pause is over.
        let _ = timeout(PAUSE, service.0.stops()).await;
    }
}

/// Whether an engine answers. What it says of its own network is its business: it may still serve.
async fn check(engine: &EngineConfig) -> (Member, bool) {
    let client = Engine::new(engine.url.clone());
    let answer = client.is_connected(Instant::now() + PATIENCE).await;
    (engine.name.clone(), !matches!(answer, Err(error) if is_absent(&error.fault)))
}

fn is_absent(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(_) | Fault::TimedOut(_))
}

impl Service {
    /// Whether the change could be committed.
    pub(super) async fn tell_health(&self, engine: &Member, healthy: bool) -> bool {
        let told = self.0.ask(Command::Health { engine: engine.clone(), healthy }).await;
        match (told.is_ok(), healthy) {
            (false, _) => {}
            (true, true) => tracing::info!(%engine, "an engine answers again"),
            (true, false) => {
                tracing::warn!(%engine, "an engine does not answer, and is chosen last")
            }
        }
        told.is_ok()
    }

    /// How many sessions that flow are unknown to their engines, by the engines' own word.
    async fn strangers(&self) -> u64 {
        let flowing: Vec<(Member, String)> = {
            let streams = self.0.streams();
            let flowing = streams.live.values().filter_map(|live| match &*live.phase.borrow() {
                Phase::Flowing { engine, stat_url } => Some((engine.clone(), stat_url.clone())),
                Phase::Starting | Phase::Failed(_) => None,
            });
            flowing.collect()
        };
        let asked = flowing.iter().map(|(name, stat_url)| async move {
            let engine = self.0.config.engines.iter().find(|engine| engine.name == *name);
            let Some(engine) = engine else { return false };
            let answer =
                Engine::new(engine.url.clone()).stat(stat_url, Instant::now() + PATIENCE).await;
            matches!(answer, Err(EngineError { fault: Fault::Said(_), .. }))
        });
        let unknown = join_all(asked).await.into_iter().filter(|unknown| *unknown).count();
        u64::try_from(unknown).expect("no more than there are streams")
    }
}
