//! Asks the runs about one hash.

use std::sync::Arc;

use super::{
    Entry,
    page::Page,
    run::Run,
    tables::{Tables, body, damaged, piece_key},
};
use crate::store::StoreError;

/// Work to be run beside the engine: reads the pages that may hold a hash. What it finds was the newest
/// entry in the runs at the time of the probe; an entry inserted since then is newer.
#[must_use = "a lookup does nothing until it is run"]
pub struct Lookup {
    pub(super) tables: Arc<Tables>,
    pub(super) hash: u128,
    /// Page numbers with their runs, newest first. Holding the runs keeps their pages from being swept.
    pub(super) candidates: Vec<(Arc<Run>, u32)>,
}

impl Lookup {
    /// The newest entry of the hash; `None`: there is none, the filters were mistaken. Usually one row is
    /// read. Errors: those of the store, and [`StoreError::Damaged`] for a page that is not what was
    /// written; then [`Index::reset`](super::Index::reset) and a rebuild from the log help.
    pub async fn run(self) -> Result<Option<Entry>, StoreError> {
        let pages = &self.tables.pages;
        for (run, number) in self.candidates {
            let key = piece_key(run.id, number);
            let row = self.tables.store.row(pages, &key).await?;
            let row = row.ok_or_else(|| damaged(pages, &key, "missing"))?;
            let page = Page::parse(body(pages, &key, &row)?);
            let page = page.ok_or_else(|| damaged(pages, &key, "no page"))?;
            if let Some(entry) = page.find(self.hash) {
                return Ok(Some(entry).filter(|entry| !entry.is_tombstone()));
            }
        }
        Ok(None)
    }
}
