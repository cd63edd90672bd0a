//! The rows of an index: three tables, their keys, and the checksum that every row ends with.
//!
//! ```text
//! <name>.runs    run u64 BE               → which runs there are: the manifest
//! <name>.groups  run u64 BE | group u32 BE → fences and filter of a group of pages
//! <name>.pages   run u64 BE | page u32 BE  → entries
//! row            body | crc32 of key and body, u32 LE
//! ```
//!
//! A run exists if it has a row in the manifest; groups and pages of other runs are what a crash or a
//! failure left behind, and swept. The checksum covers the key too, so that a row in the wrong place is
//! noticed like a row with the wrong bytes.

use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use interlock_kernel::bus::RowChange;
use serde::{Deserialize, Serialize};

use crate::store::{Direction, Durability, Row, Scan, Store, StoreError};

const CHECKSUM_BYTES: usize = 4;

/// Names a run for as long as the index lives; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct RunId(pub u64);

impl RunId {
    pub(super) fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("2^64 runs outlast every deployment"))
    }
}

/// Where an index keeps its rows.
pub(super) struct Tables {
    pub store: Arc<dyn Store>,
    pub runs: String,
    pub groups: String,
    pub pages: String,
}

impl Tables {
    pub(super) fn new(store: Arc<dyn Store>, name: &str) -> Self {
        let table = |part: &str| format!("{name}.{part}");
        Self { store, runs: table("runs"), groups: table("groups"), pages: table("pages") }
    }

    /// Writes a group of changes. Lazily: after a power loss the newest runs may be missing, as a whole,
    /// and their entries are in the log.
    pub(super) fn write(
        &self,
        changes: Vec<RowChange>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        self.store.write_rows(changes, Durability::Lazy)
    }

    /// All rows of the manifest.
    pub(super) async fn manifest(&self) -> Result<Vec<Row>, StoreError> {
        self.store.scan(Scan::table(self.runs.as_str())).await
    }

    /// Up to `limit` pieces (pages or groups) of a run, from this number on.
    pub(super) fn pieces(
        &self,
        table: &str,
        (run, number): (RunId, u32),
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send + use<> {
        self.store.scan(Scan {
            table: table.to_owned(),
            from: piece_key(run, number),
            to: Some(piece_key(run.next(), 0)),
            limit,
            direction: Direction::Up,
        })
    }

    /// The first piece of this run or a later one.
    pub(super) async fn first_piece(
        &self,
        table: &str,
        run: RunId,
    ) -> Result<Option<(RunId, u32)>, StoreError> {
        let scan = Scan { from: piece_key(run, 0), limit: 1, ..Scan::table(table) };
        let rows = self.store.scan(scan).await?;
        rows.first().map(|(key, _)| parse_piece_key(table, key)).transpose()
    }

    /// Deletes all pieces of a run, `slice` at a time.
    pub(super) async fn sweep(&self, run: RunId, slice: u32) -> Result<(), StoreError> {
        for table in [&self.pages, &self.groups] {
            while let Some((_, number)) =
                self.first_piece(table, run).await?.filter(|(found, _)| *found == run)
            {
                let to = match number.checked_add(slice) {
                    Some(number) => piece_key(run, number),
                    None => piece_key(run.next(), 0),
                };
                let from = piece_key(run, number);
                self.write(vec![RowChange::DeleteRange { table: table.clone(), from, to }]).await?;
                breathe().await;
            }
        }
        Ok(())
    }

    /// Deletes the pieces of all runs but these.
    pub(super) async fn sweep_others(
        &self,
        runs: &BTreeSet<RunId>,
        slice: u32,
    ) -> Result<(), StoreError> {
        for table in [&self.pages, &self.groups] {
            let mut from = RunId(0);
            while let Some((run, _)) = self.first_piece(table, from).await? {
                if !runs.contains(&run) {
                    self.sweep(run, slice).await?;
                }
                from = run.next();
            }
        }
        Ok(())
    }
}

/// The key of a run in the manifest.
pub(super) fn run_key(run: RunId) -> Vec<u8> {
    run.0.to_be_bytes().to_vec()
}

pub(super) fn parse_run_key(table: &str, key: &[u8]) -> Result<RunId, StoreError> {
    let run = key.try_into().map_err(|_| damaged(table, key, "the key is no run's"))?;
    Ok(RunId(u64::from_be_bytes(run)))
}

/// The key of a page or a group.
pub(super) fn piece_key(run: RunId, number: u32) -> Vec<u8> {
    let mut key = run_key(run);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn parse_piece_key(table: &str, key: &[u8]) -> Result<(RunId, u32), StoreError> {
    let parts = key.split_first_chunk().and_then(|(run, number)| {
        Some((RunId(u64::from_be_bytes(*run)), u32::from_be_bytes(number.try_into().ok()?)))
    });
    parts.ok_or_else(|| damaged(table, key, "the key is no page's"))
}

/// A change that writes a row with its checksum.
pub(super) fn put(table: &str, key: Vec<u8>, mut body: Vec<u8>) -> RowChange {
    let checksum = checksum(&key, &body);
    body.extend_from_slice(&checksum.to_le_bytes());
    RowChange::Put { table: table.to_owned(), key, value: body }
}

/// A row's body, if its checksum fits.
pub(super) fn body<'a>(table: &str, key: &[u8], row: &'a Bytes) -> Result<&'a [u8], StoreError> {
    let parts = row.split_last_chunk::<CHECKSUM_BYTES>();
    let (body, stored) = parts.ok_or_else(|| damaged(table, key, "too short"))?;
    if u32::from_le_bytes(*stored) != checksum(key, body) {
        return Err(damaged(table, key, "the checksum does not fit"));
    }
    Ok(body)
}

/// An error that names the row.
pub(super) fn damaged(table: &str, key: &[u8], why: &str) -> StoreError {
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    StoreError::Damaged(format!("row {key} of {table}: {why}"))
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Lets other tasks run, even if the store answers at once.
pub(super) async fn breathe() {
    let mut breathed = false;
    poll_fn(|cx| {
        if breathed {
            return Poll::Ready(());
        }
        breathed = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
