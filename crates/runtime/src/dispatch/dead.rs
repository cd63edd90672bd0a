//! Dead letters: records whose write handler failed again and again.
//!
//! A letter names the first record of its entity that is parked; the entity's later records wait behind it
//! in the log, in order. Handling it again takes them all.

use std::collections::BTreeMap;

use interlock_kernel::{
    bus::RowChange,
    entity::Entity,
    ids::{Key, Position, Version},
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::{Committed, phases::Failure};
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

/// The parked entities of one type.
#[derive(Debug, Default)]
pub(super) struct Parked {
    letters: BTreeMap<Key, Letter>,
}

impl Parked {
    pub(super) async fn open(store: &dyn Store, entity: &str) -> Result<Self, StoreError> {
        let letters = letters(store).await?.into_iter().filter(|letter| letter.entity == entity);
        Ok(Self { letters: letters.map(|letter| (letter.key.clone(), letter)).collect() })
    }

    pub(super) fn holds(&self, key: &Key) -> bool {
        !self.letters.is_empty() && self.letters.contains_key(key)
    }

    /// Parks a record; the change stores the letter.
    pub(super) fn park<E: Entity>(
        &mut self,
        record: &Committed<E>,
        failure: &Failure,
    ) -> RowChange {
        let letter = Letter {
            entity: E::TYPE.to_owned(),
            key: record.key.clone(),
            position: record.position,
            version: record.version,
            at: record.at,
            handler: failure.handler.to_owned(),
            error: failure.error.to_string(),
        };
        let value = serde_json::to_vec(&letter).expect("a plain struct is always JSON");
        let row = row_key(E::TYPE, &record.key);
        self.letters.insert(record.key.clone(), letter);
        RowChange::Put { table: TABLE.to_owned(), key: row, value }
    }

    /// Takes an entity's letter out; the change removes it from the store.
    pub(super) fn take<E: Entity>(&mut self, key: &Key) -> Option<(Letter, RowChange)> {
        let letter = self.letters.remove(key)?;
        let row = row_key(E::TYPE, key);
        Some((letter, RowChange::Delete { table: TABLE.to_owned(), key: row }))
    }

    /// Puts a letter back that could not be handled now.
    pub(super) fn put_back(&mut self, letter: Letter) {
        self.letters.insert(letter.key.clone(), letter);
    }
}

fn row_key(entity: &str, key: &Key) -> Vec<u8> {
    format!("{entity}/{key}").into_bytes()
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
