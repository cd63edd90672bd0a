//! Who plays whom in a match: from the words for its two sides to a run's mode, accounts, and programs to start.
//!
//! A server lets nobody tell two others to play each other. So one of ours challenges whoever is not ours, and where
//! nobody is ours, Interlock watches.

use anyhow::{Result, anyhow, bail};
use interlock_battles::domain::{contestant::Contestant, lineup::check_usernames, run::Mode};

use super::programs::{Launch, Role};
use crate::cli::battles::{Match, Side};

/// What the two sides come to.
pub struct Pairing {
    pub mode: Mode,
    /// Our accounts; none where a guest watches.
    pub usernames: Vec<String>,
    pub ours: Contestant,
    /// The other side, where it is ours as well.
    pub partner: Option<Contestant>,
    pub programs: Vec<Program>,
}

/// A side that is a program, and what it is to do.
pub struct Program {
    side: String,
    line: String,
    name: String,
    opponent: String,
    role: Role,
}

impl Pairing {
    /// Reads it off the command line. On a server of our own, names are made up: the same each time, so that a run
    /// goes on.
    pub fn of(wanted: &Match, is_local: bool) -> Result<Self> {
        let names = |usual| names(wanted, is_local, usual);
        let none = Vec::new;
        let is_user = |side: &Side| matches!(side, Side::User(_));
        if is_local && (is_user(&wanted.one) || is_user(&wanted.two)) {
            bail!(
                "a user cannot find a server that is started here: leave --local out, and name theirs with --server"
            )
        }
        let (mode, usernames, ours, partner, programs) = match (&wanted.one, &wanted.two) {
            (Side::Ours(one), Side::Ours(two)) => {
                let names = names(&["Match A 1", "Match B 1", "Match A 2", "Match B 2"])?;
                (Mode::SelfPlay, names, *one, Some(*two), none())
            }
            (Side::Ours(one), Side::User(user)) => {
                (Mode::Challenge(user.clone()), names(&["Match A 1"])?, *one, None, none())
            }
            (Side::Ours(one), Side::Program(_)) => {
                let [me, program] = exactly(names(&["Match A", "Match B"])?)?;
                check(&me, &program)?;
                let mode = Mode::Challenge(program.clone());
                let program = Program::of(&wanted.two, &program, &me, Role::Accept);
                (mode, vec![me], *one, None, program.into_iter().collect())
            }
            (Side::User(_) | Side::Program(_), Side::Ours(_)) => {
                bail!("one of ours comes first: match '{}' '{}'", wanted.two, wanted.one)
            }
            (Side::User(_) | Side::Program(_), Side::User(_) | Side::Program(_)) => {
                return Self::watch(wanted, is_local);
            }
        };
        Ok(Self { mode, usernames, ours, partner, programs })
    }

    /// Nobody of ours plays.
    fn watch(wanted: &Match, is_local: bool) -> Result<Self> {
        if wanted.place.team_dir.is_some() {
            bail!("--team-dir has teams for our players, and nobody of ours plays");
        }
        let (one, two, usernames) = watched(wanted, is_local)?;
        check(&one, &two)?;
        // A program against a user challenges, since nobody else here can.
        let second = match &wanted.one {
            Side::Program(_) => Role::Accept,
            Side::User(_) | Side::Ours(_) => Role::Challenge,
        };
        let programs = Program::of(&wanted.one, &one, &two, Role::Challenge)
            .into_iter()
            .chain(Program::of(&wanted.two, &two, &one, second))
            .collect();
        // Who of ours would think makes no difference.
        let ours = Contestant::default();
        Ok(Self { mode: Mode::Watch([one, two]), usernames, ours, partner: None, programs })
    }
}

impl Program {
    /// `None`: this side is no program.
    fn of(side: &Side, name: &str, opponent: &str, role: Role) -> Option<Self> {
        let Side::Program(line) = side else { return None };
        Some(Self {
            side: side.to_string(),
            line: line.clone(),
            name: name.to_owned(),
            opponent: opponent.to_owned(),
            role,
        })
    }

    /// How it is started, to play this format at this socket.
    pub fn launch(self, server: &str, format: &str) -> Launch {
        let Self { side, line, name, opponent, role } = self;
        let (server, format) = (server.to_owned(), format.to_owned());
        Launch { side, line, server, name, opponent, format, role }
    }
}

/// The two who are watched, and by whom.
fn watched(wanted: &Match, is_local: bool) -> Result<(String, String, Vec<String>)> {
    let guest = Vec::new;
    Ok(match (&wanted.one, &wanted.two) {
        (Side::User(one), Side::User(two)) => {
            if wanted.username.len() > 1 {
                bail!("--username names who watches, and one is enough");
            }
            (one.clone(), two.clone(), wanted.username.clone())
        }
        (Side::User(one), Side::Program(_) | Side::Ours(_)) => {
            let [two] = exactly(names(wanted, is_local, &["Match B"])?)?;
            (one.clone(), two, guest())
        }
        (Side::Program(_) | Side::Ours(_), Side::User(two)) => {
            let [one] = exactly(names(wanted, is_local, &["Match A"])?)?;
            (one, two.clone(), guest())
        }
        (Side::Program(_) | Side::Ours(_), Side::Program(_) | Side::Ours(_)) => {
            let [one, two] = exactly(names(wanted, is_local, &["Match A", "Match B"])?)?;
            (one, two, guest())
        }
    })
}

fn names(wanted: &Match, is_local: bool, usual: &[&str]) -> Result<Vec<String>> {
    match &wanted.username[..] {
        [_, ..] => Ok(wanted.username.clone()),
        [] if is_local => Ok(usual.iter().map(|name| (*name).to_owned()).collect()),
        [] => {
            bail!("--username must name an account for each side but user:NAME, which has its own")
        }
    }
}

fn exactly<const N: usize>(names: Vec<String>) -> Result<[String; N]> {
    let wrong = |names: Vec<String>| {
        anyhow!(
            "--username must name {N}, and names {}: one for each side that is no user",
            names.len()
        )
    };
    names.try_into().map_err(wrong)
}

fn check(one: &str, two: &str) -> Result<()> {
    let names = [one.to_owned(), two.to_owned()];
    check_usernames(&names, None).map_err(|says| anyhow!("the names {one} and {two} {says}"))
}
