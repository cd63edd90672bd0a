//! The data that the bot ships with: species, and which sets the random-battle generator gives them.
//!
//! It is read once from text that is part of the program; `data/README.md` says where it comes from. What the text
//! does not know (a new generation's species) is simply not there: callers have a default for it.

use std::{collections::BTreeMap, sync::LazyLock};

const TEXT: &str = include_str!("../../data/gen9randombattle.txt");

static DEX: LazyLock<Dex> = LazyLock::new(|| Dex::parse(TEXT).expect("tested"));

/// All that is known.
#[derive(Debug)]
pub struct Dex {
    species: BTreeMap<&'static str, Species>,
    sets: BTreeMap<&'static str, Sets>,
    with_sets: Vec<&'static str>,
}

/// One species or forme.
#[derive(Debug)]
pub struct Species {
    /// One or two, by id.
    pub types: Vec<&'static str>,
    /// HP, Attack, Defense, Special Attack, Special Defense, Speed.
    pub base_stats: [u16; 6],
    /// Weight.
    pub weight_kg: f32,
    /// The species that it is a forme of; itself if none.
    pub base: &'static str,
}

/// What the generator gives to one species.
#[derive(Debug)]
pub struct Sets {
    /// Its level.
    pub level: u8,
    /// All sets that were seen.
    pub sets: Vec<Set>,
}

/// One set. All names are ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// At most four moves.
    pub moves: Vec<&'static str>,
    /// The item; `none` for none.
    pub item: &'static str,
    /// The ability.
    pub ability: &'static str,
    /// The type it can terastallize to.
    pub tera: &'static str,
    /// No effort went into Attack.
    pub weak: bool,
    /// No effort went into Speed.
    pub slow: bool,
    /// How often it was seen.
    pub count: u32,
}

impl Dex {
    /// The data of gen9randombattle.
    pub fn get() -> &'static Self {
        &DEX
    }

    /// A species by its id.
    pub fn species(&self, id: &str) -> Option<&Species> {
        self.species.get(id)
    }

    /// The sets of a species, or of the species that it is a forme of.
    pub fn sets(&self, id: &str) -> Option<&Sets> {
        self.sets.get(id).or_else(|| self.sets.get(self.species(id)?.base))
    }

    /// All species that have sets.
    pub fn with_sets(&self) -> &[&'static str] {
        &self.with_sets
    }

    fn parse(text: &'static str) -> Option<Self> {
        let (mut species, mut sets) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            let fields: Vec<&'static str> = line.split(' ').collect();
            match fields[..] {
                ["dex", id, types, stats, weight, base] => {
                    let stats: Option<Vec<u16>> =
                        stats.split('/').map(|stat| stat.parse().ok()).collect();
                    let one = Species {
                        types: types.split('/').collect(),
                        base_stats: stats?.try_into().ok()?,
                        weight_kg: weight.parse().ok()?,
                        base,
                    };
                    species.insert(id, one);
                }
                ["set", id, level, moves, items, abilities, teras, of] => {
                    let lists = [moves, items, abilities, teras].map(list);
                    let of: Option<Vec<Set>> =
                        of.split(',').map(|set| parse_set(set, &lists)).collect();
                    sets.insert(id, Sets { level: level.parse().ok()?, sets: of? });
                }
                _ => return None,
            }
        }
        let with_sets = sets.keys().copied().collect();
        Some(Self { species, sets, with_sets })
    }
}

fn list(names: &'static str) -> Vec<&'static str> {
    if names == "-" { Vec::new() } else { names.split(',').collect() }
}

fn parse_set(text: &str, [moves, items, abilities, teras]: &[Vec<&'static str>; 4]) -> Option<Set> {
    let fields: Vec<&str> = text.split('/').collect();
    let [places, item, ability, tera, flags, count] = fields[..] else { return None };
    let digit = |text: &str| usize::from_str_radix(text, 36).ok();
    let moves: Option<Vec<&'static str>> =
        places.chars().map(|place| moves.get(place.to_digit(36)? as usize).copied()).collect();
    let flags = digit(flags)?;
    Some(Set {
        moves: moves?,
        item: items.get(digit(item)?)?,
        ability: abilities.get(digit(ability)?)?,
        tera: teras.get(digit(tera)?)?,
        weak: flags & 1 > 0,
        slow: flags & 2 > 0,
        count: count.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_species_with_sets_is_known_and_has_at_most_four_moves() {
        let dex = Dex::get();
        assert!(dex.with_sets().len() > 500);
        for id in dex.with_sets() {
            assert!(dex.species(id).is_some(), "{id}");
            let sets = dex.sets(id).unwrap();
            assert!((1..=100).contains(&sets.level));
            for set in &sets.sets {
                assert!(set.count > 0 && (1..=4).contains(&set.moves.len()), "{id}: {set:?}");
            }
        }
    }

    #[test]
    fn a_forme_without_sets_has_those_of_its_species() {
        let dex = Dex::get();
        assert_eq!(dex.sets("gastrodoneast").unwrap().level, dex.sets("gastrodon").unwrap().level);
        assert!(dex.sets("nosuchmon").is_none());
    }
}
