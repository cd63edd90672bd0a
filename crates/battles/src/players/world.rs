//! A world: a position with all that is hidden guessed, as the engine takes it.
//!
//! Side one is the own one. Its Pokémon stand in the request's order, the other side's in the order in which they
//! were shown, then those that were not. What the server knows and the engine does not (a new move, a new species)
//! counts as nothing.
//!
//! Not known to a world: a move that the opponent has chosen but not made while the own player switches in the
//! middle of a turn; how long a sleep by Rest still lasts.

mod field;
mod own;
mod past;
mod theirs;

use poke_engine::{
    engine::state::MoveChoice,
    state::{Pokemon as EnginePokemon, PokemonIndex, SideReference, State},
};

use super::{
    Position,
    engine::{self, MOVES_BY_PLACE, TEAM_BY_PLACE},
};
use crate::domain::{
    chance::Chance,
    choice::Choice,
    dex::{Dex, Species},
    guess,
};

/// One guess of the whole truth.
#[derive(Debug, Clone)]
pub struct World {
    state: State,
}

impl World {
    /// Guesses what is hidden. `None` when there is nothing to think about yet: no team, or nobody on the field.
    pub fn guess(position: Position<'_>, chance: &mut Chance) -> Option<Self> {
        let (battle, request, dex) = (position.battle, position.request, Dex::get());
        let slot = request.side.slot()?;
        let (mine, theirs) = (battle.side(slot), battle.side(slot.other()));
        let guesses = guess::team(battle, slot.other(), dex, chance);
        let mut state = State::default();
        own::fill(&mut state.side_one, mine, request, dex)?;
        theirs::fill(&mut state.side_two, theirs, &guesses, dex)?;
        field::fill(&mut state, battle);
        field::fill_side(&mut state.side_one, mine, battle, |place| {
            own::place(mine, request, place)
        });
        field::fill_side(&mut state.side_two, theirs, battle, Some);
        copy_moves(&mut state, theirs.active()?.stint.copied.is_some());
        state.set_conditional_mechanics();
        Some(Self { state })
    }

    /// The engine's own state.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the engine calls a choice; `None` when it has no name for it.
    pub(super) fn option(&self, choice: &Choice) -> Option<MoveChoice> {
        match choice {
            Choice::Move { place, tera } => {
                let place = *MOVES_BY_PLACE.get(*place)?;
                Some(if *tera { MoveChoice::MoveTera(place) } else { MoveChoice::Move(place) })
            }
            Choice::Switch { place } => Some(MoveChoice::Switch(*TEAM_BY_PLACE.get(*place)?)),
            Choice::Lead { .. } | Choice::Default => None,
        }
    }

    /// How much of the target's full HP a choice takes now; a switch, by the best move of the one that comes in.
    /// Misses are averaged in, chance is not.
    pub(super) fn damage(&self, choice: &Choice) -> f32 {
        match self.option(choice) {
            Some(MoveChoice::Move(place) | MoveChoice::MoveTera(place)) => {
                engine::damage(&self.state, SideReference::SideOne, place)
            }
            Some(MoveChoice::Switch(place)) => {
                let mut state = self.state.clone();
                state.side_one.active_index = place;
                MOVES_BY_PLACE
                    .map(|place| engine::damage(&state, SideReference::SideOne, place))
                    .into_iter()
                    .fold(0.0, f32::max)
            }
            Some(MoveChoice::None | MoveChoice::MoveMega(_) | MoveChoice::TeamPreview(..))
            | None => 0.0,
        }
    }
}

/// A copy of the own Pokémon has its moves, all of which are known here.
fn copy_moves(state: &mut State, copied: bool) {
    let mine = state.side_one.get_active().clone();
    let theirs = state.side_two.get_active();
    if copied && theirs.id == mine.id {
        theirs.moves = mine.moves;
    }
}

/// Stats of a species at a level, by the rules of generations 3 and up, with perfect IVs and even effort.
/// HP, Attack, Defense, Special Attack, Special Defense, Speed.
fn stats(species: &Species, level: u8, weak: bool, slow: bool) -> [i16; 6] {
    let level = u32::from(level);
    let half = |base: u16, trained: bool| {
        let trained = if trained { 31 + 85 / 4 } else { 0 };
        ((2 * u32::from(base) + trained) * level / 100) as i16
    };
    let [hp, atk, def, spa, spd, spe] = species.base_stats;
    let full = if hp == 1 { 1 } else { half(hp, true) + level as i16 + 10 }; // one HP is Shedinja's
    let rest = [(atk, !weak), (def, true), (spa, true), (spd, true), (spe, !slow)];
    let [atk, def, spa, spd, spe] = rest.map(|(base, trained)| half(base, trained) + 5);
    [full, atk, def, spa, spd, spe]
}

fn set_stats(pokemon: &mut EnginePokemon, [atk, def, spa, spd, spe]: [i16; 5]) {
    (pokemon.attack, pokemon.defense) = (atk, def);
    (pokemon.special_attack, pokemon.special_defense) = (spa, spd);
    pokemon.speed = spe;
}

/// Name, types and weight of a species.
fn set_species(pokemon: &mut EnginePokemon, id: &str, dex: &Dex) {
    pokemon.id = engine::species(id, dex);
    if let Some(species) = dex.species(id) {
        let kind = |place: usize| engine::kind(species.types.get(place).copied().unwrap_or(""));
        pokemon.types = (kind(0), kind(1));
        pokemon.base_types = pokemon.types;
        pokemon.weight_kg = species.weight_kg;
    }
}

/// An empty place of a team: the engine counts it as fainted.
fn nobody() -> EnginePokemon {
    let moves = [(); 4].map(|()| engine::no_move());
    let mut nobody = EnginePokemon { hp: 0, ..EnginePokemon::default() };
    set_moves(&mut nobody, moves);
    nobody
}

fn set_moves(pokemon: &mut EnginePokemon, moves: [poke_engine::state::Move; 4]) {
    let [m0, m1, m2, m3] = moves;
    pokemon.moves = poke_engine::state::PokemonMoves { m0, m1, m2, m3 };
}

fn index(place: usize) -> PokemonIndex {
    TEAM_BY_PLACE[place.min(TEAM_BY_PLACE.len() - 1)]
}
