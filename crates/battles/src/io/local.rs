//! A server of one's own: the npm package `pokemon-showdown`, run by Node on a free port of this machine for as long
//! as it is needed. It asks nobody for a password.
//!
//! It never outlives us: its standard input is a pipe whose other end is ours, and it ends when that pipe does,
//! however we end. It has a process group of its own, so that Ctrl-C reaches us alone, and a fleet can finish what
//! is in play.
//!
//! Servers in one folder write the same files, so there is one at a time, by a lock.
//!
//! Not here: installing anything. What is missing is said, and what to type.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncReadExt, copy, sink},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::limits;

/// How to install the package: the version that is tested.
pub const INSTALL: &str = "npm install pokemon-showdown@0.11.11 --ignore-scripts";

/// Where the package is, if nobody says.
const USUAL: [&str; 2] = [
    "node_modules/pokemon-showdown",
    // Where `./test` installs it.
    "target/showdown/node_modules/pokemon-showdown",
];

/// Runs the package's own program, but ends with the standard input. Its helpers are to be started as it would
/// start them: without these words.
const PROGRAM: &str = "process.stdin.on('end', () => process.exit()).resume(); process.execArgv = []; \
                       process.argv.splice(1, 0, 'pokemon-showdown'); require('./pokemon-showdown')";

/// Gives battles seeds.
const PAIRS: &str = include_str!("local/pairs.js");

/// What is written where the package has no configuration: few processes, and nobody else comes in.
const CONFIGURATION: &str = "\
exports.bindaddress = '127.0.0.1';
exports.repl = false;
exports.subprocesses = {
    network: 1, simulator: 1, validator: 1,
    verifier: 0, localartemis: 0, remoteartemis: 0, friends: 0, chatdb: 0, modlog: 0, pm: 0, battlesearch: 0, datasearch: 0,
};
";

/// Folders that the server writes to and does not make.
const FOLDERS: [&str; 6] = [
    "logs/repl",
    "logs/chat",
    "logs/modlog",
    "logs/randbats",
    "config/chat-plugins",
    "config/ladders",
];

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct LocalServer {
    url: String,
    _process: Child,
    _lock: File,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no Node.
    #[error("a local server needs Node 18 or newer, and node cannot be run: {0}")]
    NoNode(#[source] io::Error),
    /// The package is not where it is looked for.
    #[error(
        "a local server needs the npm package, which is not in {0}; to install it here: {INSTALL}"
    )]
    NoPackage(String),
    /// The package's folder cannot be used.
    #[error("{folder}: {source}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// This machine has no port for it.
    #[error("there is no free port: {0}")]
    NoPort(#[source] io::Error),
    /// It ended before it listened.
    #[error("the local server ended before it was ready ({status}): {said}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// It runs, and does not listen.
    #[error("the local server was not ready within {} s", limits::LOCAL_START.as_secs())]
    TimedOut,
}

/// Where the package is: in this folder if one is named, else where it usually is.
///
/// # Errors
/// [`LocalError::NoPackage`], with the folders that were looked into.
pub fn find_package(named: Option<PathBuf>) -> Result<PathBuf, LocalError> {
    let places = named.map_or_else(|| USUAL.map(PathBuf::from).to_vec(), |named| vec![named]);
    let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    let found = places.into_iter().find(|place| place.join("pokemon-showdown").is_file());
    found.ok_or_else(|| LocalError::NoPackage(looked.join(" or ")))
}

impl LocalServer {
    /// Starts the package in this folder, and returns when it can be connected to.
    ///
    /// A configuration that the package has already is left as it is.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub async fn start(package: &Path) -> Result<Self, LocalError> {
        Self::start_with(package, "").await
    }

    /// The same, for matches: the n-th battle of any two accounts has the teams and the dice of the n-th of any other
    /// two, and its log names its seed.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub async fn start_with_pairs(package: &Path) -> Result<Self, LocalError> {
        Self::start_with(package, PAIRS).await
    }

    /// The same, with a script that runs first in the server's process.
    ///
    /// # Errors
    /// See [`LocalError`].
    pub async fn start_with(package: &Path, script: &str) -> Result<Self, LocalError> {
        let program = format!("{script}\n{PROGRAM}");
        let lock = prepare(package).await?;
        let port = free_port().await.map_err(LocalError::NoPort)?;
        let mut process = Command::new("node")
            .args(["-e", &program, "--", "start", "--no-security", "--skip-build"])
            .arg(port.to_string())
            .current_dir(package)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(LocalError::NoNode)?;
        timeout(limits::LOCAL_START, ready(&mut process, package, port))
            .await
            .map_err(|_| LocalError::TimedOut)??;
        if let Some(mut complaints) = process.stderr.take() {
            // A pipe that nobody reads would stop it one day.
            tokio::spawn(async move { copy(&mut complaints, &mut sink()).await });
        }
        let url = format!("ws://127.0.0.1:{port}/showdown/websocket");
        Ok(Self { url, _process: process, _lock: lock })
    }

    /// Its socket.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Makes what the server needs and an installed package lacks, alone in its folder.
async fn prepare(package: &Path) -> Result<File, LocalError> {
    let folder = package.to_owned();
    let prepare = move || {
        fs::create_dir_all(folder.join("logs"))?;
        let lock = File::create(folder.join("logs/interlock.lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!(folder = %folder.display(), "waiting for the server that runs in it");
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        FOLDERS.iter().try_for_each(|name| fs::create_dir_all(folder.join(name)))?;
        let configuration = folder.join("config/config.js");
        if !configuration.exists() {
            fs::write(configuration, CONFIGURATION)?;
        }
        Ok(lock)
    };
    let prepared = tokio::task::spawn_blocking(prepare).await;
    let prepared = prepared.expect("preparing a folder does not panic");
    prepared.map_err(|source| LocalError::Folder { folder: package.to_owned(), source })
}

async fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// Waits until it listens. It says so a little before it does; only a connection proves it.
async fn ready(process: &mut Child, package: &Path, port: u16) -> Result<(), LocalError> {
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        let trouble = |source| LocalError::Folder { folder: package.to_owned(), source };
        if let Some(status) = process.try_wait().map_err(trouble)? {
            return Err(LocalError::Ended { status, said: complaint(process).await });
        }
        sleep(limits::LOCAL_LOOK_AGAIN).await;
    }
    Ok(())
}

async fn complaint(process: &mut Child) -> String {
    let mut said = Vec::new();
    if let Some(complaints) = process.stderr.take() {
        // What can be read of it is better than nothing.
        let _ = complaints.take(limits::LOCAL_COMPLAINT_BYTES).read_to_end(&mut said).await;
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_is_missing_is_said_so_with_what_to_type() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_package(Some(empty.path().to_owned())).unwrap_err().to_string();
        assert!(error.contains(&empty.path().display().to_string()), "{error}");
        assert!(error.ends_with(INSTALL), "{error}");
        fs::write(empty.path().join("pokemon-showdown"), "").unwrap();
        assert_eq!(find_package(Some(empty.path().to_owned())).unwrap(), empty.path());
    }

    #[tokio::test]
    async fn a_package_that_cannot_start_says_why() {
        let broken = tempfile::tempdir().unwrap();
        fs::write(broken.path().join("pokemon-showdown"), "throw new Error('not today')").unwrap();
        let error = LocalServer::start(broken.path()).await.unwrap_err().to_string();
        assert!(error.contains("not today"), "{error}");
    }
}
