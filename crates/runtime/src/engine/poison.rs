//! Entities that are set aside: their history or an invariant broke.
//!
//! Each has a side record in the table `poisoned`: entity, version, binary, reason. The same binary refuses
//! it at once; a newer one tries again, and forgets the record when that works.

use std::{collections::BTreeMap, sync::Arc};

use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Version},
    time::Time,
};
use serde::{Deserialize, Serialize};

use crate::store::{Durability, Scan, Store, StoreError};

/// The table of side records, by `type/key`.
pub const TABLE: &str = "poisoned";
const BINARY: &str = env!("CARGO_PKG_VERSION");

/// Why an entity was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reason {
    version: Version,
    binary: String,
    why: String,
    at: Time,
}

/// The list of entities that are set aside.
#[derive(Debug, Default)]
pub(crate) struct PoisonList {
    entries: BTreeMap<Vec<u8>, Reason>,
}

fn row_key(entity: &str, key: &Key) -> Vec<u8> {
    format!("{entity}/{key}").into_bytes()
}

impl PoisonList {
    /// Reads the list.
    pub(crate) async fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        for (key, value) in store.scan(Scan::table(TABLE)).await? {
            let reason = serde_json::from_slice(&value)
                .map_err(|error| StoreError::Damaged(format!("table {TABLE}: {error}")))?;
            entries.insert(key, reason);
        }
        Ok(Self { entries })
    }

    /// Why this binary refuses an entity, if it does.
    pub(crate) fn get(&self, entity: &str, key: &Key) -> Option<(Version, String)> {
        if self.entries.is_empty() {
            return None;
        }
        let reason = self.entries.get(&row_key(entity, key))?;
        (reason.binary == BINARY).then(|| (reason.version, reason.why.clone()))
    }

    /// Sets an entity aside; the change stores that.
    #[must_use]
    pub(crate) fn add(
        &mut self,
        entity: &str,
        key: &Key,
        version: Version,
        why: &str,
        at: Time,
    ) -> RowChange {
        let row = row_key(entity, key);
        let reason = Reason { version, binary: BINARY.to_owned(), why: why.to_owned(), at };
        let value = serde_json::to_vec(&reason).expect("a plain struct is always JSON");
        self.entries.insert(row.clone(), reason);
        RowChange::Put { table: TABLE.to_owned(), key: row, value }
    }

    /// A newer binary could read it: the change forgets that it was set aside.
    #[must_use]
    pub(crate) fn forgive(&mut self, entity: &str, key: &Key) -> Option<RowChange> {
        if self.entries.is_empty() {
            return None;
        }
        let row = row_key(entity, key);
        self.entries.remove(&row)?;
        Some(RowChange::Delete { table: TABLE.to_owned(), key: row })
    }

    /// How many are set aside.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Writes the side record. If that fails, the entity is refused all the same while this process runs, and
/// found broken again by the next.
pub(crate) async fn write(store: Arc<dyn Store>, change: RowChange) {
    if let Err(error) = store.write_rows(vec![change], Durability::Lazy).await {
        tracing::warn!(%error, "the side record of an entity that is set aside was not written");
    }
}
