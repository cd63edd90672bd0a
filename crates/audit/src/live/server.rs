//! The server's process.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A server that runs, or is about to. Dropping it kills it with -9.
pub(super) struct Server(Child);

impl Server {
    /// Starts a server, which may take a while until it listens.
    pub(super) fn start(program: &Path, data: &Path, listen: &str) -> io::Result<Self> {
        let process = Command::new(program)
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .env("INTERLOCK_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self(process))
    }

    /// Waits until it says that it listens, and where.
    pub(super) fn listens(&mut self) -> io::Result<SocketAddr> {
        let mut line = String::new();
        if let Some(out) = self.0.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix("listening on http://");
        match address.and_then(|address| address.parse().ok()) {
            Some(address) => Ok(address),
            None => {
                let status = self.0.wait()?;
                Err(io::Error::other(format!("the server does not start: {status}, {line:?}")))
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
