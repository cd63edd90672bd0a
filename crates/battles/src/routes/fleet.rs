//! `/battles/runs/{run}/fleet`: a fleet of this server's own for a run, with the settings of `interlock battles run`.
//!
//! A password is kept in the memory of the process alone, or the request names a variable of the server's environment
//! that holds it. Only with the latter, or with none, the fleet goes on by itself when the server restarts.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::ids::{Caller, Key, Worker};
use interlock_runtime::{Meta, Receipt, Runtime};
use interlock_web::{
    command::Command,
    endpoint::{Endpoint, Routes},
    path::Path,
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{integer, line, list, name, object, one_of, optional, text},
};
use serde::Serialize;

use crate::{
    domain::{
        contestant::Contestant,
        fleet::{
            Crew, Fleet, FleetCommand, FleetRejection, FleetReply, Orders, SaveReplay, Secret,
            Team, Wanted,
        },
        lineup::{WORKER_PREFIX, check_socket, check_usernames, worker_names},
        run::{Plan, Run, RunRejection},
    },
    fleet::{Fleets, host::PASSWORD_VARIABLE},
    io::Password,
    limits,
};

const SAVES: &[(&str, SaveReplay)] = &[
    ("always", SaveReplay::Always),
    ("never", SaveReplay::Never),
    ("on-loss", SaveReplay::OnLoss),
    ("on-win", SaveReplay::OnWin),
];

request! {
    /// Who is to play for a run, and how.
    pub struct FleetSetup {
        /// The accounts; workers take turns in this order. Playing against oneself takes pairs, and counts the first one's battles.
        pub usernames: Vec<String> = list(line(1..=limits::NAME_CHARS), 1..=limits::ACCOUNTS),
        /// Their password, on servers that ask for one. It is kept in memory only: after a restart of this server the fleet does not go on.
        pub password: Option<String> = optional(line(1..=limits::TEXT_CHARS)),
        /// Where that password is proved; the public login service unless told.
        pub login_url: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
        /// Instead of a password: the variable of this server's environment that holds it. Its name begins with INTERLOCK_SHOWDOWN_PASSWORD; INTERLOCK_SHOWDOWN_LOGIN_URL says where it is proved.
        pub password_env: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
        /// The server's socket, where it is not the run's own.
        pub socket: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
        /// How many battles are played at once; one unless told.
        pub workers: Option<u32> = optional(integer(limits::WORKERS)),
        /// What the workers' names begin with, and no digit at its end; `w` unless told.
        pub worker_prefix: Option<Worker> = optional(name()),
        /// Who thinks: `search:100ms` unless told, `search:5000it` (iterations), `greedy` or `random`.
        pub player: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
        /// The teams, dealt to the workers in turn; none where the server deals them.
        pub teams: Option<Vec<TeamSetup>> = optional(list(object(), 0..=limits::TEAMS)),
        /// Of which battles a page to watch is saved; never unless told.
        pub save_replay: Option<SaveReplay> = optional(one_of(SAVES)),
    }
}

request! {
    /// A team.
    pub struct TeamSetup {
        /// What it is counted as.
        pub name: String = line(1..=limits::TEXT_CHARS),
        /// In Showdown's packed form.
        pub packed: String = line(1..=limits::PACKED_CHARS),
    }
}

/// What the endpoints work on.
#[derive(Clone)]
pub struct Desk {
    /// The entities.
    pub runtime: Runtime,
    /// The fleets of this process.
    pub fleets: Fleets,
}

/// How a fleet stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetView {
    /// Its run.
    pub run: Key,
    /// What it is doing.
    pub state: FleetState,
    /// Why it does not play yet, or stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Who plays, and how; not said of the process's own fleet, whose settings are those of the command line.
    #[serde(flatten)]
    pub crew: Option<Crew>,
}

/// What a fleet is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetState {
    /// It was started with the process, by `interlock battles run`.
    Own,
    /// It is on its way to the server.
    Starting,
    /// Battles begin and end.
    Playing,
    /// What is in play goes on, nothing new begins.
    Draining,
    /// What is in play is given up.
    Forfeiting,
    /// It is over.
    Over,
}

/// The endpoints.
#[must_use]
pub fn routes(desk: Desk) -> Routes {
    let path = "/api/v1/battles/runs/{run}/fleet";
    let version = || schema::object([("version", schema::integer())]);
    Routes::new()
        .on(
            Endpoint::put(path, "Play for a run, from this server")
                .tag("battles")
                .command::<FleetSetup>()
                .answers(200, "It plays already, with these settings, and goes on if it was just about to end by itself.", version())
                .answers(201, "It is started.", version())
                .refuses(404, &["unknown_run"])
                .refuses(409, &["fleet_ending", "fleet_playing", "hosts_no_fleets"]),
            start,
        )
        .on(
            Endpoint::get(path, "How a run's fleet stands")
                .tag("battles")
                .answers(200, "Its state and its settings, without the password.", schema::any())
                .refuses(404, &["unknown_fleet"]),
            show,
        )
        .on(
            Endpoint::post(
                "/api/v1/battles/runs/{run}/fleet/drain",
                "Finish what is in play, begin nothing new",
            )
            .tag("battles")
            .command::<Nothing>()
            .answers(200, "It will end.", schema::any())
            .refuses(404, &["unknown_fleet"]),
            async |desk: State<Desk>, run: Path<Key>, command: Command<Nothing>| {
                slow(desk, run, command, FleetCommand::Drain).await
            },
        )
        .on(
            Endpoint::post("/api/v1/battles/runs/{run}/fleet/forfeit", "Give up what is in play")
                .tag("battles")
                .command::<Nothing>()
                .answers(200, "It will end.", schema::any())
                .refuses(404, &["unknown_fleet"]),
            async |desk: State<Desk>, run: Path<Key>, command: Command<Nothing>| {
                slow(desk, run, command, FleetCommand::Forfeit).await
            },
        )
        .with_state(desk)
}

async fn start(
    State(desk): State<Desk>,
    Path(run): Path<Key>,
    command: Command<FleetSetup>,
) -> Result<Reply, Problem> {
    let setup = command.body.clone();
    // Under an id, a hash of the request would be kept: a password can be guessed from one.
    let identity = command.identity.filter(|_| setup.password.is_none());
    let command = Command { identity, ..command };
    let (runtime, key) = (desk.runtime.clone(), run.clone());
    let send = async move |crew| {
        command.send::<Fleet>(&runtime, &key, |_| FleetCommand::Start(crew)).await
    };
    let receipt = desk.hire(&run, &setup, send).await?;
    let status = match receipt.reply {
        FleetReply::Started { anew: true } => StatusCode::CREATED,
        FleetReply::Started { anew: false } | FleetReply::Done => StatusCode::OK,
    };
    Ok(answer(status, &receipt))
}

async fn show(State(desk): State<Desk>, Path(run): Path<Key>) -> Result<Reply, Problem> {
    let view = desk.view(&run).await?.ok_or(FleetRejection::Unknown)?;
    Ok(Reply::json(StatusCode::OK, &view))
}

async fn slow(
    State(desk): State<Desk>,
    Path(run): Path<Key>,
    command: Command<Nothing>,
    how: FleetCommand,
) -> Result<Reply, Problem> {
    if desk.slow_own(&run, &how) {
        return Ok(Reply::json(StatusCode::OK, &serde_json::json!({})));
    }
    let receipt = command.send::<Fleet>(&desk.runtime, &run, |Nothing| how).await?;
    Ok(answer(StatusCode::OK, &receipt))
}

fn answer(status: StatusCode, receipt: &Receipt<FleetReply>) -> Reply {
    #[derive(Serialize)]
    struct Nothing {}
    runtime::reply(status, &Nothing {}, receipt)
}

impl Desk {
    /// Starts a fleet, for a page.
    ///
    /// # Errors
    /// As for programs.
    pub async fn start(
        &self,
        run: &Key,
        setup: &FleetSetup,
        caller: Caller,
    ) -> Result<(), Problem> {
        let (desk, key) = (self.clone(), run.clone());
        let send = async move |crew| desk.send(&key, FleetCommand::Start(crew), caller).await;
        self.hire(run, setup, send).await.map(|_| ())
    }

    /// Slows a fleet, for a page.
    ///
    /// # Errors
    /// As for programs.
    pub async fn slow(&self, run: &Key, how: FleetCommand, caller: Caller) -> Result<(), Problem> {
        if self.slow_own(run, &how) {
            Ok(())
        } else {
            self.send(run, how, caller).await.map(|_| ())
        }
    }

    /// How a run's fleet stands; `None` if there never was one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn view(&self, run: &Key) -> Result<Option<FleetView>, Problem> {
        let (run, trouble) = (run.clone(), self.fleets.trouble(run));
        if self.fleets.own(&run).is_some() {
            return Ok(Some(FleetView { run, state: FleetState::Own, trouble, crew: None }));
        }
        let view = runtime::view::<Fleet>(&self.runtime, &run).await?;
        let Some(Orders { crew, wanted, over, .. }) = view.state.orders() else { return Ok(None) };
        let (state, trouble) = match (over, wanted) {
            (Some(over), _) => (FleetState::Over, over.trouble.clone()),
            (None, Wanted::Playing) if self.fleets.tracker(&run).is_none() => {
                (FleetState::Starting, trouble)
            }
            (None, Wanted::Playing) => (FleetState::Playing, trouble),
            (None, Wanted::Draining) => (FleetState::Draining, trouble),
            (None, Wanted::Forfeiting) => (FleetState::Forfeiting, trouble),
        };
        Ok(Some(FleetView { run, state, trouble, crew: Some(crew.clone()) }))
    }

    /// Starts a fleet, and remembers its password once it is decided that it plays: a refusal changes nothing.
    async fn hire<F>(
        &self,
        run: &Key,
        setup: &FleetSetup,
        send: impl FnOnce(Crew) -> F,
    ) -> Result<Receipt<FleetReply>, Problem>
    where
        F: Future<Output = Result<Receipt<FleetReply>, Problem>> + Send + 'static,
    {
        let sending = send(self.crew(run, setup).await?);
        let password = setup.password.as_deref().map(Password::new);
        let (fleets, run) = (self.fleets.clone(), run.clone());
        // Apart: whoever hangs up leaves no fleet without its password.
        let hired = tokio::spawn(async move {
            let _unread = fleets.passwords().await;
            let receipt = sending.await?;
            if let (FleetReply::Started { anew: true }, Some(password)) = (receipt.reply, password)
            {
                fleets.confide(&run, password);
            }
            Ok(receipt)
        });
        hired.await.expect("starting a fleet does not panic")
    }

    /// Makes a crew of what is asked for.
    async fn crew(&self, run: &Key, setup: &FleetSetup) -> Result<Crew, Problem> {
        if self.fleets.own(run).is_some() {
            return Err(FleetRejection::Playing.into());
        }
        if !self.fleets.is_hosting() {
            let says = "this process plays for its own run alone: start it with --listen, or interlock serve";
            return Err(Problem::new(StatusCode::CONFLICT, "hosts_no_fleets", says));
        }
        let view = runtime::view::<Run>(&self.runtime, run).await?;
        let plan = view.state.ledger().ok_or(RunRejection::Unknown)?.plan();
        setup.crew(plan)
    }

    async fn send(
        &self,
        run: &Key,
        command: FleetCommand,
        caller: Caller,
    ) -> Result<Receipt<FleetReply>, Problem> {
        let meta = Meta { caller: Some(caller), ..Meta::default() };
        let sent = self.runtime.handle::<Fleet>().send(run, command, meta).await;
        sent.map_err(|error| runtime::refused::<Fleet>(run, error))
    }

    /// Slows the process's own fleet. False: there is none for this run.
    fn slow_own(&self, run: &Key, how: &FleetCommand) -> bool {
        let Some(brake) = self.fleets.own(run) else { return false };
        match how {
            FleetCommand::Drain => brake.drain(),
            FleetCommand::Forfeit => brake.forfeit(),
            FleetCommand::Start(_) | FleetCommand::End { .. } => return false,
        }
        true
    }
}

impl FleetSetup {
    /// Who it asks for; refuses what could never play.
    fn crew(&self, plan: &Plan) -> Result<Crew, Problem> {
        let bad = |field| move |says: String| bad_value(field, &says);
        check_usernames(&self.usernames, Some(&plan.mode)).map_err(bad("usernames"))?;
        let (field, socket) = match &self.socket {
            Some(socket) => ("socket", socket),
            None => ("server", &plan.server),
        };
        check_socket(socket).map_err(bad(field))?;
        let player = self.player.as_deref().map_or(Ok(Contestant::default()), str::parse);
        let player = player.map_err(|no| bad_value("player", &no.to_string()))?;
        let prefix = self.worker_prefix.as_ref().map_or(WORKER_PREFIX, Worker::as_str);
        let teams = self.teams.iter().flatten();
        let team = |team: &TeamSetup| Team { name: team.name.clone(), packed: team.packed.clone() };
        Ok(Crew {
            server: self.socket.clone(),
            usernames: self.usernames.clone(),
            secret: self.secret()?,
            workers: worker_names(prefix, self.workers.unwrap_or(1))
                .map_err(bad("worker_prefix"))?,
            teams: teams.map(team).collect(),
            player,
            save_replay: self.save_replay.unwrap_or_default(),
        })
    }

    fn secret(&self) -> Result<Secret, Problem> {
        let bad = |field, says| Err(bad_value(field, says));
        match (&self.password, &self.password_env) {
            (Some(_), Some(_)) => bad("password_env", "must not come with a password"),
            (None, None) if self.login_url.is_some() => {
                bad("login_url", "must come with a password")
            }
            (None, Some(_)) if self.login_url.is_some() => {
                bad("login_url", "must not come with password_env: the environment says it too")
            }
            (None, None) => Ok(Secret::None),
            (Some(_), None) => Ok(Secret::Memory { login_url: self.login_url.clone() }),
            (None, Some(variable)) => match std::env::var(variable) {
                Ok(_) if variable.starts_with(PASSWORD_VARIABLE) => {
                    Ok(Secret::Environment(variable.clone()))
                }
                // Which others there are is nobody's business.
                Ok(_) | Err(_) => {
                    let says = format!(
                        "must name a variable of the server that begins with {PASSWORD_VARIABLE}"
                    );
                    bad("password_env", &says)
                }
            },
        }
    }
}

fn bad_value(field: &'static str, says: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_value", format!("`{field}` {says}")).field(field)
}

impl From<FleetRejection> for Problem {
    fn from(rejection: FleetRejection) -> Self {
        let status = match rejection {
            FleetRejection::Unknown => StatusCode::NOT_FOUND,
            FleetRejection::Playing | FleetRejection::Ending => StatusCode::CONFLICT,
        };
        Problem::new(status, rejection.code(), rejection.to_string())
    }
}

#[cfg(test)]
mod tests;
