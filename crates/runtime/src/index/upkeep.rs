//! Work that keeps the runs few and the tables small: merging, dropping what is too old, sweeping what no
//! run needs any more.
//!
//! Runs are merged in tiers: when a level has [`Shape::fan_out`] runs, they become one run of the next. Older
//! runs that are small beside the sum join, so that an index of few hashes stays a few runs however often
//! they are written. A tombstone ends when the oldest run takes part: there is nothing left to hide.
//!
//! What a merge or an expiry replaces only leaves the manifest. Its pages stay until no lookup holds the run,
//! and are then swept.

use std::{ops::Range, sync::Arc};

use interlock_kernel::bus::RowChange;

use super::{
    Shape,
    merge::Merged,
    run::{Run, RunRow},
    tables::{RunId, Tables, put, run_key},
    writer::RunWriter,
};
use crate::store::StoreError;

/// Work to be run beside the engine, one at a time per index.
#[must_use = "the index waits for it"]
pub struct Upkeep {
    pub(super) tables: Arc<Tables>,
    pub(super) shape: Shape,
    pub(super) task: Task,
}

pub(super) enum Task {
    /// Replace runs, given newest first, by one.
    Merge(Merge),
    /// Drop runs.
    Expire(Vec<RunId>),
    /// Delete the pages of runs that are not in use.
    Sweep(Sweep),
}

pub(super) struct Sweep {
    pub unused: Vec<RunId>,
    /// All runs in use.
    pub used: Vec<(RunId, RunRow)>,
}

pub(super) struct Merge {
    pub inputs: Vec<Arc<Run>>,
    /// Whether the oldest run of all takes part.
    pub to_the_bottom: bool,
    pub id: RunId,
    pub row: RunRow,
}

/// How upkeep ended; for [`Index::upkept`](super::Index::upkept).
#[must_use = "the index waits for it"]
pub struct Upkept(pub(super) Result<Change, Failure>);

/// What upkeep did.
pub(super) enum Change {
    Replaced { old: Vec<RunId>, new: Option<Run> },
    Swept(Vec<RunId>),
}

/// What upkeep could not do.
pub(super) struct Failure {
    pub error: StoreError,
    /// A run that was not finished.
    pub leftover: Option<RunId>,
}

impl Upkeep {
    /// Does the work, in slices of some pages.
    pub async fn run(self) -> Upkept {
        let Self { tables, shape, task } = self;
        Upkept(match task {
            Task::Merge(merge) => {
                let id = merge.id;
                let leftover = |error| Failure { error, leftover: Some(id) };
                merge.run(tables, shape).await.map_err(leftover)
            }
            Task::Expire(runs) => {
                let result = tables.write(remove(&tables, &runs)).await;
                result.map(|()| Change::Replaced { old: runs, new: None }).map_err(Failure::plain)
            }
            Task::Sweep(sweep) => sweep.run(&tables, shape).await.map_err(Failure::plain),
        })
    }
}

impl Failure {
    fn plain(error: StoreError) -> Self {
        Self { error, leftover: None }
    }
}

impl Merge {
    async fn run(self, tables: Arc<Tables>, shape: Shape) -> Result<Change, StoreError> {
        let mut merged = Merged::new(tables.clone(), &shape, &self.inputs);
        let mut writer = RunWriter::new(tables.clone(), shape, self.id, self.row);
        loop {
            let mut batch = merged.next().await?;
            if batch.is_empty() {
                break;
            }
            if self.to_the_bottom {
                batch.retain(|entry| !entry.is_tombstone());
            }
            writer.push(&batch).await?;
        }
        let old: Vec<RunId> = self.inputs.iter().map(|run| run.id).collect();
        let new = writer.finish(remove(&tables, &old)).await?;
        Ok(Change::Replaced { old, new: Some(new) })
    }
}

impl Sweep {
    async fn run(self, tables: &Tables, shape: Shape) -> Result<Change, StoreError> {
        // A merge that failed may have reached the manifest all the same. So the manifest is first made to
        // say what the memory knows, and only then are pages deleted.
        let put = |(id, row): &(RunId, RunRow)| put(&tables.runs, run_key(*id), row.encode());
        let mut changes = remove(tables, &self.unused);
        changes.extend(self.used.iter().map(put));
        tables.write(changes).await?;
        for run in &self.unused {
            tables.sweep(*run, shape.sweep_pages).await?;
        }
        Ok(Change::Swept(self.unused))
    }
}

/// Takes runs out of the manifest.
fn remove(tables: &Tables, runs: &[RunId]) -> Vec<RowChange> {
    let delete = |run: &RunId| RowChange::Delete { table: tables.runs.clone(), key: run_key(*run) };
    runs.iter().map(delete).collect()
}

/// Which runs to merge next, and the level of what comes of it. The rows are given newest first.
pub(super) fn next_merge(rows: &[RunRow], fan_out: usize) -> Option<(Range<usize>, u8)> {
    let mut newer = 0;
    for tier in rows.chunk_by(|a, b| a.level == b.level) {
        let end = newer + tier.len();
        if tier.len() >= fan_out {
            // If merging has fallen behind, the oldest of the tier go first, not all at once.
            let start = end - tier.len().min(2 * fan_out);
            return Some(with_small_older(rows, start..end));
        }
        newer = end;
    }
    None
}

/// Lets older runs join that are at most half as large as what is merged anyway.
fn with_small_older(rows: &[RunRow], mut range: Range<usize>) -> (Range<usize>, u8) {
    let mut level = rows[range.start].level.saturating_add(1);
    let mut entries: u64 = rows[range.clone()].iter().map(|row| row.entries).sum();
    for row in &rows[range.end..] {
        if row.entries > entries / 2 {
            break;
        }
        entries += row.entries;
        level = level.max(row.level);
        range.end += 1;
    }
    (range, level)
}

#[cfg(test)]
mod tests {
    use interlock_kernel::{ids::Position, time::Time};

    use super::*;

    /// Rows of these levels and sizes, newest first.
    fn rows(sizes: &[(u8, u64)]) -> Vec<RunRow> {
        let row = |(level, entries): &(u8, u64)| RunRow {
            entries: *entries,
            ..RunRow::empty(RunId(0), *level, Time(0), Position(0))
        };
        sizes.iter().map(row).collect()
    }

    fn check(sizes: &[(u8, u64)], expect: Option<(Range<usize>, u8)>) {
        assert_eq!(next_merge(&rows(sizes), 3), expect);
    }

    #[test]
    fn a_full_level_becomes_one_run_of_the_next() {
        check(&[], None);
        check(&[(0, 10), (0, 10), (1, 100), (1, 100)], None);
        check(&[(0, 10), (0, 10), (0, 10), (1, 100), (1, 100)], Some((0..3, 1)));
        check(&[(0, 10), (1, 50), (1, 50), (1, 50), (2, 500)], Some((1..4, 2)));
    }

    #[test]
    fn small_older_runs_join() {
        check(&[(0, 10), (0, 10), (0, 10), (1, 15), (2, 22), (3, 34)], Some((0..5, 2)));
        check(&[(0, 0), (0, 0), (0, 0), (1, 0)], Some((0..4, 1)));
    }

    #[test]
    fn a_merge_that_fell_behind_takes_the_oldest_of_its_level() {
        check(&[(0, 1); 9], Some((3..9, 1)));
    }
}
