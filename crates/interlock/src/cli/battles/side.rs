//! `search:100ms`, `greedy`, `user:NAME`: a side of a match, in a word.

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use interlock_battles::players::Budget;

/// The longest search, well within a server's own timer.
const LONGEST: Duration = Duration::from_secs(20);
/// How long is searched where nobody says.
const USUAL: Duration = Duration::from_millis(100);

/// Who plays a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// One of our players.
    Ours(Contestant),
    /// Whoever has this name on the server; it is challenged.
    User(String),
}

/// One of our players.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// A tree search over guesses at what is hidden, so long.
    Search(Budget),
    /// The move that hurts most now.
    Greedy,
    /// Any legal choice.
    Random,
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let contestant = match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => return Ok(Self::User(name.to_owned())),
            Some(("search", budget)) => budget_of(budget).map(Contestant::Search),
            None if text == "search" => Some(Contestant::Search(Budget::Time(USUAL))),
            None if text == "greedy" => Some(Contestant::Greedy),
            None if text == "random" => Some(Contestant::Random),
            Some(_) | None => None,
        };
        let says = || {
            "expected search:100ms (at most 20000ms), search:5000it, greedy, random or user:NAME"
                .to_owned()
        };
        contestant.map(Self::Ours).ok_or_else(says)
    }
}

fn budget_of(text: &str) -> Option<Budget> {
    if let Some(iterations) = text.strip_suffix("it") {
        let iterations: NonZeroU32 = iterations.parse().ok()?;
        return Some(Budget::Iterations(iterations.get()));
    }
    let time = Duration::from_millis(text.strip_suffix("ms")?.parse().ok()?);
    (!time.is_zero() && time <= LONGEST).then_some(Budget::Time(time))
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Ours(Contestant::Greedy) => f.write_str("greedy"),
            Self::Ours(Contestant::Random) => f.write_str("random"),
            Self::Ours(Contestant::Search(Budget::Time(time))) => {
                write!(f, "search:{}ms", time.as_millis())
            }
            Self::Ours(Contestant::Search(Budget::Iterations(iterations))) => {
                write!(f, "search:{iterations}it")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_as_it_is_written() {
        for text in ["search:250ms", "search:5000it", "greedy", "random", "user:Some Body"] {
            assert_eq!(text.parse::<Side>().map(|side| side.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("search".parse::<Side>(), "search:100ms".parse());
    }

    #[test]
    fn what_is_no_side_is_refused() {
        for text in [
            "",
            "user:",
            "search:",
            "search:0ms",
            "search:0it",
            "search:20001ms",
            "search:1s",
            "greedy:1",
            "mcts",
            "search:-1it",
        ] {
            assert!(text.parse::<Side>().is_err(), "{text}");
        }
    }
}
