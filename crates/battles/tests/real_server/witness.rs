//! A player that compares the fold with what the server itself says about the own team, at every decision.

use std::sync::{Arc, Mutex};

use interlock_battles::{
    domain::{battle::Held, chance::Chance, id::id, request::OwnPokemon},
    players::{Bounds, Candidate, Player, Position, Random},
};

/// Plays at random, and writes down what does not agree.
#[derive(Clone, Default)]
pub struct Witness {
    pub compared: Arc<Mutex<usize>>,
    pub contradictions: Arc<Mutex<Vec<String>>>,
}

impl Player for Witness {
    fn think(&self, position: Position<'_>, bounds: Bounds, chance: &mut Chance) -> Vec<Candidate> {
        let team = &position.request.side.pokemon;
        // A disguise goes by another name than its own until it is seen through.
        if team.iter().all(|own| own.base_ability != "illusion") {
            for own in team {
                *self.compared.lock().unwrap() += 1;
                self.compare(&position, own);
            }
        }
        Random.think(position, bounds, chance)
    }
}

impl Witness {
    fn compare(&self, position: &Position<'_>, own: &OwnPokemon) {
        let (battle, told) = (position.battle, own.condition());
        let side = battle.side(position.request.side.slot().unwrap());
        let Some(place) = side.place(own.name()) else {
            return self.expect(position, own, "shown", false, own.active);
        };
        let seen = &side.team[place];
        // Nobody says when Regenerator heals on the bench, one's own or one that Ditto copied.
        if own.active || !["regenerator", "imposter"].contains(&own.base_ability.as_str()) {
            self.expect(position, own, "HP", seen.hp, told.hp);
        }
        self.expect(position, own, "status", seen.status, told.status);
        self.expect(position, own, "active", side.active == Some(place), own.active);
        let known =
            seen.stint.copied.is_some() || seen.moves.keys().all(|name| own.moves.contains(name));
        self.expect(position, own, "moves", known, true);
        let tera = seen.tera.clone().filter(|_| seen.terastallized).unwrap_or_default();
        self.expect(position, own, "tera", tera, id(&own.terastallized));
        if own.fainted() {
            return;
        }
        self.expect(position, own, "species", seen.species.clone(), id(own.details().species));
        if let Some(ability) = seen.ability.as_ref().filter(|_| own.active) {
            self.expect(position, own, "ability", ability, &own.ability);
        }
        if seen.item != Held::Unknown {
            let held =
                if own.item.is_empty() { Held::Nothing } else { Held::Item(own.item.clone()) };
            self.expect(position, own, "item", &seen.item, &held);
        }
    }

    fn expect<T: PartialEq + std::fmt::Debug>(
        &self,
        position: &Position<'_>,
        own: &OwnPokemon,
        what: &str,
        seen: T,
        told: T,
    ) {
        if seen != told {
            let turn = position.battle.turn;
            let text = format!("turn {turn}, {}: {what} is {told:?}, not {seen:?}", own.name());
            self.contradictions.lock().unwrap().push(text);
        }
    }
}
