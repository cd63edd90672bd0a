//! Which rooms of a server are battles between two of its users, though nobody says when they begin one.
//!
//! A server shows the battles that go on, and numbers all that it has, of whatever format, in one row. So whoever
//! looks now and then sees most battles in the list, and finds those that began and ended between two looks in the
//! numbers that the list has left out: they can be entered for some minutes more. The next number is asked for as
//! well, for the last battle has no other one after it.
//!
//! Invariants: a room is found once; every number since the first look is listed, asked for, or counted as unread.
//!
//! Not here: asking, and time, which goes by in looks; a server that was restarted and numbers its battles anew, which
//! cannot be told from one that shows old battles: its numbers that were found before are not found again.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    id::id,
    protocol::{self, BattleRoom, players},
};
use crate::limits;

/// The battles that a server shows: by room, who plays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Listing {
    /// The newest ones, whatever their format.
    pub rooms: BTreeMap<String, Players>,
}

/// The names of those who play in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Players {
    /// The first.
    #[serde(default)]
    pub p1: String,
    /// The second.
    #[serde(default)]
    pub p2: String,
}

/// Looks out for the battles of two users.
#[derive(Debug)]
pub struct Lookout {
    format: String,
    pair: [String; 2],
    /// The newest number that was shown, or that is known from before; `None`: none was yet.
    newest: Option<u64>,
    /// Rooms of the two that were found.
    found: BTreeSet<u64>,
    /// Numbers to be asked for.
    open: BTreeMap<u64, Asked>,
    unread: u64,
}

/// How often a room was asked for, and how many looks ago.
#[derive(Debug, Default)]
struct Asked {
    times: u32,
    looks: u32,
}

impl Asked {
    fn is_unanswered(&self) -> bool {
        self.looks > limits::LOOKS_UNTIL_LOST
    }
}

impl Lookout {
    /// For battles in the format between users, all by their ids. `known` are rooms that were found before.
    #[must_use]
    pub fn new<'a>(
        format: &str,
        pair: [String; 2],
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let rooms = known.into_iter().filter_map(BattleRoom::parse);
        let mut found: BTreeSet<u64> =
            rooms.filter(|room| room.format == format).map(|room| room.number).collect();
        bound(&mut found);
        let newest = found.last().copied();
        let (format, open) = (format.to_owned(), BTreeMap::new());
        Self { format, pair, newest, found, open, unread: 0 }
    }

    /// Whether nothing is known of the server's numbers yet: whatever begins and ends now is missed.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.newest.is_none()
    }

    /// Numbers that could not be read: of battles that are private or gone, or of another format.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.unread
    }

    /// Takes in what the server shows.
    pub fn hear(&mut self, listing: &Listing) {
        let mut shown = BTreeSet::new();
        for (room, players) in &listing.rooms {
            let Some(BattleRoom { format, number }) = BattleRoom::parse(room) else { continue };
            shown.insert(number);
            let is_theirs = format == self.format && self.are_they(&players.p1, &players.p2);
            if is_theirs && !self.found.contains(&number) && self.open.len() < limits::ROOMS {
                self.open.entry(number).or_default();
            }
        }
        if let Some(newest) = shown.last() {
            self.reach(*newest, &shown);
        }
    }

    /// The rooms to ask for at this look.
    pub fn due(&mut self) -> Vec<String> {
        self.open.values_mut().for_each(|asked| asked.looks += 1);
        let before = self.open.len();
        self.open.retain(|_, asked| asked.times < limits::ROOM_ASKED || !asked.is_unanswered());
        self.unread = self.unread.saturating_add((before - self.open.len()) as u64);
        let is_due = |asked: &Asked| asked.times == 0 || asked.is_unanswered();
        let due = self.open.iter_mut().filter(|(_, asked)| is_due(asked));
        let ask = |(number, asked): (&u64, &mut Asked)| {
            *asked = Asked { times: asked.times + 1, looks: 0 };
            *number
        };
        let mut numbers: Vec<u64> = due.take(limits::ROOMS_PER_LOOK).map(ask).collect();
        numbers.extend(self.newest.and_then(|newest| newest.checked_add(1)));
        let room = |number| BattleRoom { format: &self.format, number }.to_string();
        numbers.into_iter().map(room).collect()
    }

    /// A room was entered that has this title. Whether it is a battle that is looked for, and was not found before.
    pub fn enter(&mut self, room: &str, title: &str) -> bool {
        let Some(BattleRoom { format, number }) = BattleRoom::parse(room) else { return false };
        self.open.remove(&number);
        self.reach(number, &BTreeSet::from([number]));
        let is_theirs = format == self.format
            && players(title).is_some_and(|[one, two]| self.are_they(one, two))
            && self.found.insert(number);
        bound(&mut self.found);
        is_theirs
    }

    /// There is no such room, or it is not shown to us.
    pub fn no_room(&mut self, room: &str) {
        if let Some(BattleRoom { number, .. }) = BattleRoom::parse(room)
            && self.open.remove(&number).is_some()
        {
            self.unread = self.unread.saturating_add(1);
        }
    }

    /// A room that was found and entered was lost before anybody watched it: it is asked for again.
    pub fn lose(&mut self, room: &str) {
        if let Some(BattleRoom { number, .. }) = BattleRoom::parse(room)
            && self.found.remove(&number)
        {
            self.open.entry(number).or_default();
        }
    }

    /// What was asked for may never be answered: the connection is another one.
    pub fn ask_anew(&mut self) {
        self.open.values_mut().for_each(|asked| *asked = Asked::default());
    }

    fn are_they(&self, one: &str, two: &str) -> bool {
        let (one, two) = (id(one), id(two));
        let [first, second] = &self.pair;
        (one == *first && two == *second) || (one == *second && two == *first)
    }

    /// This number is the newest, if it is: those before it that nobody has shown are to be asked for, the newest
    /// ones first to be kept.
    fn reach(&mut self, number: u64, shown: &BTreeSet<u64>) {
        let Some(before) = self.newest.replace(self.newest.map_or(number, |it| it.max(number)))
        else {
            return;
        };
        let gap = number.saturating_sub(before).saturating_sub(1);
        let within = gap.min(limits::NUMBERS_LOOKED_INTO);
        let is_too_old = |shown: &&u64| **shown > before && **shown < number - within;
        let listed = shown.iter().filter(is_too_old).count() as u64;
        self.unread = self.unread.saturating_add(gap - within - listed);
        for missing in number - within..number {
            if !shown.contains(&missing) && !self.found.contains(&missing) {
                if self.open.len() < limits::ROOMS {
                    self.open.entry(missing).or_default();
                } else {
                    self.unread = self.unread.saturating_add(1);
                }
            }
        }
    }
}

/// The oldest are forgotten.
fn bound(found: &mut BTreeSet<u64>) {
    while found.len() > limits::FOUND_REMEMBERED {
        found.pop_first();
    }
}

/// What a server answers to `/cmd roomlist`; `None`: it answers something else.
#[must_use]
pub fn listing(answer: &protocol::Line<'_>) -> Option<Result<Listing, serde_json::Error>> {
    let protocol::Line::Answer { to: "roomlist", json } = answer else { return None };
    Some(serde_json::from_str(json))
}

#[cfg(test)]
mod tests;
