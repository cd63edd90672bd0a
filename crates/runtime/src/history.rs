//! Walking an entity's history: records form a chain from the newest back to the oldest kept.

use bytes::Bytes;
use interlock_kernel::ids::Position;

use crate::{
    record::{self, Record},
    store::{Chunk, Store, StoreError},
};

/// Reads single records, keeping the last chunk at hand since neighbours often share one.
pub struct Reader<'a> {
    store: &'a dyn Store,
    chunk: Option<Chunk>,
}

impl<'a> Reader<'a> {
    /// A reader of this store.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, chunk: None }
    }

    /// The bytes of the record at a position; `None` if the log has let it go.
    pub async fn body(&mut self, at: Position) -> Result<Option<Bytes>, StoreError> {
        let holds = |chunk: &Chunk| chunk.first <= at && at < chunk.end();
        if !self.chunk.as_ref().is_some_and(holds) {
            self.chunk = self.store.read(at, 1).await?.into_iter().next();
        }
        let Some(chunk) = self.chunk.as_ref().filter(|chunk| holds(chunk)) else {
            return Ok(None);
        };
        let body = record::body_at(chunk, at)?;
        Ok(Some(Bytes::copy_from_slice(body)))
    }
}

/// The records of one entity from its newest back to its newest snapshot, or to its first.
pub struct Chain {
    newest_first: Vec<(Position, Bytes)>,
}

impl Chain {
    /// Walks back from `head`.
    pub async fn back(
        store: &dyn Store,
        entity: &str,
        key: &str,
        head: Position,
    ) -> Result<Self, StoreError> {
        let damaged = |at: Position, what: &str| {
            StoreError::Damaged(format!("{entity}/{key} at position {at}: {what}"))
        };
        let mut reader = Reader::new(store);
        let mut newest_first = Vec::new();
        let mut at = head;
        while at.0 > 0 {
            let Some(body) = reader.body(at).await? else {
                return Err(damaged(at, "the log has let it go without a snapshot"));
            };
            let record = record::parse(at, &body)?;
            let found = record.head();
            if found.entity != entity || found.key != key {
                return Err(damaged(at, "it belongs to another entity"));
            }
            let (prev, is_snapshot) = (found.prev, matches!(record, Record::Snapshot(_)));
            newest_first.push((at, body));
            if is_snapshot {
                break;
            }
            if prev >= at {
                return Err(damaged(at, "it does not lead back"));
            }
            at = prev;
        }
        Ok(Self { newest_first })
    }

    /// Its records, oldest first.
    pub fn oldest_first(&self) -> impl Iterator<Item = (Position, &Bytes)> {
        self.newest_first.iter().rev().map(|(position, body)| (*position, body))
    }
}
