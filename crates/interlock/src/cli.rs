//! What can be said on the command line, and its help.

pub mod battles;

use std::{net::SocketAddr, path::PathBuf};

use clap::{
    ArgMatches, Args, CommandFactory, Error, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::FalseyValueParser, error::ErrorKind, parser::ValueSource,
};
use interlock_audit::choice::Schedule;
use interlock_server::config::parse_address;

/// Runs game bots, story games, matches, AI decisions and streams side by side, without races.
///
/// Interlock is one program with a database inside. It keeps everything in one data folder, offers an
/// HTTP API and shows what it does on pages for a browser.
#[derive(Debug, Parser)]
#[command(name = "interlock", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment. Ends the process with help, or with what is wrong.
    pub fn read() -> Self {
        let mut command = Self::command();
        let matches = command.get_matches_mut();
        Self::from_matches(&matches).unwrap_or_else(|wrong| {
            let serve = command.find_subcommand_mut("serve").expect("it is a subcommand");
            wrong.format(serve).exit()
        })
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut cli = Self::from_arg_matches(matches)?;
        if let (Command::Serve(serve), Some((_, said))) = (&mut cli.command, matches.subcommand())
            && serve.demo
        {
            serve.without_config(said.value_source("config"))?;
        }
        Ok(cli)
    }
}

const EXAMPLES: &str = "\
Examples:
  interlock serve --demo          Try it: engines that are not real, and a stream to play
  interlock serve                 Serve on http://127.0.0.1:7070 from ./interlock-data
  interlock battles run -u MyBot  Play battles on a Showdown server on this machine
  interlock config check          Find mistakes in ./interlock.toml
  interlock store verify          Recount everything in ./interlock-data
  interlock audit                 Find every race that Interlock was built against, and none in it
  interlock audit live            Kill a real server again and again, and check what it kept

Logs go to standard error. INTERLOCK_LOG=debug says more, INTERLOCK_LOG=warn less.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until it is told to stop (SIGTERM or Ctrl-C; once more: at once)
    Serve(Serve),
    /// Work with the configuration file
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Work with a data folder that no server uses
    Store {
        /// What to do with it.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Play Pokémon Showdown battles: many at once, counted exactly
    Battles {
        /// What to do.
        #[command(subcommand)]
        command: battles::Battles,
    },
    /// Search for races: in models of five systems as they were found, and in Interlock itself
    ///
    /// The shipping kernel and the models run in a simulated world that tries many orders of events, crashes,
    /// failing commits and lost messages. For each race it prints the shortest timeline that shows it. Ends
    /// with 1 if a known race is not found, or one is found in Interlock.
    Audit(Audit),
}

/// What can be done with a configuration file.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with it: file, line, column, key, and what would be right
    Check(Check),
}

/// What can be done with a data folder.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Recount everything from the log, and say what differs
    Verify(Verify),
}

/// `interlock serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// The configuration file [default: interlock.toml, if there is one]
    #[arg(long, short, value_name = "FILE", env = "INTERLOCK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to listen, instead of what the file says; port 0 takes any free one
    /// [default: 127.0.0.1:7070]
    #[arg(long, short, value_name = "ADDRESS", env = "INTERLOCK_LISTEN", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// The data folder, instead of what the file says [default: ./interlock-data]
    #[arg(long, short, value_name = "FOLDER", env = "INTERLOCK_DATA")]
    pub data: Option<PathBuf>,
    /// Show what it does: with engines that are not real, without a configuration file, and with a data
    /// folder that is removed at the end unless --data names one
    #[arg(long, env = "INTERLOCK_DEMO", value_parser = FalseyValueParser::new())]
    pub demo: bool,
    /// The file that the environment names, when it is not read.
    #[arg(skip)]
    pub unread: Option<PathBuf>,
}

impl Serve {
    /// A demonstration has a configuration of its own. Who asks for another one is told; the environment may
    /// be set for other runs.
    fn without_config(&mut self, source: Option<ValueSource>) -> Result<(), Error> {
        if source == Some(ValueSource::CommandLine) {
            let says = "--demo cannot be used with --config: a demonstration has a configuration of its own";
            return Err(Error::raw(ErrorKind::ArgumentConflict, says));
        }
        self.unread = self.config.take();
        Ok(())
    }
}

/// `interlock config check`
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration file
    #[arg(value_name = "FILE", env = "INTERLOCK_CONFIG", default_value = interlock_server::config::FILE_NAME)]
    pub file: PathBuf,
}

/// `interlock store verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The configuration file that names the data folder [default: interlock.toml, if there is one]
    #[arg(long, short, value_name = "FILE", env = "INTERLOCK_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data folder, instead of what the file says [default: ./interlock-data]
    #[arg(long, short, value_name = "FOLDER", env = "INTERLOCK_DATA")]
    pub data: Option<PathBuf>,
}

/// `interlock audit`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Audit {
    /// Another audit than that of the simulated world.
    #[command(subcommand)]
    pub other: Option<OtherAudit>,
    /// Only races with all of these words in their name, or of the document with this number; `own`: only what
    /// Interlock promises besides
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The samples' seed: the same seed tries the same schedules
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Schedules to try of Interlock's side of each race, and of each promise
    #[arg(long, value_name = "N")]
    pub schedules: Option<u64>,
    /// Play this one schedule of the race as it was found, such as "3:1 17:2"
    #[arg(long, value_name = "SCHEDULE", conflicts_with_all = ["json", "format", "schedules"])]
    pub schedule: Option<Schedule>,
    /// Play the schedule on Interlock's side of the race instead
    #[arg(long, requires = "schedule")]
    pub twin: bool,
}

impl Audit {
    /// How to print it.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    /// Whether a race is asked for.
    pub fn wants(&self, name: &str, document: &str) -> bool {
        // `own` is no part of a word: a race with a countdown is no promise.
        let is_in_name = |word: &str| word != "own" && name.contains(word);
        self.words.iter().all(|word| is_in_name(word) || document == word)
    }
}

/// Audits of what is real.
#[derive(Debug, Subcommand)]
pub enum OtherAudit {
    /// Start a real server, drive it from several clients, kill it with -9 again and again, check its history
    Live(Live),
    /// Check a recorded history: JSON lines, as `audit live --history FILE` writes them
    Check(CheckHistory),
}

/// `interlock audit live`
#[derive(Debug, Args)]
pub struct Live {
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub rounds: u64,
    /// Clients at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=256))]
    pub clients: u64,
    /// The seed of the moments at which it is killed
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Keep the history in this file
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Keep the server's data in this folder, which must not exist [default: removed at the end]
    #[arg(long, short, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

/// `interlock audit check`
#[derive(Debug, Args)]
pub struct CheckHistory {
    /// The history
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// How an audit is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, as it goes on
    Text,
    /// A document
    Markdown,
    /// One object for programs
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
