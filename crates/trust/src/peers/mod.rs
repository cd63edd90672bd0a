//! The audit beside its peers, on the same models with the same scheduling points.
//!
//! Ours searches as an audit does: depth first with a growing bound on preemptions, and by samples, of which
//! each is run twice to see that nothing is left to chance. That is part of its time.

mod loom;
mod models;
mod ours;
mod shuttle;

use std::time::Duration;

use self::{
    models::{Assignment, Claim, Deep, DoubleClick, Model},
    shuttle::Way,
};
use crate::table::Table;

/// Seeds of each model and explorer.
const SEEDS: u64 = 30;
/// Schedules at most until a bug is found.
const SCHEDULES: u64 = 200_000;
/// Explorers take turns, so that whatever else the machine does slows both.
const TURNS: u32 = 10;
/// How long a turn lasts at least.
const SPAN: Duration = Duration::from_millis(300);

/// What an exploration came to.
#[derive(Clone, Copy)]
pub struct Found {
    /// Schedules tried.
    pub schedules: u64,
    /// Time that it took.
    pub took: Duration,
    /// Whether there was a bug.
    pub found: bool,
}

/// Plays every model on every explorer, and prints the two tables.
pub fn run() {
    println!("## Peers: the first bug\n\nMedian of {SEEDS} seeds, with the quartiles.\n");
    let found = Table::begin([
        "model",
        "explorer",
        "found",
        "schedules to the first bug",
        "time to the first bug",
    ]);
    finds::<Assignment<false>>(&found);
    finds::<Deep<false>>(&found);
    finds::<Claim<false>>(&found);
    finds::<DoubleClick<false>>(&found);
    let columns = ["model, fixed", "ours", "shuttle, random", "ratio", "loom, every schedule"];
    println!("\n## Peers: schedules per second\n");
    let rates = Table::begin(columns);
    rated::<Assignment<true>>(&rates);
    rated::<Deep<true>>(&rates);
    rated::<Claim<true>>(&rates);
    rated::<DoubleClick<true>>(&rates);
}

fn finds<M: Model>(table: &Table<5>) {
    let seeds = 1..=SEEDS;
    let found = seeds.clone().map(|seed| ours::find::<M>(seed, SCHEDULES)).collect();
    row::<M>(table, "ours", found);
    for (name, way) in [("shuttle, random", Way::Random), ("shuttle, PCT 3", Way::Pct)] {
        let found = seeds.clone().map(|seed| shuttle::find::<M>(way, seed, SCHEDULES)).collect();
        row::<M>(table, name, found);
    }
    row::<M>(table, "loom", vec![loom::explore::<M>()]);
}

fn row<M: Model>(table: &Table<5>, explorer: &str, all: Vec<Found>) {
    let count = all.iter().filter(|one| one.found).count();
    let mut schedules: Vec<u64> = all.iter().map(|one| one.schedules).collect();
    let mut times: Vec<Duration> = all.iter().map(|one| one.took).collect();
    let [low, middle, high] = quartiles(&mut schedules);
    let counts = format!("{middle} ({low}–{high})");
    let [low, middle, high] = quartiles(&mut times);
    let spans = format!("{middle:.2?} ({low:.2?}–{high:.2?})");
    let found = format!("{count} of {}", all.len());
    table.row([M::NAME.to_owned(), explorer.to_owned(), found, counts, spans]);
}

fn rated<M: Model>(table: &Table<5>) {
    let explorers: [fn(Duration) -> (u64, Duration); 2] = [ours::rate::<M>, shuttle::rate::<M>];
    let mut sums = [(0, Duration::ZERO); 2];
    for _ in 0..TURNS {
        for (sum, explore) in sums.iter_mut().zip(explorers) {
            let (schedules, took) = explore(SPAN);
            *sum = (sum.0 + schedules, sum.1 + took);
        }
    }
    let [ours, shuttles] = sums.map(|(schedules, took)| schedules as f64 / took.as_secs_f64());
    let loom = loom::explore::<M>();
    let loom = format!("{} schedules in {:.1?}", loom.schedules, loom.took);
    let cell = |rate: f64| format!("{:.1} k /s", rate / 1e3);
    let ratio = format!("{:.1}×", ours / shuttles);
    table.row([M::NAME.to_owned(), cell(ours), cell(shuttles), ratio, loom]);
}

/// The lower quartile, the median, the upper quartile.
fn quartiles<T: Ord + Copy>(values: &mut [T]) -> [T; 3] {
    values.sort_unstable();
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_in_order() {
        assert_eq!(quartiles(&mut [5, 1, 4, 2, 3]), [2, 3, 4]);
        assert_eq!(quartiles(&mut [7]), [7, 7, 7]);
    }

    /// Every explorer finds every bug, and none in a model without one.
    fn agree<Racy: Model, Fixed: Model>() {
        let found = |wanted: bool, name: &str, one: Found| {
            assert_eq!(one.found, wanted, "{} on {name}", Racy::NAME);
        };
        found(true, "ours", ours::find::<Racy>(1, 20_000));
        found(false, "ours", ours::find::<Fixed>(1, 500));
        for way in [Way::Random, Way::Pct] {
            found(true, "shuttle", shuttle::find::<Racy>(way, 1, 200_000));
            found(false, "shuttle", shuttle::find::<Fixed>(way, 1, 500));
        }
    }

    #[test]
    fn explorers_agree_on_what_is_a_bug() {
        agree::<Assignment<false>, Assignment<true>>();
        agree::<Deep<false>, Deep<true>>();
        agree::<Claim<false>, Claim<true>>();
        agree::<DoubleClick<false>, DoubleClick<true>>();
        assert!(loom::explore::<DoubleClick<false>>().found);
        assert!(!loom::explore::<DoubleClick<true>>().found);
    }
}
