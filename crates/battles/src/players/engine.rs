//! poke-engine's names, and a fence around it.
//!
//! The engine reads unknown names of species, moves and abilities as "none", which is what they should be here. It
//! panics on positions that it holds to be impossible; a newer server may send us there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use poke_engine::{
    choices::{Choices, MOVES},
    engine::{
        abilities::Abilities, generate_instructions::calculate_damage_rolls, items::Items,
        state::PokemonVolatileStatus,
    },
    pokemon::PokemonName,
    state::{
        Move, PokemonIndex, PokemonMoveIndex, PokemonStatus, PokemonType, SideReference, State,
    },
};

use crate::domain::{dex::Dex, protocol::Status};

/// Runs something of the engine's. `None` when it panicked; what it was given must then be thrown away.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

pub(super) const MOVES_BY_PLACE: [PokemonMoveIndex; 4] =
    [PokemonMoveIndex::M0, PokemonMoveIndex::M1, PokemonMoveIndex::M2, PokemonMoveIndex::M3];

pub(super) const TEAM_BY_PLACE: [PokemonIndex; 6] = [
    PokemonIndex::P0,
    PokemonIndex::P1,
    PokemonIndex::P2,
    PokemonIndex::P3,
    PokemonIndex::P4,
    PokemonIndex::P5,
];

/// How much of the target's HP a side's move takes now, as a part of the full ones. Misses are averaged in, chance is
/// not.
pub(super) fn damage(state: &State, attacker: SideReference, place: PokemonMoveIndex) -> f32 {
    let attack =
        state.get_side_immutable(&attacker).get_active_immutable().moves[&place].choice.clone();
    let accuracy = (attack.accuracy / 100.0).min(1.0);
    let answer = &MOVES[&Choices::TACKLE];
    let rolls = calculate_damage_rolls(state.clone(), &attacker, attack, answer);
    let most = rolls.and_then(|rolls| rolls.first().copied()).unwrap_or(0);
    let target = state.get_side_immutable(&attacker.get_other_side()).get_active_immutable();
    f32::from(most.min(target.hp)) * accuracy / f32::from(target.maxhp.max(1))
}

/// A name that the engine may know. Its readers cannot fail: those that could are not used here.
fn named<T: std::str::FromStr>(name: &str, none: T) -> T {
    name.parse().unwrap_or(none)
}

/// The species, or the one that it is a forme of.
pub(super) fn species(id: &str, dex: &Dex) -> PokemonName {
    let known = named(id, PokemonName::NONE);
    let base = || dex.species(id).map_or(PokemonName::NONE, |species| named(species.base, known));
    if known == PokemonName::NONE { base() } else { known }
}

pub(super) fn ability(id: &str) -> Abilities {
    named(id, Abilities::NONE)
}

pub(super) fn item(id: &str) -> Items {
    if matches!(id, "" | "none") { Items::NONE } else { named(id, Items::UNKNOWNITEM) }
}

/// Whether an item lets its owner use only the move that it used first.
pub(super) fn holds_to_one_move(item: Items) -> bool {
    matches!(item, Items::CHOICEBAND | Items::CHOICESPECS | Items::CHOICESCARF)
}

pub(super) fn kind(id: &str) -> PokemonType {
    named(id, PokemonType::TYPELESS)
}

pub(super) fn volatile(id: &str) -> Option<PokemonVolatileStatus> {
    let known = named(id, PokemonVolatileStatus::NONE);
    (known != PokemonVolatileStatus::NONE).then_some(known)
}

pub(super) fn status(status: Option<Status>) -> PokemonStatus {
    match status {
        None => PokemonStatus::NONE,
        Some(Status::Burn) => PokemonStatus::BURN,
        Some(Status::Paralysis) => PokemonStatus::PARALYZE,
        Some(Status::Sleep) => PokemonStatus::SLEEP,
        Some(Status::Freeze) => PokemonStatus::FREEZE,
        Some(Status::Poison) => PokemonStatus::POISON,
        Some(Status::Toxic) => PokemonStatus::TOXIC,
    }
}

/// The engine's name of a move; `None` when it does not know it.
pub(super) fn move_name(id: &str) -> Option<Choices> {
    let known = named(id, Choices::NONE);
    (known != Choices::NONE).then_some(known)
}

/// A move with so many uses left. One that the engine does not know cannot be used.
pub(super) fn a_move(id: &str, pp: u8, disabled: bool) -> Move {
    let known = move_name(id).and_then(|id| Some((id, MOVES.get(&id)?)));
    match known {
        Some((id, choice)) => {
            Move { id, disabled, pp: pp.min(64).cast_signed(), choice: choice.clone() }
        }
        None => no_move(),
    }
}

pub(super) fn no_move() -> Move {
    Move { disabled: true, pp: 0, ..Move::default() }
}
