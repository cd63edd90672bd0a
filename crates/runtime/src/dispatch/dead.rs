//! Dead letters: records whose write handler failed again and again.
//!
//! A letter names the first record of its entity that is parked; the entity's later records wait behind it
//! in the log, in order. Handling it again takes them all.

use std::collections::BTreeMap;

use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Position, Version},
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::phases::Failure;
use crate::store::{Scan, Store, StoreError};

/// The table of dead letters: `{type}/{key}` → [`Letter`] as JSON.
pub const TABLE: &str = "dead_letters";

/// A parked record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The entity's type.
    pub entity: String,
    /// The entity's key.
    pub key: Key,
    /// The parked record.
    pub position: Position,
    /// The entity's version after it.
    pub version: Version,
    /// When it was decided.
    pub at: Time,
    /// The handler that failed.
    pub handler: String,
    /// What it said.
    pub error: String,
}

/// What a letter says of its record.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub key: Key,
    pub position: Position,
    pub version: Version,
    pub at: Time,
}

/// The parked entities of one type.
#[derive(Debug)]
pub(super) struct Parked {
    entity: &'static str,
    entries: BTreeMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    position: Position,
    /// While somebody looks for the entity's parked records: those that came meanwhile.
    meanwhile: Option<Vec<Position>>,
}

impl Parked {
    pub(super) async fn open(store: &dyn Store, entity: &'static str) -> Result<Self, StoreError> {
        let letters = letters(store).await?.into_iter().filter(|letter| letter.entity == entity);
        let entry =
            |letter: Letter| (letter.key, Entry { position: letter.position, meanwhile: None });
        Ok(Self { entity, entries: letters.map(entry).collect() })
    }

    /// Whether a record has to wait behind a parked one.
    pub(super) fn holds(&mut self, key: &Key, position: Position) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if let Some(meanwhile) = &mut entry.meanwhile {
            meanwhile.push(position);
        }
        true
    }

    /// Parks a record; the change stores the letter.
    pub(super) fn park(&mut self, at: Address, failure: &Failure) -> RowChange {
        let letter = Letter {
            entity: self.entity.to_owned(),
            key: at.key.clone(),
            position: at.position,
            version: at.version,
            at: at.at,
            handler: failure.handler.to_owned(),
            error: failure.error.to_string(),
        };
        let value = serde_json::to_vec(&letter).expect("a plain struct is always JSON");
        let key = self.row_key(&at.key);
        self.entries.insert(at.key, Entry { position: at.position, meanwhile: None });
        RowChange::Put { table: TABLE.to_owned(), key, value }
    }

    /// Begins to take an entity's letter out: from now on its records are noted. Returns the parked record.
    pub(super) fn begin_retry(&mut self, key: &Key) -> Result<Position, String> {
        let entry = self.entries.get_mut(key);
        let entry = entry.ok_or_else(|| format!("{}/{key} has no dead letter", self.entity))?;
        if entry.meanwhile.is_some() {
            return Err(format!("{}/{key} is being tried again already", self.entity));
        }
        entry.meanwhile = Some(Vec::new());
        Ok(entry.position)
    }

    /// The letter stays.
    pub(super) fn abandon_retry(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.meanwhile = None;
        }
    }

    /// Takes the letter out. Returns the records that came since [`Parked::begin_retry`], and the change that
    /// removes the letter from the store.
    pub(super) fn end_retry(&mut self, key: &Key) -> (Vec<Position>, RowChange) {
        let entry = self.entries.remove(key).expect("a letter stays while it is being retried");
        let change = RowChange::Delete { table: TABLE.to_owned(), key: self.row_key(key) };
        (entry.meanwhile.unwrap_or_default(), change)
    }

    fn row_key(&self, key: &Key) -> Vec<u8> {
        format!("{}/{key}", self.entity).into_bytes()
    }
}

/// All dead letters.
pub async fn letters(store: &dyn Store) -> Result<Vec<Letter>, StoreError> {
    let rows = store.scan(Scan::table(TABLE)).await?;
    let read = |(_, value): (Vec<u8>, bytes::Bytes)| {
        serde_json::from_slice(&value)
            .map_err(|error| StoreError::Damaged(format!("table {TABLE}: {error}")))
    };
    rows.into_iter().map(read).collect()
}
