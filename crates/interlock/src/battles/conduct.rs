//! One run, from opening it to its report: a server for its pages, a fleet, signals, and what is shown meanwhile.

use std::{
    convert::Infallible,
    future::pending,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Error, Result, anyhow};
use interlock_battles::{
    domain::{
        run::{Mode, Plan, RunView},
        score::{Score, Sprt, Verdict},
    },
    fleet::{
        Brake, Fleet, FleetSettings, Fleets, Report, Tracker,
        counter::{Api, Counter},
        logs::Logs,
        pairs::PairReader,
    },
    limits,
};
use interlock_kernel::ids::Key;
use interlock_server::{
    config::{AccessToken, Config},
    server::Server,
};
use tokio::{sync::oneshot, task::block_in_place, time::sleep};

use super::{
    programs::{Launch, Programs},
    progress,
    setup::seed,
};
use crate::{cli::battles::Kept, open_files, signals::Signals};

/// Who says when a match is decided.
pub struct Judge {
    pub test: Sprt,
    /// Where games are paired: those of the run with this name.
    pub pairs: Option<PairReader>,
    /// When the logs were read last: so many games were over.
    read: u64,
    ratio: f64,
}

impl Judge {
    pub fn new(test: Sprt, pairs: Option<PairReader>) -> Self {
        Self { test, pairs, read: 0, ratio: 0.0 }
    }

    fn verdict(&mut self, view: &RunView) -> Verdict {
        let Some(pairs) = &mut self.pairs else {
            return self.test.verdict(Score::from(view.total));
        };
        let finished = view.total.finished();
        if finished > self.read {
            match block_in_place(|| pairs.read()) {
                Ok(pairs) => (self.read, self.ratio) = (finished, self.test.ratio_of_pairs(pairs)),
                Err(error) => tracing::warn!(%error, "the logs cannot be read yet"),
            }
        }
        self.test.verdict_at(self.ratio)
    }
}

/// What a match is beside a run.
#[derive(Default)]
pub struct Bout {
    /// Who ends it when it is decided.
    pub judge: Option<Judge>,
    /// Who is started to play in it.
    pub programs: Vec<Launch>,
    /// How long they may play nothing.
    pub patience: Duration,
}

/// What has been played.
pub struct Played {
    pub report: Report,
    /// Why the programs were given up, if they were.
    pub trouble: Option<String>,
}

/// A run of this process's own server, which may have begun before.
pub struct Conduct<'a> {
    kept: &'a Kept,
    server: Server,
    before: Option<Plan>,
    name: Key,
}

impl<'a> Conduct<'a> {
    /// Starts the server, and looks what is known of the run.
    pub async fn begin(kept: &'a Kept) -> Result<Self> {
        let name = kept.run.clone().unwrap_or_else(made_up);
        let server = start_server(kept.data.clone(), kept.listen, kept.token.clone()).await?;
        let before = Counter::new(server.runtime(), name.clone()).plan().await?;
        Ok(Self { kept, server, before, name })
    }

    /// What the run was opened to play, if it was.
    pub fn before(&self) -> Option<&Plan> {
        self.before.as_ref()
    }

    /// The logs of the run.
    pub fn logs(&self) -> Logs {
        Logs::new(self.server.fleets().folder(&self.name))
    }

    /// Plays until the target is reached, the judge has decided, or signals end it.
    pub async fn run(self, plan: Plan, settings: FleetSettings, bout: Bout) -> Result<Played> {
        let Self { kept, mut server, before, name } = self;
        let Bout { judge, programs, patience } = bout;
        let is_watched = matches!(plan.mode, Mode::Watch(_));
        let signals = Signals::listen()?;
        open_files::allow_many();
        let counter = Counter::new(server.runtime(), name.clone());
        let (fleets, folder) = (server.fleets().clone(), server.fleets().folder(&name));
        eprintln!("run {name}: {}", if before.is_none() { "new" } else { "goes on" });
        let address = server.address();

        let brake = Brake::default();
        fleets.add_own(&name, brake.clone());
        if kept.listen.is_some() {
            server.host_fleets();
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let played = async {
            let settings = FleetSettings { folder, ..settings };
            let fleet = Fleet::open(counter.clone(), plan, settings, brake.clone()).await?;
            eprintln!("its page: http://{address}/battles/{name}");
            let tracker = fleet.tracker();
            fleets.note(&name, Some(fleet.tracker()));
            // Not before somebody watches.
            let mut programs = Programs::new(programs);
            let report = tokio::select! {
                report = fleet.ended() => report.map_err(Error::from),
                error = programs.play(&counter, &tracker, patience, || match is_watched {
                    true => brake.forfeit(),
                    false => brake.drain(),
                }) => Err(error),
                never = judged(judge, &counter, &tracker, &brake) => match never {},
                never = progress::show(&counter) => match never {},
            };
            let trouble = programs.stop().await;
            if report.as_ref().is_ok_and(|report| report.elsewhere > 0) {
                eprintln!("other machines are told that it is over");
                sleep(limits::FAREWELL).await;
            }
            // The server is waiting for it.
            let _ = stop.send(());
            anyhow::Ok(Played { report: report?, trouble })
        };
        let stopped = async {
            // An error is the end as well.
            let _ = stopped.await;
        };
        tokio::select! {
            (_, played) = async { tokio::join!(server.run(stopped), played) } => played,
            // Programs are killed by whoever drops them.
            hurry = obey(signals, &brake) => Err(hurry),
        }
    }
}

/// Plays for a run that another machine's server has.
pub async fn join(address: &str, settings: FleetSettings, kept: &Kept) -> Result<Report> {
    let signals = Signals::listen()?;
    open_files::allow_many();
    let name = kept.run.clone().context("--join needs --run NAME")?;
    let api = Api::new(address, kept.token.clone())?;
    let counter = Counter::joined(api, name.clone(), seed());
    eprintln!("run {name}: joined; its page: {address}/battles/{name}");
    let folder = Fleets::new(&kept.data).folder(&name);
    let fleet = Fleet::start(counter.clone(), FleetSettings { folder, ..settings }).await?;
    let brake = fleet.brake();
    tokio::select! {
        report = fleet.ended() => Ok(report?),
        hurry = obey(signals, &brake) => Err(hurry),
        never = progress::show(&counter) => match never {},
    }
}

/// The first signal finishes what is in play, the second gives it up, the third waits for nothing:
/// that is returned.
async fn obey(mut signals: Signals, brake: &Brake) -> Error {
    signals.next().await;
    eprintln!("\nfinishing what is in play; once more gives it up");
    brake.drain();
    signals.next().await;
    eprintln!("\ngiving up what is in play");
    brake.forfeit();
    signals.next().await;
    anyhow!("stopped before what is in play was over: the same --run goes on where it was")
}

/// Begins nothing new once the test has decided.
async fn judged(
    mut judge: Option<Judge>,
    counter: &Counter,
    tracker: &Tracker,
    brake: &Brake,
) -> Infallible {
    let mut news = tracker.news();
    while let Some(judge) = &mut judge {
        if let Ok(view) = counter.view().await
            && judge.verdict(&view) != Verdict::Open
        {
            brake.drain();
            break;
        }
        if news.changed().await.is_err() {
            break; // the fleet is gone
        }
    }
    pending().await
}

/// A server on this data folder, for its pages and its store.
pub async fn start_server(
    data: PathBuf,
    listen: Option<SocketAddr>,
    token: Option<String>,
) -> Result<Server> {
    let token = token.map(|secret| AccessToken { name: "battles".to_owned(), secret });
    let tokens = token.into_iter().collect();
    let listen = listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    Ok(Server::start(&Config { data, listen, tokens, ..Config::default() }).await?)
}

/// A name that no other run has.
fn made_up() -> Key {
    Key::new(&format!("battles-{:x}", seed())).expect("letters and digits")
}
