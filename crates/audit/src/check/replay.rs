//! Deciding once more: a history's entities are made again, version by version, from what was asked.
//!
//! Each record must be what `decide` says at its time, each state keep its invariants. An answer that changed nothing
//! rests on the version that it names: there, `decide` must say the same at some time between question and answer,
//! since what is over by then is over whether it is recorded or not.
//!
//! Not here: whether versions fit real time, which sorting tells.

mod primitives;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Refusal, TimerChange},
    ids::{Caller, CommandId, Key, Version},
    time::Time,
};
use interlock_primitives::domain::{
    barrier::BarrierEntity, job::JobEntity, pool::PoolEntity, quota::QuotaEntity, turn::TurnEntity,
    value::ValueEntity,
};
use interlock_runtime::fold::caught;
use serde::Deserialize;
use serde_json::{Value, json};

use self::primitives::Primitive;
use super::{Answer, Checker, Event, Kept, Request};
use crate::invariants;

/// The longest time between question and answer that is looked through, in milliseconds.
const LOOKS_MAX: u64 = 60_000;

/// After so many decisions invariants are recounted after one record of [`RECOUNT_EVERY`] only: a recount takes as
/// long as the state is large.
const RECOUNT_ALL: u64 = 1_000;
const RECOUNT_EVERY: u64 = 64;

/// The recorder's clock and log time, each in whole milliseconds, differ by no more.
const CLOCKS: u64 = 3;

/// What a history tells of one entity.
#[derive(Default)]
struct Told<'a> {
    kept: Vec<&'a Kept>,
    requests: Vec<&'a Request>,
}

impl Checker<'_> {
    /// Decides once more whatever can be.
    pub(super) fn decide_again(&mut self, history: &[Event]) {
        let mut entities: BTreeMap<&str, Told<'_>> = BTreeMap::new();
        for event in history {
            match event {
                Event::Kept(kept) => entities.entry(&kept.entity).or_default().kept.push(kept),
                Event::Request(request) if request.command.is_some() => {
                    entities.entry(&request.entity).or_default().requests.push(request);
                }
                Event::Request(_) => {}
            }
        }
        for (entity, told) in entities.into_iter().filter(|(_, told)| !told.requests.is_empty()) {
            let Some((kind, key)) = entity.split_once('/') else { continue };
            let outcome = match kind {
                BarrierEntity::TYPE => replay::<BarrierEntity>(key, &told),
                JobEntity::TYPE => replay::<JobEntity>(key, &told),
                PoolEntity::TYPE => replay::<PoolEntity>(key, &told),
                QuotaEntity::TYPE => replay::<QuotaEntity>(key, &told),
                TurnEntity::TYPE => replay::<TurnEntity>(key, &told),
                ValueEntity::TYPE => replay::<ValueEntity>(key, &told),
                // Of other types nobody knows here what they decide.
                _ => continue,
            };
            match outcome {
                Ok(decided) => self.verdict.decided_again += decided,
                Err(wrong) => self.wrong(format!("{entity}: {wrong}")),
            }
        }
    }
}

/// Makes an entity again. How much was decided, or the first thing that is wrong.
fn replay<E: Primitive>(key: &str, told: &Told<'_>) -> Result<u64, String> {
    let key = Key::new(key).map_err(|error| error.to_string())?;
    let mut commands = BTreeMap::new();
    for request in &told.requests {
        let command = request.command.as_ref().expect("only such are told of");
        if !commands.contains_key(request.id.as_str()) {
            let command = E::Command::deserialize(command);
            let command = command.map_err(|error| format!("{}: {error}", request.id))?;
            commands.insert(request.id.as_str(), command);
        }
    }
    let made: BTreeMap<&str, u64> =
        told.kept.iter().map(|kept| (&*kept.id, kept.version)).collect();
    // Answers by the version that they rest on: the one before their own if they made one.
    let mut answers: BTreeMap<u64, Vec<&Request>> = BTreeMap::new();
    for request in &told.requests {
        let Some(answer) = Answer::of(request) else { continue };
        if answer.is_refusal || !made.contains_key(request.id.as_str()) {
            answers.entry(answer.version.unwrap_or(0)).or_default().push(request);
        }
    }
    let mut told_by: BTreeMap<&str, &Value> = BTreeMap::new();
    for request in &told.requests {
        if let Some(Answer { is_refusal: false, body, .. }) = Answer::of(request) {
            told_by.insert(&request.id, body);
        }
    }
    let mut replay = Replay::<E>::new(key, commands);
    replay.explain(answers.remove(&0))?;
    for kept in &told.kept {
        replay.record(kept, told_by.get(kept.id.as_str()).copied())?;
        // Answers rest on all that was recorded at their version, timers too.
        let next = answers.remove(&replay.version.0);
        replay.explain(next)?;
    }
    match answers.into_iter().next() {
        None => Ok(replay.decided),
        Some((version, left)) => {
            Err(format!("{} rests on version {version}, which there never was", left[0].id))
        }
    }
}

/// An entity that is made again.
struct Replay<'a, E: Entity> {
    key: Key,
    commands: BTreeMap<&'a str, E::Command>,
    state: E,
    version: Version,
    closed: bool,
    /// When they are due, and what they send.
    timers: BTreeMap<String, (Time, E::Command)>,
    /// When it was last decided on.
    at: Time,
    decided: u64,
}

impl<'a, E: Primitive> Replay<'a, E> {
    fn new(key: Key, commands: BTreeMap<&'a str, E::Command>) -> Self {
        Self {
            key,
            commands,
            state: E::default(),
            version: Version(0),
            closed: false,
            timers: BTreeMap::new(),
            at: Time(0),
            decided: 0,
        }
    }

    /// What is decided on the state as it is.
    fn decide(
        &mut self,
        command: &E::Command,
        id: Option<&str>,
        now: Time,
    ) -> Result<Decision<E>, Refusal<E::Rejection>> {
        self.decided += 1;
        let id = id.and_then(|id| CommandId::new(id).ok());
        let cx = Context {
            now: now.max(self.at),
            // Whatever has an answer has waited long enough for it.
            arrived: Time(0),
            version: self.version,
            key: &self.key,
            caller: &Caller::local(),
            id: id.as_ref(),
            random: 0,
        };
        self.state.decide(command, &cx)
    }

    /// What a timer sends, which fires once and not before its time.
    fn fire(&mut self, timer: &str, at: Time) -> Result<E::Command, String> {
        let set = self.timers.remove(timer);
        let (due, command) = set.ok_or(format!("the timer {timer} fires, and is not set"))?;
        if at < due {
            return Err(format!("the timer {timer} is due at {due}, and fires at {at}"));
        }
        Ok(command)
    }

    /// Takes in a record: it must be what is decided, and was answered.
    fn record(&mut self, kept: &Kept, told: Option<&Value>) -> Result<(), String> {
        let Kept { id, version, at, events, .. } = kept;
        let at = at.ok_or(format!("it is not told when {id} was decided"))?;
        let (command, asked) = match kept.timer() {
            Some(timer) => (Some(self.fire(timer, at)?), None),
            None => (self.commands.get(id.as_str()).cloned(), Some(id.as_str())),
        };
        let command = command.ok_or(format!("{id} is kept, and nobody has sent it"))?;
        let decision = match self.decide(&command, asked, at) {
            Ok(decision) => decision,
            // What a timer sends is over even if it is refused.
            Err(_) if kept.timer().is_some() && events.as_ref().is_none_or(Vec::is_empty) => {
                return Ok(());
            }
            Err(_) => {
                return Err(format!("{id} is kept at version {version}, and was to be refused"));
            }
        };
        let decided: Vec<Value> = decision.events.iter().map(event::<E>).collect();
        if events.as_ref().is_some_and(|events| *events != decided) {
            let (events, decided) = (json!(events), json!(decided));
            return Err(format!("{id} is kept as {events}, and is decided as {decided}"));
        }
        if decision.makes_version() {
            self.version = Version(self.version.0 + 1);
        }
        if let Some(told) = told {
            let reply = versioned(E::body(&decision.reply), self.version);
            if *told != reply {
                return Err(format!("{id} was answered with {told}, and not with {reply}"));
            }
        }
        (self.at, self.closed) = (at.max(self.at), self.closed || decision.closes);
        for change in decision.timers {
            match change {
                TimerChange::Set { name, at, command } => {
                    self.timers.insert(name.0.into_owned(), (at, command));
                }
                TimerChange::Cancel { name } => {
                    self.timers.remove(&*name.0);
                }
            }
        }
        let recounts = self.decided < RECOUNT_ALL || self.version.0.is_multiple_of(RECOUNT_EVERY);
        let state = &mut self.state;
        let kept_well = caught(|| {
            decision.events.iter().for_each(|event| state.apply(event));
            if recounts {
                invariants::check(state);
            }
        });
        kept_well.map_err(|broken| format!("an invariant broke at version {version}: {broken}"))
    }

    /// Explains answers that rest on the state as it is.
    fn explain(&mut self, answers: Option<Vec<&Request>>) -> Result<(), String> {
        for request in answers.into_iter().flatten() {
            let answer = Answer::of(request).expect("it was sorted by it");
            let command = self.commands[request.id.as_str()].clone();
            let sent = request.at.ok_or(format!("it is not told when {} was sent", request.id))?;
            let sent = sent.0.saturating_sub(CLOCKS);
            let took = answer.end_us.saturating_sub(request.start_us) / 1_000 + 2 * CLOCKS;
            let says = |verdict: Result<Decision<E>, Refusal<E::Rejection>>, version| match verdict
            {
                Ok(decision) if decision.is_unchanged() => {
                    !answer.is_refusal
                        && *answer.body == versioned(E::body(&decision.reply), version)
                }
                Err(Refusal::Rejected(rejection)) => {
                    answer.is_refusal && answer.body["code"] == E::code(&rejection)
                }
                Ok(_) | Err(Refusal::Wait { .. }) => false,
            };
            let mut moments = (0..=took.min(LOOKS_MAX)).map(|ms| Time(sent + ms));
            let is_right = self.closed && answer.body["code"] == "closed"
                || moments.any(|now| {
                    let verdict = self.decide(&command, Some(&request.id), now);
                    says(verdict, self.version)
                });
            if !is_right {
                let (id, body, version) = (&request.id, answer.body, self.version);
                return Err(format!(
                    "nothing explains that {id} was told {body} at version {version}"
                ));
            }
        }
        Ok(())
    }
}

/// An event as timelines show it: its type, and what is inside.
fn event<E: Entity>(event: &E::Event) -> Value {
    let whole = serde_json::to_value(event).expect("events are plain data");
    let inside = match whole {
        Value::Object(variant) if variant.len() == 1 => variant.into_values().next(),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => None,
    };
    json!({"type": E::event_name(event), "data": inside})
}

/// A reply's body, as the server gives it.
fn versioned(mut body: Value, version: Version) -> Value {
    body["version"] = json!(version);
    body
}
