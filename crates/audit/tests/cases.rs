//! The audit finds every race of the documents, and none in its twin on Interlock.
#![allow(missing_docs)]

use interlock_audit::{
    cases,
    run::replay,
    search::{Budget, search},
};

/// So many seeds must find each race.
const SEEDS: u64 = 30;

#[test]
fn every_race_of_the_documents_is_found_with_every_seed_and_repeats_exactly() {
    for case in cases::all() {
        for seed in 1..=SEEDS {
            let outcome = search(case.as_found, Budget { seed, ..Budget::default() });
            let failure = outcome.failure;
            let failure =
                failure.unwrap_or_else(|| panic!("{}, seed {seed}: not found", case.name));
            let text = failure.schedule.to_string();
            let again = replay(case.as_found, &text.parse().expect("its own text"), true);
            assert_eq!(again.violation, Some(failure.violation), "{}: {text}", case.name);
            assert_eq!(again.timeline, failure.run.timeline, "{}: {text}", case.name);
        }
    }
}

#[test]
fn every_race_has_a_name_that_a_shell_takes_as_it_is() {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | ',' | '-');
    for case in cases::all() {
        assert!(case.name.chars().all(plain), "{}", case.name);
    }
}

#[test]
fn no_system_as_found_fails_without_its_one_flaw() {
    for case in cases::all() {
        for seed in 1..=3 {
            let outcome = search(case.repaired, Budget { schedules: 3_000, seed });
            if let Some(failure) = outcome.failure {
                let (name, violation, table) = (case.name, failure.violation, failure.run.timeline);
                panic!("{name}: {violation} [{}]\n{table}", failure.schedule);
            }
        }
    }
}

#[test]
fn no_twin_of_the_battles_has_a_race() {
    no_twin_has_a_race("000");
}

#[test]
fn no_twin_of_the_stories_has_a_race() {
    no_twin_has_a_race("001");
}

#[test]
fn no_twin_of_the_decisions_has_a_race() {
    no_twin_has_a_race("002");
}

#[test]
fn no_twin_of_the_streams_has_a_race() {
    no_twin_has_a_race("003");
}

#[test]
fn no_twin_of_the_matches_has_a_race() {
    no_twin_has_a_race("004");
}

fn no_twin_has_a_race(document: &str) {
    let is_its = |case: &&cases::Case| case.document == document;
    for case in cases::all().filter(is_its) {
        // Handlers and barriers have the most steps: a command sent twice under two ids took a thousand.
        let schedules = if case.document == "004" { 700 } else { 200 };
        for seed in 1..=3 {
            let outcome = search(case.interlock, Budget { schedules, seed });
            assert!(outcome.faults > 0, "{}: nothing was tried", case.name);
            if let Some(failure) = outcome.failure {
                let (name, violation, table) = (case.name, failure.violation, failure.run.timeline);
                panic!("{name}: {violation} [{}]\n{table}", failure.schedule);
            }
        }
    }
}
