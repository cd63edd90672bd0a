//! Schedules that once failed: on the systems as found they still must, on Interlock they must not.
//!
//! `regressions.txt` keeps them. A schedule that an audit finds on Interlock is added there with the fix.

use std::collections::BTreeSet;

use interlock_audit::{
    cases,
    regressions::{self, Kind, Line},
};

fn lines() -> Vec<Line> {
    regressions::read(include_str!("regressions.txt")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn schedules_that_once_failed_are_what_they_were() {
    let wrong: Vec<String> = lines().iter().filter_map(|line| line.check().err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_race_has_its_line_and_so_has_what_once_failed_on_interlock() {
    let lines = lines();
    let is_as_found = |line: &&Line| line.kind == Kind::AsFound;
    let races: BTreeSet<_> = lines.iter().filter(is_as_found).map(|line| &line.name[..]).collect();
    assert_eq!(races, cases::all().map(|case| case.name).collect());
    assert!(lines.iter().any(|line| line.kind == Kind::Twin), "the table has lost its twins");
}
