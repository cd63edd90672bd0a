//! Those who wait for a slot, first come first.
//!
//! Only who stands here may wait: [`crate::domain::engines`] decides who has something to wait for, and is
//! told who is ahead.

use std::collections::BTreeMap;

use crate::domain::engines::Asker;

/// A place in the line: smaller comes first.
pub(super) type Place = u64;

/// The line.
#[derive(Debug, Default)]
pub(super) struct Line {
    last: Place,
    waiting: BTreeMap<Place, Asker>,
}

impl Line {
    /// Takes the last place.
    pub(super) fn stand(&mut self, asker: Asker) -> Place {
        self.last += 1;
        self.waiting.insert(self.last, asker);
        self.last
    }

    /// Gives a place up.
    pub(super) fn leave(&mut self, place: Place) {
        self.waiting.remove(&place);
    }

    /// Those before a place; everyone, for who has none.
    pub(super) fn ahead_of(&self, place: Option<Place>) -> impl Iterator<Item = &Asker> {
        self.waiting.range(..place.unwrap_or(Place::MAX)).map(|(_, asker)| asker)
    }
}
