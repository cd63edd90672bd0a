//! How far the handlers of an entity type have come.
//!
//! "Everything up to `seen` is done, except the open ones, of which some have phase 1 behind them." The open
//! ones are few (bounded by the lag on handlers), so the row is small however far ahead other entities run.

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
    wanted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    seen: Position,
    /// Position → whether phase 1 is over.
    open: BTreeMap<Position, bool>,
}

impl Cursor {
    pub(super) async fn read(store: &dyn Store, entity: &str) -> Result<Self, StoreError> {
        let stored = match store.row(TABLE, entity.as_bytes()).await? {
            Some(bytes) => postcard::from_bytes(&bytes)
                .map_err(|error| StoreError::Damaged(format!("cursor of {entity}: {error}")))?,
            None => Stored::default(),
        };
        Ok(Self { stored, dirty: false, wanted: false })
    }

    /// A record was taken in. It counts as done unless it is opened.
    pub(super) fn saw(&mut self, position: Position) {
        assert!(position > self.stored.seen, "records come in the order of the log");
        self.stored.seen = position;
        self.dirty = true;
    }

    /// A record waits for something.
    pub(super) fn open(&mut self, position: Position, wrote: bool) {
        self.stored.open.insert(position, wrote);
        self.dirty = true;
    }

    /// A record is done, or parked as a dead letter.
    pub(super) fn close(&mut self, position: Position) {
        self.stored.open.remove(&position);
        self.dirty = true;
    }

    pub(super) fn want_write(&mut self) {
        self.wanted = true;
    }

    pub(super) fn wants_write(&self) -> bool {
        self.wanted && self.dirty
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// The oldest record that is not done; everything before it is.
    pub(super) fn low(&self) -> Position {
        self.stored.open.keys().next().copied().unwrap_or(self.stored.seen.next())
    }

    /// What is to be done about a record read again: nothing, phase 2, or both phases.
    pub(super) fn left(&self, position: Position) -> Left {
        match self.stored.open.get(&position) {
            Some(true) => Left::Read,
            Some(false) => Left::Both,
            None if position <= self.stored.seen => Left::Nothing,
            None => Left::Both,
        }
    }

    /// The row that stores it. From now on it counts as written; a failed write must ask for another.
    pub(super) fn row(&mut self, entity: &str) -> RowChange {
        self.dirty = false;
        self.wanted = false;
        let value = postcard::to_stdvec(&self.stored).expect("writing to memory cannot fail");
        RowChange::Put { table: TABLE.to_owned(), key: entity.as_bytes().to_vec(), value }
    }

    /// After a failed write.
    pub(super) fn unwritten(&mut self) {
        self.dirty = true;
        self.wanted = true;
    }

    /// Positions that are not done, in order.
    pub(super) fn seen(&self) -> Position {
        self.stored.seen
    }
}

/// See [`Cursor::left`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Read,
    Both,
}

/// The oldest record that some handlers have not done, over all entity types with handlers; what is below
/// may be compacted as far as handlers are concerned.
pub(crate) async fn low(store: &dyn Store, entity: &str) -> Result<Position, StoreError> {
    Ok(Cursor::read(store, entity).await?.low())
}
