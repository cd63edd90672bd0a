//! Games of a match that were the same but for their sides, by the logs: the same seed, once with our first side as the
//! server's first player, once as the second.
//!
//! Not here: seeds. A server of our own gives them, and says so in the logs.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    path::PathBuf,
};

use super::logs::Logs;
use crate::domain::{
    id::id,
    log,
    run::Outcome,
    score::{HalfPoints, Pairs},
};

/// Reads the pairs of a run, each log once.
pub struct PairReader {
    logs: Logs,
    known: BTreeMap<PathBuf, Option<Game>>,
}

/// A game with a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Game {
    seed: String,
    is_first: bool,
    points: HalfPoints,
}

impl PairReader {
    /// Of the run with these logs.
    #[must_use]
    pub fn new(logs: Logs) -> Self {
        Self { logs, known: BTreeMap::new() }
    }

    /// The pairs of which both games are over. Blocks while it reads.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn read(&mut self) -> io::Result<Pairs> {
        for (account, path) in self.logs.all()? {
            if let Entry::Vacant(new) = self.known.entry(path) {
                let game = Game::of(&fs::read_to_string(new.key())?, &account);
                new.insert(game);
            }
        }
        let mut by_seed: BTreeMap<&str, [Vec<HalfPoints>; 2]> = BTreeMap::new();
        for game in self.known.values().flatten() {
            by_seed.entry(&game.seed).or_default()[usize::from(game.is_first)].push(game.points);
        }
        let mut pairs = Pairs::default();
        for [second, first] in by_seed.into_values() {
            second.into_iter().zip(first).for_each(|(one, two)| pairs.add(one, two));
        }
        Ok(pairs)
    }
}

impl Game {
    /// Of a log; `None`: it has no seed, or no end.
    fn of(text: &str, me: &str) -> Option<Self> {
        let starts =
            |with: &'static str| text.lines().find_map(move |line| line.strip_prefix(with));
        let seed = starts("||seed ")?.to_owned();
        let is_first = id(starts("|player|p1|")?.split('|').next()?) == me;
        let points = match log::end(text)?.outcome(me) {
            Outcome::Win => HalfPoints::Win,
            Outcome::Tie => HalfPoints::Tie,
            Outcome::Loss | Outcome::Forfeit => HalfPoints::Loss,
        };
        Some(Self { seed, is_first, points })
    }
}

#[cfg(test)]
mod tests {
    use interlock_kernel::{ids::Worker, quota::ClaimId};

    use super::*;
    use crate::fleet::logs::LogName;

    #[test]
    fn games_of_one_seed_and_swapped_sides_are_a_pair() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::new(folder.path().to_owned());
        let worker = Worker::new("w0").unwrap();
        logs.judge(&worker).unwrap();
        let keep = |claim: &str, players: [&str; 2], seed: &str, winner: &str| {
            let [one, two] = players;
            let log = format!(
                "|player|p1|{one}|\n|player|p2|{two}|\n{seed}\n|c|☆{two}|||seed z-9\n|win|{winner}\n"
            );
            let claim = ClaimId::parse(claim).unwrap();
            let name = LogName { worker: &worker, account: "a", claim, room: "battle-x-1" };
            logs.keep(&name, &log).unwrap();
        };
        let mut reader = PairReader::new(logs.clone());
        keep("c1", ["A", "B"], "||seed s-1", "A");
        keep("c2", ["A", "B"], "||seed s-2", "A");
        keep("c3", ["A", "B"], "", "A");
        assert_eq!(reader.read().unwrap(), Pairs::default());
        keep("c4", ["B", "A"], "||seed s-2", "A");
        keep("c5", ["B", "A"], "||seed s-1", "B");
        keep("c6", ["B", "A"], "||seed s-3", "B");
        assert_eq!(reader.read().unwrap(), Pairs([0, 0, 1, 0, 1]));
    }
}
