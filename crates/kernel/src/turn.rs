//! Turn: one winner per turn.
//!
//! Turns are numbered from 1. The first value posted to the next turn wins it and opens the one after;
//! whoever comes later learns the winner. So two clicks on one choice, or a click and a countdown that
//! ends at the same moment, move the story once.
//!
//! Invariants: a turn's winner never changes; turns are won in order, without gaps; the last
//! [`limits::TURNS_KEPT`] winners are kept.
//!
//! ```
//! use std::num::NonZeroU64;
//! use interlock_kernel::{json::Json, turn::{Event, Posted, Turn}};
//!
//! let (mut turn, first) = (Turn::default(), NonZeroU64::MIN);
//! let (north, south) = (Json::parse("\"north\"")?, Json::parse("\"south\"")?);
//! let Posted::Wins(won) = turn.post(first, &north)? else { panic!("nobody was there before") };
//! turn.apply(&Event::Won(won));
//! assert_eq!(turn.post(first, &south)?, Posted::Lost(north));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not here: who posted (the winner's own repeat is answered from its command id), and whether a value
//! makes sense.

use std::{collections::VecDeque, num::NonZeroU64};

use serde::{Deserialize, Serialize};

use crate::{json::Json, limits};

/// The state: which turn is next, and who won the last ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    next: NonZeroU64,
    /// Winners, oldest first; the last one won the turn before `next`.
    kept: VecDeque<Json>,
}

/// What happens to a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The next turn has its winner.
    Won(Won),
}

/// The next turn has its winner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Won {
    /// Which turn.
    pub turn: NonZeroU64,
    /// The winning value.
    pub value: Json,
}

/// What a posted value came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Posted {
    /// It wins the turn.
    Wins(Won),
    /// The turn was won before, by this value; nothing changes.
    Lost(Json),
}

/// Why a posted value is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// An earlier turn is still open.
    #[error("turn {turn} cannot be played yet: the next turn is {next}")]
    Ahead {
        /// The turn that was asked for.
        turn: NonZeroU64,
        /// The turn that is open.
        next: NonZeroU64,
    },
    /// The turn was won so long ago that its winner is no longer kept.
    #[error("turn {turn} is over and no longer kept: the oldest kept turn is {oldest}")]
    Gone {
        /// The turn that was asked for.
        turn: NonZeroU64,
        /// The oldest turn whose winner is known.
        oldest: NonZeroU64,
    },
}

impl Default for Turn {
    fn default() -> Self {
        Self { next: NonZeroU64::MIN, kept: VecDeque::new() }
    }
}

impl Turn {
    /// The turn that has no winner yet.
    #[must_use]
    pub fn next(&self) -> NonZeroU64 {
        self.next
    }

    /// The turn won last, and its winner.
    #[must_use]
    pub fn last(&self) -> Option<(NonZeroU64, &Json)> {
        let turn = NonZeroU64::new(self.next.get() - 1)?;
        self.kept.back().map(|value| (turn, value))
    }

    /// The oldest turn whose winner is kept, or the next one if none is.
    #[must_use]
    pub fn oldest(&self) -> NonZeroU64 {
        NonZeroU64::new(self.next.get() - self.kept.len() as u64)
            .expect("there are fewer winners than turns, and turns start at 1")
    }

    /// Plays `value` on `turn`.
    pub fn post(&self, turn: NonZeroU64, value: &Json) -> Result<Posted, Rejection> {
        let (next, oldest) = (self.next, self.oldest());
        if turn > next {
            return Err(Rejection::Ahead { turn, next });
        }
        if turn == next {
            return Ok(Posted::Wins(Won { turn, value: value.clone() }));
        }
        if turn < oldest {
            return Err(Rejection::Gone { turn, oldest });
        }
        let age = usize::try_from(turn.get() - oldest.get()).expect("only 1,000 are kept");
        Ok(Posted::Lost(self.kept[age].clone()))
    }

    /// Folds an event into the state. Panics if a turn would get a second winner, or be left out.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Won(won) => {
                assert_eq!(won.turn, self.next, "turns are won once and in order");
                if self.kept.len() == limits::TURNS_KEPT {
                    self.kept.pop_front();
                }
                self.kept.push_back(won.value.clone());
                self.next = won.turn.checked_add(1).expect("2^64 turns outlast every game");
            }
        }
    }

    /// Checks every invariant; for tests.
    pub fn check(&self) {
        let won = self.next.get() - 1;
        let kept = self.kept.len() as u64;
        assert_eq!(kept, won.min(limits::TURNS_KEPT as u64), "the last winners are kept");
        assert_eq!(self.last().is_some(), won > 0, "a won turn has a winner");
    }
}
