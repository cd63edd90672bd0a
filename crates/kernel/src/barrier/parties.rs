//! The parties of a barrier: a set, kept as a sorted list, so that a party has a place.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ids::Party, limits};

/// Who a barrier awaits: 1 to [`limits::PARTIES`] distinct names, in alphabetical order whatever order
/// they came in. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Party>")]
pub struct Parties(Arc<[Party]>);

/// Why names are no parties of a barrier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadParties {
    /// None, or more than [`limits::PARTIES`].
    #[error("must have 1 to {max} names, not {0}", max = limits::PARTIES)]
    Count(usize),
    /// A name stands there more than once.
    #[error("must have distinct names, but {0} is there twice")]
    Twice(Party),
}

impl Parties {
    /// Takes 1 to [`limits::PARTIES`] distinct names in any order.
    pub fn new(mut names: Vec<Party>) -> Result<Self, BadParties> {
        if !(1..=limits::PARTIES).contains(&names.len()) {
            return Err(BadParties::Count(names.len()));
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(BadParties::Twice(pair[0].clone())),
            None => Ok(Self(names.into())),
        }
    }

    /// How many they are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always at least one")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Party> {
        self.0.iter()
    }

    /// Where in the alphabetical order a party stands, from 0.
    pub(super) fn place(&self, party: &Party) -> Option<usize> {
        self.0.binary_search(party).ok()
    }
}

impl TryFrom<Vec<Party>> for Parties {
    type Error = BadParties;

    fn try_from(names: Vec<Party>) -> Result<Self, BadParties> {
        Self::new(names)
    }
}
