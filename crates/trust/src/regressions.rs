//! The table of schedules that once failed, as it is to be committed anew when scenarios change.

use std::fs;

use anyhow::{Context, Result, anyhow};
use interlock_audit::{
    cases,
    choice::Schedule,
    regressions::{self, Kind, Line},
    search::{Budget, search},
};

use crate::mutants::root;

/// Prints the table: the comments as they are, the smallest schedule found of each system as found, and the other
/// lines with what their runs are like now.
pub fn run() -> Result<()> {
    let file = root().join("crates/audit/tests/regressions.txt");
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    text.lines().take_while(|line| line.starts_with('#')).for_each(|line| println!("{line}"));
    println!();
    for case in cases::all() {
        let failure = search(case.as_found, Budget::default()).failure;
        let failure = failure.with_context(|| format!("{}: not found", case.name))?;
        println!("{}", line(Kind::AsFound, case.name, failure.schedule, "")?);
    }
    println!();
    let kept = regressions::read(&text).map_err(|wrong| anyhow!(wrong))?;
    for Line { kind, name, schedule, showed, .. } in kept {
        if kind != Kind::AsFound {
            println!("{}", line(kind, &name, schedule, &showed)?);
        }
    }
    Ok(())
}

fn line(kind: Kind, name: &str, schedule: Schedule, showed: &str) -> Result<Line> {
    Line::new(kind, name, schedule, showed).map_err(|wrong| anyhow!(wrong))
}
