//! Reading and searching positions of recorded battles.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use interlock_battles::{
    domain::{
        battle::Battle,
        chance::Chance,
        choice,
        protocol::Line,
        request::Request,
        seat::{Ask, Seat},
    },
    players::{Budget, Mcts, Player, Position, World},
};
use poke_engine::mcts::perform_mcts;

/// What two players of two battles heard on a real server.
const RECORDED: [&str; 2] = [
    include_str!("../../../../battles/fixtures/one-p1.log"),
    include_str!("../../../../battles/fixtures/two-p2.log"),
];
/// Worlds of a decision, and iterations of each.
const WORLDS: u32 = 4;
const ITERATIONS: u32 = 10_000;
/// Positions of one round.
const POSITIONS: usize = 8;

/// Public lines of battles, read and folded in a second.
pub fn lines_per_second(span: Duration) -> f64 {
    let lines: Vec<&str> =
        RECORDED[0].lines().filter(|line| !line.starts_with("|request|")).collect();
    let (began, mut count) = (Instant::now(), 0_u32);
    while began.elapsed() < span {
        let mut battle = Battle::default();
        lines.iter().for_each(|line| battle.fold(&Line::parse(black_box(line))));
        black_box(&battle);
        count += 1;
    }
    f64::from(count) * lines.len() as f64 / began.elapsed().as_secs_f64()
}

/// Our player's, guessing worlds included, and the engine's on the same worlds.
pub fn iterations_per_second(round: u64) -> (f64, f64) {
    let positions = positions();
    let (mut ours, mut reference) = (Rate::default(), Rate::default());
    for number in 0..POSITIONS {
        let seed = round * POSITIONS as u64 + number as u64;
        let (battle, request) = &positions[seed as usize * 7 % positions.len()];
        let position = Position { battle, request };
        let ours_first = number % 2 == 0;
        if ours_first {
            ours.add(|| by_player(position, seed));
        }
        let worlds = guesses(position, seed);
        reference.add(|| directly(&worlds));
        if !ours_first {
            ours.add(|| by_player(position, seed));
        }
    }
    (ours.per_second(), reference.per_second())
}

fn by_player(position: Position<'_>, seed: u64) -> u64 {
    let budget = Budget::Iterations(WORLDS * ITERATIONS);
    let candidates = Mcts::new(WORLDS).think(position, budget.into(), &mut Chance::new(seed));
    candidates.iter().map(|candidate| candidate.visits).sum()
}

fn guesses(position: Position<'_>, seed: u64) -> Vec<World> {
    let mut chance = Chance::new(seed);
    (0..WORLDS).filter_map(|_| World::guess(position, &mut chance)).collect()
}

fn directly(worlds: &[World]) -> u64 {
    let search = |world: &World| {
        let mut state = world.state().clone();
        let (mine, theirs) = state.root_get_all_options();
        let result = perform_mcts(&mut state, mine, theirs, Duration::ZERO, ITERATIONS);
        u64::from(result.iteration_count)
    };
    worlds.iter().map(search).sum()
}

#[derive(Default)]
struct Rate {
    count: u64,
    took: Duration,
}

impl Rate {
    fn add(&mut self, work: impl FnOnce() -> u64) {
        let began = Instant::now();
        self.count += work();
        self.took += began.elapsed();
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// Every position in which there was something to think about.
fn positions() -> Vec<(Battle, Request)> {
    let mut positions = Vec::new();
    for recorded in RECORDED {
        let mut seat = Seat::default();
        for line in recorded.lines() {
            let Ask::Choose = seat.hear(&Line::parse(line)) else { continue };
            let question = seat.question().filter(|request| choice::legal(request).len() > 1);
            positions.extend(question.map(|request| (seat.battle().clone(), request.clone())));
        }
    }
    positions
}
