//! How the opponent plays, judged by what it chose so far.
//!
//! Two kinds are told apart: the greedy take the move that hurts most now, and neither switch nor terastallize; the
//! others look ahead. Each choice that was seen makes one of the two likelier. A search that knows whom it plays wins
//! more against the greedy, who cannot be expected to find the best answer to everything; and it must not take those
//! who look ahead for greedy, or it walks into what they see.

use poke_engine::{
    engine::state::MoveChoice,
    state::{PokemonMoveIndex, SideReference, State},
};

use super::{
    Position, World,
    engine::{self, MOVES_BY_PLACE},
};
use crate::domain::battle::{Act, Before};

/// How likely somebody is greedy of whom nothing was seen yet.
const PRIOR: f32 = 0.3;
/// How many times likelier a choice is made by the greedy than by those who look ahead, as counted in some hundred
/// games of either: the move that hurts most,
const STRONGEST: f32 = 1.6;
/// a weaker one,
const WEAKER: f32 = 0.33;
/// none.
const NO_MOVE: f32 = 0.02;
/// A move that hurts so much, as a part of the most, may be the one that hurts most: the greedy guess, too.
const AS_GOOD: f32 = 0.85;

/// How likely the opponent is greedy, 0 to 1, if this world is the truth.
pub(super) fn greedy(world: &World, position: Position<'_>) -> f32 {
    let Some(slot) = position.request.side.slot() else { return PRIOR };
    let chosen = position.battle.side(slot.other()).past.chosen();
    let evidence = chosen.iter().map(|chosen| match &chosen.act {
        Act::Switch | Act::Terastallize => NO_MOVE,
        Act::Move(name) => strength(world, position, &chosen.before, name).unwrap_or(1.0),
    });
    let odds = evidence.product::<f32>() * PRIOR / (1.0 - PRIOR);
    odds / (1.0 + odds)
}

/// What a move says that was chosen then. `None`: nothing, since it is not known here, the only one that could be
/// chosen, or no weaker than any other.
fn strength(world: &World, position: Position<'_>, before: &Before, name: &str) -> Option<f32> {
    let then = world.as_it_stood(position, before)?;
    let own = then.side_two.get_active_immutable();
    if before.has_moved && engine::holds_to_one_move(own.item) {
        return None;
    }
    let name = engine::move_name(name)?;
    let used = MOVES_BY_PLACE.iter().position(|place| own.moves[place].id == name)?;
    let damages = MOVES_BY_PLACE.map(|place| engine::damage(&then, SideReference::SideTwo, place));
    let most = damages.into_iter().fold(0.0, f32::max);
    let strong = damages[used] >= AS_GOOD * most;
    (most > 0.0).then_some(if strong { STRONGEST } else { WEAKER })
}

/// Which of their arms the greedy take: the move that hurts most. `None`: there is no move to take.
pub(super) fn strongest(state: &State, arms: impl Iterator<Item = MoveChoice>) -> Option<usize> {
    let damage = |place: PokemonMoveIndex| engine::damage(state, SideReference::SideTwo, place);
    let moves = arms.enumerate().filter_map(|(arm, choice)| match choice {
        MoveChoice::Move(place) => Some((arm, damage(place))),
        MoveChoice::MoveTera(_)
        | MoveChoice::MoveMega(_)
        | MoveChoice::Switch(_)
        | MoveChoice::TeamPreview(..)
        | MoveChoice::None => None,
    });
    moves.max_by(|one, two| one.1.total_cmp(&two.1)).map(|(arm, _)| arm)
}
