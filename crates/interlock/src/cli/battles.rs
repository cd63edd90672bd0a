//! `interlock battles …`

mod side;

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum, value_parser};
use interlock_battles::{
    domain::{
        contestant::{Budget, Contestant},
        lineup::worker_names,
        run::Mode,
    },
    fleet::logs::SaveReplay,
    limits,
};
use interlock_kernel::{ids::Key, quota::Limit};
use interlock_server::config::parse_address;

pub use self::side::{Outsider, Side};

/// What can be done with battles.
#[derive(Debug, Subcommand)]
pub enum Battles {
    /// Play so many battles, and count them right
    ///
    /// Ctrl-C or SIGTERM finishes what is in play and begins nothing new; once more, it gives up what is in
    /// play. The same --run once more goes on where it was: what it plays, where and how often is known then and
    /// need not be said again, but for -u; who thinks, teams, passwords and what is saved are said each time.
    Run(Box<Run>),
    /// Play two bots against each other until it is clear which is stronger
    ///
    /// Ends when a sequential test (SPRT) has decided, or after --games. Prints the score of the first bot, the
    /// difference in Elo with its 95 % interval, and the test's verdict.
    ///
    /// A bot is one of ours (search:100ms, search:5000it for iterations, greedy, random), a user of the server
    /// (user:NAME), or a program (cmd:COMMAND LINE). One of ours challenges the other one. Two others are watched: users
    /// must play each other by themselves, while this runs; programs are started for it, by the shell, and stopped when
    /// it ends. A program finds in its environment what it is to do: INTERLOCK_SERVER, the socket; INTERLOCK_NAME, the
    /// account that it takes; INTERLOCK_OPPONENT, whom it plays; INTERLOCK_FORMAT; INTERLOCK_ROLE, challenge or accept;
    /// INTERLOCK_BATTLES, how many are still to begin. Of two programs the first one challenges, and so does a program against a user;
    /// against one of ours it accepts.
    ///
    /// The same --run once more goes on where it was: each battle counts once, and one that went on meanwhile is read
    /// while the server has it, which is some minutes.
    Match(Box<Match>),
    /// Show how a run stands
    Show(Show),
}

/// `interlock battles run`
#[derive(Debug, Args)]
pub struct Run {
    /// The account; several, parted by commas, share the workers
    #[arg(long, short, value_name = "NAME", value_delimiter = ',', required = true)]
    pub username: Vec<String>,
    #[command(flatten)]
    pub place: Place,
    /// How many battles: a number, or the word unlimited [default: unlimited, or as before]
    #[arg(long, short = 'n', value_name = "N", value_parser = limit)]
    pub run_count: Option<Limit>,
    /// How many are played at once [default: 1, or one for each share of before]
    #[arg(long, short, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    pub workers: Option<u32>,
    /// Leave the battles to whichever worker comes first, instead of an exact share for each
    #[arg(long)]
    pub no_shares: bool,
    /// How opponents are found; self-play takes pairs of accounts, and counts the first one's battles [default:
    /// ladder, but self-play on a local server, or as before]
    #[arg(long, short, value_enum)]
    pub mode: Option<ModeWord>,
    /// Whom to challenge, or whose challenges alone to accept
    #[arg(long, value_name = "NAME")]
    pub opponent: Option<String>,
    /// The room whose tournaments are played [default: lobby, or as before]
    #[arg(long, value_name = "ROOM")]
    pub room: Option<String>,
    /// Who thinks
    #[arg(long, value_enum, default_value_t = PlayerWord::Search)]
    pub player: PlayerWord,
    /// How long a decision is searched for, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, conflicts_with = "search_iterations", value_parser = value_parser!(u64).range(1..=20_000))]
    pub search_time_ms: u64,
    /// Search by iterations instead: the same on any machine
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(limits::ITERATIONS)))]
    pub search_iterations: Option<u32>,
    /// Play for a run of another machine's server, which says what is played: the accounts, the workers and how they
    /// think are given here
    #[arg(long, value_name = "http://HOST:PORT", requires_all = ["run", "worker_prefix"], conflicts_with_all = ["listen", "run_count", "mode", "opponent", "room", "no_shares", "format", "server", "local"])]
    pub join: Option<String>,
    /// What the workers' names begin with; on each machine another [default: w]
    #[arg(long, value_name = "PREFIX", value_parser = worker_prefix)]
    pub worker_prefix: Option<String>,
    #[command(flatten)]
    pub kept: Kept,
}

/// `interlock battles match`
#[derive(Debug, Args)]
pub struct Match {
    /// The first bot; one of ours comes first
    #[arg(value_name = "A")]
    pub one: Side,
    /// The second bot
    #[arg(value_name = "B")]
    pub two: Side,
    /// The accounts, parted by commas: one for A and one for B, but none for a user. Two of ours may have as many once
    /// more, so that each challenges in half of the games. Two users are watched by a guest, or by this account
    /// [default: made up on a local server]
    #[arg(long, short, value_name = "NAME", value_delimiter = ',')]
    pub username: Vec<String>,
    #[command(flatten)]
    pub place: Place,
    /// How many games at most [default: 1000, or as before]
    #[arg(long, short = 'n', value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub games: Option<u64>,
    /// How many are played at once; an even number gives each of ours its half of the challenges [default: 2, or as
    /// before; 1 against a program; where others are watched, up to 8 are]
    #[arg(long, short, value_name = "N", value_parser = value_parser!(u32).range(1..=1000))]
    pub workers: Option<u32>,
    /// The test's one hypothesis: A is so much stronger, in Elo
    #[arg(long, value_name = "ELO", default_value_t = 0.0, value_parser = elo, allow_hyphen_values = true)]
    pub elo0: f64,
    /// The test's other hypothesis, more than --elo0; each is wrongly accepted one time in twenty
    #[arg(long, value_name = "ELO", default_value_t = 50.0, value_parser = elo, allow_hyphen_values = true)]
    pub elo1: f64,
    /// How long programs may play nothing, in seconds, until they are given up
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// Play all games, also when the test has decided before: for a score with a narrow interval
    #[arg(long)]
    pub all_games: bool,
    #[command(flatten)]
    pub kept: Kept,
}

/// Where is played, and what.
#[derive(Debug, Args)]
pub struct Place {
    /// The server's socket [default: that of before, INTERLOCK_SHOWDOWN in the environment, or
    /// ws://127.0.0.1:8000/showdown/websocket]
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    pub server: Option<String>,
    /// Start a server here instead, and stop it at the end: needs Node and the npm package pokemon-showdown
    #[arg(long)]
    pub local: bool,
    /// Where that package is [default: node_modules/pokemon-showdown, or target/showdown/node_modules/pokemon-showdown,
    /// here]
    #[arg(long, value_name = "FOLDER", env = "INTERLOCK_SHOWDOWN_DIR")]
    pub showdown: Option<PathBuf>,
    /// The accounts' password, on servers that ask for one [env: INTERLOCK_SHOWDOWN_PASSWORD, which a local server
    /// never sees]
    #[arg(long, value_name = "PASSWORD", conflicts_with = "local")]
    pub password: Option<String>,
    /// Where names are proved, on servers that ask for it [default: the public login service]
    #[arg(long, value_name = "URL", conflicts_with = "local")]
    pub login_url: Option<String>,
    /// The format [default: gen9randombattle, or as before]
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Play the teams in this folder, each file one team in Showdown's export or packed form, dealt to the workers in turn
    #[arg(long, value_name = "FOLDER")]
    pub team_dir: Option<PathBuf>,
}

/// What is kept and shown of it.
#[derive(Debug, Args)]
pub struct Kept {
    /// Of which battles a page to watch is saved
    #[arg(long, value_enum, default_value_t = SaveWord::Never)]
    pub save_replay: SaveWord,
    /// The run's name: the same name goes on where it was [default: made of chance]
    #[arg(long, value_name = "NAME", value_parser = Key::new)]
    pub run: Option<Key>,
    /// The token that this run's own server asks for; with --join, the other server's
    #[arg(long, value_name = "TOKEN", env = "INTERLOCK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
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

impl Run {
    /// Who thinks, and how long.
    pub fn contestant(&self) -> Contestant {
        let budget = match self.search_iterations {
            Some(iterations) => Budget::Iterations(iterations),
            None => Budget::Time(Duration::from_millis(self.search_time_ms)),
        };
        match self.player {
            PlayerWord::Search => Contestant::Search(budget),
            PlayerWord::Greedy => Contestant::Greedy,
            PlayerWord::Random => Contestant::Random,
        }
    }
}

/// `interlock battles show`
#[derive(Debug, Args)]
pub struct Show {
    /// The run's name
    #[arg(value_name = "RUN", value_parser = Key::new)]
    pub run: Key,
    /// The data folder; a server or a fleet that uses it now is asked
    #[arg(
        long,
        short,
        value_name = "FOLDER",
        env = "INTERLOCK_DATA",
        default_value = "./interlock-data"
    )]
    pub data: PathBuf,
    /// The token that such a server asks for
    #[arg(long, value_name = "TOKEN", env = "INTERLOCK_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
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
    /// In the tournaments of --room
    Tournament,
}

impl ModeWord {
    /// The word of a mode; `None`: nobody of ours plays in it.
    pub fn of(mode: &Mode) -> Option<Self> {
        match mode {
            Mode::Ladder => Some(Self::Ladder),
            Mode::Challenge(_) => Some(Self::Challenge),
            Mode::Accept(_) => Some(Self::Accept),
            Mode::SelfPlay => Some(Self::SelfPlay),
            Mode::Tournament(_) => Some(Self::Tournament),
            Mode::Watch(_) => None,
        }
    }
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

fn worker_prefix(text: &str) -> Result<String, String> {
    worker_names(text, 1).map(|_| text.to_owned())
}

fn elo(text: &str) -> Result<f64, String> {
    let number = f64::from_str(text).ok().filter(|elo| elo.abs() <= 1000.0);
    number.ok_or_else(|| "expected a number from -1000 to 1000".to_owned())
}
