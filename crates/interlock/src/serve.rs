//! `interlock serve`

use std::io::Write;

use anyhow::{Context, Result};
use interlock_server::{
    config::{Config, Overrides},
    server::Server,
};

use crate::{cli::Serve, config, signals::Signals};

pub fn run(serve: Serve) -> Result<()> {
    let Serve { config, listen, data, demo: _ } = serve;
    let config = config::load(config, &Overrides { listen, data })?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    runtime.block_on(until_stopped(&config))
}

async fn until_stopped(config: &Config) -> Result<()> {
    let mut signals = Signals::listen()?;
    let server = Server::start(config).await?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data = %config.data.display(),
        tokens = config.tokens.len(),
        "serving"
    );
    say(&format!("listening on http://{}", server.address()));
    let stop = async {
        signals.next().await;
        tracing::info!("stopping; a second signal stops at once");
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!("stopped at once");
            std::process::exit(1);
        });
    };
    let stopped = server.run(stop).await;
    if stopped.cut_off > 0 {
        tracing::warn!(connections = stopped.cut_off, "cut off connections that were still busy");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Says something on standard output, which others may wait for. Nobody listening is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::debug!(%error, "nobody reads standard output");
    }
}
