//! The protocol: what a Showdown server says, as typed lines borrowed from its text.
//!
//! A message is a frame: an optional first line `>ROOM`, then lines `|TYPE|ARG|ARG…`. Battle lines end with tagged
//! arguments, `[from] move: Wish`, which become a [`Cause`].
//!
//! Reading never fails and never panics. A type that is not known, or a known one whose arguments make no sense,
//! becomes [`Line::Other`]: a newer server may say more than this module understands.
//!
//! Not here: doubles and free-for-alls. Their lines are `Other`.

mod battle_line;
mod battle_room;
mod parts;

pub use battle_line::{BattleLine, BoostChange};
pub use battle_room::{BattleRoom, players};
pub use parts::{Cause, Condition, Details, Ident, Slot, Status};

use crate::limits;

/// One message of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The room it is about; empty for the lobby and for the connection itself.
    pub room: &'a str,
    body: &'a str,
}

impl<'a> Frame<'a> {
    /// Splits the room off a message. `None` when the room's id is not one: such a message is for nobody.
    pub fn parse(message: &'a str) -> Option<Self> {
        let Some(rest) = message.strip_prefix('>') else {
            return Some(Self { room: "", body: message });
        };
        let (room, body) = rest.split_once('\n').unwrap_or((rest, ""));
        is_room(room).then_some(Self { room, body })
    }

    /// Its lines, in order.
    pub fn lines(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.body.lines().map(Line::parse)
    }

    /// Its lines as they came, without those that are for one player alone.
    pub fn public_lines(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let private = |line: &&str| line.starts_with("|request|") || line.starts_with("|error|");
        self.body.lines().filter(move |line| !private(line))
    }
}

/// The room whose messages may name none.
pub const LOBBY: &str = "lobby";

/// Whether this may be a room's id. What passes can be sent back without saying more than a room's id.
pub fn is_room(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=limits::ROOM_BYTES).contains(&text.len()) && text.bytes().all(legal)
}

/// The id of the room of this name; `None`: none has it.
pub fn room_id(name: &str) -> Option<String> {
    let kept = name.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '-');
    let id: String = kept.map(|char| char.to_ascii_lowercase()).collect();
    is_room(&id).then_some(id)
}

/// One line. Names are as the server wrote them; [`super::id`] makes ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as the protocol names its arguments")]
pub enum Line<'a> {
    /// What to prove one's name with.
    Challstr(&'a str),
    /// Who the connection is now, and whether that is a chosen name rather than "Guest 12".
    UpdateUser { name: &'a str, named: bool },
    /// The name could not be had.
    NameTaken { name: &'a str, reason: &'a str },
    /// JSON: which searches go on, and which games are open.
    UpdateSearch(&'a str),
    /// The formats that the server has: see [`super::formats`].
    Formats(&'a str),
    /// JSON: the answer to a `/cmd`.
    Answer { to: &'a str, json: &'a str },
    /// A private message; challenges come as such.
    Pm { from: &'a str, text: &'a str },
    /// Something that a person should read: a refused team, a refused challenge.
    Popup(&'a str),
    /// A room was entered. A battle's whole log follows.
    Init(&'a str),
    /// The room's title; a battle's has the names of its players.
    Title(&'a str),
    /// The room cannot be entered: there is none.
    NoInit,
    /// The room was left.
    Deinit,
    /// A command in this room was refused.
    Error(&'a str),
    /// Something about the room's tournament.
    Tournament(&'a str),
    /// JSON: what must be chosen, and the own team. Empty while there is nothing yet.
    Request(&'a str),
    /// Something that happened in a battle.
    Battle(BattleLine<'a>),
    /// All else: chat, decoration, and what is not known.
    Other(&'a str),
}

impl<'a> Line<'a> {
    /// Reads one line, without its end.
    pub fn parse(line: &'a str) -> Self {
        let Some(rest) = line.strip_prefix('|') else { return Self::Other(line) };
        let (kind, rest) = rest.split_once('|').unwrap_or((rest, ""));
        Self::known(kind, rest).unwrap_or(Self::Other(line))
    }

    fn known(kind: &str, rest: &'a str) -> Option<Self> {
        let mut args = rest.split('|');
        let mut next = || args.next().unwrap_or("");
        Some(match kind {
            // These may hold bars of their own.
            "challstr" => Self::Challstr(rest),
            "updatesearch" => Self::UpdateSearch(rest),
            "formats" => Self::Formats(rest),
            "queryresponse" => {
                let (to, json) = rest.split_once('|')?;
                Self::Answer { to, json }
            }
            "popup" => Self::Popup(rest),
            "error" => Self::Error(rest),
            "tournament" => Self::Tournament(rest),
            "request" => Self::Request(rest),
            "pm" => {
                let mut parts = rest.splitn(3, '|');
                let (from, _to) = (parts.next()?, parts.next()?);
                Self::Pm { from: without_rank(from), text: parts.next()? }
            }
            "updateuser" => {
                let name = without_rank(next());
                Self::UpdateUser { name, named: next() == "1" }
            }
            "nametaken" => Self::NameTaken { name: next(), reason: next() },
            "init" => Self::Init(next()),
            "title" => Self::Title(rest),
            "noinit" => Self::NoInit,
            "deinit" => Self::Deinit,
            _ => Self::Battle(BattleLine::parse(kind, rest)?),
        })
    }
}

/// The first character of a user is the rank, mostly a space.
fn without_rank(user: &str) -> &str {
    user.strip_prefix(|rank: char| !rank.is_alphanumeric()).unwrap_or(user)
}

#[cfg(test)]
mod tests;
