//! What the cause of a line gives away: items and abilities that nobody announced.

use super::{Battle, Held};
use crate::domain::{
    id::{effect_id, id},
    protocol::{Cause, Ident},
};

/// Whose the cause is, when a line names both the one it happened to and another one.
#[derive(Clone, Copy)]
pub(super) enum Owner {
    /// The one it happened to: who is healed by Leftovers holds them.
    Victim,
    /// The other one: who is hurt by a Rocky Helmet does not wear it.
    Other,
}

/// Moves that give somebody an item of somebody else.
const GIFTS: &[&str] =
    &["trick", "switcheroo", "thief", "covet", "bestow", "pickup", "magician", "pickpocket"];

impl Battle {
    pub(super) fn reveal(&mut self, victim: Option<&Ident<'_>>, cause: &Cause<'_>, owner: Owner) {
        let whose = match owner {
            Owner::Victim => victim,
            Owner::Other => cause.of.as_ref().or(victim),
        };
        let Some(pokemon) = whose.and_then(|ident| self.pokemon_mut(ident)) else { return };
        if let Some(ability) = cause.ability() {
            let ability = id(ability);
            // Once it has been given another one, the first is no longer what shows.
            let own = pokemon.ability.is_none();
            pokemon.show_ability(ability, own);
        }
        // A berry shows as it is eaten, by a line of its own.
        if let Some(item) = cause.item().filter(|_| pokemon.item != Held::Nothing) {
            pokemon.show_item(id(item), true);
        }
    }

    pub(super) fn item_shown(&mut self, who: &Ident<'_>, item: &str, cause: &Cause<'_>) {
        let given = cause.from.is_some_and(|from| GIFTS.contains(&effect_id(from).as_str()));
        if let Some(pokemon) = self.pokemon_mut(who) {
            pokemon.show_item(id(item), !given);
        }
    }

    pub(super) fn item_gone(&mut self, who: &Ident<'_>, item: &str) {
        if let Some(pokemon) = self.pokemon_mut(who) {
            pokemon.show_item(id(item), true);
            pokemon.item = Held::Nothing;
            if pokemon.ability.as_deref() == Some("unburden") {
                let turn = pokemon.stint.since;
                pokemon.begin("unburden".to_owned(), String::new(), turn);
            }
        }
    }

    pub(super) fn ability_shown(&mut self, who: &Ident<'_>, ability: &str, cause: &Cause<'_>) {
        // "[from]" says that it was traced, swapped or given.
        if let Some(pokemon) = self.pokemon_mut(who) {
            pokemon.show_ability(id(ability), cause.from.is_none());
        }
        if cause.ability() == Some("Trace") {
            if let Some(pokemon) = self.pokemon_mut(who) {
                pokemon.base_ability = Some("trace".to_owned());
            }
            if let Some(other) = cause.of.and_then(|of| self.pokemon_mut(&of)) {
                other.show_ability(id(ability), true);
            }
        }
    }
}
