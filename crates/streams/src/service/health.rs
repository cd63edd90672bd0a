//! Watches the engines: one that does not answer its health check is chosen last.
//!
//! A health check opens no session and never counts as use.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use interlock_kernel::ids::Member;
use tokio::time::{Instant, sleep};

use super::{EngineConfig, Service};
use crate::{domain::engines::Command, io::engine::Engine};

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
            tracing::warn!(%engine, healthy, "an engine's health changed");
            let told = service.0.ask(Command::Health { engine: engine.clone(), healthy }).await;
            if told.is_ok() {
                known.insert(engine, healthy);
            }
        }
        sleep(PAUSE).await;
    }
}

/// Whether an engine answers. What it says of its own network is its business: it may still serve.
async fn check(engine: &EngineConfig) -> (Member, bool) {
    let client = Engine::new(engine.url.clone());
    let answer = client.is_connected(Instant::now() + PATIENCE).await;
    let healthy = !matches!(
        answer,
        Err(crate::io::fault::EngineError {
            fault: crate::io::fault::Fault::Refused(_) | crate::io::fault::Fault::TimedOut(_),
            ..
        })
    );
    (engine.name.clone(), healthy)
}
