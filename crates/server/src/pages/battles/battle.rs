//! One battle: in play, with the bot's thoughts, or over, with its log in words and to be kept.
//!
//! Names, chat and whatever else comes from a Showdown server is text here and nothing else. A replay is a file to
//! keep, not a page of this server: it runs the viewer's script.

use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use interlock_battles::{
    domain::{
        id::id,
        run::{Ending, LiveBattle, Outcome, Over, Phase, Run},
        words::{self, Story, Turn},
    },
    fleet::{
        Watched,
        logs::{LogName, Logs, replay},
        thoughts::Decision,
    },
    history,
    io::Scene,
};
use interlock_kernel::{ids::Key, quota::ClaimId, time::Time};
use interlock_web::{
    page::{Tone, badge, facts, live},
    path::{Id, Path},
};
use maud::{Markup, html};
use tokio::task::spawn_blocking;

use super::{field, path, thoughts};
use crate::{
    app::Site,
    limits,
    pages::{
        figures::{clock, count},
        page,
    },
};

/// A battle's page.
pub fn battle_path(run: &Key, claim: ClaimId) -> String {
    format!("{}/{claim}", path(run))
}

/// What there is to show of a battle.
enum Found {
    /// It is played by this process.
    Here(Watched),
    /// It is over.
    Over(Over),
    /// It is not over, and not played by this process.
    Elsewhere(LiveBattle),
}

/// `GET /battles/{run}/{claim}`
pub async fn show(State(site): State<Site>, Path((run, claim)): Path<(Key, Id)>) -> Response {
    let found = match find(&site, &run, &claim).await {
        Ok(found) => found,
        Err(sorry) => return sorry,
    };
    let title = format!("Battle {} of {run}", claim.0);
    let (content, is_over) = match found {
        Found::Here(watched) => (in_play(watched).await, false),
        Found::Over(over) => (finished(&site, &run, over).await, true),
        Found::Elsewhere(battle) => (elsewhere(&battle), false),
    };
    let feed = format!("{}/{}/feed", path(&run), claim.0);
    let page = page(&title, "/battles");
    // What is over does not change.
    let page = if is_over { page } else { page.feed(&feed) };
    let body = html! {
        p class="quiet" { a href=(path(&run)) { "All battles of " (run) } }
        (live("battle", content))
    };
    page.body(body).into_response()
}

/// `GET /battles/{run}/{claim}/log`
pub async fn log(State(site): State<Site>, Path((run, claim)): Path<(Key, Id)>) -> Response {
    kept(&site, &run, &claim, "log", |_, log| log).await
}

/// `GET /battles/{run}/{claim}/replay`
pub async fn replay_page(
    State(site): State<Site>,
    Path((run, claim)): Path<(Key, Id)>,
) -> Response {
    kept(&site, &run, &claim, "html", |room, log| replay(room, &log)).await
}

/// A battle's log as a file, made into what is wanted.
async fn kept(
    site: &Site,
    run: &Key,
    claim: &Id,
    kind: &'static str,
    make: fn(&str, String) -> String,
) -> Response {
    let over = match find(site, run, claim).await {
        Ok(Found::Over(over)) => over,
        Ok(Found::Here(_) | Found::Elsewhere(_)) => {
            return no_log(run, StatusCode::CONFLICT, "Its log is kept when the battle is over.");
        }
        Err(sorry) => return sorry,
    };
    let logs = Logs::new(site.desk.fleets.folder(run));
    let read = spawn_blocking(move || {
        let name = LogName::of(&over)?;
        let log = logs.read(&name).ok()??;
        Some((format!("{}.{kind}", name.room), make(name.room, log)))
    });
    let Some((name, text)) = read.await.expect("reading a log does not panic") else {
        return no_log(run, StatusCode::NOT_FOUND, NOT_HERE);
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (HeaderName::from_static("x-content-type-options"), "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "sandbox".to_owned()),
    ];
    (headers, text).into_response()
}

const NOT_HERE: &str = "Its log is not in this server's data folder: it is where its worker played, or nowhere, if \
                        the battle was void.";

/// The battle of a claim, or a page that says why there is none.
async fn find(site: &Site, run: &Key, Id(text): &Id) -> Result<Found, Response> {
    let tracker = site.desk.fleets.tracker(run);
    let claim = ClaimId::parse(text);
    if let Some(watched) = tracker.zip(claim).and_then(|(tracker, claim)| tracker.battle(claim)) {
        return Ok(Found::Here(watched));
    }
    let later = |_| {
        let says = "The battle cannot be read now. Try again in a moment.";
        no_log(run, StatusCode::SERVICE_UNAVAILABLE, says)
    };
    let view = site.runtime.handle::<Run>().view(run).await;
    let view = view.map_err(|_| later(()))?;
    let ledger = view.state.ledger().ok_or_else(|| unknown(None))?;
    let claim = claim.ok_or_else(|| unknown(Some(run)))?;
    let live = ledger.view(view.now).live.into_iter().find(|battle| battle.claim == claim);
    if let Some(battle) = live {
        return Ok(Found::Elsewhere(battle));
    }
    let over = history::battle(&site.runtime, run, claim).await.map_err(|_| later(()))?;
    over.map(Found::Over).ok_or_else(|| unknown(Some(run)))
}

fn unknown(run: Option<&Key>) -> Response {
    let body = html! {
        @match run {
            Some(run) => p {
                "There is no such battle in this run, or not any more: the newest are listed on the "
                a href=(path(run)) { "page of " (run) } "."
            },
            None => p {
                "There is no such run. Those that there are, are listed under "
                a href="/battles" { "Battles" } "."
            },
        }
    };
    (StatusCode::NOT_FOUND, page("Battle", "/battles").body(body)).into_response()
}

fn no_log(run: &Key, status: StatusCode, says: &str) -> Response {
    let body = html! { p { (says) } p { a href=(path(run)) { "All battles of " (run) } } };
    (status, page("Battle", "/battles").body(body)).into_response()
}

async fn in_play(watched: Watched) -> Markup {
    let board = watched.board.clone();
    let seen = spawn_blocking(move || {
        let scene = board.look();
        // Until the first request nobody has said who we are.
        let me = id(scene.own.as_ref().map_or("", |own| &own.name));
        let story = words::tell(&scene.log, &me, limits::SAID_LIVE);
        (scene, me, story)
    });
    let (scene, me, story) = seen.await.expect("telling a battle does not panic");
    let Scene { battle, own, seconds_left, .. } = &scene;
    let mut known = vec![("Turn", html! { (battle.turn) })];
    known.extend(seconds_left.map(|left| ("Time left", html! { (left) " s" })));
    let [weather, field] = field::around(battle);
    known.extend([("Weather", weather), ("Field", field)]);
    html! {
        p {
            (badge(Tone::Good, "in play")) " "
            span class="quiet" { (watched.room) " · worker " (watched.worker) }
        }
        (facts(&known))
        (field::sides(battle, battle.slot_of(&me), own.as_ref()))
        div class="pair" {
            section { (thoughts::newest(&watched)) }
            section {
                h2 { "What happened" }
                (told(&story, true, &[]))
            }
        }
    }
}

async fn finished(site: &Site, run: &Key, over: Over) -> Markup {
    let logs = Logs::new(site.desk.fleets.folder(run));
    let ended = over.clone();
    let story = spawn_blocking(move || {
        let name = LogName::of(&ended)?;
        let log = logs.read(&name).ok()??;
        Some((words::tell(&log, name.account, limits::SAID_OVER), logs.thoughts(&name)))
    });
    let (story, decisions) = story.await.expect("telling a battle does not panic").unzip();
    let here = battle_path(run, over.claim);
    html! {
        (summary(&over, story.as_ref()))
        @match story {
            Some(story) => {
                p {
                    a href=(format!("{here}/log")) download { "Its log, in Showdown's format" } " · "
                    a href=(format!("{here}/replay")) download { "Replay, to open in a browser" }
                }
                @let account = over.room.as_ref().map_or("", |room| room.account.as_str());
                (field::sides(&story.battle, story.battle.slot_of(account), None))
                h2 { "What happened" }
                (told(&story, false, decisions.as_deref().unwrap_or_default()))
            }
            None => p class="empty" { (NOT_HERE) },
        }
    }
}

fn summary(over: &Over, story: Option<&Story>) -> Markup {
    let Over { room, ending, rating, worker, team, since, at, .. } = over;
    let opponent = room.as_ref().and_then(|room| room.opponent.as_deref());
    let mut known = Vec::new();
    known.extend(opponent.map(|opponent| ("Against", html! { (opponent) })));
    known.extend(story.map(|story| ("Turns", html! { (story.battle.turn) })));
    known.extend(rating.map(|rating| ("Rating after it", html! { (count(rating.into())) })));
    known.extend(team.as_ref().map(|team| ("Team", html! { (team) })));
    known.push(("Took", html! { (took(*since, *at)) }));
    known.push(("Over, UTC", clock(*at)));
    html! {
        p {
            (ended(*ending)) " "
            span class="quiet" {
                @if let Some(room) = room { (room.id) " · " }
                "worker " (worker)
            }
        }
        (facts(&known))
    }
}

fn took(since: Time, at: Time) -> String {
    let seconds = at.since(since).0 / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60.. => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// How a battle ended.
pub fn ended(ending: Ending) -> Markup {
    let tone = match ending {
        Ending::Of(Outcome::Win) => Tone::Good,
        Ending::Of(Outcome::Loss | Outcome::Forfeit) => Tone::Bad,
        Ending::Of(Outcome::Tie) => Tone::Plain,
        Ending::Void => Tone::Warn,
    };
    badge(tone, ending.word())
}

fn elsewhere(battle: &LiveBattle) -> Markup {
    let LiveBattle { worker, room, phase, since, .. } = battle;
    html! {
        (facts(&[("Worker", html! { (worker) }), ("Since, UTC", clock(*since))]))
        @match (phase, room) {
            (Phase::Playing, Some(room)) => p class="empty" {
                "It is not played by this server now, so that its board is not here: watch it on the Showdown \
                 server, in " (room.id) ", or where " (worker) " plays."
            },
            (Phase::InDoubt, Some(room)) => p class="empty" {
                (worker) " has begun it, in " (room.id) ", and has given no sign of life since. Whoever has nothing \
                 left to claim finds out how it ended."
            },
            (Phase::Playing | Phase::Searching | Phase::InDoubt, _) => p class="empty" { "An opponent is searched for." },
        }
    }
}

/// A log in words, each turn beside what was decided in it; in play the newest turn first.
fn told(story: &Story, newest_first: bool, decisions: &[Decision]) -> Markup {
    let of_turn = |number: u16| decisions.iter().filter(move |it| it.turn == number);
    let said =
        |turn: &Turn| html! { ul class="told" { @for said in &turn.said { li { (said.text) } } } };
    let mut turns: Vec<_> = story.turns.iter().collect();
    if newest_first {
        turns.reverse();
    }
    let is_cut = story.is_cut.then(|| html! { p class="quiet" { "…" } });
    html! {
        @if turns.is_empty() { p class="empty" { "Nothing yet." } }
        @if !newest_first { (is_cut.clone().unwrap_or_default()) }
        @for turn in turns {
            @if turn.number > 0 { h3 { "Turn " (turn.number) } } @else { h3 { "Before the first turn" } }
            @if of_turn(turn.number).next().is_some() {
                div class="pair" { (said(turn)) div { (thoughts::of_turn(of_turn(turn.number))) } }
            } @else {
                (said(turn))
            }
        }
        @if newest_first { (is_cut.unwrap_or_default()) }
    }
}
