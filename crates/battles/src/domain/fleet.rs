//! A fleet that a server is to have for a run: who plays, how, and whether it is to go on.
//!
//! This is what outlives the process. Whoever restarts finds here what was wanted, and goes on with it.
//!
//! ```text
//!  start ──► playing ──drain──► draining ──forfeit──► forfeiting
//!               │                   │                      │
//!               └───────────────────┴──────► over ◄────────┘   (then it can be started anew)
//! ```
//!
//! A stage is never taken back. A fleet that is not over is not started with another crew, and one that was told to
//! end not at all. Who asks for the crew that plays already is told that it does; should that fleet just have run out
//! of battles, it is begun once more: such an end is that of one start, and not of a later one. Trouble ends it however
//! often it was asked for: the next start would meet it again, and nobody would hear why.
//!
//! Not here: passwords. A crew says where its password is found, and no more.

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::Worker,
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::{contestant::Contestant, run::Outcome};

/// Who plays, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    /// The server's socket, where it is not the one of the run's plan.
    pub server: Option<String>,
    /// The accounts; workers take turns in this order.
    pub usernames: Vec<String>,
    /// How they prove their names.
    pub secret: Secret,
    /// The workers, each once.
    pub workers: Vec<Worker>,
    /// The teams, dealt to workers in turn; none where the server deals them.
    pub teams: Vec<Team>,
    /// Who thinks.
    pub player: Contestant,
    /// Of which battles a replay is saved.
    pub save_replay: SaveReplay,
}

/// Where the accounts' password is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// There is none: the server asks for no proof.
    None,
    /// In the memory of the process that was told it, for as long as that lives.
    Memory {
        /// Where it is proved; `None`: the public login service.
        login_url: Option<String>,
    },
    /// In this variable of the server's environment.
    Environment(String),
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// What it is counted as.
    pub name: String,
    /// In Showdown's packed form.
    pub packed: String,
}

/// Of which battles a page to watch is saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaveReplay {
    /// Of all.
    Always,
    /// Of none.
    #[default]
    Never,
    /// Of those that were lost or given up.
    OnLoss,
    /// Of those that were won.
    OnWin,
}

/// How far a fleet is to be from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Battles begin and end.
    Playing,
    /// What is in play goes on, nothing new begins.
    Draining,
    /// What is in play is given up.
    Forfeiting,
}

/// A run's fleet, once one was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fleet(Option<Orders>);

/// What is known of the fleet that was started last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Who plays, and how.
    pub crew: Crew,
    /// Whether it is to go on.
    pub wanted: Wanted,
    /// When it was started, or asked for once more; no two starts have the same.
    pub started: Time,
    /// Its end, if it is over.
    pub over: Option<Over>,
}

/// A fleet's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// What kept it from going on; `None`: nothing was left to play, or it was told to end.
    pub trouble: Option<String>,
    /// When.
    pub at: Time,
}

/// What can be asked of a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FleetCommand {
    /// Play, with this crew.
    Start(Crew),
    /// Finish what is in play.
    Drain,
    /// Give up what is in play.
    Forfeit,
    /// Sent by whoever plays: it is over. Where it is to play, was asked for since, and has no trouble, that changes
    /// nothing.
    End {
        /// Which one: see [`Orders::started`].
        started: Time,
        /// What kept it from going on.
        trouble: Option<String>,
    },
}

/// The answer to a [`FleetCommand`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FleetReply {
    /// It plays.
    Started {
        /// Whether it did not before.
        anew: bool,
    },
    /// It is done, or was so already.
    Done,
}

/// Why a [`FleetCommand`] is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FleetRejection {
    /// None was ever started.
    #[error("no fleet was started for this run")]
    Unknown,
    /// Another crew plays.
    #[error("a fleet with other settings is not over yet: drain it first")]
    Playing,
    /// It was told to end, and has not yet.
    #[error("the fleet was told to end and finishes what is in play: start it when it is over")]
    Ending,
}

/// A fact about a fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FleetEvent {
    /// It was started.
    Started(Started),
    /// It is to come closer to its end.
    Slowed(Slowed),
    /// It is over.
    Ended(Over),
}

/// A fleet was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Who plays, and how.
    pub crew: Crew,
    /// When.
    pub at: Time,
}

/// A fleet is to come closer to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slowed {
    /// How close.
    pub wanted: Wanted,
    /// When.
    pub at: Time,
}

impl SaveReplay {
    /// Whether it is saved of a battle that ended like this.
    #[must_use]
    pub fn wants(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnLoss => matches!(outcome, Outcome::Loss | Outcome::Forfeit),
            Self::OnWin => outcome == Outcome::Win,
        }
    }
}

impl FleetRejection {
    /// The stable error code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_fleet",
            Self::Playing => "fleet_playing",
            Self::Ending => "fleet_ending",
        }
    }
}

impl Fleet {
    /// What is known of the fleet that was started last.
    #[must_use]
    pub fn orders(&self) -> Option<&Orders> {
        self.0.as_ref()
    }

    fn going(&mut self) -> &mut Orders {
        let orders = self.0.as_mut().expect("only what was started ends");
        assert!(orders.over.is_none(), "what is over stays so");
        orders
    }

    fn start(&self, crew: &Crew, at: Time) -> Result<Decision<Self>, FleetRejection> {
        match &self.0 {
            Some(orders) if orders.over.is_none() => {
                if orders.wanted > Wanted::Playing {
                    return Err(FleetRejection::Ending);
                }
                if orders.crew != *crew {
                    return Err(FleetRejection::Playing);
                }
                let at = at.max(Time(orders.started.0 + 1));
                let started = FleetEvent::Started(Started { crew: crew.clone(), at });
                Ok(Decision::event(started, FleetReply::Started { anew: false }))
            }
            Some(_) | None => {
                let started = FleetEvent::Started(Started { crew: crew.clone(), at });
                Ok(Decision::event(started, FleetReply::Started { anew: true }))
            }
        }
    }

    fn slow(&self, wanted: Wanted, at: Time) -> Result<Decision<Self>, FleetRejection> {
        let orders = self.0.as_ref().ok_or(FleetRejection::Unknown)?;
        if orders.over.is_some() || orders.wanted >= wanted {
            return Ok(Decision::unchanged(FleetReply::Done));
        }
        Ok(Decision::event(FleetEvent::Slowed(Slowed { wanted, at }), FleetReply::Done))
    }

    fn end(
        &self,
        started: Time,
        trouble: Option<&str>,
        at: Time,
    ) -> Result<Decision<Self>, FleetRejection> {
        let orders = self.0.as_ref().ok_or(FleetRejection::Unknown)?;
        // Since it was told to end, nobody has asked for it.
        let is_asked_for = orders.wanted == Wanted::Playing && orders.started != started;
        if orders.over.is_some() || (is_asked_for && trouble.is_none()) {
            return Ok(Decision::unchanged(FleetReply::Done));
        }
        let over = Over { trouble: trouble.map(str::to_owned), at };
        Ok(Decision::event(FleetEvent::Ended(over), FleetReply::Done))
    }
}

impl Entity for Fleet {
    const TYPE: &'static str = "fleet";
    type Command = FleetCommand;
    type Event = FleetEvent;
    type Reply = FleetReply;
    type Rejection = FleetRejection;
    type Effect = Never;

    fn decide(&self, command: &FleetCommand, cx: &Context<'_>) -> Verdict<Self> {
        Ok(match command {
            FleetCommand::Start(crew) => self.start(crew, cx.now)?,
            FleetCommand::Drain => self.slow(Wanted::Draining, cx.now)?,
            FleetCommand::Forfeit => self.slow(Wanted::Forfeiting, cx.now)?,
            FleetCommand::End { started, trouble } => {
                self.end(*started, trouble.as_deref(), cx.now)?
            }
        })
    }

    fn apply(&mut self, event: &FleetEvent) {
        match event {
            FleetEvent::Started(Started { crew, at }) => {
                let is_free = self.0.as_ref().is_none_or(|orders| {
                    let is_same = orders.crew == *crew && orders.wanted == Wanted::Playing;
                    orders.over.is_some() || (is_same && orders.started < *at)
                });
                assert!(is_free, "a run has one fleet at a time");
                let (crew, wanted) = (crew.clone(), Wanted::Playing);
                self.0 = Some(Orders { crew, wanted, started: *at, over: None });
            }
            FleetEvent::Slowed(slowed) => {
                let orders = self.going();
                assert!(slowed.wanted > orders.wanted, "a stage is never taken back");
                orders.wanted = slowed.wanted;
            }
            FleetEvent::Ended(over) => self.going().over = Some(over.clone()),
        }
    }

    fn command_name(command: &FleetCommand) -> &'static str {
        match command {
            FleetCommand::Start(_) => "start",
            FleetCommand::Drain => "drain",
            FleetCommand::Forfeit => "forfeit",
            FleetCommand::End { .. } => "end",
        }
    }

    fn event_name(event: &FleetEvent) -> &'static str {
        match event {
            FleetEvent::Started(_) => "started",
            FleetEvent::Slowed(slowed) => match slowed.wanted {
                Wanted::Playing => unreachable!("a stage is never taken back"),
                Wanted::Draining => "draining",
                Wanted::Forfeiting => "forfeiting",
            },
            FleetEvent::Ended(_) => "ended",
        }
    }
}
