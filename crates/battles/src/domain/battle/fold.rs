//! Which line changes what.

use super::{Battle, Outcome, Pokemon, reveal::Owner};
use crate::domain::{
    id::{effect_id, id},
    protocol::{BattleLine, Line},
};

impl Battle {
    /// Takes in one line of the battle's room.
    pub fn fold(&mut self, line: &Line<'_>) {
        match line {
            Line::Init(_) => *self = Self::default(),
            Line::Battle(line) => {
                self.remember(line);
                self.happens(line);
            }
            Line::Title(_)
            | Line::NoInit
            | Line::Challstr(_)
            | Line::UpdateUser { .. }
            | Line::NameTaken { .. }
            | Line::UpdateSearch(_)
            | Line::Formats(_)
            | Line::Answer { .. }
            | Line::Pm { .. }
            | Line::Popup(_)
            | Line::Deinit
            | Line::Error(_)
            | Line::Tournament(_)
            | Line::Request(_)
            | Line::Other(_) => (),
        }
    }

    fn happens(&mut self, line: &BattleLine<'_>) {
        match line {
            BattleLine::Player { slot, name } if !name.is_empty() => {
                self.side_mut(*slot).player = (*name).to_owned();
            }
            BattleLine::TeamSize { slot, size } => self.side_mut(*slot).team_size = *size,
            BattleLine::Gen(generation) => self.generation = *generation,
            BattleLine::Turn(turn) => self.turn = *turn,
            BattleLine::Upkeep => self.upkeep(),
            BattleLine::Win(name) => self.outcome = Some(Outcome::Won((*name).to_owned())),
            BattleLine::Tie => self.outcome = Some(Outcome::Tie),
            BattleLine::Weather { name, upkeep, cause } => self.weather(name, *upkeep, cause),
            BattleLine::Field { effect, began, cause } => self.field(effect, *began, cause),
            BattleLine::SideCondition { slot, effect, began } => {
                self.condition(*slot, effect, *began)
            }
            BattleLine::SwapSideConditions => {
                let [one, two] = &mut self.sides;
                std::mem::swap(&mut one.conditions, &mut two.conditions);
            }
            BattleLine::ClearAllBoosts => {
                let active = self.sides.iter_mut().filter_map(|side| side.active_mut());
                active.for_each(|pokemon| pokemon.stint.boosts.each(|_| 0));
            }
            BattleLine::Switch { who, details, condition, cause } => {
                self.switch(who, details, condition, cause);
            }
            BattleLine::Replace { who, details } => self.replace(who, details),
            BattleLine::CureTeam(who) => {
                let team = &mut self.side_mut(who.slot).team;
                team.iter_mut().for_each(|pokemon| pokemon.set_status(None));
            }
            BattleLine::Transform { who, into, cause } => {
                self.reveal(Some(who), cause, Owner::Victim);
                self.transform(who, into);
            }
            BattleLine::Move { who, name, cause } => self.moved(who, name, cause),
            BattleLine::Hp { who, condition, rose, cause } => {
                self.change(who, |pokemon| pokemon.set(condition));
                let owner = if *rose { Owner::Victim } else { Owner::Other };
                self.reveal(Some(who), cause, owner);
            }
            BattleLine::Status { who, status, cause } => {
                self.change(who, |pokemon| pokemon.set_status(Some(*status)));
                self.reveal(Some(who), cause, Owner::Other);
            }
            BattleLine::Boost { who, stat, by, cause } => {
                self.boost(who, stat, |stage| stage.saturating_add(*by));
                self.reveal(Some(who), cause, Owner::Other);
            }
            BattleLine::SetBoost { who, stat, to } => self.boost(who, stat, |_| *to),
            BattleLine::Boosts { who, change } => self.boosts(who, change),
            BattleLine::VolatileStart { who, effect, argument, cause } => {
                self.volatile(who, effect, argument);
                self.reveal(Some(who), cause, Owner::Other);
            }
            BattleLine::VolatileEnd { who, effect } => self.volatile_ended(who, effect),
            BattleLine::Activate { who, effect, cause } => {
                self.activated(who, effect);
                self.reveal(Some(who), cause, Owner::Other);
            }
            BattleLine::Item { who, item, cause } => self.item_shown(who, item, cause),
            BattleLine::EndItem { who, item } => self.item_gone(who, item),
            BattleLine::Ability { who, ability, cause } => self.ability_shown(who, ability, cause),
            BattleLine::Immune { who, cause } => self.reveal(Some(who), cause, Owner::Victim),
            BattleLine::Forme { who, species, lasting } => {
                self.change(who, |pokemon| pokemon.change_forme(id(species), *lasting));
            }
            BattleLine::Faint(who) => self.change(who, Pokemon::faint),
            BattleLine::Cant { who, reason } => self.change(who, |pokemon| pokemon.cannot(reason)),
            BattleLine::CureStatus(who) => self.change(who, |pokemon| pokemon.set_status(None)),
            BattleLine::Single { who, effect } => {
                let turn = self.turn;
                self.change(who, |one| one.begin(effect_id(effect), String::new(), turn));
            }
            BattleLine::Terastallize { who, tera } => {
                self.change(who, |pokemon| pokemon.terastallize(id(tera)));
            }
            BattleLine::Player { .. } | BattleLine::Start => (),
        }
    }
}
