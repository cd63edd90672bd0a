//! How much of what could happen a search comes to.
//!
//! States, orders and crash points are counted by [`interlock_audit::coverage`]; this is what is printed. An
//! await that a crash could have struck and never did is listed.

use std::collections::BTreeMap;

use interlock_audit::{
    coverage::{self, Coverage},
    search::{Budget, search},
};

use crate::{table::Table, twins};

/// Schedules of each twin.
const SCHEDULES: u64 = 2_000;

/// Searches all twins, and prints what they came to. Returns whether there was no alarm: one ends a search.
pub fn run() -> bool {
    let columns =
        ["twin", "schedules", "distinct states", "pairs in both orders", "awaits crashed at"];
    println!("## Coverage of the twins\n");
    let (table, mut all, mut holds) = (Table::begin(columns), Coverage::default(), true);
    for (name, twin) in twins::all() {
        let budget = Budget { schedules: SCHEDULES, seed: 1 };
        let (outcome, seen) = coverage::observe(|| search(twin, budget));
        if let Some(failure) = outcome.failure {
            eprintln!("{name}: {} ({})", failure.violation, failure.schedule);
            holds = false;
        }
        row(&table, name, outcome.schedules, &seen);
        all.add(seen);
    }
    let runs = all.runs;
    row(&table, "**all**", runs, &all);
    println!("\nAwaits never hit by a crash, by task and its steps before: {}.", never(&all));
    holds
}

fn row(table: &Table<5>, name: &str, schedules: u64, seen: &Coverage) {
    let (both, pairs) = seen.both_orders();
    let hit = seen.awaits.values().filter(|crashes| **crashes > 0).count();
    table.row([
        name.to_owned(),
        schedules.to_string(),
        seen.states.len().to_string(),
        format!("{both} of {pairs}"),
        format!("{hit} of {}", seen.awaits.len()),
    ]);
}

/// The awaits that no crash struck: `task@steps`, several of a task together.
fn never(seen: &Coverage) -> String {
    let mut by_task: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (at, _) in seen.awaits.iter().filter(|(_, crashes)| **crashes == 0) {
        let place = at.to_string();
        let steps = place.rsplit('@').next().unwrap_or_default().to_owned();
        by_task.entry(at.task).or_default().push(steps);
    }
    if by_task.is_empty() {
        return "none".to_owned();
    }
    let task = |(task, steps): (&str, Vec<String>)| format!("{task}@{}", steps.join(","));
    by_task.into_iter().map(task).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_comes_to_states_orders_and_crashes_and_lists_what_it_never_hits() {
        let (_, twin) = twins::all().next().expect("there are twins");
        let budget = Budget { schedules: 30, seed: 1 };
        let (_, few) = coverage::observe(|| search(twin, Budget { schedules: 1, ..budget }));
        let (_, many) = coverage::observe(|| search(twin, budget));
        assert!(few.states.len() > 1 && many.states.len() > few.states.len());
        assert!(many.both_orders().0 > few.both_orders().0);
        let hit = |seen: &Coverage| seen.awaits.values().filter(|crashes| **crashes > 0).count();
        assert!(hit(&many) > hit(&few) && hit(&many) < many.awaits.len());
        assert!(never(&few).contains("engine@"), "{}", never(&few));
        assert_eq!(never(&Coverage::default()), "none");
    }
}
