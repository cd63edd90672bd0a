//! A run of battles: how it stands, who plays, how it went.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use std::{cmp::Reverse, collections::BTreeMap};

use interlock_battles::{
    domain::{
        run::{Ending, LiveBattle, Outcome, Over, Phase, Run, RunView, Tally},
        score::{Estimate, Score},
    },
    fleet::Watched,
    history,
    io::Thought,
    players::Candidate,
    routes::fleet::FleetState,
};
use interlock_kernel::{
    ids::Key,
    quota::{ClaimId, Limit},
};
use interlock_web::{
    page::{Column, Tone, badge, facts, live, table},
    path::{Id, Path},
};
use maud::{Markup, html};

use super::{
    apology, entity_path,
    figures::{clock, count, gauge},
    fleets, page, plot,
};
use crate::{app::Site, limits};

/// A run's page.
pub fn path(run: &Key) -> String {
    format!("/battles/{run}")
}

/// `GET /battles/{run}`
pub async fn show(State(site): State<Site>, Path(run): Path<Key>) -> Response {
    let title = format!("Run {run}");
    let Ok(view) = site.runtime.handle::<Run>().view(&run).await else {
        let says = "The run cannot be read now.";
        return apology(StatusCode::SERVICE_UNAVAILABLE, &title, says);
    };
    let Some(ledger) = view.state.ledger() else {
        return apology(StatusCode::NOT_FOUND, &title, "There is no such run.");
    };
    let over = history::battles(&site.runtime, &run, None, limits::BATTLES_PLOTTED).await;
    let over = over.unwrap_or_default();
    let view = ledger.view(view.now);
    let drift = {
        let (fleets, run, view) = (site.desk.fleets.clone(), run.clone(), view.clone());
        tokio::task::spawn_blocking(move || fleets.drift(&run, &view)).await
    };
    let drift = drift.ok().and_then(Result::ok);
    let tracker = site.desk.fleets.tracker(&run);
    let watched = tracker.map(|tracker| tracker.battles()).unwrap_or_default();
    let fleet = site.desk.view(&run).await.ok().flatten();
    let is_over = fleet.as_ref().is_none_or(|fleet| fleet.state == FleetState::Over);
    let feed = format!("{}/feed", path(&run));
    let body = html! {
        p class="quiet" {
            (view.plan.format) ", " (view.plan.mode.word()) ", on " (view.plan.server) " · "
            a href=(entity_path("run", run.as_str())) { "timeline" }
        }
        (live("fleet", html! { @if let Some(fleet) = &fleet { (fleets::control(fleet)) } }))
        (live("counts", counts(&view, drift)))
        (live("course", course(&over)))
        h2 { "In play" }
        (live("in-play", in_play(&run, &view.live, &watched)))
        h2 { "Workers" }
        (live("workers", workers(&view)))
        @if !view.teams.is_empty() {
            h2 { "Teams" }
            (live("teams", tallies("Team", view.teams.iter())))
        }
        h2 { "Frequent opponents" }
        (live("opponents", tallies("Opponent", frequent(&view).into_iter())))
        h2 { "Over" }
        (live("over", finished(&over)))
        @if is_over && site.desk.fleets.is_hosting() {
            h2 { "Play for it" }
            (fleets::start_form(&run, fleet.as_ref().and_then(|fleet| fleet.crew.as_ref())))
        }
    };
    page(&title, "/battles").feed(&feed).body(body).into_response()
}

fn counts(view: &RunView, drift: Option<u64>) -> Markup {
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
    let drift = html! {
        @match drift {
            Some(0) => "0",
            Some(drift) => { (count(drift)) " " (badge(Tone::Bad, "must be 0")) }
            None => "?",
        }
    };
    html! {
        (facts(&[
            (&target, html! { (count(view.total.finished())) }),
            ("Won", html! { (count(wins)) " " (rate(Score::from(view.total))) }),
            ("Lost", lost),
            ("Tied", html! { (count(ties)) }),
            ("In play", in_play),
            ("Drift, against the logs", drift),
        ]))
    }
}

/// A win rate, with its interval.
pub(super) fn rate(score: Score) -> Markup {
    let Some(Estimate { value, low, high }) = score.rate() else { return html! {} };
    let [value, low, high] = [value, low, high].map(|rate| format!("{:.0}", rate * 100.0));
    html! { span class="badge" title="with 95 % interval" { (value) " % (" (low) "–" (high) ")" } }
}

/// Win rate and rating, battle by battle.
fn course(newest_first: &[Over]) -> Markup {
    let mut score = Score::default();
    let mut rates = Vec::new();
    for over in newest_first.iter().rev() {
        let mut tally = Tally::default();
        tally.add(over.ending);
        let one = Score::from(tally);
        score.wins += one.wins;
        score.losses += one.losses;
        score.ties += one.ties;
        rates.extend(score.rate());
    }
    let ratings: Vec<f64> =
        newest_first.iter().rev().filter_map(|over| over.rating.map(f64::from)).collect();
    html! {
        @if rates.len() > 1 {
            h2 { "Win rate" }
            (plot::band(&rates.iter().map(|rate| [rate.low, rate.value, rate.high]).collect::<Vec<_>>(), 0.0..1.0, "Win rate with its interval, battle by battle"))
        }
        @if !ratings.is_empty() {
            h2 { "Rating" }
            (plot::line(&ratings, "Rating, battle by battle"))
            (facts(&newest_ratings(newest_first)))
        }
    }
}

/// The newest rating of each account.
fn newest_ratings(newest_first: &[Over]) -> Vec<(&str, Markup)> {
    let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
    for over in newest_first {
        if let (Some(room), Some(rating)) = (&over.room, over.rating) {
            newest.entry(&room.account).or_insert(rating);
        }
    }
    let shown = newest.into_iter().take(limits::RATINGS_SHOWN);
    shown.map(|(account, rating)| (account, html! { (count(rating.into())) })).collect()
}

fn in_play(run: &Key, battles: &[LiveBattle], watched: &BTreeMap<ClaimId, Watched>) -> Markup {
    let columns = [
        Column::Text("Worker"),
        Column::Text("Room"),
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
                        a href=(format!("{}/{}", path(run), battle.claim)) { (room.id) }
                    }
                    (Phase::Searching | Phase::Playing, _) => (badge(Tone::Plain, "searching")),
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

/// `GET /battles/{run}/{claim}`
pub async fn watch(State(site): State<Site>, Path((run, claim)): Path<(Key, Id)>) -> Response {
    let title = format!("Run {run}, battle {}", claim.0);
    let tracker = site.desk.fleets.tracker(&run);
    let battles = tracker.as_ref().map(|tracker| tracker.battles()).unwrap_or_default();
    let watched = ClaimId::parse(&claim.0).and_then(|claim| battles.get(&claim));
    let feed = format!("{}/feed", path(&run));
    let body = html! {
        p { a href=(path(&run)) { "Run " (run) } }
        (live("battle", match watched {
            Some(watched) => thoughts(watched),
            None => html! { p class="empty" { "This battle is not played here now." } },
        }))
    };
    page(&title, "/battles").feed(&feed).body(body).into_response()
}

fn thoughts(Watched { worker, room, turn, candidates }: &Watched) -> Markup {
    let columns = [
        Column::Text("Candidate"),
        Column::Number("Visits"),
        Column::Text(""),
        Column::Number("Value"),
    ];
    let most = candidates.iter().map(|thought| thought.candidate.visits).max().unwrap_or(0);
    let row = |thought: &Thought| {
        let Candidate { visits, value, .. } = thought.candidate;
        vec![
            html! { (thought.name) },
            html! { (count(visits)) },
            gauge(visits, most),
            html! { (format!("{value:.3}")) },
        ]
    };
    let rows: Vec<_> = candidates.iter().map(row).collect();
    html! {
        (facts(&[
            ("Turn", html! { (turn) }),
            ("Worker", html! { (worker) }),
            ("Room", html! { (room) }),
        ]))
        h2 { "What the bot thought last" }
        (table(&columns, &rows, "Nothing yet."))
    }
}

fn workers(view: &RunView) -> Markup {
    let columns = [
        Column::Text("Worker"),
        Column::Number("Finished"),
        Column::Number("Share"),
        Column::Number("Won"),
        Column::Number("Lost"),
        Column::Number("Tied"),
        Column::Text("Win rate"),
    ];
    let rows: Vec<_> = view
        .workers
        .iter()
        .map(|(name, worker)| {
            let share = worker.quota.map_or_else(|| "any".to_owned(), count);
            vec![
                html! { (name) @if worker.retired { " " (badge(Tone::Plain, "retired")) } },
                html! { (count(worker.tally.finished())) },
                html! { (share) },
                html! { (count(worker.tally.wins)) },
                html! { (count(worker.tally.losses + worker.tally.forfeits)) },
                html! { (count(worker.tally.ties)) },
                rate(Score::from(worker.tally)),
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
    let columns = [Column::Text(what), Column::Number("Finished"), Column::Text("Win rate")];
    let row = |(name, tally): (&String, &Tally)| {
        vec![html! { (name) }, html! { (count(tally.finished())) }, rate(Score::from(*tally))]
    };
    let rows: Vec<_> = tallies.map(row).collect();
    table(&columns, &rows, "None yet.")
}

fn finished(over: &[Over]) -> Markup {
    let columns = [
        Column::Text("Room"),
        Column::Text("Against"),
        Column::Text("Ending"),
        Column::Text("Worker"),
        Column::Number("Rating"),
        Column::Number("UTC"),
    ];
    let row = |over: &Over| {
        let room = over.room.as_ref();
        let tone = match over.ending {
            Ending::Of(Outcome::Win) => Tone::Good,
            Ending::Of(Outcome::Loss | Outcome::Forfeit) => Tone::Bad,
            Ending::Of(Outcome::Tie) => Tone::Plain,
            Ending::Void => Tone::Warn,
        };
        vec![
            html! { @if let Some(room) = room { (room.id) } },
            html! { @if let Some(opponent) = room.and_then(|room| room.opponent.as_deref()) { (opponent) } },
            badge(tone, over.ending.word()),
            html! { (over.worker) },
            html! { @if let Some(rating) = over.rating { (count(rating.into())) } },
            clock(over.at),
        ]
    };
    let rows: Vec<_> = over.iter().take(limits::BATTLES_SHOWN).map(row).collect();
    table(&columns, &rows, "No battle is over yet.")
}

#[cfg(test)]
mod tests {
    use interlock_battles::domain::run::Room;
    use interlock_kernel::{ids::Worker, time::Time};

    use super::*;

    #[test]
    fn each_account_has_the_rating_that_it_was_told_last() {
        let over = |claim: &str, account: &str, rating: Option<u32>| Over {
            claim: ClaimId::parse(claim).unwrap(),
            worker: Worker::new("w0").unwrap(),
            team: None,
            room: Some(Room { id: claim.to_owned(), account: account.to_owned(), opponent: None }),
            ending: Ending::Of(Outcome::Win),
            rating,
            since: Time(0),
            at: Time(0),
        };
        let newest_first = [
            over("c4", "one", None),
            over("c3", "one", Some(1100)),
            over("c2", "two", Some(1050)),
            over("c1", "one", Some(1000)),
        ];
        let shown = newest_ratings(&newest_first);
        let shown: Vec<_> =
            shown.into_iter().map(|(account, rating)| (account, rating.into_string())).collect();
        assert_eq!(shown, [("one", "1,100".to_owned()), ("two", "1,050".to_owned())]);
    }
}
