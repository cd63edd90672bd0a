//! A demonstration: engines that are not real, and a stream to play from them.
//!
//! The engines are [`interlock_streams::fake`]s on ports of their own; everything between them and the
//! player is the real thing. The configuration is the default one apart from that.

use std::{io, net::SocketAddr, time::Duration};

use interlock_kernel::ids::Member;
use interlock_streams::{
    fake::{FakeEngine, Settings},
    service::EngineConfig,
};

/// The stream to play. Engines that are not real have every one.
const STREAM: &str = "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff";
/// Their names. The last one has a forwarded port.
const NAMES: [&str; 3] = ["demo1", "demo2", "demo3"];
/// Long enough to be seen on the page, short enough for a player.
const COLD_START: Duration = Duration::from_millis(700);

/// Running engines. Dropping them ends them.
pub struct Demo {
    engines: Vec<FakeEngine>,
}

impl Demo {
    /// Starts the engines.
    ///
    /// # Errors
    /// When there are no ports for them.
    pub async fn start() -> io::Result<Self> {
        let mut engines = Vec::new();
        for _ in NAMES {
            let settings = Settings { cold_start: COLD_START, ..Settings::demo() };
            engines.push(FakeEngine::start(settings).await?);
        }
        Ok(Self { engines })
    }

    /// The engines, as a configuration names them.
    #[must_use]
    pub fn engines(&self) -> Vec<EngineConfig> {
        let named = NAMES.iter().zip(&self.engines);
        let engine = |(name, engine): (&&str, &FakeEngine)| EngineConfig {
            name: Member::new(name).expect("the names follow the rule of names"),
            url: engine.url(),
            limit: Settings::default().limit,
            forwarded: NAMES.last() == Some(name),
        };
        named.map(engine).collect()
    }

    /// What a player plays from the server at this address.
    #[must_use]
    pub fn url(&self, server: SocketAddr) -> String {
        format!("http://{server}/ace/getstream?id={STREAM}")
    }
}
