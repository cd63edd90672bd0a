//! The query tables: which runs there are, and their battles that are over, for lists and plots; and which fleets
//! are to play, for whoever comes back.
//!
//! A battle's row is its claim's number within its run. The newest [`limits::HISTORY_BATTLES`] of each run are
//! kept; counts do not rest on them.

use bytes::Bytes;
use interlock_kernel::{
    bus::{HandlerError, Origin, Reaction, RowChange},
    ids::Key,
    quota::ClaimId,
    time::Time,
};
use interlock_runtime::{
    Runtime,
    store::{Direction, Scan, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        fleet::{self, Started},
        run::{Opened, Over, Plan},
    },
    limits,
};

const RUNS: &str = "battle_runs";
const BATTLES: &str = "battles_over";
const FLEETS: &str = "battle_fleets";

/// A run in the list of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownRun {
    /// Its name.
    pub run: Key,
    /// What it was opened to play.
    pub plan: Plan,
    /// When.
    pub opened: Time,
}

/// Adds a run to the list.
pub(crate) fn note_run(opened: &Opened, origin: &Origin) -> Result<Reaction, HandlerError> {
    let run = origin.key.clone();
    let row = KnownRun { run, plan: opened.plan.clone(), opened: opened.at };
    // Newest last, and no two alike.
    let mut key = opened.at.0.to_be_bytes().to_vec();
    key.extend(origin.key.as_str().as_bytes());
    Ok(Reaction::none().row(put(RUNS, key, &row)?))
}

/// Adds a battle, and lets go of the one that is too many.
pub(crate) fn note_battle(over: &Over, origin: &Origin) -> Result<Reaction, HandlerError> {
    let key = |number: u64| row_key(&origin.key, number);
    let number = over.claim.number();
    let oldest = number.saturating_sub(limits::HISTORY_BATTLES);
    let table = BATTLES.to_owned();
    let forget = RowChange::DeleteRange { table, from: key(0), to: key(oldest) };
    Ok(Reaction::none().row(put(BATTLES, key(number), over)?).row(forget))
}

/// Adds a fleet to those that are to play.
pub(crate) fn note_fleet(_: &Started, origin: &Origin) -> Result<Reaction, HandlerError> {
    let key = origin.key.as_str().as_bytes().to_vec();
    Ok(Reaction::none().row(put(FLEETS, key, &origin.key)?))
}

/// Takes it away from them.
pub(crate) fn forget_fleet(_: &fleet::Over, origin: &Origin) -> Result<Reaction, HandlerError> {
    let (table, key) = (FLEETS.to_owned(), origin.key.as_str().as_bytes().to_vec());
    Ok(Reaction::none().row(RowChange::Delete { table, key }))
}

/// The runs whose fleets are to play, as far as phase 1 has come.
///
/// # Errors
/// When the store cannot be read.
pub async fn fleets(runtime: &Runtime) -> Result<Vec<Key>, StoreError> {
    runtime.env().store().scan(Scan::table(FLEETS)).await?.iter().map(read).collect()
}

/// The battles of a run: names hold no zero.
fn row_key(run: &Key, number: u64) -> Vec<u8> {
    let mut key = run.as_str().as_bytes().to_vec();
    key.push(0);
    key.extend(number.to_be_bytes());
    key
}

fn put(table: &str, key: Vec<u8>, row: &impl Serialize) -> Result<RowChange, HandlerError> {
    let value = serde_json::to_vec(row).map_err(|error| HandlerError(error.to_string()))?;
    Ok(RowChange::Put { table: table.to_owned(), key, value })
}

fn read<T: DeserializeOwned>((_, value): &(Vec<u8>, Bytes)) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| StoreError::Failed(error.to_string()))
}

/// The runs that were opened last, newest first.
///
/// # Errors
/// When the store cannot be read.
pub async fn runs(runtime: &Runtime, limit: usize) -> Result<Vec<KnownRun>, StoreError> {
    let scan = Scan { limit, direction: Direction::Down, ..Scan::table(RUNS) };
    runtime.env().store().scan(scan).await?.iter().map(read).collect()
}

/// The battles of a run that were claimed last and are over, newest first; from before this claim on, if one
/// is named.
///
/// # Errors
/// When the store cannot be read.
pub async fn battles(
    runtime: &Runtime,
    run: &Key,
    before: Option<ClaimId>,
    limit: usize,
) -> Result<Vec<Over>, StoreError> {
    let end = before.map_or(u64::MAX, ClaimId::number);
    let scan = Scan {
        limit,
        direction: Direction::Down,
        from: row_key(run, 0),
        to: Some(row_key(run, end)),
        ..Scan::table(BATTLES)
    };
    runtime.env().store().scan(scan).await?.iter().map(read).collect()
}

/// One of them.
///
/// # Errors
/// When the store cannot be read.
pub async fn battle(
    runtime: &Runtime,
    run: &Key,
    claim: ClaimId,
) -> Result<Option<Over>, StoreError> {
    let number = claim.number();
    let scan = Scan {
        limit: 1,
        from: row_key(run, number),
        to: Some(row_key(run, number.saturating_add(1))),
        ..Scan::table(BATTLES)
    };
    runtime.env().store().scan(scan).await?.first().map(read).transpose()
}
