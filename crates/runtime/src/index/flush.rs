//! A frozen memtable on its way to becoming a run.

use std::sync::Arc;

use super::{
    Entry, Shape,
    memtable::Slots,
    run::{Run, RunRow},
    tables::{RunId, Tables, breathe},
    writer::RunWriter,
};
use crate::store::StoreError;

/// Parts that the memtable is sorted in, one after the other, so that no step takes long.
const PARTS_LOG2: u32 = 4;

/// Work to be run beside the engine: writes the frozen memtable as a run.
#[must_use = "a memtable that is not flushed stays in memory"]
pub struct Flush {
    pub(super) tables: Arc<Tables>,
    pub(super) shape: Shape,
    pub(super) slots: Arc<Slots>,
    pub(super) id: RunId,
    pub(super) row: RunRow,
}

/// How a flush ended; for [`Index::flushed`](super::Index::flushed).
#[must_use = "the index waits for it"]
pub struct Flushed(pub(super) Result<Run, StoreError>);

impl Flush {
    /// Sorts and writes, in slices of one group of pages.
    pub async fn run(self) -> Flushed {
        Flushed(self.write().await)
    }

    async fn write(self) -> Result<Run, StoreError> {
        let mut parts = self.parts();
        breathe().await;
        let mut writer = RunWriter::new(self.tables, self.shape, self.id, self.row);
        for part in &mut parts {
            part.sort_unstable_by_key(|entry| entry.hash);
            writer.push(part).await?;
            breathe().await;
        }
        writer.finish(Vec::new()).await
    }

    /// The entries, split by the leading bits of their hashes.
    fn parts(&self) -> Vec<Vec<Entry>> {
        let expected = self.slots.len() >> PARTS_LOG2;
        let empty = |_| Vec::with_capacity(expected + expected / 8);
        let mut parts: Vec<Vec<Entry>> = (0..1 << PARTS_LOG2).map(empty).collect();
        #[expect(clippy::iter_over_hash_type, reason = "each part is sorted next")]
        for (hash, slot) in self.slots.iter() {
            parts[(hash >> (u128::BITS - PARTS_LOG2)) as usize].push(slot.entry(*hash));
        }
        parts
    }
}
