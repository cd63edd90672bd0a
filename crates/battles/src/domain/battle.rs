//! A battle's state: the fold of the lines that its room said.
//!
//! It holds what both players can see, plus the exact HP of the own side. What the own player alone knows is in the
//! [`Request`](super::request::Request); what nobody told is for [`guess`](super::guess). After a rejoin the server
//! sends the whole log once more, beginning with `|init|`, and the state starts over with it.
//!
//! Lines that contradict the state (an unknown Pokémon, a seventh of a team) change nothing.

mod changes;
mod fold;
mod past;
mod pokemon;
mod reveal;
mod side;

pub use past::{Act, Before, Chosen, Past, Standing};
pub use pokemon::{Boosts, Copied, Held, Pokemon, Stat, Stint, Volatile};
pub use side::{Layers, Side};

use super::{id::id, protocol::Slot};

/// What can be seen of a battle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Battle {
    sides: [Side; 2],
    /// The turn that is being played; 0 before the first.
    pub turn: u16,
    /// Whether somebody has moved in it.
    moving: bool,
    /// The generation of the rules; 0 until it is said.
    pub generation: u8,
    /// The weather's id, and the turn of its beginning.
    pub weather: Option<(String, u16)>,
    /// The terrain's id, and the turn of its beginning.
    pub terrain: Option<(String, u16)>,
    /// The turn in which the slow began to move first.
    pub trick_room: Option<u16>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// How a battle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This player won, by the server's own word.
    Won(String),
    /// Nobody won.
    Tie,
}

impl Battle {
    /// One of the sides.
    pub fn side(&self, slot: Slot) -> &Side {
        &self.sides[slot as usize]
    }

    /// Where the player with this id sits.
    pub fn slot_of(&self, user: &str) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| id(&self.side(*slot).player) == user)
    }

    fn side_mut(&mut self, slot: Slot) -> &mut Side {
        &mut self.sides[slot as usize]
    }

    /// Turns that went by since the turn given.
    pub fn turns_since(&self, turn: u16) -> u16 {
        self.turn.saturating_sub(turn)
    }
}

#[cfg(test)]
mod tests;
