//! The tree search of one world: both players choose at once, chance decides, and so on, deeper where it matters.
//!
//! poke-engine says what can be chosen, what comes of two choices, and what a position is worth; the tree is our own.
//! At each node either player has an arm for each choice and takes the one with the best upper confidence bound, not
//! knowing the other's. The engine's own search explores so widely that the other player is expected to choose nearly
//! at random; [`WIDTH`] is less, since values differ by little here, and a threat must count as one.
//!
//! The other player may be greedy, as likely as [`opponent`] says: in so many of the iterations it takes the move that
//! hurts most wherever it can, whatever the bounds say (a data-biased response: a best answer to what was seen that is
//! safe against what was not).
//!
//! The same seed grows the same tree, as long as its iterations end before its time does.

use std::time::Instant;

use poke_engine::{
    engine::{
        evaluate::evaluate, generate_instructions::generate_instructions_from_move_pair,
        state::MoveChoice,
    },
    instruction::Instruction,
    state::{Side, State},
};

use super::{Bounds, opponent};
use crate::domain::chance::Chance;

/// How far a bound lies above the mean: the square of the usual constant.
const WIDTH: f32 = 0.1;
/// Points of the evaluation that turn an even game into 73 to 27.
const POINTS: f32 = 80.0;
/// What the evaluation takes off for a terastallization that was used.
const TERA: f32 = 75.0;
/// How much the evaluation's worth of boosts is too high, as a part of it: whoever has them may leave or faint next.
const BOOSTS: f32 = 0.75;
/// Iterations between two looks at the clock.
const LOOK_EVERY: u32 = 64;
/// Outcomes that a tree remembers: a tenth of a gigabyte or two. A search ends with the last of them.
const OUTCOMES: usize = 1_000_000;

/// A choice of one player at one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arm {
    choice: MoveChoice,
    /// How often it was taken.
    pub visits: u32,
    /// The sum of what came of it, 0 to 1 each, for the one who takes it.
    pub total: f32,
}

struct Node {
    visits: u32,
    mine: Vec<Arm>,
    theirs: Vec<Arm>,
    /// For each pair of arms, where its outcomes are; empty: not tried.
    pairs: Vec<std::ops::Range<u32>>,
    /// Their arm that hurts most, once that was asked.
    strongest: Option<Option<usize>>,
}

/// What chance may make of a pair of choices.
struct Outcome {
    weight: f32,
    instructions: Vec<Instruction>,
    /// The node that it leads to, once it was gone on from.
    node: Option<u32>,
}

/// What was taken on the way down.
struct Step {
    node: u32,
    mine: usize,
    theirs: usize,
    outcome: u32,
}

/// A tree over one state.
pub(super) struct Tree<'a> {
    state: State,
    nodes: Vec<Node>,
    outcomes: Vec<Outcome>,
    path: Vec<Step>,
    /// What the root is worth to the evaluation: all else is measured from there.
    level: f32,
    /// How likely the other player is greedy.
    greedy: f32,
    chance: &'a mut Chance,
}

impl<'a> Tree<'a> {
    /// A tree whose root has these choices for us, and all that the engine knows for the other side.
    pub(super) fn new(
        state: State,
        mine: Vec<MoveChoice>,
        greedy: f32,
        chance: &'a mut Chance,
    ) -> Self {
        let (_, theirs) = state.root_get_all_options();
        let (nodes, level) = (vec![Node::new(mine, theirs)], points(&state));
        Self { state, nodes, outcomes: Vec::new(), path: Vec::new(), level, greedy, chance }
    }

    /// Searches, and returns our arms at the root, in the order in which they were given.
    pub(super) fn search(mut self, bounds: Bounds) -> Vec<Arm> {
        self.grow(bounds);
        self.nodes.swap_remove(0).mine
    }

    fn grow(&mut self, bounds: Bounds) {
        let began = Instant::now();
        let goes_on = |done: u32| {
            let is_late = || done.is_multiple_of(LOOK_EVERY) && began.elapsed() >= bounds.time;
            done < bounds.iterations && !is_late()
        };
        let mut done = 0;
        while goes_on(done) && self.outcomes.len() < OUTCOMES {
            self.iterate();
            done += 1;
        }
    }

    /// Down to something new, and back.
    fn iterate(&mut self) {
        let is_greedy = self.chance.part() < self.greedy;
        let score = self.descend(is_greedy);
        while let Some(Step { node, mine, theirs, outcome }) = self.path.pop() {
            self.state.reverse_instructions(&self.outcomes[outcome as usize].instructions);
            let node = &mut self.nodes[node as usize];
            node.visits += 1;
            node.mine[mine].add(score);
            node.theirs[theirs].add(1.0 - score);
        }
    }

    /// Goes to a position that was not evaluated before, or to an end, and says what it is worth to us.
    fn descend(&mut self, is_greedy: bool) -> f32 {
        let mut at = 0;
        loop {
            match self.state.battle_is_over() {
                _ if at == 0 => {}
                over if over > 0.0 => return 1.0,
                over if over < 0.0 => return 0.0,
                _ => {}
            }
            let strongest = if is_greedy { self.strongest(at) } else { None };
            let node = &self.nodes[at as usize];
            let mine = node.best(&node.mine);
            let theirs = strongest.unwrap_or_else(|| node.best(&node.theirs));
            let pair = mine * node.theirs.len() + theirs;
            let is_new = node.pairs[pair].is_empty();
            if is_new {
                self.expand(at, mine, theirs, pair);
            }
            let outcome = self.draw(at, pair);
            self.state.apply_instructions(&self.outcomes[outcome as usize].instructions);
            self.path.push(Step { node: at, mine, theirs, outcome });
            if is_new {
                return self.worth();
            }
            at = self.node_after(outcome);
        }
    }

    /// What the greedy do at a node; `None`: what others do.
    fn strongest(&mut self, at: u32) -> Option<usize> {
        let node = &mut self.nodes[at as usize];
        let choices = node.theirs.iter().map(|arm| arm.choice);
        *node.strongest.get_or_insert_with(|| opponent::strongest(&self.state, choices))
    }

    fn expand(&mut self, at: u32, mine: usize, theirs: usize, pair: usize) {
        // Close to the root it matters how much a move hurts; further down the average will do.
        let branch_on_damage = self.path.len() < 2;
        let node = &mut self.nodes[at as usize];
        let (mine, theirs) = (&node.mine[mine].choice, &node.theirs[theirs].choice);
        let outcomes =
            generate_instructions_from_move_pair(&mut self.state, mine, theirs, branch_on_damage);
        let index = |length: usize| u32::try_from(length).expect("far fewer are remembered");
        let from = index(self.outcomes.len());
        self.outcomes.extend(outcomes.into_iter().map(|outcome| Outcome {
            weight: outcome.percentage.max(0.0),
            instructions: outcome.instruction_list,
            node: None,
        }));
        node.pairs[pair] = from..index(self.outcomes.len());
    }

    /// One of a pair's outcomes, each as often as it happens.
    fn draw(&mut self, at: u32, pair: usize) -> u32 {
        let range = self.nodes[at as usize].pairs[pair].clone();
        assert!(!range.is_empty(), "something comes of every pair of choices");
        let outcomes = &self.outcomes[range.start as usize..range.end as usize];
        let sum: f32 = outcomes.iter().map(|outcome| outcome.weight).sum();
        let mut rest = sum * self.chance.part();
        let is_it = |outcome: &Outcome| {
            rest -= outcome.weight;
            rest < 0.0
        };
        let found = outcomes.iter().position(is_it).unwrap_or(outcomes.len() - 1);
        range.start + u32::try_from(found).expect("a place in a small range")
    }

    fn node_after(&mut self, outcome: u32) -> u32 {
        let fresh = u32::try_from(self.nodes.len()).expect("far fewer are remembered");
        let outcome = &mut self.outcomes[outcome as usize];
        let node = *outcome.node.get_or_insert(fresh);
        if node == fresh {
            let (mine, theirs) = self.state.get_all_options();
            self.nodes.push(Node::new(mine, theirs));
        }
        node
    }

    fn worth(&self) -> f32 {
        match self.state.battle_is_over() {
            over if over > 0.0 => 1.0,
            over if over < 0.0 => 0.0,
            _ => 1.0 / (1.0 + ((self.level - points(&self.state)) / POINTS).exp()),
        }
    }
}

/// The engine's evaluation, but that boosts are worth less, and a terastallization in reserve the less the fewer there
/// are to use it.
fn points(state: &State) -> f32 {
    let (mine, theirs) = (&state.side_one, &state.side_two);
    let too_much = |side: &Side| BOOSTS * boosts(side) - used_tera(side);
    evaluate(state) - too_much(mine) + too_much(theirs)
}

/// What the engine adds for boosts.
fn boosts(side: &Side) -> f32 {
    const BY_STAGE: [f32; 7] = [0.0, 1.0, 2.0, 2.5, 3.0, 3.15, 3.3];
    if side.get_active_immutable().hp <= 0 {
        return 0.0;
    }
    let stages = |stage: i8| {
        let worth = BY_STAGE[usize::from(stage.unsigned_abs())];
        if stage < 0 { -worth } else { worth }
    };
    30.0 * (stages(side.attack_boost)
        + stages(side.special_attack_boost)
        + stages(side.speed_boost))
        + 15.0 * (stages(side.defense_boost) + stages(side.special_defense_boost))
}

/// What a terastallization, once used, is taken off too much.
fn used_tera(side: &Side) -> f32 {
    let mut team = side.pokemon.into_iter();
    if !team.any(|pokemon| pokemon.terastallized) {
        return 0.0;
    }
    let alive = side.pokemon.into_iter().filter(|pokemon| pokemon.hp > 0).count();
    TERA * (1.0 - alive.saturating_sub(1) as f32 / 5.0)
}

impl Node {
    fn new(mine: Vec<MoveChoice>, theirs: Vec<MoveChoice>) -> Self {
        let arms = |choices: Vec<MoveChoice>| -> Vec<Arm> {
            choices.into_iter().map(|choice| Arm { choice, visits: 0, total: 0.0 }).collect()
        };
        let pairs = vec![0..0; mine.len() * theirs.len()];
        Self { visits: 0, mine: arms(mine), theirs: arms(theirs), pairs, strongest: None }
    }

    /// The arm with the best bound; one that was never taken comes first.
    fn best(&self, arms: &[Arm]) -> usize {
        let width = WIDTH * (self.visits as f32).ln();
        let (mut best, mut highest) = (0, f32::MIN);
        for (place, arm) in arms.iter().enumerate() {
            if arm.visits == 0 {
                return place;
            }
            let visits = arm.visits as f32;
            let bound = arm.total / visits + (width / visits).sqrt();
            if bound > highest {
                (best, highest) = (place, bound);
            }
        }
        best
    }
}

impl Arm {
    fn add(&mut self, score: f32) {
        self.visits += 1;
        self.total += score;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::choice,
        players::{Budget, Position, World, tests::after},
    };

    /// How many of their arms at the root were ever taken.
    fn taken(greedy: f32) -> usize {
        let (battle, request) = after("|move|p2a: Charizard|Hurricane|p1a: Basculegion");
        let position = Position { battle: &battle, request: &request };
        let mut chance = Chance::new(1);
        let world = World::guess(position, &mut chance).unwrap();
        let mine = choice::legal(&request);
        let mine = mine.iter().filter_map(|choice| world.option(choice)).collect();
        let mut tree = Tree::new(world.state().clone(), mine, greedy, &mut chance);
        tree.grow(Budget::Iterations(300).into());
        tree.nodes[0].theirs.iter().filter(|arm| arm.visits > 0).count()
    }

    #[test]
    fn the_greedy_are_expected_to_do_one_thing_and_others_anything() {
        assert_eq!(taken(1.0), 1);
        assert!(taken(0.0) > 4);
        assert!(taken(0.9) > 4);
    }
}
