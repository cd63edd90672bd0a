//! The audit finds every race of the documents, and none in its twin on Interlock.
#![allow(missing_docs)]

use interlock_audit::{
    cases,
    search::{Budget, search},
};

#[test]
fn every_race_of_the_documents_is_found() {
    for case in cases::all() {
        let outcome = search(case.as_found, Budget::default());
        let failure = outcome.failure.unwrap_or_else(|| panic!("{}: not found", case.name));
        println!(
            "{}: {} after {} in {:?} [{}]\n{}",
            case.name,
            failure.violation,
            outcome.schedules,
            outcome.took,
            failure.schedule,
            failure.run.timeline
        );
    }
}

#[test]
fn no_twin_has_a_race() {
    for case in cases::all() {
        let outcome = search(case.interlock, Budget { schedules: 500, seed: 7 });
        println!(
            "{}: {} schedules, {} faults in {:?}, exhausted {}",
            case.name, outcome.schedules, outcome.faults, outcome.took, outcome.exhausted
        );
        if let Some(failure) = outcome.failure {
            panic!(
                "{}: {} [{}]\n{}",
                case.name, failure.violation, failure.schedule, failure.run.timeline
            );
        }
    }
}
