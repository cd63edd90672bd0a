//! `interlock battles …`

mod progress;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use interlock_battles::{
    domain::{
        id::id,
        run::{Mode, Plan},
    },
    fleet::{
        Fleet, FleetSettings, Fleets, Overhead, Report, Team,
        counter::{Api, Counter},
        logs::Logs,
    },
    io::{Account, PUBLIC_LOGIN, Password, Settings},
    limits,
    players::{Budget, Greedy, Mcts, Player, Random, Thinkers},
};
use interlock_kernel::ids::{Key, Worker};
use interlock_server::{
    config::{AccessToken, Config},
    server::Server,
};

use crate::{
    cli::battles::{Battles, ModeWord, PlayerWord, Run, Show},
    open_files,
    signals::Signals,
};

pub fn run(battles: Battles) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    match battles {
        Battles::Run(run) => runtime.block_on(play(*run)),
        Battles::Show(show) => runtime.block_on(show_run(&show)),
    }
}

async fn play(run: Run) -> Result<()> {
    let mut signals = Signals::listen()?;
    open_files::allow_many();
    if let Some(address) = run.join.clone() {
        return join(run, &address, signals).await;
    }
    let plan = plan(&run)?;
    let settings = settings(&run)?;
    let name = run.run.clone().unwrap_or_else(|| made_up(&plan.format));
    let server = start_server(run.data.clone(), run.listen, run.token.clone()).await?;
    let counter = Counter::new(server.runtime(), name.clone());
    let retention = interlock_battles::RETENTION;
    let created = counter.open(plan, limits::CLAIM_TTL, retention).await?;
    let (fleets, folder) = (server.fleets().clone(), server.fleets().folder(&name));
    eprintln!("run {name}: {}", if created { "new" } else { "goes on" });
    eprintln!("its page: http://{}/battles/{name}", server.address());

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let played = async {
        let settings = FleetSettings { folder, ..settings };
        let watched = |fleet: &Fleet| fleets.add(&name, fleet.tracker());
        let report = to_the_end(&counter, settings, &mut signals, watched).await;
        if report.as_ref().is_ok_and(|report| report.elsewhere > 0) {
            eprintln!("\nother machines are told that it is over");
            tokio::time::sleep(limits::FAREWELL).await;
        }
        // The server is waiting for it.
        let _ = stop.send(());
        report
    };
    let stopped = async {
        // An error is the end as well.
        let _ = stopped.await;
    };
    let (_, report) = tokio::join!(server.run(stopped), played);
    print(&report?, run.json)
}

/// Plays for a run that another machine has.
async fn join(run: Run, address: &str, mut signals: Signals) -> Result<()> {
    let name = run.run.clone().context("--join needs --run NAME")?;
    let api = Api::new(address, run.token.clone())?;
    let counter = Counter::joined(api, name.clone(), seed());
    eprintln!("run {name}: joined; its page: {address}/battles/{name}");
    let folder = Fleets::new(&run.data).folder(&name);
    let settings = FleetSettings { folder, ..settings(&run)? };
    let report = to_the_end(&counter, settings, &mut signals, |_| {}).await?;
    print(&report, run.json)
}

/// Plays until there is no more to play, or somebody says that it is enough.
async fn to_the_end(
    counter: &Counter,
    settings: FleetSettings,
    signals: &mut Signals,
    begun: impl FnOnce(&Fleet),
) -> Result<Report> {
    let fleet = Fleet::start(counter.clone(), settings).await?;
    let brake = fleet.brake();
    begun(&fleet);
    let told = async {
        signals.next().await;
        eprintln!("\nfinishing what is in play; once more gives it up");
        brake.drain();
        signals.next().await;
        eprintln!("\ngiving up what is in play");
        brake.forfeit();
        signals.next().await;
        std::process::exit(1);
    };
    let shown = progress::show(counter);
    tokio::select! {
        report = fleet.ended() => Ok(report?),
        () = told => unreachable!("it exits"),
        () = shown => unreachable!("it goes on"),
    }
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

/// A server on this data folder, for its pages and its store.
async fn start_server(
    data: std::path::PathBuf,
    listen: Option<SocketAddr>,
    token: Option<String>,
) -> Result<Server> {
    let token = token.map(|secret| AccessToken { name: "battles".to_owned(), secret });
    let tokens = token.into_iter().collect();
    let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Ok(Server::start(&Config { data, listen, tokens, ..Config::default() }).await?)
}

fn plan(run: &Run) -> Result<Plan> {
    let opponent = || run.opponent.clone();
    let mode = match run.mode {
        ModeWord::Ladder => Mode::Ladder,
        ModeWord::Accept => Mode::Accept(opponent()),
        ModeWord::Challenge => {
            Mode::Challenge(opponent().context("--mode challenge needs --opponent NAME")?)
        }
        ModeWord::SelfPlay if run.username.len() == 2 => Mode::SelfPlay,
        ModeWord::SelfPlay => bail!("--mode self-play needs two accounts: --username one,two"),
    };
    let shares = std::num::NonZeroU32::new(run.workers).filter(|_| !run.no_shares);
    let (server, format) = (run.server.clone(), id(&run.format));
    Ok(Plan { server, format, mode, target: run.run_count, shares })
}

fn settings(run: &Run) -> Result<FleetSettings> {
    let account = |name: &String| match &run.password {
        None => Account::Unproven(name.clone()),
        Some(password) => Account::Registered {
            name: name.clone(),
            password: Password::new(password),
            login_url: run.login_url.clone().unwrap_or_else(|| PUBLIC_LOGIN.to_owned()),
        },
    };
    let player: Arc<dyn Player> = match run.player {
        PlayerWord::Search => Arc::new(Mcts::default()),
        PlayerWord::Greedy => Arc::new(Greedy),
        PlayerWord::Random => Arc::new(Random),
    };
    let budget = match run.search_iterations {
        Some(iterations) => Budget::Iterations(iterations.get()),
        None => Budget::Time(Duration::from_millis(run.search_time_ms)),
    };
    let worker = |number| Worker::new(&format!("{}{number}", run.worker_prefix));
    let workers = (0..run.workers).map(worker).collect::<Result<_, _>>();
    Ok(FleetSettings {
        accounts: run.username.iter().map(account).collect(),
        workers: workers.context("--worker-prefix")?,
        teams: run.team_dir.as_deref().map(teams).transpose()?.unwrap_or_default(),
        playing: Settings {
            player,
            thinkers: Arc::new(Thinkers::on_all_cores()),
            budget,
            seed: seed(),
        },
        folder: std::path::PathBuf::new(),
        save: run.save_replay.into(),
    })
}

/// The teams of a folder, in the order of their names.
fn teams(folder: &Path) -> Result<Vec<Team>> {
    let cannot = || format!("--team-dir {}", folder.display());
    let mut teams = Vec::new();
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_file() {
            let packed = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            teams.push(Team { name, packed: packed.trim().to_owned() });
        }
    }
    if teams.is_empty() {
        bail!("{}: there is no team in it", cannot());
    }
    teams.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(teams)
}

fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
}

/// A name that no other run of this second has.
fn made_up(format: &str) -> Key {
    Key::new(&format!("{format}-{:x}", seed())).expect("an id and digits")
}

fn print(report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("{}", progress::summary(report));
    Ok(())
}
