//! `search:100ms`, `greedy`, `user:NAME`, `cmd:COMMAND LINE`: a side of a match, in a word.

use std::{fmt, str::FromStr};

use interlock_battles::domain::contestant::Contestant;

/// Who plays a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// One of our players.
    Ours(Contestant),
    /// Somebody else.
    Outsider(Outsider),
}

/// Somebody who is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outsider {
    /// Whoever has this name on the server.
    User(String),
    /// A program that is started for the match: a command line for the shell.
    Program(String),
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => {
                Ok(Self::Outsider(Outsider::User(name.to_owned())))
            }
            Some(("cmd", line)) if !line.trim().is_empty() => {
                Ok(Self::Outsider(Outsider::Program(line.to_owned())))
            }
            Some(_) | None => match text.parse() {
                Ok(contestant) => Ok(Self::Ours(contestant)),
                Err(none) => Err(format!("{none}; or user:NAME, or cmd:COMMAND LINE")),
            },
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(contestant) => contestant.fmt(f),
            Self::Outsider(Outsider::User(name)) => write!(f, "user:{name}"),
            Self::Outsider(Outsider::Program(line)) => write!(f, "cmd:{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_as_it_is_written() {
        for text in ["search:250ms", "greedy", "user:Some Body", "cmd:python3 bot.py --fast: 1"] {
            assert_eq!(text.parse::<Side>().map(|side| side.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_no_side_is_refused() {
        for text in ["", "user:", "cmd:", "cmd: ", "search:1s", "somebody"] {
            assert!(text.parse::<Side>().is_err(), "{text}");
        }
    }
}
