//! Values over HTTP: replaced whole, by compare-and-set.
//!
//! The kernel's [`Value`] decides; this entity adds closing, error codes and the views for `GET`. A
//! value's version is the entity's: the write that made it.

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Version,
    json::Json,
    time::Time,
    value::{self, Guard, Kept, Replaced, RolledBack, Value},
};
use serde::{Deserialize, Serialize};

use super::Closed;

/// A value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ValueEntity(Value);

/// What can be asked of a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ValueCommand {
    /// Replace the content. The guard must have a condition.
    Put {
        /// What it says from now on.
        content: Json,
        /// What must hold.
        guard: Guard,
    },
    /// Take an old content again. The guard may have a condition.
    Rollback {
        /// The version whose content is wanted.
        to: Version,
        /// What must hold.
        guard: Guard,
    },
    /// Take no more commands.
    Close,
}

/// What happens to a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ValueEvent {
    /// It has a new content.
    Replaced(Replaced),
    /// It has an old content again.
    RolledBack(RolledBack),
    /// It takes no more commands.
    Closed(Closed),
}

/// The answer to a [`ValueCommand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ValueReply {
    /// The content is written.
    Put {
        /// Whether there was none before.
        created: bool,
    },
    /// The old content is back.
    RolledBack,
    /// It is closed.
    Closed,
}

/// Why a [`ValueCommand`] is refused, or a version cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ValueRejection(#[from] pub value::Rejection);

impl ValueRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0 {
            value::Rejection::Unwritten => "unknown_value",
            value::Rejection::ConditionRequired => "precondition_required",
            value::Rejection::ConditionFailed { .. } => "precondition_failed",
            value::Rejection::StaleToken { .. } => "stale_token",
            value::Rejection::UnknownVersion(_) => "unknown_version",
        }
    }
}

/// The body of `GET /values/{key}/versions`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionsView {
    /// The kept versions, newest first.
    pub versions: Vec<VersionView>,
}

/// One version of a value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionView {
    /// Its number.
    pub version: Version,
    /// When it was written.
    pub at: Time,
}

impl ValueEntity {
    /// Recounts every invariant; for tests and audits.
    ///
    /// Panics if one does not hold.
    pub fn check(&self) {
        self.0.check();
    }

    /// What `GET` shows: the current version, or the asked one.
    pub fn content(&self, version: Option<Version>) -> Result<&Kept, ValueRejection> {
        let current = self.current()?;
        match version {
            None => Ok(current),
            Some(version) => {
                self.0.at(version).ok_or(ValueRejection(value::Rejection::UnknownVersion(version)))
            }
        }
    }

    /// What `GET …/versions` shows.
    pub fn versions(&self) -> Result<VersionsView, ValueRejection> {
        self.current()?;
        let versions = self.0.versions();
        let versions = versions.map(|kept| VersionView { version: kept.version, at: kept.at });
        Ok(VersionsView { versions: versions.collect() })
    }

    fn current(&self) -> Result<&Kept, ValueRejection> {
        self.0.current().ok_or(ValueRejection(value::Rejection::Unwritten))
    }

    fn put(
        &self,
        content: &Json,
        guard: &Guard,
        cx: &Context<'_>,
    ) -> Result<Decision<Self>, ValueRejection> {
        let replaced = self.0.put(content, guard, cx.version.next(), cx.now)?;
        let reply = ValueReply::Put { created: self.0.current().is_none() };
        Ok(Decision::event(ValueEvent::Replaced(replaced), reply))
    }

    fn roll_back(
        &self,
        to: Version,
        guard: &Guard,
        cx: &Context<'_>,
    ) -> Result<Decision<Self>, ValueRejection> {
        let rolled_back = self.0.roll_back(to, guard, cx.version.next(), cx.now)?;
        Ok(Decision::event(ValueEvent::RolledBack(rolled_back), ValueReply::RolledBack))
    }

    fn close(&self) -> Result<Decision<Self>, ValueRejection> {
        self.current()?;
        Ok(Decision::event(ValueEvent::Closed(Closed {}), ValueReply::Closed).close())
    }
}

impl Entity for ValueEntity {
    const TYPE: &'static str = "value";
    type Command = ValueCommand;
    type Event = ValueEvent;
    type Reply = ValueReply;
    type Rejection = ValueRejection;
    type Effect = Never;

    fn decide(&self, command: &ValueCommand, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            ValueCommand::Put { content, guard } => self.put(content, guard, cx)?,
            ValueCommand::Rollback { to, guard } => self.roll_back(*to, guard, cx)?,
            ValueCommand::Close => self.close()?,
        })
    }

    fn apply(&mut self, event: &ValueEvent) {
        let event = match event {
            ValueEvent::Replaced(replaced) => value::Event::Replaced(replaced.clone()),
            ValueEvent::RolledBack(rolled_back) => value::Event::RolledBack(rolled_back.clone()),
            ValueEvent::Closed(Closed {}) => return,
        };
        self.0.apply(&event);
    }

    fn command_name(command: &ValueCommand) -> &'static str {
        match command {
            ValueCommand::Put { .. } => "put",
            ValueCommand::Rollback { .. } => "rollback",
            ValueCommand::Close => "close",
        }
    }

    fn event_name(event: &ValueEvent) -> &'static str {
        match event {
            ValueEvent::Replaced(_) => "replaced",
            ValueEvent::RolledBack(_) => "rolled_back",
            ValueEvent::Closed(_) => "closed",
        }
    }
}
