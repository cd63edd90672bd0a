//! Value: replaced whole, by compare-and-set.
//!
//! A writer says which version it has seen; if another write came in between, it is refused and reads
//! again. Readers keep what they started with: a content never changes, a write makes a new version. A
//! version can be rolled back to, which makes a new version with the old content.
//!
//! A write may carry a fencing token. A token lower than one seen before is refused: its holder's lease
//! has passed to someone else.
//!
//! Invariants: versions grow, and no two writes share one; the last [`limits::VALUE_VERSIONS_KEPT`] are
//! kept; the seen token never falls; a refused write changes nothing, the seen token included.
//!
//! ```
//! use interlock_kernel::{ids::Version, json::Json, time::Time, value::{Condition, Event, Guard, Value}};
//!
//! let mut value = Value::default();
//! let create = Guard { condition: Some(Condition::Absent), token: None };
//! let put = value.put(&Json::parse("1")?, &create, Version(1), Time(0))?;
//! value.apply(&Event::Replaced(put));
//! assert!(value.put(&Json::parse("2")?, &create, Version(2), Time(0)).is_err(), "it is there now");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: what versions are. The entity passes its own next version with every write.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Token, Version},
    json::Json,
    limits,
    time::Time,
};

/// The state: the last contents, and the highest fencing token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// Oldest first; the last one is the current one.
    kept: VecDeque<Kept>,
    token: Option<Token>,
}

/// One version of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number.
    pub version: Version,
    /// When it was written.
    pub at: Time,
    /// What it says.
    pub content: Json,
}

/// What a writer believes about the value. The terms are those of RFC 9110, section 13.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// `If-Match: *`: there is a value.
    Any,
    /// `If-Match: "3", "4"`: the current version is one of these.
    Versions(Vec<Version>),
    /// `If-None-Match: *`: there is no value.
    Absent,
}

/// What must hold for a write to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// What the writer believes about the value.
    pub condition: Option<Condition>,
    /// The fencing token of the lease that the writer works under.
    pub token: Option<Token>,
}

/// What happens to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// It has a new content.
    Replaced(Replaced),
    /// It has an old content again.
    RolledBack(RolledBack),
}

/// The value has a new content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// The new version.
    pub version: Version,
    /// When.
    pub at: Time,
    /// What it says.
    pub content: Json,
    /// The writer's fencing token.
    pub token: Option<Token>,
}

/// The value has an old content again, as a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The new version.
    pub version: Version,
    /// When.
    pub at: Time,
    /// The version whose content it has.
    pub to: Version,
    /// The writer's fencing token.
    pub token: Option<Token>,
}

/// Why a write is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A replacement must say what it replaces.
    #[error("a write must say what it replaces: If-Match with a version, or If-None-Match: *")]
    ConditionRequired,
    /// The writer's belief does not hold: someone else wrote in between.
    #[error("the condition does not hold: {}", current_version(*.current))]
    ConditionFailed {
        /// The version there is.
        current: Option<Version>,
    },
    /// The writer's lease has passed to someone else.
    #[error("fencing token {token} is outdated: {seen} has been seen")]
    StaleToken {
        /// The writer's token.
        token: Token,
        /// The highest one seen.
        seen: Token,
    },
    /// The version never was, or is no longer kept.
    #[error("version {0} is not among the kept ones")]
    UnknownVersion(Version),
    /// Nothing has been written yet, so there is nothing to roll back to.
    #[error("there is no such value")]
    Unwritten,
}

fn current_version(current: Option<Version>) -> String {
    match current {
        Some(version) => format!("the current version is {version}"),
        None => "there is no such value".to_owned(),
    }
}

impl Value {
    /// The current version.
    #[must_use]
    pub fn current(&self) -> Option<&Kept> {
        self.kept.back()
    }

    /// The version of that number, if it is kept.
    #[must_use]
    pub fn at(&self, version: Version) -> Option<&Kept> {
        let place = self.kept.binary_search_by_key(&version, |kept| kept.version).ok()?;
        self.kept.get(place)
    }

    /// The kept versions, newest first.
    pub fn versions(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().rev()
    }

    /// The highest fencing token seen.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.token
    }

    /// Replaces the content; the result is `version`. The condition is mandatory.
    pub fn put(
        &self,
        content: &Json,
        guard: &Guard,
        version: Version,
        now: Time,
    ) -> Result<Replaced, Rejection> {
        if guard.condition.is_none() {
            return Err(Rejection::ConditionRequired);
        }
        self.admit(guard)?;
        Ok(Replaced { version, at: now, content: content.clone(), token: guard.token })
    }

    /// Takes the content of version `to` again; the result is `version`. The condition is optional.
    pub fn roll_back(
        &self,
        to: Version,
        guard: &Guard,
        version: Version,
        now: Time,
    ) -> Result<RolledBack, Rejection> {
        if self.kept.is_empty() {
            return Err(Rejection::Unwritten);
        }
        self.admit(guard)?;
        if self.at(to).is_none() {
            return Err(Rejection::UnknownVersion(to));
        }
        Ok(RolledBack { version, at: now, to, token: guard.token })
    }

    /// Folds an event into the state. Panics if a version or a token would not grow, time would go back,
    /// or an unknown version would be rolled back to.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Replaced(Replaced { version, at, content, token }) => {
                let kept = Kept { version: *version, at: *at, content: content.clone() };
                self.push(kept, *token);
            }
            Event::RolledBack(RolledBack { version, at, to, token }) => {
                let old = self.at(*to).expect("only kept versions are rolled back to");
                let kept = Kept { version: *version, at: *at, content: old.content.clone() };
                self.push(kept, *token);
            }
        }
    }

    /// Checks every invariant; for tests.
    pub fn check(&self) {
        assert!(self.kept.len() <= limits::VALUE_VERSIONS_KEPT, "only the last versions are kept");
        for (older, newer) in self.kept.iter().zip(self.kept.iter().skip(1)) {
            assert!(older.version < newer.version, "versions grow");
            assert!(older.at <= newer.at, "time goes forward");
        }
        assert!(self.token.is_none() || !self.kept.is_empty(), "only writes raise the token");
    }

    /// Whether a write is taken: first by its condition, then by its token.
    fn admit(&self, guard: &Guard) -> Result<(), Rejection> {
        let current = self.current().map(|kept| kept.version);
        let holds = match &guard.condition {
            None => true,
            Some(Condition::Any) => current.is_some(),
            Some(Condition::Versions(versions)) => current.is_some_and(|it| versions.contains(&it)),
            Some(Condition::Absent) => current.is_none(),
        };
        if !holds {
            return Err(Rejection::ConditionFailed { current });
        }
        match (guard.token, self.token) {
            (Some(token), Some(seen)) if token < seen => Err(Rejection::StaleToken { token, seen }),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }

    fn push(&mut self, new: Kept, token: Option<Token>) {
        if let Some(current) = self.current() {
            assert!(current.version < new.version, "versions grow");
            assert!(current.at <= new.at, "time goes forward");
        }
        assert!(token.is_none() || token >= self.token, "a stale token is never taken");
        self.token = self.token.max(token);
        if self.kept.len() == limits::VALUE_VERSIONS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(new);
    }
}
