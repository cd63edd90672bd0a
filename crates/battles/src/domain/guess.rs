//! Guessing what is hidden: a set for every Pokémon of the other side, and Pokémon for those that nobody has seen.
//!
//! A guess is a sample, not an average: several of them, each consistent with all that was shown, are several worlds
//! that the truth may be in. Sets are drawn as often as the generator gives them; those that contradict what was
//! shown are left out. When all do (the data is older than the server, or the format is another one), those that
//! agree most are drawn, and what was shown wins over them.

use super::{
    battle::{Battle, Held, Pokemon},
    chance::Chance,
    dex::{Dex, Set},
    protocol::Slot,
};
use crate::limits;

/// One Pokémon of the other side, with nothing hidden any more. All names are ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// Where it is among those that were shown; `None` when it was not.
    pub shown: Option<usize>,
    /// The species it is now.
    pub species: String,
    /// 1 to 100.
    pub level: u8,
    /// At most four, those that were shown first.
    pub moves: Vec<String>,
    /// What it holds now; `none` for nothing.
    pub item: String,
    /// The ability that it has now.
    pub ability: String,
    /// The type it can terastallize to, or has.
    pub tera: String,
    /// No effort went into Attack.
    pub weak: bool,
    /// No effort went into Speed.
    pub slow: bool,
}

/// Draws one world: the whole team of a side, those that were shown first, in that order.
pub fn team(battle: &Battle, slot: Slot, dex: &Dex, chance: &mut Chance) -> Vec<Guess> {
    let side = battle.side(slot);
    let shown = side.team.iter().enumerate();
    let mut team: Vec<Guess> =
        shown.map(|(place, pokemon)| shown_one(place, pokemon, dex, chance)).collect();
    let size = if side.team_size == 0 { limits::TEAM } else { usize::from(side.team_size) };
    let base = |species: &str| dex.species(species).map(|species| species.base);
    while team.len() < size.min(limits::TEAM) {
        let all = dex.with_sets();
        let species = all[chance.below(all.len())];
        // No species comes twice. The team is small beside the list, so this ends soon.
        if !team.iter().any(|other| base(&other.species) == base(species)) {
            team.push(hidden_one(species, dex, chance));
        }
    }
    team
}

fn shown_one(place: usize, pokemon: &Pokemon, dex: &Dex, chance: &mut Chance) -> Guess {
    let sets = dex.sets(&pokemon.came_as).map_or(&[][..], |sets| &sets.sets);
    let most = sets.iter().map(|set| agreement(pokemon, set)).max().unwrap_or(0);
    let fitting: Vec<&Set> = sets.iter().filter(|set| agreement(pokemon, set) == most).collect();
    let set = chance.weighted(&fitting, |set| set.count).copied();
    let mut moves: Vec<String> = pokemon.moves.keys().take(4).cloned().collect();
    for name in set.iter().flat_map(|set| &set.moves) {
        if moves.len() < 4 && !moves.iter().any(|known| known == name) {
            moves.push((*name).to_owned());
        }
    }
    let or_set = |known: Option<&String>, name: fn(&Set) -> &'static str| {
        known.cloned().unwrap_or_else(|| set.map_or("none", name).to_owned())
    };
    Guess {
        shown: Some(place),
        species: pokemon.species.clone(),
        level: pokemon.level,
        moves,
        item: match &pokemon.item {
            Held::Unknown => or_set(None, |set| set.item),
            Held::Nothing => "none".to_owned(),
            Held::Item(item) => item.clone(),
        },
        ability: or_set(pokemon.ability.as_ref(), |set| set.ability),
        tera: or_set(pokemon.tera.as_ref(), |set| set.tera),
        weak: set.is_some_and(|set| set.weak),
        slow: set.is_some_and(|set| set.slow),
    }
}

/// How well a set agrees with what was shown: each move, the item, the ability and the tera type count one.
fn agreement(pokemon: &Pokemon, set: &Set) -> usize {
    let moves = pokemon.moves.keys().filter(|name| set.moves.contains(&name.as_str())).count();
    let same = |shown: &Option<String>, of: &str| usize::from(shown.as_deref() == Some(of));
    moves
        + same(&pokemon.base_item, set.item)
        + same(&pokemon.base_ability, set.ability)
        + same(&pokemon.tera, set.tera)
}

fn hidden_one(species: &str, dex: &Dex, chance: &mut Chance) -> Guess {
    let sets = dex.sets(species).expect("drawn from those with sets");
    let set = chance.weighted(&sets.sets, |set| set.count).expect("every set was counted");
    Guess {
        shown: None,
        species: species.to_owned(),
        level: sets.level,
        moves: set.moves.iter().map(|&name| name.to_owned()).collect(),
        item: set.item.to_owned(),
        ability: set.ability.to_owned(),
        tera: set.tera.to_owned(),
        weak: set.weak,
        slow: set.slow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::protocol::Line;

    fn guesses(lines: &[&str]) -> Vec<Vec<Guess>> {
        let mut battle = Battle::default();
        lines.iter().for_each(|line| battle.fold(&Line::parse(line)));
        let mut chance = Chance::new(1);
        (0..200).map(|_| team(&battle, Slot::P2, Dex::get(), &mut chance)).collect()
    }

    const VENUSAUR: &str = "|switch|p2a: Venusaur|Venusaur, L84, M|100/100";

    #[test]
    fn every_guess_agrees_with_what_was_shown() {
        let shown = [
            VENUSAUR,
            "|move|p2a: Venusaur|Synthesis|p2a: Venusaur",
            "|-ability|p2a: Venusaur|Overgrow",
            "|-terastallize|p2a: Venusaur|Dark",
            "|-enditem|p2a: Venusaur|Leftovers|[from] move: Knock Off",
        ];
        for team in guesses(&shown) {
            assert_eq!(team.len(), 6);
            let venusaur = &team[0];
            assert!(venusaur.moves.contains(&"synthesis".to_owned()), "{venusaur:?}");
            assert_eq!((&*venusaur.ability, &*venusaur.tera), ("overgrow", "dark"));
            assert_eq!(venusaur.item, "none");
            // The generator gives Synthesis to none of those that have Leech Seed.
            assert!(!venusaur.moves.contains(&"leechseed".to_owned()), "{venusaur:?}");
        }
    }

    #[test]
    fn guesses_differ_in_what_is_hidden_and_no_species_comes_twice() {
        let teams = guesses(&["|teamsize|p2|4", VENUSAUR]);
        for team in &teams {
            assert_eq!(team.len(), 4);
            let mut species: Vec<&str> = team.iter().map(|one| &*one.species).collect();
            species.sort_unstable();
            species.dedup();
            assert_eq!(species.len(), 4);
        }
        assert!(teams.iter().any(|team| team[0].moves != teams[0][0].moves));
        assert!(teams.iter().any(|team| team[1].species != teams[0][1].species));
    }

    #[test]
    fn what_no_data_knows_is_taken_as_shown() {
        let shown = ["|switch|p2a: X|Newmon, L50|100/100", "|move|p2a: X|New Move|p1a: Y"];
        let one = &guesses(&shown)[0][0];
        assert_eq!((&*one.species, one.level, &*one.item), ("newmon", 50, "none"));
        assert_eq!(one.moves, ["newmove"]);
    }
}
