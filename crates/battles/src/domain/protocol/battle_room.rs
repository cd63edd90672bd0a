//! The room of a battle: what its name says, and who plays there by its title.

use std::fmt;

use super::is_room;

/// A battle's room by its name: `battle-gen9ou-17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BattleRoom<'a> {
    /// The id of what is played.
    pub format: &'a str,
    /// Its place among all battles of the server, whatever their format.
    pub number: u64,
}

impl<'a> BattleRoom<'a> {
    /// Reads a room's name; `None`: it is no battle. A private one has a password after its number, which is left out.
    pub fn parse(room: &'a str) -> Option<Self> {
        let rest = room.strip_prefix("battle-").filter(|_| is_room(room))?;
        let (format, rest) = rest.split_once('-')?;
        let number = rest.split('-').next()?.parse().ok()?;
        Some(Self { format, number })
    }
}

impl fmt::Display for BattleRoom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { format, number } = self;
        write!(f, "battle-{format}-{number}")
    }
}

/// The names of those who play in a battle's room with this title, "Ann vs. Bob".
pub fn players(title: &str) -> Option<[&str; 2]> {
    title.split_once(" vs. ").map(|(one, two)| [one, two])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battles_room_is_read_and_written_alike() {
        let room = BattleRoom { format: "gen9ou", number: 17 };
        assert_eq!(BattleRoom::parse("battle-gen9ou-17"), Some(room));
        assert_eq!(room.to_string(), "battle-gen9ou-17");
        assert_eq!(BattleRoom::parse("battle-gen9ou-17-secretpw"), Some(room), "a private one");
    }

    #[test]
    fn what_is_no_battle_has_no_number() {
        let long = "99999999999999999999999";
        let rooms = ["lobby", "battle-", "battle-gen9ou", "battle-gen9ou-", "battle-gen9ou-x", ""];
        rooms.iter().for_each(|room| assert_eq!(BattleRoom::parse(room), None, "{room}"));
        for number in [long, "7\n|/join x", "+7", "-7", "7 "] {
            let room = format!("battle-gen9ou-{number}");
            assert_eq!(BattleRoom::parse(&room), None, "{room}");
        }
    }

    #[test]
    fn a_title_names_two() {
        assert_eq!(players("Ann vs. Bob 1"), Some(["Ann", "Bob 1"]));
        assert_eq!(players("Ann"), None);
    }
}
