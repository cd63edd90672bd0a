//! The `interlock` program.
//!
//! [`cli`] is what can be said on the command line; each subcommand is one file. Errors carry words for
//! people and end here, on one line of standard error each. Standard output holds only what was asked for.

#![expect(clippy::print_stdout, reason = "standard output is where a program answers")]

mod audit;
mod battles;
mod check;
mod cli;
mod config;
mod open_files;
mod serve;
mod signals;
mod verify;

use std::{io::IsTerminal, process::ExitCode};

use anyhow::anyhow;
use cli::{Cli, Command, ConfigCommand, StoreCommand};
use interlock_server::config::Mistakes;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = Cli::read().command;
    let done = log(default_log(&command)).and_then(|()| match command {
        Command::Serve(serve) => serve::run(serve),
        Command::Config { command: ConfigCommand::Check(check) } => check::run(&check),
        Command::Store { command: StoreCommand::Verify(verify) } => verify::run(&verify),
        Command::Battles { command } => battles::run(command),
        Command::Audit(audit) => audit::run(&audit),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Mistakes in a file begin with its name, as editors expect it.
            match error.downcast_ref::<Mistakes>() {
                Some(mistakes) => eprintln!("{mistakes}"),
                None => eprintln!("interlock: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

/// What is logged if nobody says: what goes wrong in a simulated world is no news.
fn default_log(command: &Command) -> &'static str {
    match command {
        Command::Audit(_) => "off",
        // Its progress is on the same terminal.
        Command::Battles { .. } => "warn",
        Command::Serve(_) | Command::Config { .. } | Command::Store { .. } => "info",
    }
}

/// Logs go to standard error; `INTERLOCK_LOG` says which.
fn log(default: &str) -> anyhow::Result<()> {
    let filter = match std::env::var("INTERLOCK_LOG") {
        Ok(text) => {
            EnvFilter::try_new(&text).map_err(|bad| anyhow!("INTERLOCK_LOG={text}: {bad}"))?
        }
        Err(_) => EnvFilter::new(default),
    };
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).init();
    Ok(())
}
