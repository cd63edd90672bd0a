//! Fleets: which runs there are, and having this server play for one.
//!
//! The forms send what programs send over HTTP, and are refused in the same words.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use interlock_battles::{
    domain::{
        fleet::{Crew, FleetCommand, Secret},
        run::{Mode, Run},
        score::Score,
    },
    history::{self, KnownRun},
    routes::{
        Setup,
        fleet::{FleetSetup, FleetState, FleetView},
    },
};
use interlock_kernel::{ids::Key, quota::Limit};
use interlock_runtime::Meta;
use interlock_web::{
    command::Sender,
    form::Form,
    page::{Column, Tone, badge, live, table},
    path::Path,
    problem::Problem,
    request, runtime,
    shape::name,
};
use maud::{Markup, html};

use super::{
    apology,
    battles::{mode, path, rate},
    figures::{clock, count},
    page,
};
use crate::{app::Site, limits};

/// Where a fresh Showdown server of this machine is.
const USUAL_SERVER: &str = "ws://127.0.0.1:8000/showdown/websocket";

request! {
    /// A run that is opened on the page.
    pub struct NewRun {
        /// What it is to be called.
        pub run: Key = name(),
    }
}

/// `GET /battles`
pub async fn index(State(site): State<Site>) -> Response {
    let Ok(runs) = history::runs(&site.desk.runtime, limits::RUNS_LISTED).await else {
        return apology(StatusCode::SERVICE_UNAVAILABLE, "Battles", "The runs cannot be read now.");
    };
    let mut rows = Vec::new();
    for known in &runs {
        rows.push(row(&site, known).await);
    }
    let columns = [
        Column::Text("Run"),
        Column::Text("Fleet here"),
        Column::Text("Win rate"),
        Column::Number("Finished"),
        Column::Text("Format"),
        Column::Text("Opponents"),
        Column::Number("Opened, UTC"),
    ];
    let body = html! {
        p {
            "Battles on a Pokémon Showdown server. Each is claimed before it is searched for and counted once, \
             whatever crashes; the same run goes on where it was."
        }
        (live("runs", table(&columns, &rows, "There are no runs yet.")))
        h2 { "Start a fleet" }
        (new_run())
    };
    page("Battles", "/battles").feed("/battles/feed").body(body).into_response()
}

async fn row(site: &Site, known: &KnownRun) -> Vec<Markup> {
    let view = site.desk.runtime.handle::<Run>().view(&known.run).await.ok();
    let view = view.as_ref().and_then(|it| Some(it.state.ledger()?.view(it.now)));
    let fleet = site.desk.view(&known.run).await.ok().flatten();
    vec![
        html! { a href=(path(&known.run)) { (known.run) } },
        html! { @if let Some(fleet) = fleet { (state(&fleet)) } },
        html! { @if let Some(view) = &view { (rate(Score::from(view.total))) } },
        html! { @if let Some(view) = &view {
            (count(view.total.finished()))
            @if let Limit::Of(target) = view.plan.target { " of " (count(target)) }
        } },
        html! { (known.plan.format) },
        html! { (mode(&known.plan.mode)) },
        clock(known.opened),
    ]
}

/// `POST /battles`: opens a run, and plays for it.
pub async fn open(
    State(site): State<Site>,
    sender: Sender,
    form: Result<Form, Problem>,
) -> Response {
    answer(open_and_start(&site, sender, form).await)
}

async fn open_and_start(
    site: &Site,
    Sender(caller): Sender,
    form: Result<Form, Problem>,
) -> Result<Key, Problem> {
    let form = form?;
    let NewRun { run } = form.read()?;
    let opening = form.read::<Setup>()?.opening(site.retention)?;
    let setup = form.read::<FleetSetup>()?;
    let meta = Meta { caller: Some(caller.clone()), ..Meta::default() };
    let opened = site.desk.runtime.handle::<Run>().send(&run, opening, meta).await;
    opened.map_err(|error| runtime::refused::<Run>(&run, error))?;
    site.desk.start(&run, &setup, caller).await.map(|()| run)
}

/// `POST /battles/{run}/fleet`: plays for a run that is there.
pub async fn start(
    State(site): State<Site>,
    Path(run): Path<Key>,
    Sender(caller): Sender,
    form: Result<Form, Problem>,
) -> Response {
    let started = async {
        let setup = form?.read::<FleetSetup>()?;
        site.desk.start(&run, &setup, caller).await
    };
    answer(started.await.map(|()| run))
}

/// `POST /battles/{run}/drain`
pub async fn drain(site: State<Site>, run: Path<Key>, sender: Sender) -> Response {
    slow(site, run, sender, FleetCommand::Drain).await
}

/// `POST /battles/{run}/forfeit`
pub async fn forfeit(site: State<Site>, run: Path<Key>, sender: Sender) -> Response {
    slow(site, run, sender, FleetCommand::Forfeit).await
}

async fn slow(
    State(site): State<Site>,
    Path(run): Path<Key>,
    Sender(caller): Sender,
    how: FleetCommand,
) -> Response {
    answer(site.desk.slow(&run, how, caller).await.map(|()| run))
}

/// To the run's page, or why not.
fn answer(done: Result<Key, Problem>) -> Response {
    match done {
        Ok(run) => Redirect::to(&path(&run)).into_response(),
        Err(problem) => apology(problem.status(), "This does not start", problem.detail()),
    }
}

/// A run's fleet, and what can be done about it.
pub fn control(fleet: &FleetView) -> Markup {
    let post = |what: &str, says: &str| {
        html! { form method="post" action=(format!("{}/{what}", path(&fleet.run))) { button { (says) } } }
    };
    html! {
        p { (state(fleet)) " " @if let Some(crew) = &fleet.crew { (summary(crew)) } }
        @if let Some(trouble) = &fleet.trouble { p { (trouble) } }
        div class="actions" {
            @match fleet.state {
                FleetState::Starting | FleetState::Playing => (post("drain", "Finish what is in play, then stop")),
                FleetState::Draining => (post("forfeit", "Give up what is in play")),
                FleetState::Own => {
                    (post("drain", "Finish what is in play, then stop"))
                    (post("forfeit", "Give up what is in play"))
                }
                FleetState::Forfeiting | FleetState::Over => {}
            }
        }
    }
}

fn state(FleetView { state, trouble, .. }: &FleetView) -> Markup {
    match (state, trouble) {
        (FleetState::Own | FleetState::Playing, _) => badge(Tone::Good, "playing"),
        (FleetState::Starting, None) => badge(Tone::Plain, "starting"),
        (FleetState::Starting, Some(_)) => badge(Tone::Warn, "no connection yet"),
        (FleetState::Draining, _) => badge(Tone::Warn, "finishing what is in play"),
        (FleetState::Forfeiting, _) => badge(Tone::Warn, "giving up"),
        (FleetState::Over, None) => badge(Tone::Plain, "stopped"),
        (FleetState::Over, Some(_)) => badge(Tone::Bad, "stopped"),
    }
}

fn summary(crew: &Crew) -> Markup {
    let workers = crew.workers.len() as u64;
    html! {
        span class="quiet" {
            (crew.usernames.join(", ")) " · "
            (count(workers)) @if workers == 1 { " worker" } @else { " workers" } " · "
            (crew.player)
            @match &crew.secret {
                Secret::None => {}
                Secret::Memory { .. } => " · the password is in memory only: it does not go on after a restart",
                Secret::Environment(variable) => { " · password from " (variable) }
            }
        }
    }
}

/// A form that has this server play for a run that is there.
pub fn start_form(run: &Key, before: Option<&Crew>) -> Markup {
    html! {
        form method="post" action=(format!("{}/fleet", path(run))) autocomplete="off" {
            (crew_fields(before))
            button { "Play for it from here" }
        }
    }
}

fn new_run() -> Markup {
    let nobody = String::new;
    let modes = [
        Mode::Ladder,
        Mode::Accept(None),
        Mode::Challenge(nobody()),
        Mode::SelfPlay,
        Mode::Tournament(nobody()),
    ];
    html! {
        form method="post" action="/battles" autocomplete="off" {
            (field("Run", html! { input name="run" required placeholder="my-run"; }))
            (field("Server", html! { input name="server" size="40" required value=(USUAL_SERVER); }))
            (field("Format", html! { input name="format" required value="gen9randombattle"; }))
            (field("Opponents", html! {
                select name="mode" {
                    @for mode in &modes { option { (mode.word()) } }
                }
            }))
            (field("Who or where", html! { input name="name" placeholder="a user, or a room"; }))
            (field("Battles", html! { input name="target" size="10" required value="unlimited"; }))
            (crew_fields(None))
            button { "Start" }
        }
    }
}

fn crew_fields(before: Option<&Crew>) -> Markup {
    let names = before.map(|crew| crew.usernames.join(", "));
    let workers = before.map_or(1, |crew| crew.workers.len());
    let player = before.map(|crew| crew.player).unwrap_or_default();
    let variable = before.and_then(|crew| match &crew.secret {
        Secret::Environment(variable) => Some(variable),
        Secret::None | Secret::Memory { .. } => None,
    });
    html! {
        (field("Accounts", html! { input name="usernames" required value=[names] placeholder="Bot, Bot 2"; }))
        (field("Password, if asked for", html! { input name="password" type="password" autocomplete="new-password"; }))
        (field("or its variable", html! {
            input name="password_env" size="33" value=[variable] placeholder="INTERLOCK_SHOWDOWN_PASSWORD";
        }))
        (field("Workers", html! { input name="workers" type="number" min="1" max="1000" value=(workers); }))
        (field("Player", html! { input name="player" size="14" value=(player); }))
        (field("Replays", html! {
            select name="save_replay" { @for word in ["never", "on-loss", "on-win", "always"] { option { (word) } } }
        }))
    }
}

fn field(says: &str, input: Markup) -> Markup {
    html! { label { (says) (input) } }
}
