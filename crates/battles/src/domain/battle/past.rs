//! What a side chose, turn by turn, and what it stood before: what tells how a player plays.

use super::{Battle, Boosts};
use crate::{
    domain::{
        id::id,
        protocol::{BattleLine, Ident, Slot},
    },
    limits,
};

/// A side's choices, the newest last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    chosen: Vec<Chosen>,
    /// The turn that is played, until it shows what was chosen for it.
    open: Option<Before>,
}

/// What a side chose for a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What it stood before.
    pub before: Before,
    /// What it did.
    pub act: Act,
}

/// A way to spend a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Used the move with this id.
    Move(String),
    /// Terastallized, whatever it did then.
    Terastallize,
    /// Called its Pokémon back.
    Switch,
}

/// How the two Pokémon on the field stood as a turn began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// The chooser's own,
    pub own: Standing,
    /// and the one opposite.
    pub opposite: Standing,
    /// Its own had used a move since it came in, which some items hold it to.
    pub has_moved: bool,
}

/// A Pokémon on the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its place in its side's team.
    pub place: usize,
    /// Its HP out of a hundred.
    pub hp: u16,
    /// Its stages.
    pub boosts: Boosts,
    /// Whether it had terastallized.
    pub terastallized: bool,
}

impl Past {
    /// The newest choices, oldest first; at most [`limits::CHOICES`].
    pub fn chosen(&self) -> &[Chosen] {
        &self.chosen
    }
}

impl Battle {
    /// Takes from a line what was chosen for the turn: the first that a side does in it. Who comes in after a move was
    /// called in by it, by an item, or for one that fainted: those who are called by choice come first.
    pub(super) fn remember(&mut self, line: &BattleLine<'_>) {
        if let BattleLine::Turn(_) = line {
            self.choosing();
        } else if let BattleLine::Move { who, name, cause } = line {
            self.moving = true;
            if cause.from.is_none() {
                self.shows(who, Some(Act::Move(id(name))));
            }
        } else if let BattleLine::Switch { who, .. } = line {
            self.shows(who, (!self.moving).then_some(Act::Switch));
        } else if let BattleLine::Terastallize { who, .. } = line {
            self.shows(who, Some(Act::Terastallize));
        } else if let BattleLine::Faint(who) | BattleLine::Cant { who, .. } = line {
            self.shows(who, None);
        }
    }

    /// The turn shows what this one's side chose for it, or that this will not be known.
    fn shows(&mut self, who: &Ident<'_>, act: Option<Act>) {
        let past = &mut self.side_mut(who.slot).past;
        let Some((before, act)) = past.open.take().zip(act) else { return };
        if past.chosen.len() >= limits::CHOICES {
            past.chosen.remove(0);
        }
        past.chosen.push(Chosen { before, act });
    }

    /// A turn begins: both choose.
    fn choosing(&mut self) {
        self.moving = false;
        for slot in Slot::BOTH {
            let both = self.standing(slot).zip(self.standing(slot.other()));
            let side = self.side_mut(slot);
            let has_moved = side.active().is_some_and(|own| own.stint.last_move.is_some());
            side.past.open = both.map(|(own, opposite)| Before { own, opposite, has_moved });
        }
    }

    fn standing(&self, slot: Slot) -> Option<Standing> {
        let side = self.side(slot);
        let (place, pokemon) = (side.active?, side.active()?);
        Some(Standing {
            place,
            hp: pokemon.hp_percent(),
            boosts: pokemon.stint.boosts,
            terastallized: pokemon.terastallized,
        })
    }
}
