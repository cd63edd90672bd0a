//! `interlock audit`

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use interlock_audit::{
    cases::{self, Case},
    check,
    choice::Schedule,
    live,
    own::{self, Own},
    report::{Effort, Line, OwnLine, Report, Violation},
    run::{self, Scenario},
};

use crate::cli::{Audit, CheckHistory, Format, Live, OtherAudit};

pub fn run(audit: &Audit) -> Result<()> {
    match &audit.other {
        Some(OtherAudit::Live(plan)) => live(plan),
        Some(OtherAudit::Check(CheckHistory { file })) => check_file(file),
        None => simulated(audit),
    }
}

/// Kills a real server again and again, and checks what it kept.
fn live(plan: &Live) -> Result<()> {
    let temporary = tempfile::Builder::new().prefix("interlock-audit-").tempdir();
    let temporary = temporary.context("cannot make a folder for the server's data")?;
    let data = plan.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    if data.exists() {
        bail!("{}: it exists already; an audit begins with nothing", data.display());
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let Live { rounds, clients, seed, .. } = *plan;
    let plan_of = live::Plan { program, rounds, clients, seed };
    let history = live::record(&plan_of, &data).context("the server cannot be driven")?;
    if let Some(file) = &plan.history {
        let line = |event| Ok(format!("{}\n", serde_json::to_string(event)?));
        let text: String = history.iter().map(line).collect::<Result<_>>()?;
        fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    println!("killed {rounds} times under the load of {clients} clients");
    judge(&history)
}

/// Checks a recorded history.
fn check_file(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let history = check::parse(&text).map_err(|wrong| anyhow!("{}: {wrong}", file.display()))?;
    judge(&history)
}

fn judge(history: &[check::Event]) -> Result<()> {
    /// Things that are wrong, printed at most.
    const SHOWN: usize = 20;
    let verdict = check::check(history);
    println!(
        "{} answers ({} of them repeats, {} refusals), {} requests without one",
        verdict.answers, verdict.replays, verdict.refusals, verdict.unanswered
    );
    println!("{} records kept of {} entities", verdict.kept, verdict.entities);
    println!(
        "{} records and answers decided once more, {} answers checked in every order that they may have had",
        verdict.decided_again, verdict.cross_checked
    );
    verdict.wrong.iter().take(SHOWN).for_each(|wrong| println!("wrong: {wrong}"));
    match verdict.wrong.len() {
        0 if verdict.answers == 0 => bail!("there is no answer in it to check"),
        0 => {
            println!(
                "nothing acknowledged is lost or doubled, no version is missing, no answer is wrong"
            );
            Ok(())
        }
        wrong => bail!("{wrong} things are wrong"),
    }
}

/// Searches in the simulated world.
fn simulated(audit: &Audit) -> Result<()> {
    let cases: Vec<&Case> =
        cases::all().filter(|case| audit.wants(case.name, case.document)).collect();
    let promises: Vec<&Own> =
        own::all().filter(|promise| audit.wants(promise.name, "own")).collect();
    if cases.is_empty() && promises.is_empty() {
        bail!("nothing has all of these words in its name: {}", audit.words.join(" "));
    }
    if let Some(schedule) = &audit.schedule {
        return match (&cases[..], &promises[..]) {
            ([case], []) if audit.twin => repeat(case.interlock, schedule),
            ([case], []) => repeat(case.as_found, schedule),
            ([], [promise]) => repeat(promise.scenario, schedule),
            (cases, promises) => {
                let fit = cases.len() + promises.len();
                bail!("a schedule belongs to one scenario, and the words fit {fit}")
            }
        };
    }
    let mut effort = Effort { seed: audit.seed, ..Effort::default() };
    effort.interlock = audit.schedules.unwrap_or(effort.interlock);
    let report = match audit.format() {
        Format::Text => {
            let report = Report::of(cases, effort, print);
            if !promises.is_empty() {
                println!("Interlock's own");
            }
            let report = report.and_own(promises, effort, print_own);
            let Report { scenarios, own, seconds } = &report;
            let (races, own) = (scenarios.len(), own.len());
            let (race, promise) = (plural(races, "race"), plural(own, "promise"));
            println!("{races} {race} and {own} {promise} of Interlock's own in {seconds:.1} s");
            report
        }
        Format::Markdown => {
            let report = Report::of(cases, effort, |_| {}).and_own(promises, effort, |_| {});
            print!("{}", report.markdown());
            report
        }
        Format::Json => {
            let report = Report::of(cases, effort, |_| {}).and_own(promises, effort, |_| {});
            println!("{}", serde_json::to_string(&report)?);
            report
        }
    };
    if !report.is_good() {
        bail!("a race was missed, a twin fails, or a promise is broken");
    }
    Ok(())
}

fn plural(count: usize, one: &str) -> String {
    if count == 1 { one.to_owned() } else { format!("{one}s") }
}

fn print(line: &Line) {
    let [found, twin, verdict] = line.cells();
    println!("{} ({})", line.name, line.document);
    println!("  as found   {found}");
    println!("  Interlock  {twin}");
    println!("  verdict    {verdict}");
    if line.as_found.found {
        println!(
            "\n  {}\n\n{}\n  interlock audit '{}' --schedule '{}'\n",
            line.as_found.violation, line.as_found.table, line.name, line.as_found.schedule
        );
    }
    if let Some(violation) = &line.interlock.violation {
        let Violation { says, schedule, table, .. } = violation;
        println!("\n  the twin: {says}\n\n{table}");
        println!("  interlock audit '{}' --twin --schedule '{schedule}'\n", line.name);
    }
}

fn print_own(line: &OwnLine) {
    let [tried, verdict] = line.cells();
    println!("  {}: {tried} ({}): {verdict}", line.name, line.faults);
    if let Some(violation) = &line.interlock.violation {
        let Violation { says, schedule, table, .. } = violation;
        println!(
            "\n  {says}\n\n{table}\n  interlock audit '{}' --schedule '{schedule}'\n",
            line.name
        );
    }
}

/// Plays one schedule of a race as it was found or of its twin, or of a promise.
fn repeat(scenario: &dyn Scenario, schedule: &Schedule) -> Result<()> {
    let run = run::replay(scenario, schedule, true);
    println!("{}", run.timeline);
    match run.violation {
        Some(violation) => println!("{violation}"),
        None => bail!("this schedule violates nothing"),
    }
    Ok(())
}
