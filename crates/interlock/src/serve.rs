//! `interlock serve`

use std::{io::Write, net::SocketAddr};

use anyhow::{Context, Result, bail};
use interlock_server::{
    config::{Config, Overrides},
    demo::Demo,
    server::Server,
};

use crate::{cli::Serve, config, open_files, signals::Signals};

pub fn run(serve: Serve) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let Serve { config, listen, data, demo, unread } = serve;
    if let Some(file) = unread {
        tracing::warn!(file = %file.display(), "INTERLOCK_CONFIG is not read: this is a demonstration");
    }
    let overrides = Overrides { listen, data };
    if demo {
        return runtime.block_on(demonstrate(overrides));
    }
    let config = config::load(config, &overrides)?;
    runtime.block_on(until_stopped(&config, |_| {}))
}

/// Serves with engines that are not real, from a folder that is removed at the end unless one is named.
async fn demonstrate(mut overrides: Overrides) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix("interlock-demo-").tempdir();
    let temporary = temporary.context("cannot make a folder for the demonstration")?;
    overrides.data.get_or_insert_with(|| temporary.path().to_owned());
    let demo = Demo::start().await.context("cannot start engines for the demonstration")?;
    let mut config = Config::without_file(&overrides)?;
    config.streams.engines = demo.engines();
    until_stopped(&config, |address| {
        say("play this with ffplay or VLC, as often as you like:");
        say(&demo.url(address));
    })
    .await
}

/// Serves until the process is told to stop. `greet` is called once it is ready.
async fn until_stopped(config: &Config, greet: impl FnOnce(SocketAddr)) -> Result<()> {
    let mut signals = Signals::listen()?;
    open_files::allow_many();
    let mut server = Server::start(config).await?;
    server.host_fleets();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data = %config.data.display(),
        tokens = config.tokens.len(),
        engines = config.streams.engines.len(),
        "serving"
    );
    say(&format!("listening on http://{}", server.address()));
    greet(server.address());
    let (runtime, mut has_died) = (server.runtime().clone(), false);
    let stop = async {
        tokio::select! {
            biased;
            () = signals.next() => tracing::info!("stopping; a second signal stops at once"),
            () = runtime.ended() => {
                has_died = true;
                tracing::error!("a defect has ended the engine: stopping, what was acknowledged is kept");
            }
        }
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
    if has_died {
        bail!("a defect has ended the engine; start again to go on from what was acknowledged");
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
