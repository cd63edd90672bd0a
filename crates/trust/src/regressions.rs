//! The table of schedules that fail on the systems as found, to be committed anew when scenarios change.

use anyhow::{Result, bail};
use interlock_audit::{
    cases,
    search::{Budget, search},
};

/// Prints `as found | scenario | schedule`, the smallest one found, a line each.
pub fn run() -> Result<()> {
    for case in cases::all() {
        let Some(failure) = search(case.as_found, Budget::default()).failure else {
            bail!("{}: not found", case.name);
        };
        println!("as found | {} | {}", case.name, failure.schedule);
    }
    Ok(())
}
