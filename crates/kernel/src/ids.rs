//! Names and numbers that identify things, each with a type of its own, so that a lease's token can
//! never be passed where a version is wanted.
//!
//! Names follow one rule ([`check_name`]); numbers are plain `u64`s that only grow.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::limits;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The text is empty or longer than [`limits::NAME_CHARS`].
    #[error("must have 1 to {} characters", limits::NAME_CHARS)]
    Length,
    /// A character outside `A-Z a-z 0-9 . _ : -`.
    #[error("may hold only A-Z a-z 0-9 . _ : -, not {0:?}")]
    Character(char),
    /// `.` and `..` would vanish from a URL's path.
    #[error("must not be . or ..")]
    Dots,
}

/// The rule of every name: 1 to 200 characters of `A-Z a-z 0-9 . _ : -`, but neither `.` nor `..`.
pub fn check_name(text: &str) -> Result<(), BadName> {
    if text.is_empty() || text.len() > limits::NAME_CHARS * 4 {
        return Err(BadName::Length);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    if let Some(stranger) = text.chars().find(|c| !allowed(*c)) {
        return Err(BadName::Character(stranger));
    }
    if text.len() > limits::NAME_CHARS {
        return Err(BadName::Length);
    }
    if text == "." || text == ".." {
        return Err(BadName::Dots);
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text if it follows the rule of names ([`check_name`]).
            pub fn new(text: &str) -> Result<Self, BadName> {
                check_name(text).map(|()| Self(Arc::from(text)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    )+};
}

names! {
    /// Which entity of a type: the `42` of `match/42`.
    Key;
    /// One of those who share a quota.
    Worker;
    /// Who holds a lease or runs a job.
    Holder;
    /// A member of a pool: something with a limit of its own.
    Member;
    /// One of those that a barrier waits for.
    Party;
    /// How a claim or a run ended, in the user's words: `win`, `loss`.
    Outcome;
}

/// A command's id, the idempotency key: 1 to 255 visible ASCII characters, scoped to caller and entity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(Arc<str>);

/// The text is no command id: it must have 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} visible ASCII characters", limits::COMMAND_ID_CHARS)]
pub struct BadCommandId;

impl CommandId {
    /// Takes the text if it is 1 to 255 visible ASCII characters (`!` to `~`).
    pub fn new(text: &str) -> Result<Self, BadCommandId> {
        let fits = (1..=limits::COMMAND_ID_CHARS).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(BadCommandId)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who sends a command: the name of the token it came with, or [`Caller::local`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Caller(Arc<str>);

impl Caller {
    /// A caller by name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The caller of a server that asks for no login.
    #[must_use]
    pub fn local() -> Self {
        Self::new("")
    }

    /// The caller's name; empty for the local one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("2^64 steps outlast every deployment"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

numbers! {
    /// How many records an entity's history has; 0 before the first. Rises by one with every command
    /// that committed something.
    Version;
    /// A fencing token: grows with every grant of its entity, never repeats.
    Token;
    /// Where a record stands in the log, from 1, without gaps.
    Position;
}
