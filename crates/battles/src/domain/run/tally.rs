//! Counting how battles ended.

use std::{cmp::Reverse, collections::BTreeMap, ops::AddAssign};

use interlock_kernel::ids::Worker;
use serde::{Deserialize, Serialize};

use super::{Ending, Over};
use crate::limits;

/// How a battle ended that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// We won, also by the opponent's forfeit.
    Win,
    /// We lost.
    Loss,
    /// Nobody won.
    Tie,
    /// We gave up.
    Forfeit,
}

/// How many battles ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Won.
    pub wins: u64,
    /// Lost.
    pub losses: u64,
    /// Ended without a winner.
    pub ties: u64,
    /// Given up by us.
    pub forfeits: u64,
    /// Ended without an outcome: not finished, and played anew.
    pub void: u64,
}

/// The tallies of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    total: Tally,
    workers: BTreeMap<Worker, Tally>,
    teams: BTreeMap<String, Tally>,
    opponents: BTreeMap<String, Tally>,
    /// Of opponents who came when [`limits::OPPONENTS`] were known.
    others: Tally,
    /// The newest that the server told.
    rating: Option<u32>,
}

impl Outcome {
    /// In a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Win => "win",
            Self::Loss => "loss",
            Self::Tie => "tie",
            Self::Forfeit => "forfeit",
        }
    }
}

impl Tally {
    /// Battles that count towards the target.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.wins + self.losses + self.ties + self.forfeits
    }

    /// Counts one more.
    pub fn add(&mut self, ending: Ending) {
        let count = match ending {
            Ending::Of(Outcome::Win) => &mut self.wins,
            Ending::Of(Outcome::Loss) => &mut self.losses,
            Ending::Of(Outcome::Tie) => &mut self.ties,
            Ending::Of(Outcome::Forfeit) => &mut self.forfeits,
            Ending::Void => &mut self.void,
        };
        *count += 1;
    }
}

impl Tally {
    /// The same without these.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        assert!(others.is_within(&self), "only what was counted is taken off");
        Self {
            wins: self.wins - others.wins,
            losses: self.losses - others.losses,
            ties: self.ties - others.ties,
            forfeits: self.forfeits - others.forfeits,
            void: self.void - others.void,
        }
    }

    fn is_within(&self, whole: &Self) -> bool {
        let Self { wins, losses, ties, forfeits, void } = *whole;
        self.wins <= wins
            && self.losses <= losses
            && self.ties <= ties
            && self.forfeits <= forfeits
            && self.void <= void
    }
}

fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut sum, tally| {
        sum += *tally;
        sum
    })
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.wins += other.wins;
        self.losses += other.losses;
        self.ties += other.ties;
        self.forfeits += other.forfeits;
        self.void += other.void;
    }
}

impl Tallies {
    pub(super) fn add(&mut self, over: &Over) {
        self.total.add(over.ending);
        self.workers.entry(over.worker.clone()).or_default().add(over.ending);
        if let Some(team) = &over.team {
            self.teams.entry(team.clone()).or_default().add(over.ending);
        }
        if let Some(opponent) = over.room.as_ref().and_then(|room| room.opponent.as_ref()) {
            let is_known = self.opponents.contains_key(opponent);
            let tally = if is_known || self.opponents.len() < limits::OPPONENTS {
                self.opponents.entry(opponent.clone()).or_default()
            } else {
                &mut self.others
            };
            tally.add(over.ending);
        }
        self.rating = over.rating.or(self.rating);
    }

    /// Sums them up anew: panics if a part is not the whole, or more than it.
    pub(super) fn check(&self) {
        assert_eq!(sum(self.workers.values()), self.total, "every battle has its worker");
        let by_team = sum(self.teams.values());
        let by_opponent = sum(self.opponents.values().chain([&self.others]));
        for part in [by_team, by_opponent] {
            assert!(part.is_within(&self.total), "no battle is counted twice");
        }
    }

    /// All battles.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.total
    }

    /// By worker.
    #[must_use]
    pub fn workers(&self) -> &BTreeMap<Worker, Tally> {
        &self.workers
    }

    /// By team, where teams are given.
    #[must_use]
    pub fn teams(&self) -> &BTreeMap<String, Tally> {
        &self.teams
    }

    /// By opponent, where one is known: those with the most battles, and all others together.
    #[must_use]
    pub fn opponents(&self) -> (BTreeMap<String, Tally>, Tally) {
        let mut by_battles: Vec<_> = self.opponents.iter().collect();
        by_battles.sort_by_key(|(_, tally)| Reverse(tally.finished() + tally.void));
        let shown = by_battles.len().min(limits::OPPONENTS_SHOWN);
        let mut others = self.others;
        for (_, tally) in by_battles.drain(shown..) {
            others += *tally;
        }
        let most = by_battles.into_iter().map(|(name, tally)| (name.clone(), *tally));
        (most.collect(), others)
    }

    /// The newest rating that the server told.
    #[must_use]
    pub fn rating(&self) -> Option<u32> {
        self.rating
    }
}
