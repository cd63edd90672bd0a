//! A run of battles: how it stands, who plays, how it went.

mod battle;
mod course;
mod field;
mod thoughts;

use std::{cmp::Reverse, collections::BTreeMap};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use interlock_battles::{
    domain::{
        protocol::BattleRoom,
        run::{LiveBattle, Mode, Over, Phase, Run, RunView, Tally},
        score::{Estimate, Score},
    },
    fleet::{
        Drift, Watched,
        logs::{LogName, Logs},
    },
    history,
    routes::fleet::FleetState,
};
use interlock_kernel::{
    ids::Key,
    quota::{ClaimId, Limit},
};
use interlock_web::{
    page::{Column, Tone, badge, facts, live, table},
    path::Path,
    request,
    request::Query,
    shape::{one_of, optional, text},
};
use maud::{Markup, html};
use tokio::task::spawn_blocking;

pub use self::battle::{log, replay_page, show as watch};
use self::{
    battle::{battle_path, ended},
    course::{BYS, By, course},
};
use super::{
    apology, entity_path,
    figures::{clock, count, interval},
    fleets, page,
};
use crate::{app::Site, limits};

request! {
    /// What of a run is wanted.
    pub struct Wanted {
        /// What its course is plotted over; time unless told.
        pub by: Option<By> = optional(one_of(BYS)),
        /// Battles that were claimed before this one, instead of the newest.
        pub before: Option<String> = optional(text(1..=interlock_web::limits::ID_CHARS)),
    }
}

/// A run's page.
pub fn path(run: &Key) -> String {
    format!("/battles/{run}")
}

/// `GET /battles/{run}`
pub async fn show(
    State(site): State<Site>,
    Path(run): Path<Key>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let title = format!("Run {run}");
    let Ok(view) = site.runtime.handle::<Run>().view(&run).await else {
        let says = "The run cannot be read now.";
        return apology(StatusCode::SERVICE_UNAVAILABLE, &title, says);
    };
    let Some(ledger) = view.state.ledger() else {
        return apology(StatusCode::NOT_FOUND, &title, "There is no such run.");
    };
    if let Some(before) = &wanted.before {
        return older(&site, &run, before).await;
    }
    let over = history::battles(&site.runtime, &run, None, limits::BATTLES_PLOTTED).await;
    let over = over.unwrap_or_default();
    let view = ledger.view(view.now);
    let (drift, turns) = from_logs(&site, &run, view.clone(), &over).await;
    let tracker = site.desk.fleets.tracker(&run);
    let watched = tracker.map(|tracker| tracker.battles()).unwrap_or_default();
    let fleet = site.desk.view(&run).await.ok().flatten();
    let is_over = fleet.as_ref().is_none_or(|fleet| fleet.state == FleetState::Over);
    let feed = format!("{}/feed", path(&run));
    let body = html! {
        p class="quiet" {
            (view.plan.format) ", " (mode(&view.plan.mode)) ", on " (view.plan.server) " · "
            a href=(entity_path("run", run.as_str())) { "timeline" }
        }
        (live("fleet", html! { @if let Some(fleet) = &fleet { (fleets::control(fleet)) } }))
        (live("counts", counts(&view, drift)))
        (live("course", course(&view, &over, wanted.by.unwrap_or_default())))
        h2 { "In play" }
        (live("in-play", in_play(&run, &view.live, &watched)))
        h2 { "Workers" }
        (live("workers", workers(&view)))
        (live("teams", html! {
            @if !view.teams.is_empty() {
                h2 { "Teams" }
                (tallies("Team", view.teams.iter()))
            }
        }))
        h2 { "Frequent opponents" }
        (live("opponents", tallies("Opponent", frequent(&view).into_iter())))
        h2 { "Finished" }
        (live("over", finished(&run, &over, &turns)))
        @if is_over && is_ours(&view.plan.mode) && site.desk.fleets.is_hosting() {
            h2 { "Play for it" }
            (fleets::start_form(&run, fleet.as_ref().and_then(|fleet| fleet.crew.as_ref())))
        }
    };
    page(&title, "/battles").feed(&feed).body(body).into_response()
}

/// Older battles of a run.
async fn older(site: &Site, run: &Key, before: &str) -> Response {
    let title = format!("Run {run}");
    let Some(before) = ClaimId::parse(before) else {
        return apology(StatusCode::BAD_REQUEST, &title, "This part of the run is not known.");
    };
    let shown = limits::BATTLES_SHOWN + 1; // whether there are more
    let Ok(over) = history::battles(&site.runtime, run, Some(before), shown).await else {
        let says = "The run cannot be read now.";
        return apology(StatusCode::SERVICE_UNAVAILABLE, &title, says);
    };
    let turns = turns_of(Logs::new(site.desk.fleets.folder(run)), &over).await;
    let body = html! {
        p { a href=(path(run)) { "The newest" } }
        (finished(run, &over, &turns))
    };
    page(&title, "/battles").body(body).into_response()
}

/// What the logs say: how far the counts are from them, and how long the battles took that are listed.
async fn from_logs(
    site: &Site,
    run: &Key,
    view: RunView,
    over: &[Over],
) -> (Option<Drift>, BTreeMap<ClaimId, u16>) {
    let (fleets, key) = (site.desk.fleets.clone(), run.clone());
    let drift = spawn_blocking(move || fleets.drift(&key, &view));
    let turns = turns_of(Logs::new(site.desk.fleets.folder(run)), over);
    let (drift, turns) = tokio::join!(drift, turns);
    (drift.ok().and_then(Result::ok), turns)
}

/// How many turns the battles took that are listed and whose logs are here.
async fn turns_of(logs: Logs, over: &[Over]) -> BTreeMap<ClaimId, u16> {
    let listed = over[..over.len().min(limits::BATTLES_SHOWN)].to_vec();
    let read = spawn_blocking(move || {
        let turns = |over: &Over| logs.turns(&LogName::of(over)?).ok().flatten();
        listed.iter().filter_map(|over| Some((over.claim, turns(over)?))).collect()
    });
    read.await.unwrap_or_default()
}

/// How opponents are found, or who is watched.
pub(super) fn mode(mode: &Mode) -> String {
    match mode {
        Mode::Watch([one, two]) => format!("watching {one} and {two}"),
        Mode::Ladder
        | Mode::Challenge(_)
        | Mode::Accept(_)
        | Mode::SelfPlay
        | Mode::Tournament(_) => mode.word().to_owned(),
    }
}

/// Whether somebody of ours plays in it.
fn is_ours(mode: &Mode) -> bool {
    !matches!(mode, Mode::Watch(_))
}

fn counts(view: &RunView, drift: Option<Drift>) -> Markup {
    let Tally { wins, losses, ties, forfeits, void } = view.total;
    let target = match view.plan.target {
        Limit::Of(target) => format!("Finished of {}", count(target)),
        Limit::Unlimited => "Finished".to_owned(),
    };
    let lost = html! {
        (count(losses + forfeits))
        @if forfeits > 0 { " " (badge(Tone::Plain, &format!("{} given up", count(forfeits)))) }
    };
    let in_play = html! {
        (count(view.claimed))
        @if view.in_doubt > 0 { " " (badge(Tone::Warn, &format!("{} in doubt", count(view.in_doubt)))) }
        @if void > 0 { " " (badge(Tone::Warn, &format!("{} void", count(void)))) }
    };
    let drift = match drift {
        None => html! { "?" },
        Some(Drift { battles: 0, elsewhere }) => html! {
            "0" @if elsewhere > 0 { " " (badge(Tone::Plain, &format!("{} without logs here", count(elsewhere)))) }
        },
        Some(Drift { battles, .. }) => {
            html! { (count(battles)) " " (badge(Tone::Bad, "must be 0")) }
        }
    };
    html! {
        (facts(&[
            (&target, html! { (count(view.total.finished())) }),
            ("Won", html! { (count(wins)) " " (rate(Score::from(view.total))) }),
            ("Lost", lost),
            ("Tied", html! { (count(ties)) }),
            ("In play", in_play),
            ("Drift from the logs", drift),
        ]))
    }
}

/// A win rate, with its interval.
pub(super) fn rate(score: Score) -> Markup {
    let Some(Estimate { value, low, high }) = score.rate() else { return html! {} };
    let [value, low, high] = [value, low, high].map(|rate| format!("{:.0}", rate * 100.0));
    html! { span class="badge" title="with 95 % interval" { (value) " % (" (low) "–" (high) ")" } }
}

/// The same, with a picture to compare.
fn pictured(score: Score) -> Markup {
    let picture = score.rate().map(|rate| interval(rate.low, rate.value, rate.high));
    html! { (rate(score)) " " (picture.unwrap_or_default()) }
}

fn in_play(run: &Key, battles: &[LiveBattle], watched: &BTreeMap<ClaimId, Watched>) -> Markup {
    let columns = [
        Column::Text("Worker"),
        Column::Text("Battle"),
        Column::Text("Against"),
        Column::Number("Turn"),
        Column::Text("Last choice"),
        Column::Number("Since, UTC"),
    ];
    let row = |battle: &LiveBattle| {
        let room = battle.room.as_ref();
        let seen = watched.get(&battle.claim);
        let chosen = seen.and_then(|seen| seen.candidates.first());
        vec![
            html! { (battle.worker) },
            html! {
                @match (battle.phase, room) {
                    (Phase::Playing, Some(room)) => {
                        a href=(battle_path(run, battle.claim)) title=(room.id) { (number(&room.id)) }
                    }
                    (Phase::InDoubt, Some(room)) => {
                        a href=(battle_path(run, battle.claim)) title=(room.id) { (number(&room.id)) }
                        " " (badge(Tone::Warn, "in doubt"))
                    }
                    (Phase::Searching | Phase::Playing | Phase::InDoubt, _) => (badge(Tone::Plain, "searching")),
                }
            },
            html! { @if let Some(opponent) = room.and_then(|room| room.opponent.as_deref()) { (opponent) } },
            html! { @if let Some(seen) = seen { (seen.turn) } },
            html! { @if let Some(chosen) = chosen { (chosen.name) } },
            clock(battle.since),
        ]
    };
    let rows: Vec<_> = battles.iter().map(row).collect();
    table(&columns, &rows, "Nothing is played now.")
}

fn workers(view: &RunView) -> Markup {
    let columns = [
        Column::Text("Worker"),
        Column::Text("Win rate"),
        Column::Number("Finished"),
        Column::Number("Share"),
        Column::Number("Won"),
        Column::Number("Lost"),
        Column::Number("Tied"),
    ];
    let rows: Vec<_> = view
        .workers
        .iter()
        .map(|(name, worker)| {
            let share = worker.quota.map_or_else(|| "any".to_owned(), count);
            vec![
                html! { (name) @if worker.retired { " " (badge(Tone::Plain, "retired")) } },
                pictured(Score::from(worker.tally)),
                html! { (count(worker.tally.finished())) },
                html! { (share) },
                html! { (count(worker.tally.wins)) },
                html! { (count(worker.tally.losses + worker.tally.forfeits)) },
                html! { (count(worker.tally.ties)) },
            ]
        })
        .collect();
    table(&columns, &rows, "Nobody has claimed a battle.")
}

/// Whom we met more than once, most often first.
fn frequent(view: &RunView) -> Vec<(&String, &Tally)> {
    let mut met: Vec<_> = view.opponents.iter().filter(|(_, it)| it.finished() > 1).collect();
    met.sort_by_key(|(_, tally)| Reverse(tally.finished()));
    met.truncate(limits::OPPONENTS_SHOWN);
    met
}

fn tallies<'a>(what: &str, tallies: impl Iterator<Item = (&'a String, &'a Tally)>) -> Markup {
    let columns = [
        Column::Text(what),
        Column::Text("Win rate"),
        Column::Number("Finished"),
        Column::Number("Won"),
        Column::Number("Lost"),
        Column::Number("Tied"),
    ];
    let row = |(name, tally): (&String, &Tally)| {
        vec![
            html! { (name) },
            pictured(Score::from(*tally)),
            html! { (count(tally.finished())) },
            html! { (count(tally.wins)) },
            html! { (count(tally.losses + tally.forfeits)) },
            html! { (count(tally.ties)) },
        ]
    };
    let rows: Vec<_> = tallies.map(row).collect();
    table(&columns, &rows, "None yet.")
}

/// A room without its format, which is the run's, and without the secret of a private one: `17` for `battle-gen9ou-17`.
fn number(room: &str) -> String {
    BattleRoom::parse(room).map_or_else(|| room.to_owned(), |room| room.number.to_string())
}

/// The newest battles of these, each with a way to its page, and a way to those that are older.
fn finished(run: &Key, over: &[Over], turns: &BTreeMap<ClaimId, u16>) -> Markup {
    let shown = &over[..over.len().min(limits::BATTLES_SHOWN)];
    let has_teams = shown.iter().any(|over| over.team.is_some());
    let has_ratings = shown.iter().any(|over| over.rating.is_some());
    let mut columns =
        vec![Column::Text("Battle"), Column::Text("Against"), Column::Text("Outcome")];
    columns.extend(has_teams.then_some(Column::Text("Team")));
    columns.extend([Column::Number("Turns"), Column::Text("Worker")]);
    columns.extend(has_ratings.then_some(Column::Number("Rating")));
    columns.push(Column::Number("UTC"));
    let row = |over: &Over| {
        let room = over.room.as_ref();
        let name = room.map_or("no room", |room| room.id.as_str());
        let opponent = room.and_then(|room| room.opponent.as_deref()).unwrap_or("");
        let team = || html! { (over.team.as_deref().unwrap_or("")) };
        let rating = || html! { @if let Some(rating) = over.rating { (count(rating.into())) } };
        let mut row = vec![
            html! { a href=(battle_path(run, over.claim)) title=(name) { (number(name)) } },
            html! { (opponent) },
            ended(over.ending),
        ];
        row.extend(has_teams.then(team));
        row.extend([
            html! { @if let Some(turns) = turns.get(&over.claim) { (turns) } },
            html! { (over.worker) },
        ]);
        row.extend(has_ratings.then(rating));
        row.push(clock(over.at));
        row
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    html! {
        (table(&columns, &rows, "No battle is over yet."))
        @if let Some(last) = shown.last().filter(|_| shown.len() < over.len()) {
            p { a href=(format!("{}?before={}", path(run), last.claim)) rel="next" { "Older" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_watches_says_whom_and_is_not_to_be_played_for() {
        let watch = Mode::Watch(["Ann".to_owned(), "Bob".to_owned()]);
        assert_eq!(mode(&watch), "watching Ann and Bob");
        assert!(!is_ours(&watch) && is_ours(&Mode::SelfPlay));
        assert_eq!(mode(&Mode::Ladder), "ladder");
    }
}
