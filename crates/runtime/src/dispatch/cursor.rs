//! How far the handlers of an entity type have come.
//!
//! "Everything up to `seen` is done, except the open records and, behind each of them, the later records of
//! the same entity." So the row is as small as the number of records under way, however many wait behind
//! them.

use std::collections::BTreeMap;

use interlock_kernel::{bus::RowChange, ids::Position};
use serde::{Deserialize, Serialize};

use crate::store::{Store, StoreError};

const TABLE: &str = "cursors";

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    stored: Stored,
    dirty: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    seen: Position,
    open: BTreeMap<Position, Left>,
}

/// What is left to do about an open record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Left {
    /// Both phases.
    Both,
    /// Phase 2.
    Read,
    /// Nothing, but the later records of its entity up to `seen` are not done. Only while the log is read
    /// again: then those records are not in memory yet.
    Followers,
}

impl Cursor {
    pub(super) async fn read(store: &dyn Store, entity: &str) -> Result<Self, StoreError> {
        let stored = match store.row(TABLE, entity.as_bytes()).await? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|error| StoreError::Damaged(format!("cursor of {entity}: {error}")))?,
            None => Stored::default(),
        };
        Ok(Self { stored, dirty: false })
    }

    /// The newest record that was taken in.
    pub(super) fn seen(&self) -> Position {
        self.stored.seen
    }

    /// A record was taken in. It counts as done unless it is opened.
    pub(super) fn saw(&mut self, position: Position) {
        assert!(position > self.stored.seen, "records come in the order of the log");
        self.stored.seen = position;
        self.dirty = true;
    }

    /// Everything below `end` was taken in.
    pub(super) fn saw_all(&mut self, end: Position) {
        let last = Position(end.0.saturating_sub(1));
        if last > self.stored.seen {
            self.saw(last);
        }
    }

    /// A record waits for something.
    pub(super) fn open(&mut self, position: Position, left: Left) {
        self.stored.open.insert(position, left);
        self.dirty = true;
    }

    /// Nothing is left to do about a record, or it is parked as a dead letter.
    pub(super) fn close(&mut self, position: Position) {
        self.dirty |= self.stored.open.remove(&position).is_some();
    }

    /// What is left to do about a record, if it is open.
    pub(super) fn left(&self, position: Position) -> Option<Left> {
        self.stored.open.get(&position).copied()
    }

    /// Everything below is done.
    pub(super) fn low(&self) -> Position {
        self.stored.open.keys().next().copied().unwrap_or(self.stored.seen.next())
    }

    /// Whether it has changed since it was last handed out to be written.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The row that stores it. From now on it counts as written; see [`Cursor::unwritten`].
    pub(super) fn row(&mut self, entity: &str) -> RowChange {
        self.dirty = false;
        let value = postcard::to_stdvec(&self.stored).expect("writing to memory cannot fail");
        RowChange::Put { table: TABLE.to_owned(), key: entity.as_bytes().to_vec(), value }
    }

    /// The write failed.
    pub(super) fn unwritten(&mut self) {
        self.dirty = true;
    }
}

/// The oldest record that the handlers of an entity type have not done, as far as stored. What is below may
/// be compacted as far as they are concerned.
///
/// # Errors
/// When the store cannot be read.
pub async fn low(store: &dyn Store, entity: &str) -> Result<Position, StoreError> {
    Ok(Cursor::read(store, entity).await?.low())
}
