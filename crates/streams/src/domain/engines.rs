//! The engines' slots: who may use which engine, and when a slot is free again.
//!
//! ```text
//!  acquire ─► pending ─started─► pending ─flowing─► active
//!                │                 │                   │ renewed
//!                └────── released, expired, taken over ┘
//!                          │
//!                          ▼
//!                       closing ── the engine acknowledged the stop ──────────► free
//!                               └─ it cannot be asked: its idle time-out passed ┘
//! ```
//!
//! Invariants:
//! - A slot counts against its engine's limit from the choice of the engine until nobody can be using it:
//!   as counted at the engine, it is never over its limit.
//! - The URL that stops a session is durable before the session's bytes reach anybody.
//! - However a use ends, the session's stop is asked for exactly once per end, through the outbox.
//! - No more may wait for a slot than there are slots that will be free.
//!
//! Not here: sockets, players, the time that a start may take (the service's).

mod command;
mod draft;
mod outlook;

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{Context, Entity, Verdict},
    ids::Member,
    pool::{AfterLease, LeaseId, Pool, PoolEvent, PoolRefusal, PoolRules, Ranking},
    time::{Millis, Time},
};
use serde::{Deserialize, Serialize};

pub use self::command::{
    Asker, Command, Ending, EngineSpec, Freed, Grant, Reply, Rules, Session, StopSession,
};
use self::draft::Draft;
use super::{
    blame::Blame,
    engines_event::{Began, EnginesEvent, Failed},
};

/// The state: one entity for all engines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engines {
    pool: Pool,
    urls: BTreeMap<Member, String>,
    uses: BTreeMap<LeaseId, Use>,
    blame: Blame,
    rules: Rules,
}

/// The use of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The stream.
    pub stream: String,
    /// The engine.
    pub engine: Member,
    /// Where it is.
    pub url: String,
    /// When the slot was given out.
    pub since: Time,
    /// How the session is stopped, once it is known.
    pub command_url: Option<String>,
    /// How the session does, once it is known.
    pub stat_url: Option<String>,
    /// Once the use is over: when the engine ends the session by itself at the latest.
    pub idle_at: Option<Time>,
}

impl Default for Engines {
    fn default() -> Self {
        let rules =
            PoolRules { ranking: Ranking::HealthiestFirst, after_lease: AfterLease::Closing };
        Self {
            pool: Pool::new(rules),
            urls: BTreeMap::new(),
            uses: BTreeMap::new(),
            blame: Blame::default(),
            rules: Rules::default(),
        }
    }
}

impl Engines {
    /// The slots and their engines.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What each slot is used for.
    #[must_use]
    pub fn uses(&self) -> &BTreeMap<LeaseId, Use> {
        &self.uses
    }

    /// Where an engine is.
    #[must_use]
    pub fn url(&self, engine: &Member) -> Option<&str> {
        self.urls.get(engine).map(String::as_str)
    }
}

impl Entity for Engines {
    const TYPE: &'static str = "engines";
    type Command = Command;
    type Event = EnginesEvent;
    type Reply = Reply;
    type Rejection = PoolRefusal;
    type Effect = StopSession;

    fn decide(&self, command: &Command, cx: &Context<'_>) -> Verdict<Self> {
        let now = cx.now;
        let mut draft = Draft::new(self);
        // What is over is recorded first, whatever is asked: all else rests on it.
        draft.step(self.pool.expire(now), now);
        match command {
            Command::Begin { engines, rules } => draft.begin(engines, *rules, now)?,
            Command::Acquire { asker, ahead, unwatched } => {
                let reply = draft.acquire(asker, ahead, unwatched, now)?;
                return Ok(draft.decision(reply));
            }
            Command::Started { lease, command_url, stat_url } => {
                draft.started(*lease, command_url, stat_url, now)?;
            }
            Command::Flowing { lease } => draft.flowing(*lease, now)?,
            Command::Renew { lease } => {
                let step = draft.state.pool.renew(*lease, lease.token(), None, now)?;
                draft.step(step, now);
            }
            Command::Release { lease, ending, session } => {
                draft.release(*lease, ending, *session, now)?;
            }
            Command::Stopped { lease } => draft.free(*lease, Freed::Acknowledged, now),
            Command::StopFailed { lease } => {
                let idle_at = draft.state.uses.get(lease).and_then(|used| used.idle_at);
                match idle_at.filter(|at| *at > now) {
                    Some(at) => draft.idle.push((*lease, at)),
                    None => draft.free(*lease, Freed::Idle, now),
                }
            }
            Command::Health { engine, healthy } => draft.health(engine, *healthy, now)?,
            Command::Expire => {}
            Command::Idle { lease } => draft.free(*lease, Freed::Idle, now),
        }
        Ok(draft.decision(Reply::Done))
    }

    fn apply(&mut self, event: &EnginesEvent) {
        match event {
            EnginesEvent::Began(Began { engines, rules }) => {
                self.rules = *rules;
                for engine in engines {
                    self.urls.insert(engine.name.clone(), engine.url.clone());
                }
            }
            EnginesEvent::Pool(event) => {
                self.pool.apply(event);
                match event {
                    PoolEvent::MemberSetAside(aside) => self.blame.clear(&aside.member),
                    PoolEvent::MemberRemoved(removed) => {
                        self.urls.remove(&removed.member);
                        self.blame.clear(&removed.member);
                    }
                    PoolEvent::MemberPut(_)
                    | PoolEvent::MemberLeaving(_)
                    | PoolEvent::MemberReadmitted(_)
                    | PoolEvent::Leased(_)
                    | PoolEvent::Confirmed(_)
                    | PoolEvent::Renewed(_)
                    | PoolEvent::Released(_)
                    | PoolEvent::Expired(_)
                    | PoolEvent::SlotClosed(_) => {}
                }
            }
            EnginesEvent::Assigned(assigned) => {
                let before = self.uses.insert(
                    assigned.lease,
                    Use {
                        stream: assigned.stream.clone(),
                        engine: assigned.engine.clone(),
                        url: assigned.url.clone(),
                        since: assigned.at,
                        command_url: None,
                        stat_url: None,
                        idle_at: None,
                    },
                );
                assert!(before.is_none(), "a slot is given out once");
            }
            EnginesEvent::Started(started) => {
                let used = self.uses.get_mut(&started.lease);
                let used = used.expect("only a slot in use has a session");
                used.command_url = Some(started.command_url.clone());
                used.stat_url = Some(started.stat_url.clone());
            }
            EnginesEvent::Flowing(flowing) => {
                let (stream, window) = (&flowing.stream, self.blame_window());
                self.blame.flowed(&flowing.engine, stream, flowing.at, window);
            }
            EnginesEvent::Failed(failed) => {
                let (stream, window) = (&failed.stream, self.blame_window());
                let Failed { engine, unreachable, at, .. } = failed;
                self.blame.failed(engine, stream, *unreachable, *at, window);
            }
            EnginesEvent::Ended(ended) => {
                let used = self.uses.get_mut(&ended.lease);
                used.expect("only a use can end").idle_at = Some(ended.idle_at);
            }
            EnginesEvent::Free(free) => {
                let used = self.uses.remove(&free.lease);
                assert!(
                    used.is_some_and(|used| used.idle_at.is_some()),
                    "a use ends before its slot is free"
                );
            }
        }
        assert!(self.uses.len() <= self.pool.leases().len(), "every use has a slot");
    }

    fn command_name(command: &Command) -> &'static str {
        match command {
            Command::Begin { .. } => "begin",
            Command::Acquire { .. } => "acquire",
            Command::Started { .. } => "started",
            Command::Flowing { .. } => "flowing",
            Command::Renew { .. } => "renew",
            Command::Release { .. } => "release",
            Command::Stopped { .. } => "stopped",
            Command::StopFailed { .. } => "stop_failed",
            Command::Health { .. } => "health",
            Command::Expire => "expire",
            Command::Idle { .. } => "idle",
        }
    }

    fn event_name(event: &EnginesEvent) -> &'static str {
        event.name()
    }
}

impl Engines {
    /// How long a failure counts: long enough to see the same engine fail another stream.
    fn blame_window(&self) -> Millis {
        Millis(self.rules.ejection.0.saturating_mul(2)).max(Millis::from_secs(60))
    }
}
