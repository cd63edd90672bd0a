//! `interlock battles …`

mod conduct;
mod match_up;
mod pairing;
mod programs;
mod progress;
mod setup;

use std::num::NonZeroU32;

use anyhow::{Context, Result, bail};
use interlock_battles::{
    domain::{
        lineup::WORKER_PREFIX,
        protocol::LOBBY,
        run::{Mode, Plan},
    },
    fleet::{
        FleetSettings, Fleets, Report,
        counter::{Api, Counter},
        logs::Logs,
    },
    limits::NAME_CHARS,
};
use interlock_kernel::quota::Limit;
use interlock_server::server::serving;

use self::{
    conduct::{Bout, Conduct, start_server},
    setup::{Ground, LOCAL, Lineup, Luck, seed, settings, teams, workers},
};
use crate::cli::battles::{Battles, ModeWord, Run, Show};

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
    let conduct = Conduct::begin(&run.kept).await?;
    let before = conduct.before();
    let server = setup::server(&run.place, before)?;
    let (mode, usernames) = opponents(run, before, server == LOCAL)?;
    let workers = workers(run.workers, before, 1);
    let has_shares = !run.no_shares && before.is_none_or(|plan| plan.shares.is_some());
    let target = run.run_count.or(before.map(|plan| plan.target));
    let plan = Plan {
        server,
        format: setup::format(&run.place, before),
        mode,
        target: target.unwrap_or(Limit::Unlimited),
        shares: NonZeroU32::new(workers).filter(|_| has_shares),
    };
    let lineup = lineup(run, usernames, workers)?;
    let settings = settings(&run.place, Some(&plan), &run.kept, lineup)?;
    let ground = Ground::prepare(&run.place, &plan, Luck::Any).await?;
    let settings = FleetSettings { server: ground.socket(), ..settings };
    print(&conduct.run(plan, settings, Bout::default()).await?.report, run.kept.json)
}

/// Plays for a run that another machine has.
async fn join(run: &Run, address: &str) -> Result<()> {
    let lineup = lineup(run, run.username.clone(), run.workers.unwrap_or(1))?;
    let settings = settings(&run.place, None, &run.kept, lineup)?;
    print(&conduct::join(address, settings, &run.kept).await?, run.kept.json)
}

fn lineup(run: &Run, usernames: Vec<String>, workers: u32) -> Result<Lineup<'_>> {
    Ok(Lineup {
        usernames,
        workers,
        prefix: run.worker_prefix.as_deref().unwrap_or(WORKER_PREFIX),
        teams: teams(&run.place)?,
        ours: run.contestant(),
        partner: None,
    })
}

/// How opponents are found, and by which accounts. Nobody else is on a local server: there the bot plays against
/// itself unless told otherwise.
fn opponents(run: &Run, before: Option<&Plan>, is_local: bool) -> Result<(Mode, Vec<String>)> {
    let mut usernames = run.username.clone();
    let before = before.map(|plan| &plan.mode);
    if let Some(Mode::Watch([one, two])) = before {
        bail!("the run watches {one} and {two}: interlock battles match goes on with it");
    }
    let usual = if is_local { ModeWord::SelfPlay } else { ModeWord::Ladder };
    let word = run.mode.or(before.and_then(ModeWord::of)).unwrap_or(usual);
    let named = before.filter(|mode| ModeWord::of(mode) == Some(word)).and_then(Mode::name);
    let name = |said: &Option<String>| said.clone().or_else(|| named.map(str::to_owned));
    let mode = match word {
        ModeWord::Ladder => Mode::Ladder,
        ModeWord::Accept => Mode::Accept(name(&run.opponent)),
        ModeWord::Challenge => {
            let opponent = name(&run.opponent).context("--mode challenge needs --opponent NAME")?;
            Mode::Challenge(opponent)
        }
        ModeWord::Tournament => {
            Mode::Tournament(name(&run.room).unwrap_or_else(|| LOBBY.to_owned()))
        }
        ModeWord::SelfPlay => {
            if let ([name], true) = (&usernames[..], is_local) {
                usernames.push(second(name));
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
    let which = || format!("run {}", show.run);
    let view = match serving(&show.data) {
        // Whoever holds the folder knows.
        Some(address) => {
            let api = Api::new(&format!("http://{address}"), show.token.clone())?;
            Counter::joined(api, show.run.clone(), seed()).view().await.with_context(which)?
        }
        None => {
            let server = start_server(show.data.clone(), None, None).await?;
            let view = Counter::new(server.runtime(), show.run.clone()).view().await;
            server.run(async {}).await;
            view.with_context(which)?
        }
    };
    let logs = Logs::new(Fleets::new(&show.data).folder(&show.run));
    print(&Report::of(show.run.as_str(), &view, &logs)?, show.json)
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("{}", progress::summary(report));
    Ok(())
}
