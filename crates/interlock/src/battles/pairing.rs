//! How the two sides of a match meet.
//!
//! A server lets nobody tell two others to play each other. So ours play each other, one of ours challenges whoever is
//! not ours, and where nobody is ours, Interlock watches.

use anyhow::{Result, anyhow, bail};
use interlock_battles::domain::{contestant::Contestant, lineup::check_usernames, run::Mode};

use super::programs::{Launch, Role};
use crate::cli::battles::{Match, Outsider, Side};

/// How many battles are played at once, and how many of others' are watched, unless told.
const WORKERS: u32 = 2;
const WATCHED: u32 = 8;

/// How they meet.
pub enum Pairing {
    /// Both are ours, and challenge each other.
    Ours { players: [Contestant; 2], accounts: Vec<String> },
    /// Ours challenges the other one.
    Challenge { player: Contestant, accounts: Vec<String>, other: Other },
    /// Neither is ours: they are watched, by this account or by a guest.
    Watch { others: [Other; 2], watcher: Option<String> },
}

/// Somebody who is not ours, by the name on the server.
pub struct Other {
    name: String,
    program: Option<Program>,
}

/// What is started to play, and how it is to find its battles.
struct Program {
    line: String,
    role: Role,
}

impl Pairing {
    /// Reads it off the command line. On a server of our own, names are made up: the same each time, so that a run
    /// goes on.
    pub fn of(wanted: &Match, is_local: bool) -> Result<Self> {
        let is_user = |side: &Side| matches!(side, Side::Outsider(Outsider::User(_)));
        if is_local && (is_user(&wanted.one) || is_user(&wanted.two)) {
            bail!(
                "a user cannot find a server that is started here: leave --local out, and name theirs with --server"
            )
        }
        let names = Names { said: &wanted.username, is_local };
        match (&wanted.one, &wanted.two) {
            (Side::Ours(one), Side::Ours(two)) => {
                let made_up = ["Match A 1", "Match B 1", "Match A 2", "Match B 2"];
                Ok(Self::Ours { players: [*one, *two], accounts: names.any(&made_up)? })
            }
            (Side::Ours(player), Side::Outsider(other)) => Self::challenge(*player, other, &names),
            (Side::Outsider(_), Side::Ours(_)) => {
                bail!("one of ours comes first: match '{}' '{}'", wanted.two, wanted.one)
            }
            (Side::Outsider(_), Side::Outsider(_)) if wanted.place.team_dir.is_some() => {
                bail!("--team-dir has teams for our players, and nobody of ours plays")
            }
            (Side::Outsider(one), Side::Outsider(two)) => Self::watch(one, two, &names),
        }
    }

    fn challenge(player: Contestant, other: &Outsider, names: &Names<'_>) -> Result<Self> {
        let (accounts, name) = match other {
            Outsider::User(user) => (names.any(&[])?, user.clone()),
            Outsider::Program(_) => {
                let [me, program] = names.exactly(["Match A", "Match B"])?;
                check(&me, &program)?;
                (vec![me], program)
            }
        };
        Ok(Self::Challenge { player, accounts, other: Other::new(other, name, Role::Accept) })
    }

    fn watch(one: &Outsider, two: &Outsider, names: &Names<'_>) -> Result<Self> {
        let (pair, watcher) = match (one, two) {
            (Outsider::User(one), Outsider::User(two)) => {
                ([one.clone(), two.clone()], names.at_most_one()?)
            }
            (Outsider::User(user), Outsider::Program(_)) => {
                let [program] = names.exactly(["Match B"])?;
                ([user.clone(), program], None)
            }
            (Outsider::Program(_), Outsider::User(user)) => {
                let [program] = names.exactly(["Match A"])?;
                ([program, user.clone()], None)
            }
            (Outsider::Program(_), Outsider::Program(_)) => {
                (names.exactly(["Match A", "Match B"])?, None)
            }
        };
        let [first, second] = pair;
        check(&first, &second)?;
        // Users do as they like: a program against one challenges.
        let answer = match one {
            Outsider::Program(_) => Role::Accept,
            Outsider::User(_) => Role::Challenge,
        };
        let others = [Other::new(one, first, Role::Challenge), Other::new(two, second, answer)];
        Ok(Self::Watch { others, watcher })
    }

    /// How the run finds its battles.
    pub fn mode(&self) -> Mode {
        match self {
            Self::Ours { .. } => Mode::SelfPlay,
            Self::Challenge { other, .. } => Mode::Challenge(other.name.clone()),
            Self::Watch { others, .. } => Mode::Watch(others.each_ref().map(|it| it.name.clone())),
        }
    }

    /// How many workers, unless told.
    pub fn workers(&self) -> u32 {
        match self {
            Self::Ours { .. } | Self::Challenge { other: Other { program: None, .. }, .. } => {
                WORKERS
            }
            Self::Challenge { other: Other { program: Some(_), .. }, .. } => 1,
            Self::Watch { .. } => WATCHED,
        }
    }

    /// How the two take sides, in words. Who challenges is the server's first player.
    pub fn sides(&self, one: &Side, two: &Side) -> String {
        let always = |side: &Side| format!("{side} challenges in every game");
        match self {
            Self::Ours { .. } => "sides alternate as far as can be".to_owned(),
            Self::Challenge { .. } => always(one),
            Self::Watch { others: [Other { program: Some(_), .. }, _], .. } => always(one),
            Self::Watch { others: [_, Other { program: Some(_), .. }], .. } => always(two),
            Self::Watch { .. } => "who challenges is the users' own choice".to_owned(),
        }
    }

    /// Whether either side challenges in half of the games: each has two accounts, which are challenged the other way
    /// round, and as many workers on either.
    pub fn takes_turns(&self, workers: u32) -> bool {
        match self {
            Self::Ours { accounts, .. } => accounts.len() == 4 && workers.is_multiple_of(2),
            Self::Challenge { .. } | Self::Watch { .. } => false,
        }
    }

    /// The accounts that we log in with; none where a guest watches.
    pub fn accounts(&self) -> Vec<String> {
        match self {
            Self::Ours { accounts, .. } | Self::Challenge { accounts, .. } => accounts.clone(),
            Self::Watch { watcher, .. } => watcher.iter().cloned().collect(),
        }
    }

    /// Who of ours thinks: on the first side, and on the second one if that is ours, too.
    pub fn players(&self) -> (Contestant, Option<Contestant>) {
        match self {
            Self::Ours { players: [one, two], .. } => (*one, Some(*two)),
            Self::Challenge { player, .. } => (*player, None),
            // Nobody does, whoever would.
            Self::Watch { .. } => (Contestant::default(), None),
        }
    }

    /// What is to be started, to play this format at this socket.
    pub fn launches(&self, server: &str, format: &str) -> Vec<Launch> {
        let launch = |other: &Other, opponent: &str| {
            let Program { line, role } = other.program.as_ref()?;
            Some(Launch {
                line: line.clone(),
                server: server.to_owned(),
                name: other.name.clone(),
                opponent: opponent.to_owned(),
                format: format.to_owned(),
                role: *role,
            })
        };
        match self {
            Self::Ours { .. } => Vec::new(),
            Self::Challenge { accounts, other, .. } => {
                accounts.iter().filter_map(|me| launch(other, me)).collect()
            }
            Self::Watch { others: [one, two], .. } => {
                [launch(one, &two.name), launch(two, &one.name)].into_iter().flatten().collect()
            }
        }
    }
}

impl Other {
    fn new(outsider: &Outsider, name: String, role: Role) -> Self {
        let program = match outsider {
            Outsider::User(_) => None,
            Outsider::Program(line) => Some(Program { line: line.clone(), role }),
        };
        Self { name, program }
    }
}

/// The names that `--username` says.
struct Names<'a> {
    said: &'a [String],
    is_local: bool,
}

impl Names<'_> {
    /// As many as are said, or those that are made up.
    fn any(&self, made_up: &[&str]) -> Result<Vec<String>> {
        match self.said {
            [_, ..] => Ok(self.said.to_vec()),
            [] if self.is_local => Ok(made_up.iter().map(|name| (*name).to_owned()).collect()),
            [] => bail!(
                "--username must name an account for each side but user:NAME, which has its own"
            ),
        }
    }

    fn exactly<const N: usize>(&self, made_up: [&str; N]) -> Result<[String; N]> {
        let wrong = |names: Vec<String>| {
            let said = names.len();
            anyhow!("--username must name {N}, and names {said}: one for each side that is no user")
        };
        self.any(&made_up)?.try_into().map_err(wrong)
    }

    fn at_most_one(&self) -> Result<Option<String>> {
        match self.said {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [_, _, ..] => bail!("--username names who watches, and one is enough"),
        }
    }
}

fn check(one: &str, two: &str) -> Result<()> {
    let names = [one.to_owned(), two.to_owned()];
    check_usernames(&names, None).map_err(|says| anyhow!("the names {one} and {two} {says}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::battles::Battles;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        battles: Battles,
    }

    fn pairing(words: &[&str]) -> Pairing {
        let line = [&["battles", "match"], words].concat();
        let Battles::Match(wanted) = Line::try_parse_from(line).unwrap().battles else {
            panic!("a match was asked for")
        };
        Pairing::of(&wanted, words.contains(&"--local")).unwrap()
    }

    /// Who plays as whom, against whom, and how.
    fn launched(words: &[&str]) -> Vec<(String, String, Role)> {
        let launches = pairing(words).launches("ws://127.0.0.1:1/", "gen9ou");
        launches.into_iter().map(|it| (it.name, it.opponent, it.role)).collect()
    }

    #[test]
    fn of_two_programs_the_first_one_challenges() {
        let [one, two] = ["Match A".to_owned(), "Match B".to_owned()];
        let first = (one.clone(), two.clone(), Role::Challenge);
        let second = (two, one, Role::Accept);
        assert_eq!(launched(&["cmd:a", "cmd:b", "--local"]), [first, second]);
    }

    #[test]
    fn a_program_challenges_a_user_and_accepts_one_of_ours() {
        let bot = |role| vec![("Bot".to_owned(), "Ann".to_owned(), role)];
        assert_eq!(launched(&["cmd:a", "user:Ann", "-u", "Bot"]), bot(Role::Challenge));
        assert_eq!(launched(&["user:Ann", "cmd:a", "-u", "Bot"]), bot(Role::Challenge));
        assert_eq!(launched(&["greedy", "cmd:a", "-u", "Ann,Bot"]), bot(Role::Accept));
    }

    #[test]
    fn who_is_not_ours_is_challenged_or_watched_and_never_played_for() {
        let users = pairing(&["user:Ann", "user:Bob", "-u", "Eve"]);
        assert_eq!(users.mode(), Mode::Watch(["Ann".to_owned(), "Bob".to_owned()]));
        assert_eq!(users.accounts(), ["Eve"]);
        let guest = pairing(&["cmd:a", "user:Bob", "-u", "Bot"]);
        assert!(guest.accounts().is_empty(), "the name is the program's");
        let challenge = pairing(&["greedy", "user:Bob", "-u", "Ann"]);
        assert_eq!(challenge.mode(), Mode::Challenge("Bob".to_owned()));
        assert_eq!(challenge.players(), (Contestant::Greedy, None));
    }

    #[test]
    fn the_result_says_who_challenges() {
        let [one, two] = ["cmd:a", "user:Ann"].map(|side| side.parse::<Side>().unwrap());
        let sides = |words: &[&str], one, two| pairing(words).sides(one, two);
        let says = "cmd:a challenges in every game";
        assert_eq!(sides(&["cmd:a", "user:Ann", "-u", "Bot"], &one, &two), says);
        assert_eq!(sides(&["user:Ann", "cmd:a", "-u", "Bot"], &two, &one), says);
        let users = sides(&["user:Ann", "user:Bob"], &two, &two);
        assert_eq!(users, "who challenges is the users' own choice");
    }

    #[test]
    fn ours_take_turns_where_there_are_accounts_and_workers_for_both() {
        let made_up = pairing(&["greedy", "random", "--local"]);
        assert_eq!(made_up.players(), (Contestant::Greedy, Some(Contestant::Random)));
        assert!(made_up.takes_turns(2) && !made_up.takes_turns(3));
        assert!(!pairing(&["greedy", "random", "-u", "a,b"]).takes_turns(2));
    }
}
