//! Players: they look at a position and rank what may be chosen.
//!
//! A player only thinks. It does not speak to anybody, keeps nothing from one decision to the next, and may be asked
//! by many battles at once; what it ranks first is what gets played. All chance comes in as an argument, but see
//! [`Mcts`]: the engine under it draws numbers of its own.

mod engine;
mod greedy;
mod mcts;
mod opponent;
mod random;
mod thinkers;
mod tree;
mod world;

pub use greedy::Greedy;
pub use mcts::Mcts;
pub use random::Random;
pub use thinkers::{BrokeDown, Thinkers};
pub use world::World;

pub use crate::domain::contestant::Budget;

use std::time::Duration;

use crate::{
    domain::{
        battle::Battle,
        chance::Chance,
        choice::{self, Choice},
        request::Request,
    },
    limits,
};

/// How far a player may go for one decision: whatever is reached first ends it, and what was found by then counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In all worlds together.
    pub time: Duration,
    /// In all worlds together.
    pub iterations: u32,
}

impl From<Budget> for Bounds {
    fn from(budget: Budget) -> Self {
        match budget {
            Budget::Time(time) => Self { time, iterations: u32::MAX },
            Budget::Iterations(iterations) => Self { time: limits::SEARCH, iterations },
        }
    }
}

/// What a decision is about: the battle as both see it, and what the server asks of the own player.
#[derive(Debug, Clone, Copy)]
pub struct Position<'a> {
    /// All that can be seen.
    pub battle: &'a Battle,
    /// What must be chosen.
    pub request: &'a Request,
}

/// A choice, and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The choice.
    pub choice: Choice,
    /// How often the search tried it; 0 where nothing was searched.
    pub visits: u64,
    /// What it is thought to be worth, by the player's own measure; a search says the chance to win, 0 to 1.
    pub value: f32,
}

/// Ranks what may be chosen.
pub trait Player: Send + Sync {
    /// The candidates, best first; all are legal. Empty when the player does not know, and the caller must choose
    /// something legal itself. May take as long as the bounds say: not for an asynchronous thread.
    fn think(&self, position: Position<'_>, bounds: Bounds, chance: &mut Chance) -> Vec<Candidate>;
}

/// All legal choices, best first by the player's word; those that it says nothing about come last. Never empty.
pub fn ranked(
    player: &dyn Player,
    position: Position<'_>,
    bounds: Bounds,
    chance: &mut Chance,
) -> Vec<Candidate> {
    let legal = choice::legal(position.request);
    let mut ranked = match legal[..] {
        [_] => Vec::new(), // nothing to think about
        _ => player.think(position, bounds, chance),
    };
    ranked.retain(|candidate| legal.contains(&candidate.choice));
    for choice in legal {
        if !ranked.iter().any(|candidate| candidate.choice == choice) {
            ranked.push(Candidate { choice, visits: 0, value: 0.0 });
        }
    }
    ranked
}

fn sort_by_value(candidates: &mut [Candidate]) {
    candidates.sort_by(|one, two| two.value.total_cmp(&one.value));
}

#[cfg(test)]
mod tests;
