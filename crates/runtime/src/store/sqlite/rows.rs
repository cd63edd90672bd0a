//! The rows' writer: a thread that owns the writing connection to `rows.sqlite`.
//!
//! Groups that queued while it was busy go into one transaction, in their order. If that fails, each is
//! tried alone, so that one that cannot be written takes no other with it.
//!
//! A group is written lazily (the WAL has it, and the operating system writes it some time) or synced: then
//! its commit syncs the WAL, and with it every group before.
//!
//! A table of rows is not a table of SQLite but a column: names come from users, and there may be many.

use std::sync::Arc;

use interlock_kernel::bus::RowChange;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{
    checkpoint::Checkpoints,
    database::{Database, Layout},
    failure::{Failure, store_error, transaction},
    limits,
    queue::{Ending, Next, Queue},
};
use crate::store::{Direction, Durability, Row, Scan, StoreError};

pub(super) const LAYOUT: Layout = Layout {
    file: "rows.sqlite",
    format: 1,
    tables: "CREATE TABLE rows(tbl TEXT, key BLOB, value BLOB NOT NULL, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
             INSERT INTO meta VALUES ('synced', 0);",
    synchronous: "NORMAL",
    cache_kib: limits::ROWS_CACHE_KIB,
};

const PUT: &str = "INSERT OR REPLACE INTO rows VALUES (?1, ?2, ?3)";
const DELETE: &str = "DELETE FROM rows WHERE tbl = ?1 AND key = ?2";
const DELETE_RANGE: &str = "DELETE FROM rows WHERE tbl = ?1 AND key >= ?2 AND key < ?3";
/// A commit that changed nothing would not sync, and this one always changes something.
const SYNCED: &str = "UPDATE meta SET value = value + 1 WHERE name = 'synced'";
const ROW: &str = "SELECT value FROM rows WHERE tbl = ?1 AND key = ?2";

/// What the writer can be asked to write: changes that are written whole or not at all.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) changes: Vec<RowChange>,
    pub(super) durability: Durability,
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// The writer's side of the rows.
#[derive(Debug)]
pub(super) struct Rows {
    database: Arc<Database>,
    /// `None` after a failure in doubt: to be opened afresh.
    writer: Option<Connection>,
    checkpoints: Checkpoints,
}

impl Rows {
    pub(super) fn open(database: Arc<Database>, frames_max: u32) -> Result<Self, StoreError> {
        let writer = database.open_afresh()?;
        let checkpoints = Checkpoints::start(Arc::clone(&database), frames_max)?;
        Ok(Self { database, writer: Some(writer), checkpoints })
    }

    /// The thread's work, until the queue ends.
    pub(super) fn run(mut self, jobs: &Queue<Group>) {
        loop {
            match jobs.pop() {
                Next::Job(group) => {
                    self.write_all(gather(group, jobs));
                    self.checkpoints.after_commit();
                }
                Next::End(ending) => return self.end(ending),
            }
        }
    }

    fn write_all(&mut self, groups: Vec<Group>) {
        let together = self.write(&groups);
        if together.is_ok() || groups.len() == 1 {
            for group in groups {
                // Whoever no longer listens to the answer does not need it.
                let _ = group.reply.send(together.clone());
            }
            return;
        }
        // The transaction may have happened after all; writing the same again changes nothing.
        for group in groups {
            let alone = self.write(std::slice::from_ref(&group));
            let _ = group.reply.send(alone);
        }
    }

    fn write(&mut self, groups: &[Group]) -> Result<(), StoreError> {
        let writer = match &self.writer {
            Some(writer) if !self.database.is_in_doubt() => writer,
            Some(_) | None => {
                self.writer = None;
                self.writer.insert(self.database.open_afresh()?)
            }
        };
        let failed = |error| store_error(&self.database.path, &error);
        let is_synced = groups.iter().any(|group| group.durability == Durability::Synced);
        if is_synced {
            writer.execute_batch("PRAGMA synchronous = FULL").map_err(failed)?;
        }
        let written = transaction(writer, &self.database.path, |writer| {
            for change in groups.iter().flat_map(|group| &group.changes) {
                apply(writer, change)?;
            }
            if is_synced {
                writer.prepare_cached(SYNCED)?.execute([])?;
            }
            Ok(())
        });
        if is_synced {
            writer.execute_batch("PRAGMA synchronous = NORMAL").map_err(failed)?;
        }
        if let Err(Failure::Unknown(_)) = written {
            self.database.doubt();
            self.writer = None;
        }
        written.map_err(Failure::into_error)
    }

    fn end(self, ending: Ending) {
        let Self { database, writer, checkpoints } = self;
        drop(checkpoints);
        match (ending, writer) {
            (Ending::Tidy, Some(writer)) => database.close(writer),
            (Ending::Tidy, None) | (Ending::Abrupt, _) => {}
        }
    }
}

/// The groups that wait, as far as they go into one transaction.
fn gather(first: Group, jobs: &Queue<Group>) -> Vec<Group> {
    let mut changes = first.changes.len();
    let mut groups = vec![first];
    while changes < limits::ROW_CHANGES_TOGETHER
        && let Some(group) = jobs.try_pop()
    {
        changes += group.changes.len();
        groups.push(group);
    }
    groups
}

fn apply(writer: &Connection, change: &RowChange) -> rusqlite::Result<()> {
    match change {
        RowChange::Put { table, key, value } => {
            writer.prepare_cached(PUT)?.execute(params![table, key, value])?;
        }
        RowChange::Delete { table, key } => {
            writer.prepare_cached(DELETE)?.execute(params![table, key])?;
        }
        RowChange::DeleteRange { table, from, to } => {
            writer.prepare_cached(DELETE_RANGE)?.execute(params![table, from, to])?;
        }
    }
    Ok(())
}

/// Reads one row.
pub(super) fn row(
    connection: &Connection,
    table: &str,
    key: &[u8],
) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(ROW)?;
    let mut rows = statement.query(params![table, key])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// Reads a range of rows.
pub(super) fn scan(connection: &Connection, scan: &Scan) -> rusqlite::Result<Vec<Row>> {
    let beyond = if scan.to.is_some() { "AND key < ?4" } else { "AND ?4 IS NULL" };
    let order = match scan.direction {
        Direction::Up => "ASC",
        Direction::Down => "DESC",
    };
    let sql = format!(
        "SELECT key, value FROM rows WHERE tbl = ?1 AND key >= ?2 {beyond} ORDER BY key {order} LIMIT ?3"
    );
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![scan.table, scan.from, limit, scan.to], |row| {
        Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?.into()))
    })?;
    rows.collect()
}
