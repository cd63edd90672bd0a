//! What lies on the field, and what lasts until somebody leaves it.

use poke_engine::{
    engine::state::{Terrain, Weather},
    state::{
        LastUsedMove, PokemonType, Side as EngineSide, State, StateTerrain, StateTrickRoom,
        StateWeather,
    },
};

use super::index;
use crate::{
    domain::battle::{Battle, Pokemon, Side, Stat},
    players::engine::{self, MOVES_BY_PLACE},
};

/// Weather, terrain and Trick Room, each with the turns that it has left if nothing makes it longer.
pub(super) fn fill(state: &mut State, battle: &Battle) {
    if let Some((name, since)) = &battle.weather {
        let (weather_type, lasting) = weather(name);
        let turns_remaining = if lasting { -1 } else { left(battle, *since, 5) };
        state.weather = StateWeather { weather_type, turns_remaining };
    }
    if let Some((name, since)) = &battle.terrain {
        let terrain_type = terrain(name);
        state.terrain = StateTerrain { terrain_type, turns_remaining: left(battle, *since, 5) };
    }
    if let Some(since) = battle.trick_room {
        state.trick_room = StateTrickRoom { active: true, turns_remaining: left(battle, since, 5) };
    }
}

fn weather(name: &str) -> (Weather, bool) {
    match name {
        "sunnyday" => (Weather::SUN, false),
        "raindance" => (Weather::RAIN, false),
        "sandstorm" => (Weather::SAND, false),
        "hail" => (Weather::HAIL, false),
        "snow" | "snowscape" => (Weather::SNOW, false),
        "desolateland" => (Weather::HARSHSUN, true),
        "primordialsea" => (Weather::HEAVYRAIN, true),
        _ => (Weather::NONE, true),
    }
}

fn terrain(name: &str) -> Terrain {
    match name {
        "electricterrain" => Terrain::ELECTRICTERRAIN,
        "psychicterrain" => Terrain::PSYCHICTERRAIN,
        "mistyterrain" => Terrain::MISTYTERRAIN,
        "grassyterrain" => Terrain::GRASSYTERRAIN,
        _ => Terrain::NONE,
    }
}

/// Turns that are left of so many. What goes on beyond them was made longer by an item: then three more.
fn left(battle: &Battle, since: u16, turns: u16) -> i8 {
    let gone = battle.turns_since(since);
    let left = if gone < turns { turns - gone } else { (turns + 3).saturating_sub(gone).max(1) };
    i8::try_from(left).expect("at most eight turns")
}

/// One side's conditions and its active Pokémon's. `place` says where the engine has one of the battle's team.
pub(super) fn fill_side(
    to: &mut EngineSide,
    from: &Side,
    battle: &Battle,
    place: impl Fn(usize) -> Option<usize>,
) {
    conditions(to, from, battle);
    if let Some((turn, place)) = from.wish.and_then(|(turn, by)| Some((turn, place(by)?))) {
        let half = to.pokemon.pkmn[place].maxhp / 2;
        to.wish = (if battle.turns_since(turn) == 0 { 2 } else { 1 }, half);
    }
    if let Some((turn, place)) = from.future_sight.and_then(|(turn, by)| Some((turn, place(by)?))) {
        let left = 3_u16.saturating_sub(battle.turns_since(turn)).max(1);
        to.future_sight = (i8::try_from(left).expect("at most three turns"), index(place));
    }
    if let Some(pokemon) = from.active() {
        stint(to, pokemon, battle);
    }
}

fn conditions(to: &mut EngineSide, from: &Side, battle: &Battle) {
    let to = &mut to.side_conditions;
    for (name, layers) in &from.conditions {
        let count = layers.count.cast_signed();
        let turns = |turns| left(battle, layers.since, turns);
        match name.as_str() {
            "stealthrock" => to.stealth_rock = 1,
            "stickyweb" => to.sticky_web = 1,
            "spikes" => to.spikes = count,
            "toxicspikes" => to.toxic_spikes = count.min(2),
            "reflect" => to.reflect = turns(5),
            "lightscreen" => to.light_screen = turns(5),
            "auroraveil" => to.aurora_veil = turns(5),
            "safeguard" => to.safeguard = turns(5),
            "mist" => to.mist = turns(5),
            "tailwind" => to.tailwind = turns(4),
            _ => (),
        }
    }
}

fn stint(to: &mut EngineSide, pokemon: &Pokemon, battle: &Battle) {
    let stint = &pokemon.stint;
    to.attack_boost = stint.boosts.of(Stat::Attack);
    to.defense_boost = stint.boosts.of(Stat::Defense);
    to.special_attack_boost = stint.boosts.of(Stat::SpecialAttack);
    to.special_defense_boost = stint.boosts.of(Stat::SpecialDefense);
    to.speed_boost = stint.boosts.of(Stat::Speed);
    to.accuracy_boost = stint.boosts.of(Stat::Accuracy);
    to.evasion_boost = stint.boosts.of(Stat::Evasion);
    to.side_conditions.toxic_count = stint.toxic_turns.cast_signed();
    to.last_used_move = last_used(to, pokemon);
    if let Some(types) = &stint.types {
        let kind = |place: usize| {
            types.get(place).map_or(PokemonType::TYPELESS, |kind| engine::kind(kind))
        };
        to.get_active().types = (kind(0), kind(1));
    }
    for (name, volatile) in &stint.volatiles {
        let turns = battle.turns_since(volatile.since).min(2).to_le_bytes()[0].cast_signed();
        let durations = &mut to.volatile_status_durations;
        match name.as_str() {
            // The engine takes it for a bug when an encored Pokémon has not moved.
            "encore" if !matches!(to.last_used_move, LastUsedMove::Move(_)) => continue,
            "encore" => durations.encore = turns,
            "taunt" => durations.taunt = turns,
            "yawn" => durations.yawn = turns.min(1),
            "slowstart" => {
                let gone = battle.turns_since(volatile.since).min(5);
                durations.slowstart = 6 - gone.to_le_bytes()[0].cast_signed();
            }
            "substitute" => to.substitute_health = (to.get_active().maxhp / 4).max(1),
            _ => (),
        }
        if let Some(volatile) = engine::volatile(name) {
            to.volatile_statuses.insert(volatile);
        }
    }
}

fn last_used(side: &EngineSide, pokemon: &Pokemon) -> LastUsedMove {
    let Some(name) = &pokemon.stint.last_move else {
        return LastUsedMove::Switch(side.active_index);
    };
    let id = engine::a_move(name, 1, false).id;
    let moves = &side.get_active_immutable().moves;
    let place = MOVES_BY_PLACE.iter().find(|place| moves[place].id == id);
    place.map_or(LastUsedMove::None, |place| LastUsedMove::Move(*place))
}
