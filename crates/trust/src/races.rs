//! The races of the documents: how long each takes to be found in its model of the system as found, over many seeds.

use std::time::Duration;

use interlock_audit::{
    cases::{self, Case},
    search::{Budget, search},
};

use crate::{table::Table, twins::is_wanted};

/// Seeds of each race.
const SEEDS: u64 = 30;
/// What the median of each race should stay below.
const AIM: Duration = Duration::from_secs(1);
/// Where no race has one of the words.
const NONE: &str = "none was tried";

/// What 30 searches for a race came to.
struct Races {
    missed: u64,
    /// In rising order.
    times: Vec<Duration>,
    schedules: Vec<u64>,
}

impl Races {
    fn of(case: &Case) -> Self {
        let (mut missed, mut times, mut schedules) = (0, Vec::new(), Vec::new());
        for seed in 1..=SEEDS {
            let outcome = search(case.as_found, Budget { seed, ..Budget::default() });
            missed += u64::from(outcome.failure.is_none());
            times.push(outcome.took);
            schedules.push(outcome.schedules);
        }
        times.sort_unstable();
        schedules.sort_unstable();
        Self { missed, times, schedules }
    }

    fn slowest(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }
}

/// The middle of a list in rising order.
fn median<T: Copy + Default>(rising: &[T]) -> T {
    rising.get(rising.len() / 2).copied().unwrap_or_default()
}

/// Searches for each race whose name has one of these words, or for all of them if there are none, and prints how
/// long it took. Returns whether every seed found every race.
pub fn run(words: &[String]) -> bool {
    println!("## Time to find each race as found, {SEEDS} seeds\n");
    let columns = ["race", "median", "slowest", "median schedules", "seeds that missed it"];
    let (table, mut all_missed) = (Table::begin(columns), 0);
    let mut worst = (Duration::ZERO, NONE);
    for case in cases::all().filter(|case| is_wanted(case.name, words)) {
        let races = Races::of(case);
        let time = median(&races.times);
        let [time_cell, slowest] = [time, races.slowest()].map(|time| format!("{time:.1?}"));
        let schedules = median(&races.schedules).to_string();
        let missed = races.missed.to_string();
        table.row([case.name.to_owned(), time_cell, slowest, schedules, missed]);
        worst = worst.max((time, case.name));
        all_missed += races.missed;
    }
    let (time, name) = worst;
    let verdict = if time < AIM { "below" } else { "NOT BELOW" };
    println!("\nThe longest median, {time:.1?}, is {verdict} {AIM:?}: {name}.");
    all_missed == 0 && time < AIM && name != NONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use interlock_audit::stage::Stage;

    async fn holds(_: Stage) {}

    #[test]
    fn a_race_that_no_seed_finds_is_counted_as_missed() {
        let (name, document) = ("none", "000");
        let case = Case { name, document, as_found: &holds, repaired: &holds, interlock: &holds };
        assert_eq!(Races::of(&case).missed, SEEDS);
        let found = cases::all().next().expect("there are races");
        let races = Races::of(found);
        assert!(races.missed == 0 && median(&races.times) <= races.slowest());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!((median(&[1, 2, 9]), median::<u8>(&[])), (2, 0));
    }
}
