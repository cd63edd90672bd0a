//! Who thinks, in a word: `search:100ms`, `search:5000it`, `greedy`, `random`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::limits;

/// How long is searched where nobody says.
const USUAL: Duration = Duration::from_millis(100);

/// How much one decision may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So long, in all worlds together.
    Time(Duration),
    /// So many iterations, in all worlds together; fewer where they take longer than [`limits::SEARCH`].
    Iterations(u32),
}

/// One of our players.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Contestant {
    /// A tree search over guesses at what is hidden, so long.
    Search(Budget),
    /// The move that hurts most now.
    Greedy,
    /// Any legal choice.
    Random,
}

/// A word that names no player.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected search:100ms (at most 20000ms), search:5000it (at most 10000000it), greedy or random"
)]
pub struct NoContestant;

impl Default for Contestant {
    fn default() -> Self {
        Self::Search(Budget::Time(USUAL))
    }
}

impl FromStr for Contestant {
    type Err = NoContestant;

    fn from_str(text: &str) -> Result<Self, NoContestant> {
        match text.split_once(':') {
            Some(("search", budget)) => budget_of(budget).map(Self::Search),
            None if text == "search" => Some(Self::default()),
            None if text == "greedy" => Some(Self::Greedy),
            None if text == "random" => Some(Self::Random),
            Some(_) | None => None,
        }
        .ok_or(NoContestant)
    }
}

fn budget_of(text: &str) -> Option<Budget> {
    if let Some(iterations) = text.strip_suffix("it") {
        let iterations = iterations.parse().ok()?;
        return (1..=limits::ITERATIONS)
            .contains(&iterations)
            .then_some(Budget::Iterations(iterations));
    }
    let time = Duration::from_millis(text.strip_suffix("ms")?.parse().ok()?);
    (!time.is_zero() && time <= limits::SEARCH).then_some(Budget::Time(time))
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Greedy => f.write_str("greedy"),
            Self::Random => f.write_str("random"),
            Self::Search(Budget::Time(time)) => write!(f, "search:{}ms", time.as_millis()),
            Self::Search(Budget::Iterations(iterations)) => write!(f, "search:{iterations}it"),
        }
    }
}

impl TryFrom<String> for Contestant {
    type Error = NoContestant;

    fn try_from(text: String) -> Result<Self, NoContestant> {
        text.parse()
    }
}

impl From<Contestant> for String {
    fn from(contestant: Contestant) -> Self {
        contestant.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_is_read_as_it_is_written() {
        for text in ["search:250ms", "search:5000it", "greedy", "random"] {
            assert_eq!(text.parse::<Contestant>().map(|one| one.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("search".parse::<Contestant>(), "search:100ms".parse());
    }

    #[test]
    fn what_is_no_player_is_refused() {
        for text in [
            "",
            "search:",
            "search:0ms",
            "search:0it",
            "search:10000001it",
            "search:20001ms",
            "search:1s",
            "greedy:1",
            "mcts",
            "search:-1it",
        ] {
            assert_eq!(text.parse::<Contestant>(), Err(NoContestant), "{text}");
        }
    }
}
