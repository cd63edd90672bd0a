//! The server's process.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A running server. Dropping it kills it with -9.
pub(super) struct Server {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it says that it listens.
    pub(super) fn start(program: &Path, data: &Path, listen: &str) -> io::Result<Self> {
        let mut process = Command::new(program)
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .env("INTERLOCK_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        match address.and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { process, address }),
            None => {
                let status = process.wait()?;
                Err(io::Error::other(format!("the server does not start: {status}, {line:?}")))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
