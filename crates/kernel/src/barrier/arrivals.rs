//! What the parties brought, by their place: an array that clones share.
//!
//! The array is cut into chunks behind `Arc`s. A clone copies the list of chunks; a change copies one
//! chunk, and only if a clone still holds it.

use std::sync::Arc;

use crate::json::Json;

/// Places of one chunk: near the square root of the largest barrier, so that copying the list of chunks
/// costs about as much as copying a chunk.
const CHUNK: usize = 64;

/// One slot per party, empty until it arrives.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Arrivals {
    chunks: Vec<Arc<Vec<Option<Json>>>>,
    /// Slots that are not empty.
    count: usize,
}

impl Arrivals {
    /// As many empty slots as there are parties.
    pub(super) fn none_of(parties: usize) -> Self {
        let sizes = (0..parties).step_by(CHUNK).map(|start| CHUNK.min(parties - start));
        Self { chunks: sizes.map(|size| Arc::new(vec![None; size])).collect(), count: 0 }
    }

    /// How many have arrived.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// What the party at this place brought.
    pub(super) fn get(&self, place: usize) -> Option<&Json> {
        self.chunks[place / CHUNK][place % CHUNK].as_ref()
    }

    /// Fills the slot; gives back what was in it.
    pub(super) fn put(&mut self, place: usize, value: Json) -> Option<Json> {
        let chunk = Arc::make_mut(&mut self.chunks[place / CHUNK]);
        let before = chunk[place % CHUNK].replace(value);
        self.count += usize::from(before.is_none());
        before
    }

    /// All slots by place.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&Json>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(Option::as_ref))
    }
}
