//! Reading records again that handlers have not done, after a restart.

use futures_util::FutureExt;
use interlock_kernel::{
    bus::{HandlerError, HandlerTable, Origin},
    entity::Entity,
    ids::{Key, Position},
};

use super::{
    Busy, Came, Committed, Dispatcher, Stage, Waiting, cursor::Left, dead::Address, phases::Failure,
};
use crate::{
    codec, limits,
    record::{self, Decided, Record},
    store::{Chunk, Store, StoreError},
};

/// A stored record as the engine hands it over, or why its events cannot be read.
type Read<E> = Result<Committed<E>, (Address, Failure)>;

impl<E: Entity, T: HandlerTable<E>> Dispatcher<E, T> {
    /// Handles everything between the cursor and the log's end at the start; says what comes next.
    pub(super) async fn replay(&mut self) -> Result<Stage, StoreError> {
        let before = self.cursor.seen();
        let mut at = self.cursor.low().max(self.around.first);
        while at < self.around.end {
            if at > before {
                self.caught_up();
            }
            self.start_writing(false);
            while self.under_way.len() + self.group.len() >= limits::DISPATCH_IN_FLIGHT {
                self.turn(false).await;
                self.start_writing(false);
            }
            // What has come to its end meanwhile need not wait for the end of the log.
            while self.turn(false).now_or_never().is_some() {
                self.start_writing(false);
            }
            if self.phases.is_stopping() {
                return Ok(Stage::Over);
            }
            let store = self.around.env.store().clone();
            let chunks = store.read(at, limits::READ_BYTES).await?;
            for chunk in &chunks {
                self.replay_chunk(chunk, at, before)?;
            }
            at = chunks.last().map_or(self.around.end, Chunk::end);
        }
        self.caught_up();
        self.cursor.saw_all(self.around.end);
        Ok(Stage::Serving)
    }

    fn replay_chunk(
        &mut self,
        chunk: &Chunk,
        from: Position,
        before: Position,
    ) -> Result<(), StoreError> {
        for item in record::records(chunk)? {
            let (position, record) = item?;
            if position < from || position >= self.around.end {
                continue;
            }
            if position > before {
                self.caught_up();
            }
            if let Some(decided) = own::<E>(&record) {
                self.replay_one(position, decided)?;
            }
        }
        Ok(())
    }

    fn replay_one(&mut self, position: Position, decided: &Decided<'_>) -> Result<(), StoreError> {
        let key = key_of(position, decided)?;
        let left = match self.cursor.left(position) {
            Some(left) => {
                self.behind.insert(key.clone(), position);
                left
            }
            None if position > self.cursor.seen() => {
                self.cursor.saw(position);
                Left::Both
            }
            None if self.behind.contains_key(&key) => Left::Both,
            None => return Ok(()),
        };
        match left {
            Left::Followers => {}
            Left::Read | Left::Both => self.handle_again(position, left, decided, &key),
        }
        Ok(())
    }

    fn handle_again(&mut self, position: Position, left: Left, decided: &Decided<'_>, key: &Key) {
        if let Some(busy) = self.busy.get_mut(key) {
            if !busy.left {
                busy.queue.push_back(Waiting::InLog(position));
                self.around.backlog.add(1);
            }
            return;
        }
        if self.parked.holds(key, position) {
            return self.close(key, position);
        }
        let record = match committed::<E>(position, decided, key.clone()) {
            Ok(record) => record,
            Err((address, failure)) => return self.park(address, 0, &failure),
        };
        let events = record.events.len();
        self.around.backlog.add(events);
        if left == Left::Read {
            self.busy.insert(key.clone(), Busy::default());
            return self.read(record);
        }
        match self.begin(record, true) {
            Came::Through => {
                self.close(key, position);
                self.finished(events);
            }
            Came::Nowhere | Came::Halfway => {}
        }
    }

    /// All records up to the cursor have been read again: what waits is in memory now.
    fn caught_up(&mut self) {
        for mark in std::mem::take(&mut self.behind).into_values() {
            if self.cursor.left(mark) == Some(Left::Followers) {
                self.cursor.close(mark);
            }
        }
    }
}

/// The record at a position, which is one with events of this type.
pub(super) async fn one<E: Entity>(store: &dyn Store, at: Position) -> Result<Read<E>, StoreError> {
    let chunks = store.read(at, 1).await?;
    let missing = || StoreError::Damaged(format!("the log has no events at position {at}"));
    let chunk = chunks.first().ok_or_else(missing)?;
    let record = record::record_at(chunk, at)?;
    let decided = own::<E>(&record).ok_or_else(missing)?;
    Ok(committed(at, decided, key_of(at, decided)?))
}

fn key_of(position: Position, decided: &Decided<'_>) -> Result<Key, StoreError> {
    Key::new(decided.head.key)
        .map_err(|error| StoreError::Damaged(format!("the key at position {position} {error}")))
}

fn committed<E: Entity>(position: Position, decided: &Decided<'_>, key: Key) -> Read<E> {
    let (version, at) = (decided.head.version, decided.head.at);
    match codec::events::<E>(decided.head.schema, decided.events.0) {
        Ok(events) => {
            Ok(Committed { origin: Origin { entity: E::TYPE, key, version, position, at }, events })
        }
        Err(error) => {
            let failure = Failure { handler: "(reading)", error: HandlerError(error.to_string()) };
            Err((Address { key, position, version, at }, failure))
        }
    }
}

fn own<'a, E: Entity>(record: &'a Record<'a>) -> Option<&'a Decided<'a>> {
    match record {
        Record::Decided(decided) if decided.head.entity == E::TYPE && decided.events_count > 0 => {
            Some(decided)
        }
        Record::Decided(_) | Record::Snapshot(_) => None,
    }
}
