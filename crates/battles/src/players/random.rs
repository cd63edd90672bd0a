//! The random player: the measure of all others.

use super::{Bounds, Candidate, Player, Position};
use crate::domain::{chance::Chance, choice};

/// Every legal choice is as good as any other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Player for Random {
    fn think(&self, position: Position<'_>, _: Bounds, chance: &mut Chance) -> Vec<Candidate> {
        let mut choices = choice::legal(position.request);
        let mut candidates = Vec::new();
        while !choices.is_empty() {
            let choice = choices.swap_remove(chance.below(choices.len()));
            candidates.push(Candidate { choice, visits: 0, value: 0.0 });
        }
        candidates
    }
}
