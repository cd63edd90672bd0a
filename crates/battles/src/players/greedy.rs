//! The greedy player: the move that hurts most now. It never switches unless it must, and never terastallizes.

use super::{Bounds, Candidate, Player, Position, World, engine::guarded, sort_by_value};
use crate::domain::{chance::Chance, choice, choice::Choice};

/// Worlds over which the damage is averaged.
const WORLDS: usize = 4;

/// Chooses by the damage of this turn, as a part of the target's full HP; whoever comes in is chosen by the best of
/// its moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Greedy;

impl Player for Greedy {
    fn think(&self, position: Position<'_>, _: Bounds, chance: &mut Chance) -> Vec<Candidate> {
        let legal = choice::legal(position.request);
        let must_switch = position.request.must_switch();
        let hurts = |choice: &Choice| match choice {
            Choice::Move { tera, .. } => !tera,
            Choice::Switch { .. } => must_switch,
            Choice::Lead { .. } | Choice::Default => false,
        };
        let worlds: Vec<World> =
            (0..WORLDS).filter_map(|_| World::guess(position, chance)).collect();
        let value = |choice: &Choice| {
            let damages =
                worlds.iter().map(|world| guarded(|| world.damage(choice)).unwrap_or(0.0));
            damages.sum::<f32>() / WORLDS as f32
        };
        let mut candidates: Vec<Candidate> = legal
            .iter()
            .filter(|choice| hurts(choice))
            .map(|choice| Candidate { choice: *choice, visits: 0, value: value(choice) })
            .collect();
        sort_by_value(&mut candidates);
        candidates
    }
}
