//! What a run is to play.

use std::{num::NonZeroU32, slice};

use interlock_kernel::quota::Limit;
use serde::{Deserialize, Serialize};

use super::{RunRejection, check_text};
use crate::domain::id::id;

/// The generation that the players know.
const GENERATION: &str = "gen9";
/// What is in the ids of formats with more than two Pokémon on the field.
const NO_SINGLES: [&str; 9] = [
    "doubles",
    "triples",
    "vgc",
    "multi",
    "freeforall",
    "2v2",
    "12switch",
    "partnersincrime",
    "metronomebattle",
];

/// What is to be played. All but the target and the shares stays as it was when the run was opened: battles
/// of different kinds are not counted together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The server's address, as its users write it.
    pub server: String,
    /// The format: `gen9randombattle`.
    pub format: String,
    /// How opponents are found.
    pub mode: Mode,
    /// How many battles.
    pub target: Limit,
    /// Among how many workers they are split, each with an exact share; `None`: whoever comes.
    pub shares: Option<NonZeroU32>,
}

/// How opponents are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By the server's ladder.
    Ladder,
    /// By challenging this user.
    Challenge(String),
    /// By accepting challenges, of this user only if one is named.
    Accept(Option<String>),
    /// By playing against oneself, on two accounts.
    SelfPlay,
    /// By the tournaments of this room.
    Tournament(String),
    /// Nobody of ours plays: by watching these two users play each other. It counts for the first.
    Watch([String; 2]),
}

/// A run goes on only as what it was opened as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the run was opened with {field} {was}, not {asked}: give it another name, or the same {field}"
)]
pub struct PlanDiffers {
    /// What differs.
    pub field: &'static str,
    /// As it is.
    pub was: String,
    /// As it was asked for.
    pub asked: String,
}

impl Mode {
    /// The word on the command line.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ladder => "ladder",
            Self::Challenge(_) => "challenge",
            Self::Accept(_) => "accept",
            Self::SelfPlay => "self-play",
            Self::Tournament(_) => "tournament",
            Self::Watch(_) => "watch",
        }
    }

    /// Whom or what it names.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Challenge(name) | Self::Tournament(name) => Some(name),
            Self::Accept(name) => name.as_deref(),
            Self::Ladder | Self::SelfPlay | Self::Watch(_) => None,
        }
    }

    /// Everybody and everything that it names.
    fn names(&self) -> &[String] {
        match self {
            Self::Challenge(name) | Self::Tournament(name) | Self::Accept(Some(name)) => {
                slice::from_ref(name)
            }
            Self::Watch(pair) => pair,
            Self::Ladder | Self::SelfPlay | Self::Accept(None) => &[],
        }
    }

    fn words(&self) -> String {
        [&[self.word().to_owned()], self.names()].concat().join(" ")
    }
}

impl Plan {
    /// Refuses what could never be played.
    pub(super) fn check(&self) -> Result<(), RunRejection> {
        check_text("server", Some(&self.server))?;
        check_text("format", Some(&self.format))?;
        self.mode.names().iter().try_for_each(|name| check_text("name", Some(name)))?;
        let format = id(&self.format);
        let is_known = format
            .strip_prefix(GENERATION)
            .is_some_and(|kind| !NO_SINGLES.iter().any(|word| kind.contains(word)));
        if is_known { Ok(()) } else { Err(RunRejection::BadFormat(self.format.clone())) }
    }

    /// Whether a run that was opened with this plan can go on with that one.
    pub(super) fn check_same(&self, asked: &Self) -> Result<(), PlanDiffers> {
        let pairs = [
            ("server", self.server.clone(), asked.server.clone()),
            ("format", self.format.clone(), asked.format.clone()),
            ("mode", self.mode.words(), asked.mode.words()),
        ];
        let differs = pairs.into_iter().find(|(_, was, asked)| was != asked);
        differs.map_or(Ok(()), |(field, was, asked)| Err(PlanDiffers { field, was, asked }))
    }
}
