//! Measures how far the audit can be trusted, and prints it as Markdown:
//!
//! - **races**: the time until each race is found in the system as found; none may be missed;
//! - **twins**: alarms on code that is right; there must be none;
//! - **mutants**: bugs made by hand in the runtime and the kernel; the audit must find them;
//! - **kernel**: what `cargo mutants` finds untested in the kernel; each such mutant must be accepted for a reason;
//! - **coverage**: states, orders and crash points that a search comes to, and what it never hits;
//! - **peers**: the same models on shuttle and loom.

#![expect(clippy::print_stdout, reason = "standard output is where a program answers")]

mod coverage;
mod kernel;
mod mutants;
#[cfg(feature = "peers")]
mod peers;
mod races;
mod regressions;
mod table;
mod twins;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures how far the audit can be trusted.
#[derive(Parser)]
#[command(name = "interlock-trust")]
struct Cli {
    /// What to measure; everything unless told.
    parts: Vec<Part>,
    /// Only mutants, races and twins with one of these words in their names.
    #[arg(long, value_name = "WORD", num_args = 1..)]
    only: Vec<String>,
    /// Shows mutants that survive the audit to the tests of the mutated crates, too.
    #[arg(long)]
    tests: bool,
    /// Which share of the mutants of `cargo mutants` is tried.
    #[arg(long, value_name = "K/N", default_value = "0/10")]
    share: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Races of the systems as found, and the time to find them.
    Races,
    /// Alarms on code that is right.
    Twins,
    /// Bugs made by hand.
    Mutants,
    /// Bugs that `cargo mutants` makes up in the kernel.
    Kernel,
    /// What a search comes to, and what it never hits.
    Coverage,
    /// The same models on shuttle and loom; needs the feature `peers`.
    Peers,
    /// Schedules to be kept in the audit's table of regressions; only when asked for.
    Regressions,
    /// The first alarm in a twin, as a line of JSON: what mutants are run with.
    #[value(hide = true)]
    FirstAlarm,
}

const PARTS: [Part; 6] =
    [Part::Races, Part::Twins, Part::Mutants, Part::Kernel, Part::Coverage, Part::Peers];

fn main() -> ExitCode {
    let mut cli = Cli::parse();
    if cli.parts.is_empty() {
        cli.parts = PARTS.to_vec();
    }
    let mut good = true;
    for part in &cli.parts {
        match measure(*part, &cli) {
            Ok(holds) => good &= holds,
            Err(error) => {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(part: Part, cli: &Cli) -> Result<bool> {
    match part {
        Part::Races => Ok(races::run(&cli.only)),
        Part::Twins => Ok(twins::run(&cli.only)),
        Part::Mutants => mutants::run(&cli.only, cli.tests),
        Part::Kernel => kernel::run(&cli.share),
        Part::Coverage => Ok(coverage::run()),
        #[cfg(feature = "peers")]
        Part::Peers => {
            peers::run();
            Ok(true)
        }
        #[cfg(not(feature = "peers"))]
        Part::Peers => anyhow::bail!("peers are built with `--features peers` only"),
        Part::Regressions => regressions::run().map(|()| true),
        Part::FirstAlarm => twins::first_alarm().map(|()| true),
    }
}
