//! Several runs read as one: sorted by hash, the newest version of each hash alone.
//!
//! Each run is read ahead by some pages. The smallest of the last hashes read is a bound below which
//! everything is known; what lies below it is taken from all runs, newest first, and put in order by a
//! stable sort, which finds the sorted pieces and merges them.

use std::sync::Arc;

use interlock_kernel::time::Time;

use super::{
    Entry, Shape,
    page::Page,
    run::Run,
    tables::{Tables, body, breathe, damaged, piece_key},
};
use crate::store::StoreError;

/// Runs read as one, batch by batch.
pub(super) struct Merged {
    tables: Arc<Tables>,
    /// Newest first.
    inputs: Vec<Input>,
    /// Pages read of one run in one go.
    pages: u32,
    /// Entries left of a run at which it is read on, so that a batch never shrinks to what one run has left.
    low: usize,
}

/// One run, and what was read of it but not yet taken.
struct Input {
    run: Arc<Run>,
    next_page: u32,
    ready: Vec<Entry>,
}

impl Merged {
    /// All entries of these runs, which are given newest first.
    pub(super) fn new(tables: Arc<Tables>, shape: &Shape, runs: &[Arc<Run>]) -> Self {
        let pages = (shape.read_ahead_pages / runs.len().max(1)).max(1);
        let input = |run: &Arc<Run>| Input { run: run.clone(), next_page: 0, ready: Vec::new() };
        Self {
            tables,
            inputs: runs.iter().map(input).collect(),
            pages: u32::try_from(pages).unwrap_or(u32::MAX),
            low: pages * shape.page_entries / 2,
        }
    }

    /// The next entries in order, tombstones included; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        for input in &mut self.inputs {
            if input.ready.len() <= self.low {
                input.read_on(&self.tables, self.pages).await?;
            }
        }
        breathe().await;
        let unfinished = self.inputs.iter().filter(|input| !input.is_read());
        let bound = unfinished.filter_map(|input| input.ready.last()).map(|entry| entry.hash).min();
        let mut batch = Vec::new();
        for input in &mut self.inputs {
            let known = |bound| input.ready.partition_point(|entry| entry.hash <= bound);
            let count = bound.map_or(input.ready.len(), known);
            batch.extend(input.ready.drain(..count));
        }
        batch.sort_by_key(|entry| entry.hash);
        batch.dedup_by_key(|entry| entry.hash);
        Ok(batch)
    }
}

impl Input {
    fn is_read(&self) -> bool {
        self.next_page == self.run.pages()
    }

    /// Reads the next pages, if there are any.
    async fn read_on(&mut self, tables: &Tables, pages: u32) -> Result<(), StoreError> {
        if self.is_read() {
            return Ok(());
        }
        let end = self.run.pages().min(self.next_page.saturating_add(pages));
        let limit = (end - self.next_page) as usize;
        let rows = tables.pieces(&tables.pages, (self.run.id, self.next_page), limit).await?;
        for number in self.next_page..end {
            let key = piece_key(self.run.id, number);
            let row = rows.get((number - self.next_page) as usize);
            let row = row.filter(|(found, _)| *found == key);
            let (_, row) = row.ok_or_else(|| damaged(&tables.pages, &key, "missing"))?;
            let page = Page::parse(body(&tables.pages, &key, row)?);
            let page = page.ok_or_else(|| damaged(&tables.pages, &key, "no page"))?;
            self.ready.extend(page.entries());
        }
        self.next_page = end;
        Ok(())
    }
}

/// Walks over the entries that are due some day, in the runs as they were when the walk began.
///
/// What was inserted before and not flushed, or inserted since, is newer than what the walk shows: an
/// entry from here is a reason to look, not a promise.
pub struct DueScan(Merged);

impl DueScan {
    pub(super) fn new(merged: Merged) -> Self {
        Self(merged)
    }

    /// Some further entries whose newest version has a due, sorted by hash; `None`: that was all.
    pub async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        loop {
            let mut batch = self.0.next().await?;
            if batch.is_empty() {
                return Ok(None);
            }
            batch.retain(|entry| entry.due != Time::NEVER);
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }
}
