//! Stops sessions: the outbox's hand towards the engines.

use std::time::Duration;

use interlock_kernel::ids::Key;
use interlock_runtime::effects::{EffectError, EffectHandler, Performed};
use tokio::time::Instant;

use crate::{
    domain::engines::{Command, Engines, StopSession},
    io::engine::{Engine, EngineUrl},
};

/// The longest that one try waits by itself; the outbox's deadline is shorter.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks engines to stop sessions. Asking twice does no harm: a session that is not there is stopped.
pub(super) struct Stopper;

impl EffectHandler<Engines> for Stopper {
    fn perform(&self, _: &Key, stop: StopSession, _: u32) -> Performed<Engines> {
        Box::pin(async move {
            let failed = |what: String| EffectError(what);
            let url: EngineUrl = stop.url.parse().map_err(|error| failed(format!("{error}")))?;
            let engine = Engine::new(url);
            let stopped = engine.stop(&stop.command_url, Instant::now() + PATIENCE).await;
            stopped.map_err(|error| failed(error.to_string()))?;
            Ok(Command::Stopped { lease: stop.lease })
        })
    }
}
