//! The searching player: Monte Carlo tree search on poke-engine, over several guessed worlds.
//!
//! Each world is searched for its part of the bounds, one after the other; a choice is worth what it is worth on
//! average over the worlds.
//!
//! A world that makes the engine panic is left out: the engine knows less than the server does.

use super::{Bounds, Candidate, Player, Position, World, engine::guarded, opponent, tree::Tree};
use crate::domain::{chance::Chance, choice};

/// Searches so many worlds for each decision.
#[derive(Debug, Clone, Copy)]
pub struct Mcts {
    worlds: u32,
}

impl Mcts {
    /// A player that guesses so many worlds, at least one.
    pub fn new(worlds: u32) -> Self {
        Self { worlds: worlds.max(1) }
    }
}

impl Default for Mcts {
    fn default() -> Self {
        Self::new(4)
    }
}

impl Player for Mcts {
    fn think(&self, position: Position<'_>, bounds: Bounds, chance: &mut Chance) -> Vec<Candidate> {
        let legal = choice::legal(position.request);
        let unseen = |choice| Candidate { choice, visits: 0, value: 0.0 };
        let mut candidates: Vec<Candidate> = legal.into_iter().map(unseen).collect();
        let mut shares = vec![0.0; candidates.len()];
        let part = part_of(bounds, self.worlds);
        for _ in 0..self.worlds {
            let Some(world) = World::guess(position, chance) else { break };
            let found = guarded(|| search(&world, position, &mut candidates, part, chance));
            for (share, found) in shares.iter_mut().zip(found.unwrap_or_default()) {
                *share += found;
            }
        }
        if candidates.iter().all(|candidate| candidate.visits == 0) {
            return Vec::new(); // no world could be searched
        }
        // What the search came back to most is the best, its value the second opinion.
        let mut ranked: Vec<(f32, Candidate)> = shares.into_iter().zip(candidates).collect();
        ranked.sort_by(|one, two| two.0.total_cmp(&one.0));
        for (_, candidate) in &mut ranked {
            candidate.value /= candidate.visits.max(1) as f32;
        }
        ranked.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

fn part_of(Bounds { time, iterations }: Bounds, worlds: u32) -> Bounds {
    Bounds { time: time / worlds, iterations: (iterations / worlds).max(1) }
}

/// Adds visits and scores to the candidates, and returns each one's share of the visits.
fn search(
    world: &World,
    position: Position<'_>,
    candidates: &mut [Candidate],
    bounds: Bounds,
    chance: &mut Chance,
) -> Vec<f32> {
    let options: Vec<_> = candidates.iter().map(|one| world.option(&one.choice)).collect();
    let mine: Vec<_> = options.iter().flatten().copied().collect();
    if mine.is_empty() {
        return Vec::new();
    }
    let greedy = opponent::greedy(world, position);
    let arms = Tree::new(world.state().clone(), mine, greedy, chance).search(bounds);
    let total = arms.iter().map(|arm| arm.visits).sum::<u32>().max(1) as f32;
    let mut found = arms.iter();
    let mut shares = Vec::new();
    for (candidate, option) in candidates.iter_mut().zip(options) {
        let Some(arm) = option.and_then(|_| found.next()) else {
            shares.push(0.0);
            continue;
        };
        candidate.visits += u64::from(arm.visits);
        candidate.value += arm.total;
        shares.push(arm.visits as f32 / total);
    }
    shares
}
