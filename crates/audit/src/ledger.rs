//! All that clients asked of the entities of one type and were told, to be compared with the log when a run is
//! over.
//!
//! - What was told twice under one id is the same both times.
//! - What was acknowledged is in the log, at that version and with that reply, in an order that fits real time.
//! - Each record is what `decide` says on the state before it; each state keeps its invariants.
//! - Nobody waits at the end of a commit whom the state would let go on.
//! - For small histories: some order explains all answers, whatever versions say ([`crate::linear`]).
//!
//! A decision that chance or the time of arrival have a part in cannot be made again, and is not compared; nor
//! are commands of handlers and results of effects, which nobody sent that is heard here.

mod sequential;
#[cfg(test)]
#[cfg(feature = "races")]
mod tests;
mod waits;

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use interlock_kernel::{
    entity::{Context, Decision, Entity},
    ids::{Caller, CommandId, Key, Position, Version},
    time::Time,
};
use interlock_runtime::{
    codec,
    fold::{Folded, caught},
    record::{self, Cause, Decided, Record},
    store::Chunk,
};
use serde::Serialize;

use self::sequential::{Between, Op, Sequential};
use crate::{
    history::name,
    invariants,
    linear::{self, Linear, Operation},
    watch::Wait,
};

/// A moment of a run.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Orders moments.
    pub tick: u64,
    /// The lowest that log time can be.
    pub log_time_min: Time,
    /// The highest that log time can be.
    pub log_time_max: Time,
}

/// An answer to one sending of a command.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) sent: Moment,
    pub(crate) heard: Moment,
    pub(crate) what: What,
}

/// What an answer says; replies are in their stored form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Changed { version: Version, reply: Vec<u8> },
    Unchanged(Vec<u8>),
    Rejected,
}

/// See the module's text.
pub(crate) struct Ledger<E: Entity> {
    asked: BTreeMap<(Key, CommandId), Question<E>>,
}

struct Question<E: Entity> {
    command: E::Command,
    first: Moment,
    told: Vec<Told>,
}

/// Histories of entities, by whether the general check could be made of them: [`crate::linear`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CrossChecked {
    /// Some order explains them.
    pub done: u64,
    /// They are not cross-checked: too much was under way at once, or something that no client sent, such as a
    /// timer, has a part in them.
    pub left_out: u64,
}

impl AddAssign for CrossChecked {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.left_out += other.left_out;
    }
}

/// A ledger of some type.
pub(crate) trait AnyLedger: Send {
    /// Compares it with the log, and with who was told to wait.
    fn settle(&self, log: &[Chunk], waits: &[Wait]) -> Result<CrossChecked, String>;
    /// The ledger itself.
    fn as_any(&mut self) -> &mut dyn Any;
}

/// What the log holds of a command that a client sent.
struct Kept {
    position: Position,
    version: Version,
    at: Time,
    reply: Vec<u8>,
}

/// What reading the log has shown.
#[derive(Default)]
struct Seen {
    kept: BTreeMap<(Key, CommandId), Kept>,
    /// Entities of which something in the log cannot be explained by what clients asked.
    others: BTreeSet<Key>,
}

impl<E: Entity> Default for Ledger<E> {
    fn default() -> Self {
        Self { asked: BTreeMap::new() }
    }
}

impl<E: Entity> Ledger<E> {
    pub(crate) fn asked(&mut self, key: &Key, id: &CommandId, command: &E::Command, first: Moment) {
        let question = Question { command: command.clone(), first, told: Vec::new() };
        let before = self.asked.insert((key.clone(), id.clone()), question);
        assert!(before.is_none(), "two clients have the same name: {}", id.as_str());
    }

    /// Takes in an answer.
    pub(crate) fn told(&mut self, key: &Key, id: &CommandId, told: Told) -> Result<(), String> {
        let question = self.asked.get_mut(&(key.clone(), id.clone()));
        let question = question.expect("what is answered was asked");
        let is_other = |before: &&Told| match (&before.what, &told.what) {
            (What::Changed { .. }, What::Changed { .. }) => before.what != told.what,
            // Once it has changed something, its reply is kept.
            (What::Changed { .. }, What::Unchanged(_) | What::Rejected) => {
                before.heard.tick < told.sent.tick
            }
            (What::Unchanged(_) | What::Rejected, _) => false,
        };
        if question.told.iter().any(|before| is_other(&before)) {
            return Err(format!("{}: {} got two answers", name::<E>(key), id.as_str()));
        }
        question.told.push(told);
        Ok(())
    }

    /// Reads the log: each record as decided, each state as it must be.
    fn replay(&self, log: &[Chunk], waits: &[Wait]) -> Result<Seen, String> {
        let mut seen = Seen::default();
        let mut entities: BTreeMap<Key, Folded<E>> = BTreeMap::new();
        for chunk in log {
            for item in record::records(chunk).map_err(|error| error.to_string())? {
                let (position, record) = item.map_err(|error| error.to_string())?;
                if record.head().entity != E::TYPE {
                    continue;
                }
                let key = Key::new(record.head().key).map_err(|error| error.to_string())?;
                let folded = entities.entry(key.clone()).or_default();
                self.record(&mut seen, &key, folded, (position, &record))
                    .map_err(|wrong| format!("{}: {wrong}", name::<E>(&key)))?;
            }
            for wait in waits.iter().filter(|wait| wait.entity == E::TYPE) {
                let changed = entities.get(&wait.key).filter(|folded| folded.head >= chunk.first);
                if let Some(folded) = changed {
                    self.waits_rightly(&seen, wait, folded, chunk.end())
                        .map_err(|wrong| format!("{}: {wrong}", name::<E>(&wait.key)))?;
                }
            }
        }
        Ok(seen)
    }

    fn record(
        &self,
        seen: &mut Seen,
        key: &Key,
        folded: &mut Folded<E>,
        (position, record): (Position, &Record<'_>),
    ) -> Result<(), String> {
        if let Record::Decided(decided) = record {
            self.decided(seen, key, folded, (position, decided))?;
        }
        folded.record(position, record).map_err(|error| error.to_string())?;
        let version = folded.version;
        caught(|| invariants::check(&folded.state))
            .map_err(|broken| format!("an invariant broke at version {version}: {broken}"))
    }

    /// Decides once more.
    fn decided(
        &self,
        seen: &mut Seen,
        key: &Key,
        folded: &Folded<E>,
        (position, decided): (Position, &Decided<'_>),
    ) -> Result<(), String> {
        let (id, command) = match decided.cause {
            Cause::Id(id) if decided.caller == Caller::local().as_str() => {
                let id = CommandId::new(id).map_err(|error| error.to_string())?;
                let asked = (key.clone(), id.clone());
                let Some(question) = self.asked.get(&asked) else {
                    seen.others.insert(key.clone());
                    return Ok(());
                };
                let (version, at) = (decided.head.version, decided.head.at);
                let reply = decided.reply.0.to_vec();
                seen.kept.insert(asked, Kept { position, version, at, reply });
                (Some(id), question.command.clone())
            }
            Cause::Timer(name) => {
                seen.others.insert(key.clone());
                let timer = folded.timers.iter().find(|(timer, _)| timer.0 == name);
                let (_, (_, command)) = timer.ok_or(format!("no timer {name} was set"))?;
                (None, command.clone())
            }
            Cause::Id(_) | Cause::Sent | Cause::Effect(..) => {
                seen.others.insert(key.clone());
                return Ok(());
            }
        };
        let verdicts = [(decided.head.at, 0), (Time(0), u64::MAX)].map(|(arrived, random)| {
            let cx = Context {
                now: decided.head.at,
                arrived,
                version: folded.version,
                key,
                caller: &Caller::local(),
                id: id.as_ref(),
                random,
            };
            let verdict = folded.state.decide(&command, &cx);
            // What a timer sends is over even if it is refused.
            let refused = || (id.is_none()).then(|| (codec::encode::<[E::Event]>(&[]), Vec::new()));
            verdict.map_or_else(|_| refused(), |decision| Some(stored(&decision)))
        });
        let recorded = (decided.events.0.to_vec(), decided.reply.0.to_vec());
        match &verdicts {
            [Some(one), Some(other)] if one != other => {
                seen.others.insert(key.clone());
                Ok(())
            }
            _ if folded.closed => Ok(()),
            [Some(verdict), _] | [None, Some(verdict)] if *verdict == recorded => Ok(()),
            [_, _] => {
                let (name, version) = (decided.command, decided.head.version);
                Err(format!("{name} at version {version} is not what decide says"))
            }
        }
    }

    /// Everything acknowledged is there.
    fn acknowledged(&self, seen: &Seen) -> Result<(), String> {
        for ((key, id), question) in &self.asked {
            let kept = seen.kept.get(&(key.clone(), id.clone()));
            for told in &question.told {
                let What::Changed { version, reply } = &told.what else { continue };
                let is_kept = |kept: &Kept| kept.version == *version && kept.reply == *reply;
                if !kept.is_some_and(is_kept) {
                    let (entity, id) = (name::<E>(key), id.as_str());
                    return Err(format!(
                        "{entity}: {id} was acknowledged at {version}, and is lost"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whatever was sent after something was answered stands behind it in the log.
    fn in_real_time(&self, seen: &Seen) -> Result<(), String> {
        let mut ends: BTreeMap<&Key, Vec<(u64, Position)>> = BTreeMap::new();
        let mut starts: Vec<(u64, Position, &Key, &CommandId)> = Vec::new();
        for ((key, id), question) in &self.asked {
            let Some(kept) = seen.kept.get(&(key.clone(), id.clone())) else { continue };
            starts.push((question.first.tick, kept.position, key, id));
            let heard = question.told.iter().filter(|told| told.is_change());
            if let Some(end) = heard.map(|told| told.heard.tick).min() {
                ends.entry(key).or_default().push((end, kept.position));
            }
        }
        for (start, position, key, id) in starts {
            let before = ends.get(key).into_iter().flatten().filter(|(end, _)| *end < start);
            if before.map(|(_, position)| *position).max() > Some(position) {
                let (entity, id) = (name::<E>(key), id.as_str());
                return Err(format!("{entity}: {id} stands before what was answered before it"));
            }
        }
        Ok(())
    }

    /// What clients asked of an entity and were told, for the general check.
    fn operations(&self, key: &Key, seen: &Seen) -> Vec<Operation<Op<E>>> {
        let mut operations = Vec::new();
        for ((of, id), question) in &self.asked {
            if of != key {
                continue;
            }
            let op = |within, what| Op {
                command: question.command.clone(),
                id: id.clone(),
                within,
                what,
            };
            let looks = question.told.iter().filter(|told| !told.is_change());
            operations.extend(looks.map(|told| Operation {
                op: op(told.within(), Some(told.what.clone())),
                start: told.sent.tick,
                end: Some(told.heard.tick),
            }));
            if let Some(kept) = seen.kept.get(&(key.clone(), id.clone())) {
                let changes = question.told.iter().filter(|told| told.is_change());
                let first = changes.min_by_key(|told| told.heard.tick);
                operations.push(Operation {
                    op: op((kept.at, kept.at), first.map(|told| told.what.clone())),
                    start: question.first.tick,
                    end: first.map(|told| told.heard.tick),
                });
            }
        }
        operations
    }
}

/// Events and reply, as stored.
fn stored<E: Entity>(decision: &Decision<E>) -> (Vec<u8>, Vec<u8>) {
    (codec::encode(&decision.events), codec::encode(&decision.reply))
}

impl<E: Entity> AnyLedger for Ledger<E> {
    fn settle(&self, log: &[Chunk], waits: &[Wait]) -> Result<CrossChecked, String> {
        let seen = self.replay(log, waits)?;
        self.acknowledged(&seen)?;
        self.in_real_time(&seen)?;
        let keys: BTreeSet<&Key> = self.asked.keys().map(|(key, _)| key).collect();
        let mut cross_checked = CrossChecked::default();
        for key in keys {
            if seen.others.contains(key) {
                cross_checked.left_out += 1;
                continue;
            }
            let operations = self.operations(key, &seen);
            match linear::check(&Sequential::new(key), Between::<E>::default(), operations) {
                Linear::Yes => cross_checked.done += 1,
                Linear::TooWide => cross_checked.left_out += 1,
                Linear::No => {
                    let entity = name::<E>(key);
                    return Err(format!("{entity}: no order of the commands explains the answers"));
                }
            }
        }
        Ok(cross_checked)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

impl Told {
    fn is_change(&self) -> bool {
        matches!(self.what, What::Changed { .. })
    }

    /// The earliest and the latest log time at which it can have been decided.
    fn within(&self) -> (Time, Time) {
        (self.sent.log_time_min, self.heard.log_time_max)
    }
}
