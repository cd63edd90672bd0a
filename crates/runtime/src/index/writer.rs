//! Writes a run from a stream of entries, group by group, and last of all the row that makes it exist.

use std::sync::Arc;

use interlock_kernel::bus::RowChange;

use super::{
    Entry, Shape,
    filter::Filter,
    page,
    run::{Group, Run, RunRow},
    tables::{RunId, Tables, breathe, piece_key, put, run_key},
};
use crate::store::StoreError;

/// Writes one run. Holds at most one group of entries.
pub(super) struct RunWriter {
    tables: Arc<Tables>,
    shape: Shape,
    id: RunId,
    row: RunRow,
    waiting: Vec<Entry>,
    groups: Vec<Group>,
}

impl RunWriter {
    /// A writer of a run whose row is known but for its entries and groups.
    pub(super) fn new(tables: Arc<Tables>, shape: Shape, id: RunId, row: RunRow) -> Self {
        assert!(row.entries == 0 && row.groups == 0, "the writer counts them");
        Self { tables, shape, id, row, waiting: Vec::new(), groups: Vec::new() }
    }

    /// Adds entries, sorted by hash, all beyond the last one before. Writes every group that they fill.
    pub(super) async fn push(&mut self, mut entries: &[Entry]) -> Result<(), StoreError> {
        while !entries.is_empty() {
            let room = self.shape.group_entries() - self.waiting.len();
            let (fitting, rest) = entries.split_at(room.min(entries.len()));
            self.waiting.extend_from_slice(fitting);
            entries = rest;
            if self.waiting.len() == self.shape.group_entries() {
                let changes = self.next_group();
                self.tables.write(changes).await?;
                breathe().await;
            }
        }
        Ok(())
    }

    /// Writes the rest, the run's row and `also`, all at once: with this the run exists.
    pub(super) async fn finish(mut self, also: Vec<RowChange>) -> Result<Run, StoreError> {
        let mut changes = if self.waiting.is_empty() { Vec::new() } else { self.next_group() };
        let run = Run::new(self.id, self.row, self.groups);
        changes.push(put(&self.tables.runs, run_key(run.id), run.row.encode()));
        changes.extend(also);
        self.tables.write(changes).await?;
        Ok(run)
    }

    /// Makes a group of what waits.
    fn next_group(&mut self) -> Vec<RowChange> {
        assert!(
            self.waiting.is_sorted_by(|a, b| a.hash < b.hash),
            "a run is sorted, each hash once"
        );
        let first_page = self.groups.last().map_or(0, Group::end_page);
        let mut fences = Vec::new();
        let mut changes = Vec::new();
        for (number, entries) in (first_page..).zip(self.waiting.chunks(self.shape.page_entries)) {
            fences.push(entries[0].hash);
            changes.push(put(
                &self.tables.pages,
                piece_key(self.id, number),
                page::encode(entries),
            ));
        }
        let filter = Filter::of(self.waiting.iter().map(|entry| entry.hash));
        let group = Group::new(first_page, fences, filter);
        changes.push(put(&self.tables.groups, piece_key(self.id, self.row.groups), group.encode()));
        self.row.entries += self.waiting.len() as u64;
        self.row.groups += 1;
        self.groups.push(group);
        self.waiting.clear();
        changes
    }
}
