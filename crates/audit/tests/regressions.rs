//! Schedules that once failed: on the systems as found they still must, on their twins they must not.
//!
//! `regressions.txt` keeps them. A schedule that an audit finds in a twin is added there with the fix.

use std::collections::BTreeSet;

use interlock_audit::{
    cases::{self, Case},
    choice::Schedule,
    run::replay,
};

const TABLE: &str = include_str!("regressions.txt");

struct Line {
    is_as_found: bool,
    case: &'static Case,
    schedule: Schedule,
}

/// `as found | scenario | schedule`, or `twin | scenario | schedule | what it once showed`.
fn lines() -> impl Iterator<Item = Line> {
    let wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    TABLE.lines().filter(wanted).map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let case = cases::all().find(|case| case.name == cells[1]);
        let case = case.unwrap_or_else(|| panic!("there is no such scenario: {line}"));
        let is_as_found = match (cells[0], cells.len()) {
            ("as found", 3) => true,
            ("twin", 4) => false,
            _ => panic!("neither a line of a system as found nor of a twin: {line}"),
        };
        let schedule = cells[2].parse().unwrap_or_else(|error| panic!("{error}: {line}"));
        Line { is_as_found, case, schedule }
    })
}

#[test]
fn schedules_that_failed_on_a_system_as_found_still_fail() {
    let mut seen = BTreeSet::new();
    for Line { case, schedule, .. } in lines().filter(|line| line.is_as_found) {
        let run = replay(case.as_found, &schedule, false);
        let again = "`interlock-trust regressions` prints lines that do";
        assert!(run.violation.is_some(), "{} [{schedule}] fails no more; {again}", case.name);
        seen.insert(case.name);
    }
    let all: BTreeSet<_> = cases::all().map(|case| case.name).collect();
    assert_eq!(seen, all, "every race has its line");
}

#[test]
fn schedules_that_once_failed_on_a_twin_hold() {
    let mut count = 0;
    for Line { case, schedule, .. } in lines().filter(|line| !line.is_as_found) {
        let run = replay(case.interlock, &schedule, true);
        let table = run.timeline;
        assert_eq!(run.violation, None, "{} [{schedule}]\n{table}", case.name);
        count += 1;
    }
    assert!(count > 0, "the table has lost its twins");
}
