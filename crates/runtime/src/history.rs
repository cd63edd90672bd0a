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

/// How far a walk goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the newest snapshot, or to the first record: what is needed to know the entity.
    Snapshot,
    /// Past the newest snapshot to the one before, or as far as there are records: what is needed to check
    /// that snapshot.
    Recount,
}

/// The records of one entity from its newest back to a snapshot, or to its first.
pub struct Chain {
    newest_first: Vec<(Position, Bytes)>,
}

impl Chain {
    /// Walks back from `head`. A recount leaves out the newest snapshot, so that the records before it speak
    /// for themselves.
    pub async fn back(
        store: &dyn Store,
        entity: &str,
        key: &str,
        head: Position,
        until: Until,
    ) -> Result<Self, StoreError> {
        let damaged = |at: Position, what: &str| {
            StoreError::Damaged(format!("{entity}/{key} at position {at}: {what}"))
        };
        let mut reader = Reader::new(store);
        let mut newest_first: Vec<(Position, Bytes)> = Vec::new();
        // Of a recount: how many records there were at the newest snapshot, which is left out.
        let mut passed: Option<(usize, (Position, Bytes))> = None;
        let mut at = head;
        while at.0 > 0 {
            let Some(body) = reader.body(at).await? else {
                if let Some((records, snapshot)) = passed {
                    // What came before the snapshot is compacted: it is all there is to start from.
                    newest_first.truncate(records);
                    newest_first.push(snapshot);
                    break;
                }
                return Err(damaged(at, "the log has let it go without a snapshot"));
            };
            let record = record::parse(at, &body)?;
            let found = record.head();
            if found.entity != entity || found.key != key {
                return Err(damaged(at, "it belongs to another entity"));
            }
            let (prev, is_snapshot) = (found.prev, matches!(record, Record::Snapshot(_)));
            match (is_snapshot, until, &passed) {
                (true, Until::Recount, None) => passed = Some((newest_first.len(), (at, body))),
                (true, Until::Snapshot, _) | (true, Until::Recount, Some(_)) => {
                    newest_first.push((at, body));
                    break;
                }
                (false, _, _) => newest_first.push((at, body)),
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
