//! A battle's log in words: what happened, turn by turn, for people.
//!
//! The own Pokémon go by their names, the other side's are "the opposing" ones, as in the games. What follows from
//! something (its damage, a critical hit) is said in one breath with it. All names are the server's and its users',
//! and may be anything: they are cut, and never understood; whoever shows them escapes them.
//!
//! Not here: what nobody could see, and what is only decoration. A line that is not known is left out.

mod names;
mod sentence;

use std::collections::VecDeque;

pub use names::named;

use self::sentence::Speaker;
use super::{
    battle::Battle,
    protocol::{BattleLine, Line, Slot},
};
use crate::limits;

/// A log in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// What there is to tell, oldest first.
    pub turns: Vec<Turn>,
    /// Whether something older was left out.
    pub is_cut: bool,
    /// The battle as the log leaves it.
    pub battle: Battle,
}

/// What happened in one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// Its number; 0 before the first.
    pub number: u16,
    /// What happened in it, in order.
    pub said: Vec<Said>,
}

/// One thing that happened, with what followed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whose doing it was; `None`: nobody's.
    pub by: Option<Slot>,
    /// What happened.
    pub text: String,
}

/// Tells a log to the player with this id: the newest things, as many as `limit`.
#[must_use]
pub fn tell(log: &str, me: &str, limit: usize) -> Story {
    let mut teller = Teller { me, limit, ..Teller::default() };
    log.lines().for_each(|line| teller.hear(line));
    teller.story()
}

#[derive(Default)]
struct Teller<'a> {
    me: &'a str,
    limit: usize,
    battle: Battle,
    /// Each with its turn.
    told: VecDeque<(u16, Said)>,
    is_cut: bool,
    /// Whether what comes next follows from what was told last.
    is_going_on: bool,
}

impl Teller<'_> {
    fn hear(&mut self, text: &str) {
        let line = Line::parse(text);
        let speaker = Speaker { battle: &self.battle, me: self.battle.slot_of(self.me) };
        let said = speaker.say(text, &line);
        let follows = follows(text);
        self.battle.fold(&line);
        match said {
            Some(said) => self.add(said, follows),
            None => self.is_going_on &= !ends_action(text, &line),
        }
        if let Line::Init(_) = line {
            *self = Self { me: self.me, limit: self.limit, ..Self::default() };
        }
    }

    fn add(&mut self, said: Said, follows: bool) {
        let turn = self.battle.turn;
        match self.told.back_mut() {
            Some((_, before)) if follows && self.is_going_on => {
                if before.text.len() + said.text.len() < limits::SAID_CHARS {
                    before.text.push(' ');
                    before.text.push_str(&said.text);
                }
            }
            _ => {
                self.told.push_back((turn, said));
                self.is_going_on = !follows;
            }
        }
        if self.told.len() > self.limit {
            self.told.pop_front();
            self.is_cut = true;
        }
    }

    fn story(self) -> Story {
        let mut turns: Vec<Turn> = Vec::new();
        for (number, said) in self.told {
            match turns.last_mut() {
                Some(turn) if turn.number == number => turn.said.push(said),
                _ => turns.push(Turn { number, said: vec![said] }),
            }
        }
        Story { turns, is_cut: self.is_cut, battle: self.battle }
    }
}

/// Whether a line tells what followed from the one before.
fn follows(text: &str) -> bool {
    // A Pokémon terastallizes before it acts.
    (text.starts_with("|-") && !text.starts_with("|-terastallize")) || text.starts_with("|faint|")
}

/// Whether what comes next follows from nothing that was told.
fn ends_action(text: &str, line: &Line<'_>) -> bool {
    text == "|" || matches!(line, Line::Battle(BattleLine::Upkeep | BattleLine::Turn(_)))
}

#[cfg(test)]
mod tests;
