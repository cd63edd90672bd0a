//! `interlock battles …`

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{Args, Subcommand, ValueEnum, value_parser};
use interlock_battles::fleet::logs::SaveReplay;
use interlock_kernel::{
    ids::{Key, Worker},
    quota::Limit,
};
use interlock_server::config::parse_address;

/// What can be done with battles.
#[derive(Debug, Subcommand)]
pub enum Battles {
    /// Play so many battles, and count them right
    ///
    /// Ctrl-C or SIGTERM finishes what is in play and begins nothing new; once more, it gives up what is in
    /// play. The same --run once more goes on where it was.
    Run(Box<Run>),
    /// Show how a run stands
    Show(Show),
}

/// `interlock battles run`
#[derive(Debug, Args)]
pub struct Run {
    /// The server's socket
    #[arg(
        long,
        value_name = "URL",
        env = "INTERLOCK_SHOWDOWN",
        default_value = "ws://127.0.0.1:8000/showdown/websocket"
    )]
    pub server: String,
    /// The account; several, parted by commas, share the workers
    #[arg(long, short, value_name = "NAME", value_delimiter = ',', required = true)]
    pub username: Vec<String>,
    /// The accounts' password, on servers that ask for one
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "INTERLOCK_SHOWDOWN_PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<String>,
    /// Where the password is proved [default: the public login service]
    #[arg(long, value_name = "URL", requires = "password")]
    pub login_url: Option<String>,
    /// The format
    #[arg(long, short, value_name = "FORMAT", default_value = "gen9randombattle")]
    pub format: String,
    /// How many battles: a number, or the word unlimited
    #[arg(long, short = 'n', value_name = "N", default_value = "unlimited", value_parser = limit)]
    pub run_count: Limit,
    /// How many are played at once
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub workers: u32,
    /// Leave the battles to whichever worker comes first, instead of an exact share for each
    #[arg(long)]
    pub no_shares: bool,
    /// How opponents are found; self-play takes two accounts, and counts the first one's battles
    #[arg(long, short, value_enum, default_value_t = ModeWord::Ladder)]
    pub mode: ModeWord,
    /// Whom to challenge, or whose challenges alone to accept
    #[arg(long, value_name = "NAME")]
    pub opponent: Option<String>,
    /// Play the teams in this folder, each file one team in Showdown's packed form, dealt to the workers in turn
    #[arg(long, value_name = "FOLDER")]
    pub team_dir: Option<PathBuf>,
    /// Who thinks
    #[arg(long, value_enum, default_value_t = PlayerWord::Search)]
    pub player: PlayerWord,
    /// How long a decision is searched for, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, conflicts_with = "search_iterations", value_parser = value_parser!(u64).range(1..=20_000))]
    pub search_time_ms: u64,
    /// Search by iterations instead: the same on any machine
    #[arg(long, value_name = "N")]
    pub search_iterations: Option<NonZeroU32>,
    /// Of which battles a page to watch is saved
    #[arg(long, value_enum, default_value_t = SaveWord::Never)]
    pub save_replay: SaveWord,
    /// The run's name: the same name goes on where it was [default: made of the format and the time]
    #[arg(long, value_name = "NAME", value_parser = Key::new)]
    pub run: Option<Key>,
    /// Play for a run of another machine's server, which says what is played: the accounts, the workers and how they
    /// think are given here
    #[arg(long, value_name = "http://HOST:PORT", requires = "run", conflicts_with_all = ["listen", "run_count", "mode", "opponent", "no_shares", "format"])]
    pub join: Option<String>,
    /// That server's token, if it asks for one; without --join, what this run's own server asks for
    #[arg(long, value_name = "TOKEN", env = "INTERLOCK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// What the workers' names begin with; on each machine another
    #[arg(long, value_name = "PREFIX", default_value = "w", value_parser = worker_prefix)]
    pub worker_prefix: String,
    /// The data folder
    #[arg(
        long,
        short,
        value_name = "FOLDER",
        env = "INTERLOCK_DATA",
        default_value = "./interlock-data"
    )]
    pub data: PathBuf,
    /// Where its pages can be seen meanwhile [default: any free port of this machine]
    #[arg(long, short, value_name = "ADDRESS", value_parser = parse_address)]
    pub listen: Option<SocketAddr>,
    /// End with one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// `interlock battles show`
#[derive(Debug, Args)]
pub struct Show {
    /// The run's name
    #[arg(value_name = "RUN", value_parser = Key::new)]
    pub run: Key,
    /// The data folder, which no server uses now
    #[arg(
        long,
        short,
        value_name = "FOLDER",
        env = "INTERLOCK_DATA",
        default_value = "./interlock-data"
    )]
    pub data: PathBuf,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How opponents are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeWord {
    /// By the server's ladder
    Ladder,
    /// By challenging --opponent
    Challenge,
    /// By accepting challenges
    Accept,
    /// Against oneself
    SelfPlay,
}

/// Who thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlayerWord {
    /// A tree search over guesses at what is hidden
    Search,
    /// The move that hurts most now
    Greedy,
    /// Any legal choice
    Random,
}

/// Of which battles a replay is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SaveWord {
    /// Of all
    Always,
    /// Of none
    Never,
    /// Of those that were lost
    OnLoss,
    /// Of those that were won
    OnWin,
}

impl From<SaveWord> for SaveReplay {
    fn from(word: SaveWord) -> Self {
        match word {
            SaveWord::Always => Self::Always,
            SaveWord::Never => Self::Never,
            SaveWord::OnLoss => Self::OnLoss,
            SaveWord::OnWin => Self::OnWin,
        }
    }
}

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "unlimited" => Ok(Limit::Unlimited),
        _ => {
            let number = u64::from_str(text).ok().filter(|number| *number > 0);
            let says = || "expected a number from 1, or the word unlimited".to_owned();
            number.map(Limit::Of).ok_or_else(says)
        }
    }
}

/// Names that end in a number of their own could meet: `b1` and `1` make `b11`, as `b` and `11` do.
fn worker_prefix(text: &str) -> Result<String, String> {
    Worker::new(text).map_err(|error| error.to_string())?;
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        return Err("must not end in a digit".to_owned());
    }
    Ok(text.to_owned())
}
