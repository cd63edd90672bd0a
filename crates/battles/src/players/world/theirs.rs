//! The other side: what was shown, and a guess at the rest.

use poke_engine::state::{Pokemon as EnginePokemon, Side as EngineSide};

use super::{index, nobody, set_moves, set_species, set_stats, stats};
use crate::{
    domain::{
        battle::{Pokemon, Side},
        dex::Dex,
        guess::Guess,
    },
    players::engine,
};

/// Fills the other side; `None` while nobody is on the field.
pub(super) fn fill(side: &mut EngineSide, seen: &Side, guesses: &[Guess], dex: &Dex) -> Option<()> {
    let active = seen.active?;
    for (place, slot) in side.pokemon.pkmn.iter_mut().enumerate() {
        *slot = guesses.get(place).map_or_else(nobody, |guess| {
            let seen_one = guess.shown.and_then(|place| seen.team.get(place));
            pokemon(guess, seen_one, dex)
        });
    }
    side.active_index = index(active);
    Some(())
}

fn pokemon(guess: &Guess, seen: Option<&Pokemon>, dex: &Dex) -> EnginePokemon {
    let mut pokemon =
        EnginePokemon { level: guess.level.cast_signed(), ..EnginePokemon::default() };
    let forme = seen.map_or(&*guess.species, Pokemon::forme);
    let copied = seen.and_then(|seen| seen.stint.copied.as_ref());
    set_species(&mut pokemon, forme, dex);
    if let Some(species) = dex.species(&guess.species) {
        pokemon.maxhp = stats(species, guess.level, false, false)[0];
    }
    if let Some(species) = dex.species(forme) {
        let level = copied.map_or(guess.level, |copied| copied.level);
        let [_, rest @ ..] = stats(species, level, guess.weak, guess.slow);
        set_stats(&mut pokemon, rest);
    }
    pokemon.hp = seen.map_or(pokemon.maxhp, |seen| points(seen, pokemon.maxhp));
    pokemon.status = engine::status(seen.and_then(|seen| seen.status));
    pokemon.sleep_turns = seen.map_or(0, |seen| seen.slept.min(3)).cast_signed();
    pokemon.ability = engine::ability(&guess.ability);
    let base = seen.and_then(|seen| seen.base_ability.as_deref());
    pokemon.base_ability = engine::ability(base.unwrap_or(&guess.ability));
    pokemon.item = engine::item(&guess.item);
    pokemon.tera_type = engine::kind(&guess.tera);
    // Used up with the one who fainted.
    pokemon.terastallized =
        seen.is_some_and(|seen| seen.terastallized || seen.fainted() && seen.tera.is_some());
    let names = copied.map_or(&guess.moves, |copied| &copied.moves);
    let locked = seen.and_then(|seen| locked_into(seen, &guess.item));
    let known = |place: usize| {
        names.get(place).map_or_else(engine::no_move, |name| {
            let used = seen.and_then(|seen| seen.moves.get(name)).copied().unwrap_or(0);
            let banned = seen.is_some_and(|seen| is_disabled(seen, name));
            let disabled = banned || locked.is_some_and(|locked| locked != name);
            engine::a_move(name, 24_u8.saturating_sub(used).max(1), disabled)
        })
    };
    set_moves(&mut pokemon, [known(0), known(1), known(2), known(3)]);
    pokemon
}

/// Hundredths as points; who has any is not fainted.
fn points(seen: &Pokemon, max_hp: i16) -> i16 {
    let part = i32::from(max_hp) * i32::from(seen.hp) / i32::from(seen.max_hp.max(1));
    let part = i16::try_from(part).expect("a part of a number that fits");
    if seen.hp > 0 { part.max(1) } else { 0 }
}

fn locked_into<'a>(seen: &'a Pokemon, item: &str) -> Option<&'a String> {
    let choice = matches!(item, "choiceband" | "choicespecs" | "choicescarf");
    seen.stint.last_move.as_ref().filter(|_| choice)
}

fn is_disabled(seen: &Pokemon, name: &str) -> bool {
    seen.stint.volatiles.get("disable").is_some_and(|disable| disable.about == name)
}
