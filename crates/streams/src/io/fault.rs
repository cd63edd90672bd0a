//! What can go wrong between us and an engine.

use std::io;

use super::engine::EngineUrl;
use crate::limits;

/// An engine failed us. The fault says how, and so whose it is: the engine's, the content's, or ours.
#[derive(Debug, thiserror::Error)]
#[error("engine {engine}: {fault}")]
pub struct EngineError {
    /// Which engine.
    pub engine: EngineUrl,
    /// What happened.
    #[source]
    pub fault: Fault,
}

/// What happened between us and an engine.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody accepts connections there. The engine is down.
    #[error("no connection")]
    Refused(#[source] io::Error),
    /// The deadline passed. What was asked may still happen.
    #[error("no answer in time, when asked to {0}")]
    TimedOut(&'static str),
    /// The engine is there, and says no: most often the content cannot be loaded.
    #[error("it said: {0}")]
    Said(String),
    /// The playback URL answers with something that no player can play.
    #[error("the answer is no transport stream, it begins with {0:?}")]
    NotTransportStream(String),
    /// The answer breaks the protocol, or a limit.
    #[error("bad answer: {0}")]
    BadAnswer(String),
    /// The connection ended before the answer did. What was asked may have happened.
    #[error("the connection ended")]
    Ended(#[source] Option<hyper::Error>),
}

impl Fault {
    /// What the engine did, for those who must not see its address or its words. Follows its name.
    #[must_use]
    pub fn in_brief(&self) -> &'static str {
        match self {
            Self::Refused(_) => "could not be reached",
            Self::TimedOut(_) => "did not answer in time",
            Self::Said(_) => "refused",
            Self::NotTransportStream(_) => "sent something else than a stream",
            Self::BadAnswer(_) => "gave a bad answer",
            Self::Ended(_) => "broke off",
        }
    }

    /// Names the engine whose fault it is.
    pub(super) fn of(self, engine: &EngineUrl) -> EngineError {
        EngineError { engine: engine.clone(), fault: self }
    }

    /// The engine's own words, shortened to what a log can bear.
    pub(super) fn said(words: &str) -> Self {
        Self::Said(shorten(words))
    }

    /// A broken answer that begins with these bytes.
    pub(super) fn not_transport_stream(bytes: &[u8]) -> Self {
        const SHOWN_BYTES: usize = 64;
        let start = &bytes[..bytes.len().min(SHOWN_BYTES)];
        Self::NotTransportStream(String::from_utf8_lossy(start).into_owned())
    }

    /// What hyper's error means for an answer.
    pub(super) fn from_http(error: hyper::Error) -> Self {
        if error.is_parse() { Self::BadAnswer(error.to_string()) } else { Self::Ended(Some(error)) }
    }
}

fn shorten(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(limits::TEXT_BYTES / 4).collect()
}
