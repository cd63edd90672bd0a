//! Reading records again that handlers have not done: after a restart, and from a dead letter on.

use std::sync::atomic::Ordering;

use interlock_kernel::{
    bus::{HandlerError, HandlerTable},
    entity::Entity,
    ids::{Key, Position},
};

use super::{Committed, Dispatcher, cursor::Left, phases::Failure};
use crate::{
    codec, limits,
    record::{self, Decided, Record},
    store::StoreError,
};

impl<E: Entity, T: HandlerTable<E>> Dispatcher<E, T> {
    /// Handles everything between the cursor and the log's end at the start.
    pub(super) async fn replay(&mut self) -> Result<(), StoreError> {
        let mut at = self.cursor.low().max(self.around.first);
        while at < self.around.end {
            while self.under_way.len() >= limits::DISPATCH_IN_FLIGHT {
                self.turn(false, false).await;
            }
            at = self.replay_some(at).await?;
        }
        Ok(())
    }

    async fn replay_some(&mut self, at: Position) -> Result<Position, StoreError> {
        let store = self.around.env.store().clone();
        let chunks = store.read(at, limits::READ_BYTES).await?;
        let mut next = at;
        for chunk in &chunks {
            for item in record::records(chunk)? {
                let (position, record) = item?;
                if position < at || position >= self.around.end {
                    continue;
                }
                if let Some(decided) = own::<E>(&record) {
                    self.replay_one(position, decided);
                }
            }
            next = chunk.end();
        }
        if chunks.is_empty() { Ok(self.around.end) } else { Ok(next) }
    }

    fn replay_one(&mut self, position: Position, decided: &Decided<'_>) {
        let left = self.cursor.left(position);
        if position > self.cursor.seen() {
            self.cursor.saw(position);
        }
        if left == Left::Nothing {
            return;
        }
        let Some(record) = self.committed(position, decided) else { return };
        self.around.lag.fetch_add(record.events.len(), Ordering::Relaxed);
        match left {
            Left::Read if !self.busy.contains_key(&record.key) => {
                self.busy.entry(record.key.clone()).or_default();
                self.read(record);
            }
            Left::Nothing | Left::Read | Left::Both => {
                self.cursor.close(position);
                self.handle(record, true);
            }
        }
    }

    /// Handles a parked entity's records again, from its dead letter on.
    pub(super) async fn retry(&mut self, key: &Key) -> Result<(), String> {
        let Some((letter, change)) = self.parked.take::<E>(key) else {
            return Err(format!("{}/{key} has no dead letter", E::TYPE));
        };
        let records = match self.records_of(key, letter.position).await {
            Ok(records) => records,
            Err(error) => {
                self.parked.put_back(letter);
                return Err(error.to_string());
            }
        };
        // The letter goes in the same write that opens its records again.
        self.letters.push(change);
        for record in records {
            self.cursor.open(record.position, false);
            self.around.lag.fetch_add(record.events.len(), Ordering::Relaxed);
            let position = record.position;
            self.handle(record, true);
            if !self.busy.contains_key(key) {
                self.cursor.close(position);
            }
        }
        Ok(())
    }

    async fn records_of(
        &mut self,
        key: &Key,
        from: Position,
    ) -> Result<Vec<Committed<E>>, StoreError> {
        let store = self.around.env.store().clone();
        let (mut at, end) = (from, self.cursor.seen());
        let mut records = Vec::new();
        while at <= end {
            let chunks = store.read(at, limits::READ_BYTES).await?;
            if chunks.is_empty() {
                break;
            }
            for chunk in &chunks {
                for item in record::records(chunk)? {
                    let (position, record) = item?;
                    let decided = own::<E>(&record).filter(|d| d.head.key == key.as_str());
                    if let Some(decided) = decided.filter(|_| from <= position && position <= end) {
                        records.extend(self.committed(position, decided));
                    }
                }
                at = chunk.end();
            }
        }
        Ok(records)
    }

    /// A stored record as the engine hands it over. One whose events cannot be read is parked.
    fn committed(&mut self, position: Position, decided: &Decided<'_>) -> Option<Committed<E>> {
        let head = decided.head;
        let Ok(key) = Key::new(head.key) else {
            tracing::error!(entity = E::TYPE, key = head.key, "a stored key is no key");
            return None;
        };
        let (events, error) = match codec::events::<E>(head.schema, decided.events.0) {
            Ok(events) => (events, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let record = Committed { key, version: head.version, position, at: head.at, events };
        if let Some(error) = error {
            let failure = Failure { handler: "(reading)", error: HandlerError(error.to_string()) };
            self.letters.push(self.parked.park(&record, &failure));
            return None;
        }
        Some(record)
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
