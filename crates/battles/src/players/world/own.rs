//! The own side: the request knows it exactly.

use poke_engine::state::{Pokemon as EnginePokemon, Side as EngineSide};

use super::{index, nobody, set_moves, set_species, set_stats, stats};
use crate::{
    domain::{
        battle::{Pokemon, Side},
        dex::Dex,
        id::id,
        request::{OwnPokemon, Request},
    },
    players::engine,
};

/// Fills the own side; `None` while nobody is on the field.
pub(super) fn fill(side: &mut EngineSide, seen: &Side, request: &Request, dex: &Dex) -> Option<()> {
    let team = &request.side.pokemon;
    let active = team.iter().position(|pokemon| pokemon.active)?;
    for (place, slot) in side.pokemon.pkmn.iter_mut().enumerate() {
        *slot = team.get(place).map_or_else(nobody, |own| {
            // In disguise, the one on the field goes by another name in the battle's lines.
            let named = || seen.place(own.name()).and_then(|place| seen.team.get(place));
            let seen = if place == active { seen.active() } else { named() };
            pokemon(own, seen, dex)
        });
    }
    side.active_index = index(active);
    side.force_switch = request.must_switch() && !team[active].fainted();
    side.force_trapped = request.active.first().is_some_and(|active| active.trapped);
    moves(&mut side.pokemon.pkmn[active], request);
    Some(())
}

/// Where in the request's list the Pokémon at this place of the battle's team is.
pub(super) fn place(seen: &Side, request: &Request, place: usize) -> Option<usize> {
    let name = &seen.team.get(place)?.name;
    request.side.pokemon.iter().position(|own| own.name() == name)
}

fn pokemon(own: &OwnPokemon, seen: Option<&Pokemon>, dex: &Dex) -> EnginePokemon {
    let (details, condition) = (own.details(), own.condition());
    let mut pokemon =
        EnginePokemon { level: details.level.cast_signed(), ..EnginePokemon::default() };
    let forme = seen.filter(|_| own.active).map(Pokemon::forme);
    let usual = id(details.species);
    // A disguise is not a forme: only what the same species turned into counts.
    let turned = seen.filter(|seen| seen.species == usual || seen.stint.copied.is_some());
    let species = forme.filter(|_| turned.is_some()).unwrap_or(&usual);
    set_species(&mut pokemon, species, dex);
    let points = [own.stats.atk, own.stats.def, own.stats.spa, own.stats.spd, own.stats.spe];
    set_stats(&mut pokemon, points.map(points_of));
    if let Some(other) = dex.species(species).filter(|_| *species != *usual) {
        let copied = turned.and_then(|seen| seen.stint.copied.as_ref());
        let level = copied.map_or(details.level, |copied| copied.level);
        let [_, rest @ ..] = stats(other, level, false, false);
        set_stats(&mut pokemon, rest);
    }
    pokemon.hp = points_of(condition.hp);
    pokemon.maxhp = points_of(condition.max_hp.max(1));
    pokemon.status = engine::status(condition.status);
    pokemon.sleep_turns = seen.map_or(0, |seen| seen.slept.min(3)).cast_signed();
    let ability = if own.ability.is_empty() { &own.base_ability } else { &own.ability };
    pokemon.ability = engine::ability(ability);
    pokemon.base_ability = engine::ability(&own.base_ability);
    pokemon.item = engine::item(&own.item);
    pokemon.tera_type = engine::kind(&id(&own.tera_type));
    // The server forgets it with the one who faints; it is used up all the same.
    pokemon.terastallized = !own.terastallized.is_empty()
        || seen.is_some_and(|seen| seen.fainted() && seen.tera.is_some());
    let known = |place: usize| {
        own.moves.get(place).map_or_else(engine::no_move, |name| engine::a_move(name, 16, false))
    };
    set_moves(&mut pokemon, [known(0), known(1), known(2), known(3)]);
    pokemon
}

/// What the one on the field is offered, in that order.
fn moves(pokemon: &mut EnginePokemon, request: &Request) {
    let Some(active) = request.active.first() else { return };
    let offered = |place: usize| {
        active.moves.get(place).map_or_else(engine::no_move, |slot| {
            engine::a_move(&slot.id, slot.pp.unwrap_or(1), slot.disabled)
        })
    };
    set_moves(pokemon, [offered(0), offered(1), offered(2), offered(3)]);
}

/// The server's numbers are not larger than the engine's, but it may lie.
fn points_of(points: u16) -> i16 {
    i16::try_from(points.min(4096)).expect("just limited")
}
