//! `interlock audit`

use anyhow::{Result, bail};
use interlock_audit::{
    cases::{self, Case},
    choice::Schedule,
    report::{Effort, Line, Report},
    run,
};

use crate::cli::{Audit, Format};

pub fn run(audit: &Audit) -> Result<()> {
    let cases: Vec<&Case> =
        cases::all().filter(|case| audit.wants(case.name, case.document)).collect();
    if cases.is_empty() {
        bail!("no race has all of these words in its name: {}", audit.words.join(" "));
    }
    if let Some(schedule) = &audit.schedule {
        let [case] = cases[..] else {
            bail!("a schedule belongs to one race, and the words fit {}", cases.len());
        };
        return repeat(case, schedule);
    }
    let mut effort = Effort { seed: audit.seed, ..Effort::default() };
    effort.interlock = audit.schedules.unwrap_or(effort.interlock);
    let report = match audit.format() {
        Format::Text => {
            let report = Report::of(cases, effort, |line| print(line));
            println!("{} races in {:.1} s", report.scenarios.len(), report.seconds);
            report
        }
        Format::Markdown => {
            let report = Report::of(cases, effort, |_| {});
            print!("{}", report.markdown());
            report
        }
        Format::Json => {
            let report = Report::of(cases, effort, |_| {});
            println!("{}", serde_json::to_string(&report)?);
            report
        }
    };
    if !report.is_good() {
        bail!("a race was missed, or a twin fails");
    }
    Ok(())
}

fn print(line: &Line) {
    let [found, twin, verdict] = line.cells();
    println!("{} ({})", line.name, line.document);
    println!("  as found   {found}");
    println!("  Interlock  {twin}");
    println!("  verdict    {verdict}");
    if line.as_found.found {
        println!(
            "\n  {} [{}]\n\n{}",
            line.as_found.violation, line.as_found.schedule, line.as_found.table
        );
    }
    if let Some(violation) = &line.interlock.violation {
        println!("\n  the twin: {violation}\n\n{}", line.interlock.table);
    }
}

/// Plays one schedule of a race as it was found.
fn repeat(case: &Case, schedule: &Schedule) -> Result<()> {
    let run = run::replay(case.as_found, schedule, true);
    println!("{}", run.timeline);
    match run.violation {
        Some(violation) => println!("{violation}"),
        None => bail!("this schedule violates nothing"),
    }
    Ok(())
}
