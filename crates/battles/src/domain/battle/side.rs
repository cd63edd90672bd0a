//! One side: its team as far as it is known, and what lies on its half of the field.

use std::collections::BTreeMap;

use super::{past::Past, pokemon::Pokemon};
use crate::{
    domain::protocol::{Details, Ident},
    limits,
};

/// One player's side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Side {
    /// The player's name.
    pub player: String,
    /// How many Pokémon there are, shown or not; 0 until it is said.
    pub team_size: u8,
    /// Those that were shown, in that order; at most six.
    pub team: Vec<Pokemon>,
    /// Which of them is on the field. It stays there after it fainted, until another one comes.
    pub active: Option<usize>,
    /// Conditions of this half of the field, by id.
    pub conditions: BTreeMap<String, Layers>,
    /// The turn in which a wish was made, and by whom in the team.
    pub wish: Option<(u16, usize)>,
    /// The turn in which a sight of the future was sent at the other side, and by whom in the team.
    pub future_sight: Option<(u16, usize)>,
    /// What it chose.
    pub past: Past,
}

/// A condition of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// How often it was laid, at most three times.
    pub count: u8,
    /// The turn of the first.
    pub since: u16,
}

impl Side {
    /// The Pokémon on the field.
    pub fn active(&self) -> Option<&Pokemon> {
        self.team.get(self.active?)
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Pokemon> {
        self.team.get_mut(self.active?)
    }

    /// The place of the Pokémon with this name; the one on the field when several have it.
    pub fn place(&self, name: &str) -> Option<usize> {
        let named = |place: &usize| self.team.get(*place).is_some_and(|one| one.name == name);
        self.active.filter(named).or_else(|| (0..self.team.len()).find(|place| named(place)))
    }

    /// Whether anybody has terastallized.
    pub fn terastallized(&self) -> bool {
        self.team.iter().any(|pokemon| pokemon.tera.is_some())
    }

    /// The place of a Pokémon that shows itself, made if it is new; `None` when the team is full of others.
    pub(super) fn show(&mut self, who: &Ident<'_>, details: &Details<'_>) -> Option<usize> {
        let same = |one: &Pokemon| one.name == who.name && one.level == details.level;
        if let Some(place) = self.team.iter().position(same) {
            return Some(place);
        }
        if self.team.len() < limits::TEAM {
            self.team.push(Pokemon::new(who.name, details));
            return Some(self.team.len() - 1);
        }
        self.place(who.name)
    }

    /// Lays a condition once more.
    pub(super) fn lay(&mut self, condition: String, turn: u16) {
        let known = self.conditions.contains_key(&condition);
        if known || self.conditions.len() < limits::CONDITIONS {
            let layers =
                self.conditions.entry(condition).or_insert(Layers { count: 0, since: turn });
            layers.count = (layers.count + 1).min(3);
        }
    }
}
