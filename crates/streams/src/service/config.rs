//! The settings of the service.

use interlock_kernel::{ids::Member, time::Millis};

use crate::io::engine::EngineUrl;

/// The settings of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// One engine's time from the request to the first byte.
    pub start_timeout: Millis,
    /// A player's whole wait, over all tries, from its own request: a start goes on for those who came later.
    pub start_deadline: Millis,
    /// Engines that are tried for one start.
    pub start_attempts: u32,
    /// How long a stream without players goes on.
    pub linger: Millis,
    /// How long a slot on an engine stays reserved unless it is renewed.
    pub lease_ttl: Millis,
    /// After how long an engine ends a stream by itself that nobody reads.
    pub engine_idle: Millis,
    /// How long an engine that failed on different streams is left alone.
    pub ejection: Millis,
    /// The engines.
    pub engines: Vec<EngineConfig>,
}

/// One engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Its name, unique.
    pub name: Member,
    /// Where it is.
    pub url: EngineUrl,
    /// Streams that it may serve at once.
    pub limit: u32,
    /// Whether a port is forwarded to it; such engines are preferred.
    pub forwarded: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_timeout: Millis::from_secs(30),
            start_deadline: Millis::from_secs(60),
            start_attempts: 3,
            linger: Millis::from_secs(5),
            lease_ttl: Millis::from_secs(15),
            engine_idle: Millis::from_secs(10),
            ejection: Millis::from_secs(30),
            engines: Vec::new(),
        }
    }
}
