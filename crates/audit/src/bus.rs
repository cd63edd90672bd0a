//! What the two phases of a machine's handlers came to, whatever crashed.
//!
//! Write handlers are pure, so what they must have done is recounted from the log and compared with it.
//!
//! - Each command that one wants is in the log exactly once, or `decide` would refuse it; those of a record are
//!   there before those of the next record of its entity, and there is none that nobody wants.
//! - Each row that one wants is written exactly once; again, if a power loss took it.
//! - Every read handler is called, in the order of its entity's records, and only when the record, and all that
//!   the write handlers want done about it, is durable.
//!
//! Records behind a dead letter wait for somebody, and are not counted.

#[cfg(test)]
#[cfg(feature = "races")]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use interlock_kernel::{
    bus::{Outgoing, RowChange},
    entity::Context,
    ids::{Caller, CommandId, Key, Position},
};
use interlock_runtime::{
    codec::{AnyFold, Codec},
    dispatch::{self, dead},
    reactions::Reactions,
    record::{Cause, Decided, Record},
    store::{Chunk, memory::MemoryStore},
};

use crate::{
    disk::{RowEvent, standing},
    history,
    watch::{Call, Seen},
};

/// The handlers of a machine.
pub(crate) struct Bus {
    reactions: Vec<Reactions>,
    codecs: Vec<Codec>,
}

/// What a run has left, as far as handlers had a part in it.
pub(crate) struct Left<'a> {
    pub(crate) log: &'a [Chunk],
    pub(crate) letters: &'a [dead::Letter],
    /// What happened to the rows, in order.
    pub(crate) rows: &'a [RowEvent],
    pub(crate) seen: &'a Seen,
}

/// A command that a write handler sent: its target, whose it is, its id.
type Sent = (String, String, String, String);

/// What is known of a record's handlers.
#[derive(Default)]
struct Handled {
    /// The place of the last command of its write handlers.
    last_sent: Position,
    rows: Vec<RowChange>,
    /// Read handlers that were not called.
    uncalled: BTreeSet<&'static str>,
}

/// A recount under way.
struct Recount<'a> {
    left: &'a Left<'a>,
    codecs: &'a [Codec],
    sent: BTreeMap<Sent, Vec<Position>>,
    handled: BTreeMap<Position, Handled>,
    /// Where the last command of an entity's handlers stands.
    last_of: BTreeMap<(&'static str, String), Position>,
}

impl Bus {
    /// None, if nobody handles anything.
    pub(crate) fn new(reactions: Vec<Reactions>, codecs: Vec<Codec>) -> Option<Self> {
        (!reactions.is_empty()).then_some(Self { reactions, codecs })
    }

    /// Which handlers have something left to do, as far as the disk says.
    pub(crate) fn is_behind(&self, store: &MemoryStore, log: &[Chunk]) -> Option<String> {
        let newest = |entity: &str| {
            let is_its = |decided: &Decided<'_>| decided.head.entity == entity;
            let its = each(log).filter(|(_, decided)| is_its(decided) && decided.events_count > 0);
            its.map(|(position, _)| position).last()
        };
        let behind = |reactions: &&Reactions| {
            let low = dispatch::low(store, reactions.entity()).now_or_never();
            let low = low.expect("memory answers at once");
            newest(reactions.entity()).is_some_and(|newest| low.is_ok_and(|low| low <= newest))
        };
        let behind = self.reactions.iter().find(behind);
        behind.map(|behind| format!("the handlers of {} never end", behind.entity()))
    }

    /// Compares what handlers have done with what they want done.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn settle(&self, left: &Left<'_>) -> Result<(), String> {
        let mut recount = Recount {
            left,
            codecs: &self.codecs,
            sent: sent(left.log),
            handled: BTreeMap::new(),
            last_of: BTreeMap::new(),
        };
        for (position, decided) in each(left.log).filter(|(_, decided)| decided.events_count > 0) {
            let its = |reactions: &&Reactions| reactions.entity() == decided.head.entity;
            if let Some(reactions) = self.reactions.iter().find(its) {
                recount.record(reactions, position, &decided)?;
            }
        }
        if let Some(((entity, key, by, id), _)) = recount.sent.first_key_value() {
            return Err(format!("{entity}/{key}: {id} was sent {by}, and no record asks for it"));
        }
        recount.rows()?;
        recount.reads()
    }
}

impl Recount<'_> {
    fn is_parked(&self, position: Position, decided: &Decided<'_>) -> bool {
        let head = decided.head;
        self.left.letters.iter().any(|letter| {
            letter.entity == head.entity
                && letter.key.as_str() == head.key
                && letter.position <= position
        })
    }

    /// Phase 1 of a record: what it wants sent is in the log.
    fn record(
        &mut self,
        reactions: &Reactions,
        position: Position,
        decided: &Decided<'_>,
    ) -> Result<(), String> {
        if self.is_parked(position, decided) {
            return Ok(());
        }
        let (entity, head) = (reactions.entity(), decided.head);
        let name = format!("{entity}/{}@{}", head.key, head.version);
        let reacted = reactions.to(position, decided);
        let reacted = reacted.map_err(|error| format!("{name} is passed over: {error}"))?;
        let before = self.last_of.get(&(entity, head.key.to_owned())).copied().unwrap_or_default();
        let mut handled = Handled { last_sent: before, ..Handled::default() };
        for (event, reacted) in reacted.into_iter().enumerate() {
            handled.uncalled.extend(reacted.reads);
            for (handler, reaction) in reacted.writes {
                handled.rows.extend(reaction.rows);
                for (place, command) in reaction.sends.into_iter().enumerate() {
                    let id = format!("{name}.{event}.{place}");
                    let Some(at) = self.command(position, handler, &id, &command)? else {
                        continue;
                    };
                    if at <= before {
                        return Err(format!("{id} of {handler} overtakes a command before it"));
                    }
                    handled.last_sent = handled.last_sent.max(at);
                }
            }
        }
        self.last_of.insert((entity, head.key.to_owned()), handled.last_sent);
        self.handled.insert(position, handled);
        Ok(())
    }

    /// Where a command is. `None`: it was rightly refused.
    fn command(
        &mut self,
        from: Position,
        handler: &str,
        id: &str,
        command: &Outgoing,
    ) -> Result<Option<Position>, String> {
        let (key, by) = (command.key.as_str().to_owned(), format!("on:{handler}"));
        let sent = (command.to.to_owned(), key, by, id.to_owned());
        match self.sent.remove(&sent).as_deref() {
            Some([at]) => Ok(Some(*at)),
            Some(places) => Err(format!("{id} of {handler} was done {} times", places.len())),
            None if self.is_refused(from, handler, id, command) => Ok(None),
            None => Err(format!("{id} of {handler}, {command:?}, was never done")),
        }
    }

    /// Whether its target would have refused a command at some moment after a record.
    fn is_refused(&self, from: Position, handler: &str, id: &str, command: &Outgoing) -> bool {
        let codec = self.codecs.iter().find(|codec| codec.entity == command.to);
        // There is no such type.
        let Some(codec) = codec else { return true };
        let caller = Caller::new(&format!("on:{handler}"));
        let id = CommandId::new(id).expect("the builder refuses types with long names");
        let refuses = |fold: &dyn AnyFold, now| {
            let (version, key) = (fold.version(), &command.key);
            let (caller, id) = (&caller, Some(&id));
            let cx = Context { now, arrived: now, version, key, caller, id, random: 0 };
            fold.is_unmoved_by(command.command.as_ref(), &cx)
        };
        let (mut fold, mut now) = ((codec.fold)(), Default::default());
        for (position, record) in history::records(self.left.log) {
            let head = *record.head();
            now = head.at;
            if head.entity != command.to || head.key != command.key.as_str() {
                continue;
            }
            if position > from && refuses(fold.as_ref(), now) {
                return true;
            }
            if fold.fold(position, &record).is_err() {
                return false;
            }
        }
        refuses(fold.as_ref(), now)
    }

    /// Each row is written as often as it is wanted. Whoever was told that it was not may have written it again.
    fn rows(&self) -> Result<(), String> {
        let wanted: Vec<&RowChange> =
            self.handled.values().flat_map(|handled| &handled.rows).collect();
        let standing = standing(self.left.rows);
        let count = |event: RowEvent| standing.iter().filter(|other| ***other == event).count();
        for row in &wanted {
            let wanted = wanted.iter().filter(|other| *other == row).count();
            let written = count(RowEvent::Written((*row).clone()));
            let doubted = count(RowEvent::Doubted((*row).clone()));
            if !(written..=written + doubted).contains(&wanted) {
                return Err(format!("{row:?} is written {written} times, and wanted {wanted}"));
            }
        }
        Ok(())
    }

    /// Phase 2: each call comes when phase 1 is over, in order, and none is left out.
    fn reads(&mut self) -> Result<(), String> {
        let mut newest: BTreeMap<(&str, &Key), Position> = BTreeMap::new();
        for Call { origin, handler, end, rows } in &self.left.seen.reads {
            let name = format!("{}/{}@{}", origin.entity, origin.key, origin.version);
            if origin.position >= *end {
                return Err(format!("{handler} is shown {name} before its commit"));
            }
            let Some(handled) = self.handled.get_mut(&origin.position) else { continue };
            let there = standing(self.left.rows.get(..*rows).unwrap_or_default());
            let is_there = |row| there.iter().any(|event| event.change() == Some(row));
            if handled.last_sent >= *end || !handled.rows.iter().all(is_there) {
                return Err(format!("{handler} is shown {name} before phase 1 is over"));
            }
            let newest = newest.entry((origin.entity, &origin.key)).or_default();
            if handled.uncalled.remove(handler) && origin.position < *newest {
                return Err(format!("{handler} is shown {name} after a later record"));
            }
            *newest = origin.position.max(*newest);
        }
        let uncalled = |(position, handled): (&Position, &Handled)| {
            let handler = handled.uncalled.first()?;
            Some(format!("{handler} is never shown the record at position {position}"))
        };
        self.handled.iter().find_map(uncalled).map_or(Ok(()), Err)
    }
}

fn each(log: &[Chunk]) -> impl Iterator<Item = (Position, Decided<'_>)> {
    history::records(log).filter_map(|(position, record)| match record {
        Record::Decided(decided) => Some((position, decided)),
        Record::Snapshot(_) => None,
    })
}

/// All that write handlers have sent.
fn sent(log: &[Chunk]) -> BTreeMap<Sent, Vec<Position>> {
    let mut sent: BTreeMap<Sent, Vec<Position>> = BTreeMap::new();
    for (position, decided) in each(log).filter(|(_, decided)| decided.caller.starts_with("on:")) {
        if let Cause::Id(id) = decided.cause {
            let [entity, key, by, id] =
                [decided.head.entity, decided.head.key, decided.caller, id].map(str::to_owned);
            sent.entry((entity, key, by, id)).or_default().push(position);
        }
    }
    sent
}
