//! The twins: work on Interlock that must hold in every schedule. An alarm on the right code would be a false
//! one; on a mutant, it is what the audit is for.

use std::time::Instant;

use anyhow::Result;
use interlock_audit::{
    cases, own,
    run::Scenario,
    search::{Budget, Failure, search},
};
use serde::{Deserialize, Serialize};

use crate::table::Table;

/// Schedules of each twin and seed.
const SCHEDULES: u64 = 1_000;
/// Seeds.
const SEEDS: u64 = 3;
/// What mutants are searched with, in turn: most bugs show at once.
const MUTANTS: [u64; 2] = [30, 300];
/// The seed that mutants are searched with.
const SEED: u64 = 1;

/// A violation in a twin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alarm {
    /// Where.
    pub scenario: String,
    /// Schedules tried, those of other scenarios included.
    pub schedules: u64,
    /// The search's seed.
    pub seed: u64,
    /// The smallest schedule that shows it.
    pub schedule: String,
    /// What is wrong.
    pub violation: String,
}

/// Every twin once, by the name of the race that it ends.
pub fn all() -> impl Iterator<Item = (&'static str, &'static dyn Scenario)> {
    let twins = cases::all().map(|case| (case.name, case.interlock));
    twins.chain(own::all().map(|own| (own.name, own.scenario)))
}

/// Whether a name has one of these words; without words, every one is wanted.
pub fn is_wanted(name: &str, words: &[String]) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word))
}

/// Prints the first alarm as a line of JSON, if there is one within the mutants' budget.
pub fn first_alarm() -> Result<()> {
    let mut tried = 0;
    for schedules in MUTANTS {
        for (name, twin) in all() {
            let outcome = search(twin, Budget { schedules, seed: SEED });
            tried += outcome.schedules;
            if let Some(Failure { violation, schedule, .. }) = outcome.failure {
                let (scenario, schedule) = (name.to_owned(), schedule.to_string());
                let alarm = Alarm { scenario, schedules: tried, seed: SEED, schedule, violation };
                println!("{}", serde_json::to_string(&alarm)?);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Searches every twin whose name has one of these words, or all of them if there are none, and prints what they
/// came to. Returns whether there was no alarm.
pub fn run(words: &[String]) -> bool {
    let began = Instant::now();
    println!("## Alarms on the correct twins\n");
    let table = Table::begin(["twin", "schedules", "faults", "alarms"]);
    let (mut all_schedules, mut all_faults, mut all_alarms) = (0, 0, 0);
    for (name, twin) in all().filter(|(name, _)| is_wanted(name, words)) {
        let (mut schedules, mut faults, mut alarms) = (0, 0, 0);
        for seed in 1..=SEEDS {
            let outcome = search(twin, Budget { schedules: SCHEDULES, seed });
            schedules += outcome.schedules;
            faults += outcome.faults;
            if let Some(Failure { violation, schedule, run, .. }) = outcome.failure {
                alarms += 1;
                eprintln!("{name}: {violation} ({schedule})\n{}", run.timeline);
            }
        }
        let cells = [schedules, faults, alarms].map(|count: u64| count.to_string());
        let [schedule_cell, fault_cell, alarm_cell] = cells;
        table.row([name.to_owned(), schedule_cell, fault_cell, alarm_cell]);
        all_schedules += schedules;
        all_faults += faults;
        all_alarms += alarms;
    }
    println!(
        "\n{all_alarms} alarms in {all_schedules} schedules with {all_faults} faults, {:.1?}.",
        began.elapsed()
    );
    all_alarms == 0 && all_schedules > 0
}
