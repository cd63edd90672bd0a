//! The configuration: `interlock.toml`, and what the command line says instead.
//!
//! The README shows a file with every setting; `tests/readme.rs` keeps it true.
//!
//! Everything has a default but the engines. Whatever is wrong is said at once, all of it, each with its
//! line, its column, its key, and what would be right; unknown keys are refused, because a misspelt key
//! that is passed over is a setting that silently does not hold. Secrets are in no message.
//!
//! Not here: changing the configuration of a running server; reading files.

mod auth;
mod kinds;
mod span;
mod streams;
mod text;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use interlock_kernel::time::Millis;
use interlock_streams::service as streams_service;
pub use interlock_web::guard::AccessToken;
use interlock_web::guard::Guard;

pub use self::{
    kinds::{BadAddress, parse_address},
    span::{BadSpan, Span},
    text::{Mistake, Mistakes, Place},
};
use self::{
    kinds::{address, path, span},
    text::{Document, Found, Section},
};
use crate::limits;

/// The name of the file that is read if none is named.
pub const FILE_NAME: &str = "interlock.toml";

/// A whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the server listens. Port 0: any free one.
    pub listen: SocketAddr,
    /// The data folder; a relative one counts from the working directory.
    pub data: PathBuf,
    /// How long command ids, ended leases and events are kept.
    pub retention: Millis,
    /// Who may come in; none on loopback: everyone on this machine.
    pub tokens: Vec<AccessToken>,
    /// The streams service.
    pub streams: streams_service::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            data: PathBuf::from("./interlock-data"),
            retention: interlock_runtime::limits::RETENTION,
            tokens: Vec::new(),
            streams: streams_service::Config::default(),
        }
    }
}

/// What the command line or the environment says instead of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of `listen`.
    pub listen: Option<SocketAddr>,
    /// Instead of `data`.
    pub data: Option<PathBuf>,
}

impl Config {
    /// Reads a configuration file's text; `name` is what messages call it.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text.
    pub fn parse(name: &str, text: &str, overrides: &Overrides) -> Result<Self, Mistakes> {
        if text.len() > limits::CONFIG_BYTES {
            let says = format!("the file must have at most {} bytes", limits::CONFIG_BYTES);
            return Err(Mistakes::one(name, Mistake { place: None, says }));
        }
        let document = Document::new(text);
        let config = match document.root() {
            Some(root) => read(&document, root, overrides),
            None => Self::default(),
        };
        match document.into_mistakes() {
            mistakes if mistakes.is_empty() => Ok(config),
            mistakes => Err(Mistakes::new(name, mistakes)),
        }
    }

    /// The configuration of a server that has no file.
    ///
    /// # Errors
    /// If the command line contradicts itself.
    pub fn without_file(overrides: &Overrides) -> Result<Self, Mistakes> {
        Self::parse("the command line", "", overrides)
    }
}

fn read(document: &Document<'_>, mut root: Section<'_>, overrides: &Overrides) -> Config {
    let default = Config::default();
    let listen = root.optional("listen", address);
    let data = root.or("data", path, default.data);
    let retention = root.or("retention", span(limits::RETENTION), default.retention);
    let tokens = root.section("auth").map(auth::read).unwrap_or_default();
    let streams = root.section("streams").map(streams::read).unwrap_or_default();
    root.finish();
    let listen = match overrides.listen {
        Some(value) => Found { value, at: None },
        None => listen.unwrap_or(Found { value: default.listen, at: None }),
    };
    // Tokens that are there but wrong have been complained about.
    if tokens.is_empty() && document.is_clean() {
        check_reach(document, &listen);
    }
    let data = overrides.data.clone().unwrap_or(data);
    Config { listen: listen.value, data, retention, tokens, streams }
}

/// A server that other machines can reach needs tokens.
fn check_reach(document: &Document<'_>, listen: &Found<SocketAddr>) {
    if let Err(open) = Guard::new(&[listen.value], &[]) {
        let says = format!(
            "listen: {open}: tokens = [\"…\"]; \
             or listen on 127.0.0.1, for this machine alone"
        );
        document.mistake(listen.at, says);
    }
}
