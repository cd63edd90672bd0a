//! From the words of the command line to what a fleet takes.

use std::{
    env, fs,
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use interlock_battles::{
    domain::{
        contestant::Contestant,
        id::id,
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
use interlock_kernel::{ids::Worker, quota::Limit};

use crate::cli::battles::{Kept, Place};

/// Where is played: on the server of the command line, or on one of our own, for as long as this lives.
pub struct Ground {
    local: Option<LocalServer>,
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
    pub async fn prepare(place: &Place) -> Result<Self> {
        if !place.local {
            return Ok(Self { local: None });
        }
        let package = find_package(place.showdown.clone())?;
        let server = LocalServer::start(&package).await?;
        eprintln!("a server of its own: {}", server.url());
        Ok(Self { local: Some(server) })
    }
}

/// What is played. All local servers are one: another address is no other run.
pub fn plan(place: &Place, mode: Mode, target: Limit, shares: Option<NonZeroU32>) -> Plan {
    let server = if place.local { "local" } else { &place.server };
    Plan { server: server.to_owned(), format: id(&place.format), mode, target, shares }
}

pub fn settings(
    ground: &Ground,
    place: &Place,
    kept: &Kept,
    lineup: Lineup<'_>,
) -> Result<FleetSettings> {
    let worker = |number| Worker::new(&format!("{}{number}", lineup.prefix));
    let workers = (0..lineup.workers).map(worker).collect::<Result<_, _>>();
    let thinkers = Arc::new(Thinkers::on_all_cores());
    let playing = |contestant| Settings::of(contestant, &thinkers, seed());
    Ok(FleetSettings {
        server: ground.local.as_ref().map(|server| server.url().to_owned()),
        accounts: accounts(ground, place, lineup.usernames)?,
        workers: workers.context("--worker-prefix")?,
        teams: lineup.teams,
        playing: playing(lineup.ours),
        partner: lineup.partner.map(playing),
        folder: PathBuf::new(),
        save: kept.save_replay.into(),
    })
}

/// A server of our own asks for no proof: it is given none, and no login service is told a password for it.
fn accounts(ground: &Ground, place: &Place, names: Vec<String>) -> Result<Vec<Account>> {
    let password = match (&ground.local, &place.password) {
        (Some(_), _) => None,
        (None, Some(said)) => Some(said.clone()),
        (None, None) => env::var(PASSWORD_VARIABLE).ok().filter(|password| !password.is_empty()),
    };
    let Some(password) = password.map(Password::new) else {
        if place.login_url.is_some() {
            bail!("--login-url needs a password: --password, or {PASSWORD_VARIABLE}");
        }
        return Ok(names.into_iter().map(Account::Unproven).collect());
    };
    let login_url = place.login_url.as_deref().unwrap_or(PUBLIC_LOGIN);
    let account = |name| Account::Registered {
        name,
        password: password.clone(),
        login_url: login_url.to_owned(),
    };
    Ok(names.into_iter().map(account).collect())
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
