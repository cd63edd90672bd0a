//! From the words of the command line to what a fleet takes.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail};
use interlock_battles::{
    domain::{
        contestant::Contestant,
        id::id,
        lineup::{check_socket, check_usernames, worker_names},
        run::{Mode, Plan},
        team::packed,
    },
    fleet::{FleetSettings, Team, host::PASSWORD_VARIABLE},
    io::{
        Account, PUBLIC_LOGIN, Password, Settings,
        local::{LocalServer, find_package},
    },
    players::Thinkers,
};

use crate::cli::battles::{Kept, Place};

/// What a plan names as its server where that is one of our own: all of them are one, another address is no other run.
pub const LOCAL: &str = "local";
const USUAL_SERVER: &str = "ws://127.0.0.1:8000/showdown/websocket";
const SERVER_VARIABLE: &str = "INTERLOCK_SHOWDOWN";
const USUAL_FORMAT: &str = "gen9randombattle";

/// Where is played: on the server of the command line, or on one of our own, for as long as this lives.
pub struct Ground {
    local: Option<LocalServer>,
}

/// Where the teams and the dice of a battle come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// From the server.
    Any,
    /// From seeds that each two games share, where the server is our own.
    Paired,
}

/// Who plays.
pub struct Lineup<'a> {
    pub usernames: Vec<String>,
    pub workers: u32,
    /// What the workers' names begin with.
    pub prefix: &'a str,
    pub teams: Vec<Team>,
    pub ours: Contestant,
    /// The other side, where it is ours and another one.
    pub partner: Option<Contestant>,
}

impl Ground {
    pub async fn prepare(place: &Place, plan: &Plan, luck: Luck) -> Result<Self> {
        if plan.server != LOCAL {
            return Ok(Self { local: None });
        }
        let package = find_package(place.showdown.clone())?;
        let server = match luck {
            Luck::Any => LocalServer::start(&package).await?,
            Luck::Paired => LocalServer::start_with_pairs(&package).await?,
        };
        eprintln!("a server of its own: {}", server.url());
        Ok(Self { local: Some(server) })
    }

    /// The socket of our own server.
    pub fn socket(&self) -> Option<String> {
        self.local.as_ref().map(|server| server.url().to_owned())
    }
}

/// The plan's server: as is said, or as it was before, or the usual one.
pub fn server(place: &Place, before: Option<&Plan>) -> Result<String> {
    if place.local {
        return Ok(LOCAL.to_owned());
    }
    if let (None, Some(plan)) = (&place.server, before) {
        return Ok(plan.server.clone());
    }
    let server = place.server.clone().or_else(|| variable(SERVER_VARIABLE));
    let server = server.unwrap_or_else(|| USUAL_SERVER.to_owned());
    check_socket(&server).map_err(|says| anyhow!("--server {server} {says}"))?;
    Ok(server)
}

/// The plan's format: as is said, or as it was before, or the usual one.
pub fn format(place: &Place, before: Option<&Plan>) -> String {
    let known = place.format.as_deref().or(before.map(|plan| &*plan.format));
    id(known.unwrap_or(USUAL_FORMAT))
}

/// How many workers: as many as are said, or had shares before, or as usual.
pub fn workers(said: Option<u32>, before: Option<&Plan>, usual: u32) -> u32 {
    let shares = || before.and_then(|plan| plan.shares).map(NonZeroU32::get);
    said.or_else(shares).unwrap_or(usual)
}

/// By whom and how is played. Of a plan that is another machine's, nothing is known here.
pub fn settings(
    place: &Place,
    plan: Option<&Plan>,
    kept: &Kept,
    lineup: Lineup<'_>,
) -> Result<FleetSettings> {
    let mode = plan.map(|plan| &plan.mode);
    let is_guest = matches!(mode, Some(Mode::Watch(_))) && lineup.usernames.is_empty();
    if !is_guest {
        check_usernames(&lineup.usernames, mode).map_err(|says| anyhow!("--username {says}"))?;
    }
    let workers = worker_names(lineup.prefix, lineup.workers);
    let thinkers = Arc::new(Thinkers::on_all_cores());
    let playing = |contestant| Settings::of(contestant, &thinkers, seed());
    let is_local = plan.is_some_and(|plan| plan.server == LOCAL);
    Ok(FleetSettings {
        server: None,
        accounts: accounts(is_local, place, lineup.usernames)?,
        workers: workers.map_err(|says| anyhow!("--worker-prefix {says}"))?,
        teams: lineup.teams,
        playing: playing(lineup.ours),
        partner: lineup.partner.map(playing),
        folder: PathBuf::new(),
        save: kept.save_replay.into(),
    })
}

/// A server of our own asks for no proof: it is given none, and no login service is told a password for it. Who has no
/// name is a guest.
fn accounts(is_local: bool, place: &Place, names: Vec<String>) -> Result<Vec<Account>> {
    if is_local && (place.password.is_some() || place.login_url.is_some()) {
        bail!("the run is played on a local server, which asks for no --password");
    }
    if names.is_empty() {
        return Ok(vec![Account::Guest]);
    }
    let known = || variable(PASSWORD_VARIABLE).filter(|_| !is_local);
    let password = place.password.clone().or_else(known);
    let login_url = place.login_url.as_deref().unwrap_or(PUBLIC_LOGIN).to_owned();
    let Some(password) = password.map(Password::new) else {
        let account = |name| Account::Unregistered { name, login_url: login_url.clone() };
        return Ok(names.into_iter().map(account).collect());
    };
    let account = |name| Account::Registered {
        name,
        password: password.clone(),
        login_url: login_url.clone(),
    };
    Ok(names.into_iter().map(account).collect())
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|text| !text.is_empty())
}

/// The teams of a folder, in the order of their names; none where no folder is named.
pub fn teams(place: &Place) -> Result<Vec<Team>> {
    place.team_dir.as_deref().map(read_teams).transpose().map(Option::unwrap_or_default)
}

fn read_teams(folder: &Path) -> Result<Vec<Team>> {
    let cannot = || format!("--team-dir {}", folder.display());
    let mut teams = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_file() {
            let which = || path.display().to_string();
            let text = fs::read_to_string(&path).with_context(which)?;
            let packed = packed(&text).with_context(which)?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            teams.push(Team { name, packed });
        }
    }
    if teams.is_empty() {
        bail!("{}: there is no team in it", cannot());
    }
    teams.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(teams)
}

/// A number that no other process has: the standard library's hashes are seeded by the operating system.
pub fn seed() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn seeds_differ_and_use_all_their_bits() {
        let seeds: BTreeSet<u64> = (0..64).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 64);
        assert_eq!(seeds.iter().fold(0, |all, seed| all | seed), u64::MAX);
    }
}
