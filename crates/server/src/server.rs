//! One server, from its start to its end.
//!
//! ```text
//! start: port ─► data folder ─► runtime ─► services ─► ready
//! stop:  no new connections ─► requests in progress end ─► runtime ─► data folder
//! ```
//!
//! The port is taken before the folder, so that a server that cannot serve leaves no folder behind. Who is
//! told that the port is taken is told who holds the folder, if that is so too: it is the same server,
//! started twice. A server that was killed leaves nothing behind that keeps the next one from starting at
//! once.
//!
//! Not here: signals, processes, the command line.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use interlock_battles::{
    fleet::{Fleets, host::Host},
    routes::fleet::Desk,
};
use interlock_runtime::{
    Builder, Runtime,
    env::{Env, tokio::Tokio},
    lock::{self, FolderLock},
    store::{
        Store, StoreError,
        sqlite::{SqliteOptions, SqliteStore},
    },
    verify,
};
use interlock_web::{
    guard::{Guard, GuardError},
    serve::{App, Settings, Stopped, serve},
    traffic::Traffic,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

pub use interlock_runtime::verify::Report;

use crate::{
    app,
    compose::{self, BadStart, Services},
    config::Config,
    limits,
    pulse::Pulse,
};

/// A server that is ready to serve.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    runtime: Runtime,
    services: Arc<Services>,
    fleets: Fleets,
    host: Option<Host>,
    pulse: JoinHandle<()>,
    stopping: watch::Sender<bool>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else listens there.
    #[error("{0} is taken: another program listens there; name another address with --listen")]
    Taken(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
    /// Anybody could come in.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// A service does not start.
    #[error(transparent)]
    Service(BadStart),
}

impl Server {
    /// Takes the port and the data folder, reads what the folder holds, and gets ready. Connections that
    /// come from now on wait for [`Server::run`].
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let listener = match listen(config.listen) {
            Err(StartError::Taken(address)) => return Err(taken(address, &config.data)),
            listening => listening?,
        };
        let address = listener.local_addr();
        let address =
            address.map_err(|source| StartError::Listen { address: config.listen, source })?;
        let guard = Guard::new(&[address], &config.tokens)?;
        let store = open(SqliteOptions::new(&config.data)).await?;
        store.announce(&address.to_string())?;
        let env = Env::new(Tokio::current(), Arc::new(store));
        let builder = Builder::new(env).retention(config.retention);
        let fleets = Fleets::new(&config.data);
        let services = compose::prepare(config, &fleets);
        let runtime = compose::register(&services, builder).start().await?;
        let services = compose::start(services, &runtime).await.map_err(StartError::Service)?;
        let services = Arc::new(services);

        let stopping = watch::Sender::new(false);
        let pulse = Arc::new(Pulse::default());
        let traffic = Arc::new(Traffic::default());
        let site = app::Site {
            runtime: runtime.clone(),
            services: Arc::clone(&services),
            audit: Arc::default(),
            desk: Desk { runtime: runtime.clone(), fleets: fleets.clone() },
            retention: config.retention,
            pulse: Arc::clone(&pulse),
            traffic: Arc::clone(&traffic),
            stopping: stopping.subscribe(),
        };
        let app = Arc::new(App::new(app::routes(site), guard, traffic));
        let pulse = tokio::spawn({
            let runtime = runtime.clone();
            async move { pulse.run(&runtime).await }
        });
        let host = None;
        Ok(Self { listener, address, app, runtime, services, fleets, host, pulse, stopping })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The runtime, for programs that have a server within them.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The battle fleets of this process: who starts one adds it, so that pages show it.
    #[must_use]
    pub fn fleets(&self) -> &Fleets {
        &self.fleets
    }

    /// Plays for runs, too, as it is asked to over HTTP and on its pages; those that it was playing for when it
    /// stopped go on now.
    pub fn host_fleets(&mut self) {
        self.host = Some(Host::start(self.fleets.clone(), &self.runtime));
    }

    /// Serves until `stop` is done, then ends in order: hosted fleets are cut off, to go on with the next process,
    /// services end what would go on for ever, requests in progress have [`limits::GRACE`], then those who wait for something are told that the server
    /// stops, and the rest have as long as [`Settings::drain_time`] says.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Stopped {
        let Self { listener, app, runtime, services, host, pulse, stopping, .. } = self;
        let mut stopped = stopping.subscribe();
        let stop = async {
            stop.await;
            stopping.send_replace(true);
        };
        let (all_answered, mut answered) = watch::channel(false);
        let web = async {
            let stopped = serve(listener, app, Settings::default(), stop).await;
            all_answered.send_replace(true);
            stopped
        };
        let end = async {
            // Both senders live as long as this function.
            let _ = stopped.wait_for(|stopped| *stopped).await;
            drop(host);
            let grace = sleep(limits::GRACE);
            if timeout(limits::SERVICES_STOP, services.stop()).await.is_err() {
                tracing::warn!("a service did not end in time");
            }
            tokio::select! {
                _ = answered.wait_for(|answered| *answered) => {}
                () = grace => {}
            }
            runtime.stop().await;
        };
        let (stopped, ()) = tokio::join!(web, end);
        pulse.abort();
        stopped
    }
}

/// Opens the data folder without keeping anybody waiting.
async fn open(options: SqliteOptions) -> Result<SqliteStore, StoreError> {
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&options)).await;
    opened.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

/// Listens on an address, also while connections of a server that was killed are still being forgotten.
fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(limits::BACKLOG)
    };
    listen().map_err(|source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::Taken(address)
        } else {
            StartError::Listen { address, source }
        }
    })
}

/// Why a taken port keeps this server from starting.
fn taken(address: SocketAddr, folder: &Path) -> StartError {
    // Asking creates the lock's file: only where a server has been before.
    if folder.join(lock::FILE_NAME).is_file()
        && let Err(held @ StoreError::InUse(_)) = FolderLock::take(folder, "no address yet")
    {
        return StartError::Store(held);
    }
    StartError::Taken(address)
}

/// Where the server listens that holds this data folder now, if one does.
#[must_use]
pub fn serving(folder: &Path) -> Option<SocketAddr> {
    lock::listening_on(folder)?.parse().ok()
}

/// Recounts everything in a data folder that no server uses.
///
/// # Errors
/// When the folder cannot be read; what is merely wrong is in the report.
pub async fn verify(folder: &Path) -> Result<Report, StoreError> {
    let store: Arc<dyn Store> = Arc::new(open(SqliteOptions::new(folder)).await?);
    let builder = Builder::new(Env::new(Tokio::current(), Arc::clone(&store)));
    let services = compose::prepare(&Config::default(), &Fleets::new(folder));
    let codecs = compose::register(&services, builder).codecs();
    let report = verify::verify(&store, &codecs).await?;
    store.close().await;
    Ok(report)
}
