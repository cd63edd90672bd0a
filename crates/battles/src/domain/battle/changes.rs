//! How each kind of line changes a battle.

use super::{Battle, Copied, Held, Pokemon, Stat, Stint, reveal::Owner};
use crate::domain::{
    id::{effect_id, id},
    protocol::{BoostChange, Cause, Condition, Details, Ident, Slot, Status},
};

/// Volatile conditions that last for one turn alone.
const ONE_TURN: &[&str] = &[
    "protect",
    "endure",
    "roost",
    "flinch",
    "banefulbunker",
    "burningbulwark",
    "kingsshield",
    "silktrap",
    "spikyshield",
    "obstruct",
    "maxguard",
    "followme",
    "ragepowder",
    "helpinghand",
    "glaiverush",
    "magiccoat",
    "snatch",
];

/// What Baton Pass carries over, beside the stages.
const PASSED: &[&str] = &[
    "substitute",
    "confusion",
    "leechseed",
    "focusenergy",
    "aquaring",
    "ingrain",
    "magnetrise",
    "perish3",
    "perish2",
    "perish1",
    "curse",
    "taunt",
    "encore",
];

/// Moves that hold their target for some turns.
const TRAPS: &[&str] = &[
    "bind",
    "clamp",
    "firespin",
    "infestation",
    "magmastorm",
    "sandtomb",
    "snaptrap",
    "thundercage",
    "whirlpool",
    "wrap",
];

impl Battle {
    pub(super) fn pokemon_mut(&mut self, who: &Ident<'_>) -> Option<&mut Pokemon> {
        let side = self.side_mut(who.slot);
        let place = side.place(who.name)?;
        side.team.get_mut(place)
    }

    pub(super) fn change(&mut self, who: &Ident<'_>, change: impl FnOnce(&mut Pokemon)) {
        if let Some(pokemon) = self.pokemon_mut(who) {
            change(pokemon);
        }
    }

    pub(super) fn upkeep(&mut self) {
        let turn = self.turn;
        for side in &mut self.sides {
            side.wish = side.wish.filter(|(made, _)| *made >= turn);
            let Some(pokemon) = side.active_mut() else { continue };
            if pokemon.status == Some(Status::Toxic) {
                pokemon.stint.toxic_turns = pokemon.stint.toxic_turns.saturating_add(1).min(15);
            }
            pokemon.stint.volatiles.retain(|name, _| !ONE_TURN.contains(&name.as_str()));
        }
    }

    pub(super) fn weather(&mut self, name: &str, upkeep: bool, cause: &Cause<'_>) {
        let name = id(name);
        if name == "none" {
            self.weather = None;
        } else if !upkeep {
            self.weather = Some((name, self.turn));
        }
        self.reveal(None, cause, Owner::Other);
    }

    pub(super) fn field(&mut self, effect: &str, began: bool, cause: &Cause<'_>) {
        let effect = effect_id(effect);
        if effect.ends_with("terrain") {
            self.terrain = began.then_some((effect, self.turn));
        } else if effect == "trickroom" {
            self.trick_room = began.then_some(self.turn);
        }
        self.reveal(None, cause, Owner::Other);
    }

    pub(super) fn condition(&mut self, slot: Slot, effect: &str, began: bool) {
        let (turn, effect) = (self.turn, effect_id(effect));
        let side = self.side_mut(slot);
        if began {
            side.lay(effect, turn);
        } else {
            side.conditions.remove(&effect);
        }
    }

    pub(super) fn switch(
        &mut self,
        who: &Ident<'_>,
        details: &Details<'_>,
        condition: &Condition,
        cause: &Cause<'_>,
    ) {
        let turn = self.turn;
        let side = self.side_mut(who.slot);
        let left = side.active_mut().map(|pokemon| std::mem::take(&mut pokemon.stint));
        if let Some(pokemon) = side.active_mut() {
            pokemon.leave();
        }
        side.active = side.show(who, details);
        let Some(pokemon) = side.active_mut() else { return };
        pokemon.species = id(details.species);
        let before = (pokemon.hp, pokemon.max_hp, pokemon.status);
        let known = pokemon.max_hp == condition.max_hp; // in which unit, too
        let healed = known && !pokemon.fainted() && pokemon.hp < condition.hp;
        if healed && pokemon.base_ability.is_none() {
            pokemon.show_ability("regenerator".to_owned(), true); // nothing else heals on the bench
        }
        pokemon.set(condition);
        pokemon.stint = Stint { since: turn, before, ..Stint::default() };
        let passed = cause.from.map(effect_id);
        if let (Some(left), Some("batonpass")) = (&left, passed.as_deref()) {
            pokemon.stint.boosts = left.boosts;
            pokemon.stint.volatiles = left.volatiles.clone();
            pokemon.stint.volatiles.retain(|name, _| PASSED.contains(&name.as_str()));
        } else if passed.as_deref() == Some("shedtail") {
            pokemon.begin("substitute".to_owned(), String::new(), turn);
        }
    }

    pub(super) fn replace(&mut self, who: &Ident<'_>, details: &Details<'_>) {
        let side = self.side_mut(who.slot);
        let Some(disguise) = side.active_mut() else { return };
        let mut stint = std::mem::take(&mut disguise.stint);
        let (hp, max_hp, status) = (disguise.hp, disguise.max_hp, disguise.status);
        (disguise.hp, disguise.max_hp, disguise.status) = stint.before;
        let shown = std::mem::take(&mut stint.shown);
        disguise.moves.retain(|name, _| !shown.contains(name));
        side.active = side.show(who, details);
        let Some(pokemon) = side.active_mut() else { return };
        stint.before = (pokemon.hp, pokemon.max_hp, pokemon.status);
        (pokemon.hp, pokemon.max_hp, pokemon.status) = (hp, max_hp, status);
        pokemon.stint = stint;
        shown.into_iter().for_each(|name| pokemon.show_move(name));
    }

    pub(super) fn transform(&mut self, who: &Ident<'_>, into: &Ident<'_>) {
        let Some(other) = self.pokemon_mut(into) else { return };
        let moves = other.moves.keys().take(4).cloned().collect();
        let copied = Copied { species: other.forme().to_owned(), level: other.level, moves };
        let (boosts, ability) = (other.stint.boosts, other.ability.clone());
        self.change(who, |pokemon| {
            pokemon.stint.boosts = boosts;
            pokemon.stint.copied = Some(copied);
            pokemon.ability = ability;
        });
    }

    pub(super) fn moved(&mut self, who: &Ident<'_>, name: &str, cause: &Cause<'_>) {
        let (turn, name) = (self.turn, id(name));
        let side = self.side_mut(who.slot);
        let Some(place) = side.place(who.name) else { return };
        if name == "wish" {
            side.wish = Some((turn, place));
        }
        let pokemon = &mut side.team[place];
        for charge in ["mustrecharge", "glaiverush"] {
            pokemon.stint.volatiles.remove(charge);
        }
        pokemon.stint.volatiles.remove(&name); // a charged move is let go
        let own = cause.from.is_none() || cause.by_move() == Some("Sleep Talk");
        if own && name != "struggle" && pokemon.stint.copied.is_none() {
            pokemon.show_move(name.clone());
        }
        if cause.from.is_none() {
            pokemon.stint.last_move = Some(name);
        }
        self.reveal(Some(who), cause, Owner::Other);
    }

    pub(super) fn boost(&mut self, who: &Ident<'_>, stat: &str, change: impl Fn(i8) -> i8) {
        let Some(stat) = Stat::parse(stat) else { return };
        self.change(who, |pokemon| {
            let stage = change(pokemon.stint.boosts.of(stat));
            pokemon.stint.boosts.set(stat, stage);
        });
    }

    pub(super) fn boosts(&mut self, who: &Ident<'_>, change: &BoostChange<'_>) {
        let of = |battle: &mut Self, ident| battle.pokemon_mut(ident).map(|one| one.stint.boosts);
        let Some(mut boosts) = of(self, who) else { return };
        match change {
            BoostChange::Clear => boosts.each(|_| 0),
            BoostChange::ClearNegative => boosts.each(|stage| stage.max(0)),
            BoostChange::ClearPositive => boosts.each(|stage| stage.min(0)),
            BoostChange::Invert => boosts.each(|stage| -stage),
            BoostChange::CopyFrom(other) => boosts = of(self, other).unwrap_or(boosts),
            BoostChange::Swap(other, stats) => {
                let Some(mut theirs) = of(self, other) else { return };
                if stats.is_empty() {
                    std::mem::swap(&mut boosts, &mut theirs);
                }
                for stat in stats.split(',').filter_map(|stat| Stat::parse(stat.trim())) {
                    let (mine, yours) = (boosts.of(stat), theirs.of(stat));
                    boosts.set(stat, yours);
                    theirs.set(stat, mine);
                }
                self.change(other, |pokemon| pokemon.stint.boosts = theirs);
            }
        }
        self.change(who, |pokemon| pokemon.stint.boosts = boosts);
    }

    pub(super) fn volatile(&mut self, who: &Ident<'_>, effect: &str, argument: &str) {
        let (turn, effect) = (self.turn, effect_id(effect));
        let side = self.side_mut(who.slot);
        let Some(place) = side.place(who.name) else { return };
        let pokemon = &mut side.team[place];
        match effect.as_str() {
            "futuresight" | "doomdesire" => side.future_sight = Some((turn, place)),
            "typechange" => {
                pokemon.stint.types = Some(argument.split('/').take(3).map(id).collect());
            }
            // One count takes the place of the other.
            "perish3" | "perish2" | "perish1" | "perish0" => {
                pokemon.stint.volatiles.retain(|name, _| !name.starts_with("perish"));
                pokemon.begin(effect, String::new(), turn);
            }
            _ => pokemon.begin(effect, id(argument), turn),
        }
    }

    pub(super) fn volatile_ended(&mut self, who: &Ident<'_>, effect: &str) {
        let effect = effect_id(effect);
        if matches!(effect.as_str(), "futuresight" | "doomdesire") {
            self.side_mut(who.slot.other()).future_sight = None;
        }
        self.change(who, |pokemon| {
            let effect =
                if TRAPS.contains(&effect.as_str()) { "partiallytrapped" } else { &effect };
            pokemon.stint.volatiles.remove(effect);
            // "Protosynthesis" ends what began as "protosynthesisatk".
            if matches!(effect, "protosynthesis" | "quarkdrive") {
                pokemon.stint.volatiles.retain(|name, _| !name.starts_with(effect));
            }
        });
    }

    pub(super) fn activated(&mut self, who: &Ident<'_>, effect: &str) {
        let turn = self.turn;
        self.change(who, |pokemon| {
            if let Some(ability) = effect.strip_prefix("ability: ") {
                let own = pokemon.ability.is_none();
                pokemon.show_ability(id(ability), own);
            } else if let Some(item) = effect.strip_prefix("item: ") {
                // A berry works after it was eaten.
                if pokemon.item != Held::Nothing {
                    pokemon.show_item(id(item), true);
                }
            } else if effect == "trapped" {
                pokemon.begin("trapped".to_owned(), String::new(), turn);
            } else if TRAPS.contains(&effect_id(effect).as_str()) {
                pokemon.begin("partiallytrapped".to_owned(), String::new(), turn);
            }
        });
    }
}
