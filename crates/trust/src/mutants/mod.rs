//! Mutants: bugs made by hand in a copy of the workspace, each of which the audit must find.
//!
//! A mutant is *killed* when a twin shows a violation within a fixed budget of schedules. One that survives can
//! also be shown to the own tests of the runtime, the kernel and the streams, which takes longer.

mod bus;
mod engine;
mod kernel;
mod list;
mod log;
mod services;
mod workshop;

use std::{process::Command, time::Instant};

use anyhow::{Context, Result};

pub use self::workshop::root;
use self::{
    list::{Mutant, all},
    workshop::{Ran, Workshop, ended},
};
use crate::{
    table::Table,
    twins::{Alarm, is_wanted},
};

/// What killed a mutant.
enum Killer {
    Twin(Alarm),
    /// The twins hang: nothing in the simulated world ends.
    Hang,
    /// Not the audit, but this test.
    Test(String),
    Nobody,
}

/// Makes every mutant whose name has one of these words, or all of them if there are none, and prints who kills
/// it. Returns whether none survived.
pub fn run(words: &[String], tests: bool) -> Result<bool> {
    let wanted = |mutant: &&Mutant| is_wanted(mutant.name, words);
    let workshop = Workshop::open()?;
    println!("## Mutants\n");
    let table = Table::begin(["mutant", "breaks", "killed by", "schedules", "found with"]);
    let (mut killed, mut by_audit, mut made) = (0, 0, 0);
    for mutant in all().filter(wanted) {
        let began = Instant::now();
        let killer =
            workshop.with(mutant, |workshop| kill(workshop, tests)).context(mutant.name)?;
        eprintln!("{}: {} ({:.0?})", mutant.name, killer.cells()[0], began.elapsed());
        made += 1;
        by_audit += u32::from(matches!(killer, Killer::Twin(_) | Killer::Hang));
        killed += u32::from(!matches!(killer, Killer::Nobody));
        let [killer, schedules, schedule] = killer.cells();
        let (name, breaks) = (mutant.name.to_owned(), mutant.breaks.to_owned());
        table.row([name, breaks, killer, schedules, schedule]);
    }
    println!("\n{killed} of {made} mutants are killed, {by_audit} of them by the audit.");
    Ok(by_audit == made && made > 0)
}

fn kill(workshop: &Workshop, tests: bool) -> Result<Killer> {
    let program = workshop.build()?;
    match ended(Command::new(program).arg("first-alarm"))? {
        Ran::Hung => return Ok(Killer::Hang),
        Ran::Ended(output) => {
            let text = String::from_utf8(output.stdout)?;
            if let Some(line) = text.lines().find(|line| line.starts_with('{')) {
                return Ok(Killer::Twin(serde_json::from_str(line)?));
            }
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            anyhow::ensure!(output.status.success(), "the twins cannot be played: {said}");
        }
    }
    if !tests {
        return Ok(Killer::Nobody);
    }
    Ok(match workshop.test()? {
        Ran::Hung => Killer::Test("a test that hangs".to_owned()),
        Ran::Ended(output) if output.status.success() => Killer::Nobody,
        Ran::Ended(output) => Killer::Test(failed(&String::from_utf8_lossy(&output.stdout))),
    })
}

/// The name of the first test that failed, as the test harness prints it.
fn failed(text: &str) -> String {
    let name =
        |line: &str| line.strip_prefix("---- ")?.strip_suffix(" stdout ----").map(str::to_owned);
    text.lines().find_map(name).unwrap_or_else(|| "a test that does not end".to_owned())
}

impl Killer {
    /// Who, after how many schedules, and how to see it.
    fn cells(&self) -> [String; 3] {
        let none = || "–".to_owned();
        match self {
            Killer::Twin(alarm) => {
                let Alarm { scenario, schedules, schedule, seed, .. } = alarm;
                [scenario.clone(), schedules.to_string(), format!("seed {seed}: `{schedule}`")]
            }
            Killer::Hang => ["the twins, which hang".to_owned(), none(), none()],
            Killer::Test(test) => [format!("not the audit; test `{test}`"), none(), none()],
            Killer::Nobody => ["**SURVIVED**".to_owned(), none(), none()],
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_test_that_failed_is_named() {
        let text = "\nfailures:\n\n---- a::b stdout ----\nthread\n---- c stdout ----\n";
        assert_eq!(super::failed(text), "a::b");
    }
}
