//! `interlock battles …`

mod conduct;
mod match_up;
mod progress;
mod setup;

use std::{num::NonZeroU32, time::Duration};

use anyhow::{Context, Result, bail};
use interlock_battles::{
    domain::run::Mode,
    fleet::{Overhead, Report, counter::Counter, logs::Logs},
};

use self::{
    conduct::{Conduct, start_server},
    setup::{Ground, Lineup, plan, settings, teams},
};
use crate::cli::battles::{Battles, ModeWord, Run, Show};

/// Characters that a server leaves of a name.
const NAME_CHARS: usize = 18;

pub fn run(battles: Battles) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    match battles {
        Battles::Run(run) => runtime.block_on(play(&run)),
        Battles::Match(wanted) => runtime.block_on(match_up::play(&wanted)),
        Battles::Show(show) => runtime.block_on(show_run(&show)),
    }
}

async fn play(run: &Run) -> Result<()> {
    if let Some(address) = &run.join {
        return join(run, address).await;
    }
    let (mode, usernames) = opponents(run)?;
    let lineup = Lineup {
        usernames,
        workers: run.workers,
        prefix: &run.worker_prefix,
        teams: teams(&run.place)?,
        ours: run.contestant(),
        partner: None,
    };
    let shares = NonZeroU32::new(run.workers).filter(|_| !run.no_shares);
    let ground = Ground::prepare(&run.place).await?;
    let conduct = Conduct {
        plan: plan(&run.place, mode, run.run_count, shares),
        settings: settings(&ground, &run.place, &run.kept, lineup)?,
        kept: &run.kept,
        judge: None,
    };
    print(&conduct.run().await?, run.kept.json)
}

/// Plays for a run that another machine has.
async fn join(run: &Run, address: &str) -> Result<()> {
    let lineup = Lineup {
        usernames: run.username.clone(),
        workers: run.workers,
        prefix: &run.worker_prefix,
        teams: teams(&run.place)?,
        ours: run.contestant(),
        partner: None,
    };
    let ground = Ground::prepare(&run.place).await?;
    let settings = settings(&ground, &run.place, &run.kept, lineup)?;
    print(&conduct::join(address, settings, &run.kept).await?, run.kept.json)
}

/// How opponents are found, and by which accounts. Nobody else is on a local server: there the bot plays against
/// itself unless told otherwise.
fn opponents(run: &Run) -> Result<(Mode, Vec<String>)> {
    let mut usernames = run.username.clone();
    let opponent = || run.opponent.clone();
    let usual = if run.place.local { ModeWord::SelfPlay } else { ModeWord::Ladder };
    let mode = match run.mode.unwrap_or(usual) {
        ModeWord::Ladder => Mode::Ladder,
        ModeWord::Accept => Mode::Accept(opponent()),
        ModeWord::Challenge => {
            Mode::Challenge(opponent().context("--mode challenge needs --opponent NAME")?)
        }
        ModeWord::Tournament => Mode::Tournament(run.room.clone()),
        ModeWord::SelfPlay => {
            if let ([name], true) = (&usernames[..], run.place.local) {
                usernames.push(second(name));
            }
            if !usernames.len().is_multiple_of(2) {
                bail!("--mode self-play needs pairs of accounts: --username one,two");
            }
            Mode::SelfPlay
        }
    };
    Ok((mode, usernames))
}

/// The name of somebody's other self, as short as names must be.
fn second(name: &str) -> String {
    let short: String = name.chars().take(NAME_CHARS - 2).collect();
    format!("{short}-2")
}

async fn show_run(show: &Show) -> Result<()> {
    if !show.data.join("log.sqlite").exists() {
        bail!("{}: there is no data in it", show.data.display());
    }
    let server = start_server(show.data.clone(), None, None).await?;
    let counter = Counter::new(server.runtime(), show.run.clone());
    let view = counter.view().await.with_context(|| format!("run {}", show.run))?;
    let logs = Logs::new(server.fleets().folder(&show.run));
    let report = Report::of(show.run.as_str(), &view, &logs, Overhead::default(), Duration::ZERO)?;
    server.run(async {}).await;
    print(&report, show.json)
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("{}", progress::summary(report));
    Ok(())
}
