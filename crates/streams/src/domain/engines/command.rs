//! What is said to the engines' entity, and what it says.

use std::collections::BTreeSet;

use interlock_kernel::{
    ids::Member,
    pool::{LeaseId, Reason},
    time::Millis,
};
use serde::{Deserialize, Serialize};

/// An engine of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSpec {
    /// Its name.
    pub name: Member,
    /// `http://host:port`.
    pub url: String,
    /// Sessions at once.
    pub limit: u32,
    /// Whether the engine's port is forwarded; such engines are preferred.
    pub forwarded: bool,
}

/// The times that the rules need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// A lease that is not renewed ends after this.
    pub lease_ttl: Millis,
    /// An engine ends a session that nobody reads after this.
    pub engine_idle: Millis,
    /// An engine that fails on different streams is set aside for this.
    pub ejection: Millis,
    /// The longest that one engine may take to start a stream.
    pub start_timeout: Millis,
}

/// Why a use is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The last player left, and nobody came back.
    Unwatched,
    /// Another stream needed the slot more than a stream without players.
    GaveWay,
    /// All who waited for the start have gone.
    Cancelled,
    /// The engine ended the stream.
    EngineEnded,
    /// The start failed.
    Failed {
        /// What happened.
        why: String,
        /// The engine could not be reached.
        unreachable: bool,
    },
    /// The lease ran out: its holder was gone or could not renew it.
    LeaseLost,
    /// The process that held it is gone.
    TakenOver,
    /// The process is stopping.
    Stopping,
    /// A defect in this process.
    Panicked,
}

/// What an engine may have opened for a use that is over, as far as its holder knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Session {
    /// Nothing: it refused or said no.
    None,
    /// Perhaps a session whose name was not heard.
    Perhaps,
    /// It was not waited for: a session may open until the start's time is up.
    Unanswered,
}

/// How we know that a slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Freed {
    /// The engine acknowledged the stop.
    Acknowledged,
    /// The engine's own idle time-out has passed.
    Idle,
    /// There never was a session.
    Unused,
}

/// What is asked of the engines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// A process takes over: everything that is in use belonged to the last one.
    Begin {
        /// The engines of its configuration; others drain.
        engines: Vec<EngineSpec>,
        /// Its times.
        rules: Rules,
    },
    /// A slot for a stream, or hope for one.
    Acquire {
        /// Who asks.
        asker: Asker,
        /// Who asked before and still waits, first come first.
        ahead: Vec<Asker>,
        /// Slots of streams that nobody watches, in the order in which they are to give way.
        unwatched: Vec<LeaseId>,
    },
    /// The engine opened a session.
    Started {
        /// The slot.
        lease: LeaseId,
        /// How it is stopped.
        command_url: String,
        /// How it does.
        stat_url: String,
    },
    /// Bytes flow.
    Flowing {
        /// The slot.
        lease: LeaseId,
    },
    /// The holder is still there.
    Renew {
        /// The slot.
        lease: LeaseId,
    },
    /// The use is over.
    Release {
        /// The slot.
        lease: LeaseId,
        /// Why.
        ending: Ending,
        /// What the engine may have opened, unless it told.
        session: Session,
    },
    /// The engine acknowledged a stop.
    Stopped {
        /// The slot.
        lease: LeaseId,
    },
    /// The engine could not be asked to stop.
    StopFailed {
        /// The slot.
        lease: LeaseId,
    },
    /// An engine answers its health check, or does not.
    Health {
        /// Which one.
        engine: Member,
        /// Whether it does.
        healthy: bool,
    },
    /// A timer's: record what is over.
    Expire,
    /// A timer's: the engine's idle time-out has passed.
    Idle {
        /// The slot.
        lease: LeaseId,
    },
}

/// A stream that asks for a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The stream.
    pub stream: String,
    /// Engines that will not do: they were tried.
    pub avoid: BTreeSet<Member>,
}

/// What the engines answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// A slot.
    Granted(Grant),
    /// There is a slot to wait for, and nobody ahead needs it.
    Soon {
        /// It is this one, if the stream that has it gives way.
        gives_way: Option<LeaseId>,
    },
    /// Every engine that may be used was tried.
    AllTried,
}

/// A slot for a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name; the number in it is its fencing token.
    pub lease: LeaseId,
    /// On which engine.
    pub engine: Member,
    /// Where that is.
    pub url: String,
    /// Why that one.
    pub reason: Reason,
}

/// A call to an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopSession {
    /// The slot.
    pub lease: LeaseId,
    /// Where the engine is.
    pub url: String,
    /// How its session is stopped.
    pub command_url: String,
}
