//! A run: so many battles, counted right, whoever plays them and whatever crashes.
//!
//! Each battle is claimed before it is searched for, begins when the server names its room, and is over
//! once: with an outcome, which counts towards the target, or void, which does not and gives the claim
//! back. The kernel's [`Quota`] keeps the numbers; the run adds which battle a claim became, and the tallies by
//! worker, team and opponent.
//!
//! ```text
//!  claim ──► searching ──begin──► playing ──expiry──► in doubt
//!                │                   │ ◄────renew──────── │
//!                ├─► given back      ├─► over: win, loss, tie, forfeit
//!                └─► (expiry) free   └─► void: the claim comes back
//! ```
//!
//! Invariants: finished + live + remaining = target at every moment; one claim is one battle, and one room
//! belongs to one live claim; the tallies by worker sum up to the run's own, and so do those by team and by
//! opponent; a battle in doubt goes on counting until somebody who knows says how it ended, or sees it go on and
//! renews its claim.
//!
//! Who settles what another worker had begun, on another machine, says so: its log is where it was seen, and the run
//! tells whom to ask.
//!
//! Not here: what is played (that is the server's and the bot's), and drift, which is recounted from the
//! logs of the battles by somebody who has not seen these numbers.

mod check;
mod command;
mod event;
mod old;
mod plan;
mod stopwatch;
mod tally;
mod view;

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Old, Stored, Verdict},
    expiry::Step,
    ids::{self, Worker},
    quota::{ClaimId, Quota, QuotaChange, QuotaEvent},
    time::Time,
};
use serde::{Deserialize, Serialize};

use self::stopwatch::Stopwatch;
pub use self::{
    command::{RunCommand, RunRejection, RunReply, Settlement},
    event::{Began, Claimed, Ending, Measured, Opened, Over, RunEvent, TakenUp},
    plan::{Mode, Plan, PlanDiffers},
    tally::{Outcome, Tallies, Tally},
    view::{LiveBattle, Percentiles, Phase, RunView, WorkerView},
};
use super::overhead::Overheads;
use crate::limits;

/// The timer that records expiries.
const EXPIRY: &str = "expiry";

/// A run, once it has been opened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run(Option<Ledger>);

/// What a run keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    plan: Plan,
    opened: Time,
    quota: Quota,
    /// Claims that are neither settled nor given back.
    live: BTreeMap<ClaimId, Battle>,
    tallies: Tallies,
    stopwatch: Stopwatch,
    overheads: Overheads,
    /// Battles that were settled by another worker than their own, by claim; the newest [`limits::TAKEN_UP`].
    taken_up: BTreeMap<ClaimId, TakenUp>,
    /// Rooms of battles that were watched and counted, the newest: they can be entered for some time yet.
    watched: BTreeMap<ClaimId, String>,
}

/// What a live claim has become so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Battle {
    /// Who plays it.
    pub worker: Worker,
    /// With which team; `None` where the server deals teams.
    pub team: Option<String>,
    /// Since when it is claimed.
    pub since: Time,
    /// Its room, once the server has named it.
    pub room: Option<Room>,
    /// Since when nobody knows what became of it; `None`: it is searched for or played.
    pub in_doubt: Option<Time>,
}

/// A room, and who plays there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The room's id: `battle-gen9randombattle-17`. A restarted server names its rooms anew.
    pub id: String,
    /// The id of the account that plays for the run.
    pub account: String,
    /// The opponent's id, if it is known.
    pub opponent: Option<String>,
}

impl Room {
    /// Whether it is the same battle, seen from the same chair or from the opposite one. Others may have had a room
    /// of this name on a server that has restarted since.
    fn is_same_as(&self, other: &Self) -> bool {
        let sits_opposite = || self.opponent.as_ref().is_none_or(|who| *who == other.account);
        self.id == other.id && (self.account == other.account || sits_opposite())
    }
}

impl Run {
    /// What it keeps, if it was ever opened.
    #[must_use]
    pub fn ledger(&self) -> Option<&Ledger> {
        self.0.as_ref()
    }

    fn known(&self) -> Result<&Ledger, RunRejection> {
        self.0.as_ref().ok_or(RunRejection::Unknown)
    }

    fn open(
        &self,
        plan: &Plan,
        change: &QuotaChange,
        now: Time,
    ) -> Result<Decision<Self>, RunRejection> {
        plan.check()?;
        let Some(ledger) = &self.0 else {
            let quota = change.create(now).expect("a plan names its target");
            let opened = Opened { plan: plan.clone(), quota, at: now };
            return Ok(Decision::event(RunEvent::Opened(opened), RunReply::Open { created: true }));
        };
        ledger.plan.check_same(plan)?;
        let step = ledger.quota.configure(change, now)?;
        Ok(decision(step, |()| RunReply::Open { created: false }, None))
    }
}

impl Ledger {
    /// What is to be played.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn claim(
        &self,
        worker: &Worker,
        team: Option<&str>,
        now: Time,
    ) -> Result<Decision<Run>, RunRejection> {
        check_text("team", team)?;
        let step = self.quota.claim(worker, now)?;
        let claim = step.answer.claim;
        let (worker, team) = (worker.clone(), team.map(str::to_owned));
        let claimed = RunEvent::Claimed(Claimed { claim, worker, team, at: now });
        Ok(decision(step, RunReply::Claimed, Some(claimed)))
    }

    fn begin(&self, claim: ClaimId, room: &Room, now: Time) -> Result<Decision<Run>, RunRejection> {
        check_text("room", Some(&room.id))?;
        check_text("account", Some(&room.account))?;
        check_text("opponent", room.opponent.as_deref())?;
        let other = self.live.iter().find(|(other, battle)| {
            **other != claim && battle.room.as_ref().is_some_and(|other| room.is_same_as(other))
        });
        let other = other.map(|(other, _)| other).or_else(|| self.counted_in(claim, room));
        if let Some(other) = other {
            return Err(RunRejection::RoomTaken { room: room.id.clone(), claim: *other });
        }
        let step = self.quota.start(claim, now)?;
        let began = match self.live.get(&claim).and_then(|battle| battle.room.as_ref()) {
            Some(known) if known.id != room.id => {
                return Err(RunRejection::OtherRoom { claim, room: known.id.clone() });
            }
            Some(known) if known == room => None,
            Some(_) | None => Some(RunEvent::Began(Began { claim, room: room.clone(), at: now })),
        };
        Ok(decision(step, RunReply::Extended, began))
    }

    /// The claim for which a battle in this room was watched and counted. Who plays a battle does not meet it again once
    /// it is over; but anybody may watch its end once more.
    fn counted_in(&self, claim: ClaimId, room: &Room) -> Option<&ClaimId> {
        let mut watched = self.watched.iter();
        watched.find(|(other, id)| **other != claim && **id == room.id).map(|(other, _)| other)
    }

    fn end(&self, settlement: &Settlement, now: Time) -> Result<Decision<Run>, RunRejection> {
        let Settlement { claim, ending, rating, overheads, by } = settlement.clone();
        let live = self.live.get(&claim);
        if live.is_some_and(|battle| battle.room.is_none()) {
            return Err(RunRejection::NotBegun(claim));
        }
        let step = match ending {
            Ending::Of(outcome) => self.quota.settle(claim, &outcome.name(), now)?,
            Ending::Void => self.quota.abandon(claim, now)?,
        };
        let mut meaning = Vec::new();
        if let Some(battle) = live.filter(|_| !step.events.is_empty()) {
            let Battle { worker, team, since, room, in_doubt: _ } = battle.clone();
            let by = by.filter(|by| *by != worker);
            let taken_up =
                by.map(|by| TakenUp { claim, worker: worker.clone(), by, ending, at: now });
            let over = Over { claim, worker, team, room, ending, rating, since, at: now };
            let is_measured = !overheads.is_empty();
            let measured = is_measured.then_some(Measured { claim, overheads, at: now });
            meaning.push(RunEvent::Over(over));
            meaning.extend(measured.map(RunEvent::Measured));
            meaning.extend(taken_up.map(RunEvent::TakenUp));
        }
        Ok(decision(step, |()| RunReply::Over { claim }, meaning))
    }

    fn give_back(&self, claim: ClaimId, now: Time) -> Result<Decision<Run>, RunRejection> {
        if self.live.get(&claim).is_some_and(|battle| battle.room.is_some()) {
            return Err(RunRejection::Begun(claim));
        }
        Ok(decision(self.quota.abandon(claim, now)?, |()| RunReply::Done, None))
    }

    fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Opened(_) => unreachable!("a run is opened once"),
            RunEvent::Quota(event) => self.apply_quota(event),
            RunEvent::Claimed(Claimed { claim, worker, team, at }) => {
                let (worker, team) = (worker.clone(), team.clone());
                let battle = Battle { worker, team, since: *at, room: None, in_doubt: None };
                let before = self.live.insert(*claim, battle);
                assert!(before.is_none(), "a claim is one battle");
            }
            RunEvent::Began(Began { claim, room, .. }) => {
                let battle = self.live.get_mut(claim).expect("only what is live begins");
                battle.room = Some(room.clone());
            }
            RunEvent::Over(over) => {
                self.tallies.add(over);
                self.remember_watched(over);
            }
            RunEvent::Measured(measured) => self.overheads += &measured.overheads,
            RunEvent::TakenUp(taken_up) => {
                self.taken_up.insert(taken_up.claim, taken_up.clone());
                if self.taken_up.len() > limits::TAKEN_UP {
                    self.taken_up.pop_first();
                }
            }
        }
        self.check();
    }

    fn remember_watched(&mut self, over: &Over) {
        let (Mode::Watch(_), Ending::Of(_)) = (&self.plan.mode, over.ending) else { return };
        let Some(room) = &over.room else { return };
        self.watched.insert(over.claim, room.id.clone());
        if self.watched.len() > limits::WATCHED {
            self.watched.pop_first();
        }
    }

    /// A claim that ended is no live battle any more; [`RunEvent::Over`] tells what it was.
    fn apply_quota(&mut self, event: &QuotaEvent) {
        self.quota.apply(event);
        self.stopwatch.hear(event, self.quota.totals().claimed > 0);
        if let QuotaEvent::Configured(configured) = event {
            self.plan.target = configured.limit;
            self.plan.shares = configured.workers;
        }
        if let Some((claim, since)) = doubt(event) {
            let battle = self.live.get_mut(&claim).expect("every live claim is a battle");
            battle.in_doubt = since;
        }
        if let Some(claim) = ended(event) {
            self.live.remove(&claim).expect("every live claim is a battle");
        }
    }

    fn check(&self) {
        let counts = self.quota.totals();
        assert!(
            self.live.len() as u64 <= counts.claimed + counts.in_doubt,
            "every live battle is a live claim"
        );
        assert!(
            self.tallies.total().finished() <= counts.settled,
            "every finished battle is a settled claim"
        );
    }
}

/// The claim that this event ends.
fn ended(event: &QuotaEvent) -> Option<ClaimId> {
    match event {
        QuotaEvent::Settled(event) => Some(event.claim),
        QuotaEvent::Abandoned(event) => Some(event.claim),
        QuotaEvent::Expired(event) => Some(event.claim),
        QuotaEvent::Configured(_)
        | QuotaEvent::Claimed(_)
        | QuotaEvent::Started(_)
        | QuotaEvent::Renewed(_)
        | QuotaEvent::InDoubt(_)
        | QuotaEvent::WorkerRetired(_) => None,
    }
}

/// The claim that has no holder since then, or has one again.
fn doubt(event: &QuotaEvent) -> Option<(ClaimId, Option<Time>)> {
    match event {
        QuotaEvent::InDoubt(event) => Some((event.claim, Some(event.at))),
        QuotaEvent::Started(event) => Some((event.claim, None)),
        QuotaEvent::Renewed(event) => Some((event.claim, None)),
        QuotaEvent::Configured(_)
        | QuotaEvent::Claimed(_)
        | QuotaEvent::Settled(_)
        | QuotaEvent::Abandoned(_)
        | QuotaEvent::Expired(_)
        | QuotaEvent::WorkerRetired(_) => None,
    }
}

/// What a step of the quota comes to, and what it means for a battle.
fn decision<A>(
    step: Step<QuotaEvent, A>,
    reply: impl FnOnce(A) -> RunReply,
    meaning: impl IntoIterator<Item = RunEvent>,
) -> Decision<Run> {
    let events = step.events.into_iter().map(RunEvent::Quota).chain(meaning).collect();
    let decision = Decision::events(events, reply(step.answer));
    match step.alarm {
        Some(at) => decision.timer(EXPIRY, at, RunCommand::Expire),
        None => decision,
    }
}

fn check_text(what: &'static str, text: Option<&str>) -> Result<(), RunRejection> {
    let fits = |text: &str| !text.is_empty() && text.chars().count() <= limits::TEXT_CHARS;
    if text.is_none_or(fits) { Ok(()) } else { Err(RunRejection::BadText(what)) }
}

impl Entity for Run {
    const TYPE: &'static str = "run";
    const SCHEMA: u16 = 3;
    type Command = RunCommand;
    type Event = RunEvent;
    type Reply = RunReply;
    type Rejection = RunRejection;
    type Effect = Never;

    fn decide(&self, command: &RunCommand, cx: &Context<'_>) -> Verdict<Self> {
        let now = cx.now;
        Ok(match command {
            RunCommand::Open { plan, claim_ttl_ms, retention_ms } => {
                let change = QuotaChange {
                    limit: Some(plan.target),
                    workers: plan.shares,
                    claim_ttl_ms: Some(*claim_ttl_ms),
                    retention_ms: *retention_ms,
                };
                self.open(plan, &change, now)?
            }
            RunCommand::Claim { worker, team } => {
                self.known()?.claim(worker, team.as_deref(), now)?
            }
            RunCommand::Begin { claim, room } => self.known()?.begin(*claim, room, now)?,
            RunCommand::Renew { claim } => {
                let step = self.known()?.quota.renew(*claim, None, now);
                decision(step.map_err(RunRejection::from)?, RunReply::Extended, None)
            }
            RunCommand::End(settlement) => self.known()?.end(settlement, now)?,
            RunCommand::GiveBack { claim } => self.known()?.give_back(*claim, now)?,
            RunCommand::Retire { worker } => {
                let step = self.known()?.quota.retire(worker, now);
                decision(step.map_err(RunRejection::from)?, |()| RunReply::Done, None)
            }
            RunCommand::Expire => match &self.0 {
                Some(ledger) => decision(ledger.quota.expire(now), |()| RunReply::Done, None),
                None => Decision::unchanged(RunReply::Done),
            },
        })
    }

    fn apply(&mut self, event: &RunEvent) {
        if let RunEvent::Opened(Opened { plan, quota, at }) = event {
            assert!(self.0.is_none(), "a run is opened once");
            let mut fresh = Quota::new(quota);
            fresh.apply(&QuotaEvent::Configured(quota.clone()));
            self.0 = Some(Ledger {
                plan: plan.clone(),
                opened: *at,
                quota: fresh,
                live: BTreeMap::new(),
                tallies: Tallies::default(),
                stopwatch: Stopwatch::default(),
                overheads: Overheads::default(),
                taken_up: BTreeMap::new(),
                watched: BTreeMap::new(),
            });
            return;
        }
        self.0.as_mut().expect("a run comes into being when it is opened").apply(event);
    }

    fn command_name(command: &RunCommand) -> &'static str {
        match command {
            RunCommand::Open { .. } => "open",
            RunCommand::Claim { .. } => "claim",
            RunCommand::Begin { .. } => "begin",
            RunCommand::Renew { .. } => "renew",
            RunCommand::End(_) => "end",
            RunCommand::GiveBack { .. } => "give_back",
            RunCommand::Retire { .. } => "retire",
            RunCommand::Expire => "expire",
        }
    }

    fn event_name(event: &RunEvent) -> &'static str {
        event.name()
    }

    fn read_old(schema: u16, stored: Stored<'_>) -> Option<Old<Self>> {
        old::read(schema, stored)
    }
}

impl Outcome {
    /// As the quota counts it.
    fn name(self) -> ids::Outcome {
        ids::Outcome::new(self.word()).expect("a word is a name")
    }
}
