//! The audit: the races of five real systems, each as it was found and as the same work on Interlock.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use interlock_audit::{
    report::{Found, Line, OwnLine, Twin, Violation},
    timeline::{Row, Timeline},
};
use interlock_web::{
    page::{Column, Html, Tone, badge, facts, live, table},
    path::Path,
};
use maud::{Markup, html};

use super::{apology, figures::count, page};
use crate::{app::Site, audit::Results};

/// What the documents tell of, by their numbers.
const DOCUMENTS: &[(&str, &str)] = &[
    ("000", "Battles: a bot fleet's quotas and counts"),
    ("001", "Stories: a game of choices on web and Discord"),
    ("002", "Decisions: learned decisions for game clients"),
    ("003", "Streams: an allocator and a proxy of video engines"),
    ("004", "Matches: best-of-N matches on two-phase events"),
];

/// `GET /audit`
pub async fn show(State(site): State<Site>) -> Html {
    let results = site.audit.results();
    page("Audit", "/audit").feed("/audit/feed").body(html! {
        p {
            "The races of five real systems. Each system as it was found is searched for a schedule that breaks \
             it; then the same work on Interlock, the code that serves this page, is searched with crashes, \
             failing disks, lost and doubled messages and paused processes on top."
        }
        (live("control", control(&results)))
        (live("results", found(&results)))
    })
}

/// `POST /audit`
pub async fn run(State(site): State<Site>) -> Redirect {
    site.audit.run(site.stopping);
    Redirect::to("/audit")
}

/// `GET /audit/{race}`
pub async fn race(State(site): State<Site>, Path(race): Path<String>) -> Response {
    let Results { lines, own, is_running, .. } = site.audit.results();
    if let Some(line) = own.iter().find(|line| address(line.name) == race) {
        let body = html! {
            p { (kept(line)) " " span class="quiet" { "meanwhile: " (line.faults) } }
            (on_interlock(&line.interlock))
        };
        return page(&sentence(line.name), "").body(body).into_response();
    }
    let Some(line) = lines.iter().find(|line| address(line.name) == race) else {
        let says = match (lines.is_empty(), is_running) {
            (true, false) => "No audit has run since the server started.",
            (_, true) => "The audit has not come to this race yet.",
            (false, false) => "There is no such race.",
        };
        return apology(StatusCode::NOT_FOUND, "Audit", says);
    };
    page(&sentence(line.name), "").body(one(line)).into_response()
}

/// A race's name as it stands in addresses.
fn address(name: &str) -> String {
    let is_part = |word: &&str| !word.is_empty();
    let words = name.split(|letter: char| !letter.is_alphanumeric()).filter(is_part);
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

fn sentence(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn control(results: &Results) -> Markup {
    let scenarios = Results::scenarios();
    let done = results.lines.len() + results.own.len();
    if results.is_running {
        return html! { p class="quiet" { "Scenario " (scenarios.min(done + 1)) " of " (scenarios) " …" } };
    }
    html! {
        form method="post" action="/audit" {
            button { @if results.lines.is_empty() { "Run the audit" } @else { "Run it again" } }
            span class="quiet" { (scenarios) " scenarios, a few seconds of one core" }
        }
    }
}

fn found(results: &Results) -> Markup {
    let Results { lines, own, seconds, .. } = results;
    if lines.is_empty() {
        return html! {};
    }
    let searched = || {
        let twins = lines.iter().map(|line| &line.interlock);
        twins.chain(own.iter().map(|line| &line.interlock))
    };
    let total = |of: fn(&Twin) -> u64| count(searched().map(of).sum());
    let races = lines.iter().filter(|line| line.as_found.found).count();
    let hold = lines.iter().filter(|line| line.interlock.violations == 0).count();
    html! {
        (facts(&[
            ("Races found", html! { (races) " of " (lines.len()) }),
            ("Twins that hold", html! { (hold) " of " (lines.len()) }),
            ("Schedules on Interlock", html! { (total(|twin| twin.schedules)) }),
            ("Faults in them", html! { (total(|twin| twin.faults)) }),
            ("Took", html! { @if let Some(seconds) = seconds { (format!("{seconds:.1} s")) } @else { "…" } }),
        ]))
        @for (number, title) in DOCUMENTS {
            @let of = lines.iter().filter(|line| line.document == *number);
            @let rows: Vec<_> = of.map(|line| row(line)).collect();
            @if !rows.is_empty() {
                h2 { (title) " " span class="quiet" { (number) } }
                (races_of(&rows))
            }
        }
        @if !own.is_empty() {
            h2 { "What Interlock promises besides" }
            (promises(own))
        }
    }
}

fn promises(own: &[Arc<OwnLine>]) -> Markup {
    let columns = [
        Column::Text("Promise"),
        Column::Text("What goes wrong meanwhile"),
        Column::Number("Schedules"),
        Column::Number("Faults"),
        Column::Text("Verdict"),
    ];
    let row = |line: &Arc<OwnLine>| {
        let OwnLine { name, faults, interlock } = &**line;
        vec![
            html! { a href=(format!("/audit/{}", address(name))) { (sentence(name)) } },
            html! { (faults) },
            html! { @if interlock.exhausted { "all " } (count(interlock.schedules)) },
            html! { (count(interlock.faults)) },
            kept(line),
        ]
    };
    let rows: Vec<_> = own.iter().map(row).collect();
    table(&columns, &rows, "")
}

fn kept(line: &OwnLine) -> Markup {
    badge(tone(line.is_good()), line.word())
}

fn races_of(rows: &[Vec<Markup>]) -> Markup {
    let columns = [
        Column::Text("Race"),
        Column::Number("Found after"),
        Column::Number("Twin's schedules"),
        Column::Number("Faults"),
        Column::Text("Verdict"),
    ];
    table(&columns, rows, "")
}

fn row(line: &Line) -> Vec<Markup> {
    let Line { name, as_found, interlock, .. } = line;
    let tried = match as_found.schedules {
        1 => "1 schedule".to_owned(),
        schedules => format!("{} schedules", count(schedules)),
    };
    vec![
        html! { a href=(format!("/audit/{}", address(name))) { (sentence(name)) } },
        html! { @if as_found.found { (tried) } @else { "missed in " (tried) } },
        html! { @if interlock.exhausted { "all " } (count(interlock.schedules)) },
        html! { (count(interlock.faults)) },
        verdict(line),
    ]
}

fn verdict(line: &Line) -> Markup {
    badge(tone(line.is_good()), line.verdict().words())
}

fn tone(is_good: bool) -> Tone {
    if is_good { Tone::Good } else { Tone::Bad }
}

fn one(line: &Line) -> Markup {
    let Line { document, as_found, interlock, .. } = line;
    let Found { schedules, deviations, steps, .. } = as_found;
    html! {
        p { (verdict(line)) " " span class="quiet" { "document " (document) } }
        h2 { "As found" }
        @if as_found.found {
            p { "Goes wrong: " (as_found.violation) "." }
            (timeline(&as_found.table))
            (facts(&[
                ("Schedules until found", html! { (count(*schedules)) }),
                ("Unusual turns that it takes", html! { (deviations) }),
                ("Steps", html! { (count(*steps)) }),
            ]))
            p { "To see it again:" }
            pre { "interlock audit '" (line.name) "' --schedule '" (as_found.schedule) "'" }
        } @else {
            p { "No schedule was found that breaks it, in " (count(*schedules)) "." }
        }
        h2 { "On Interlock" }
        (on_interlock(interlock))
    }
}

fn on_interlock(interlock: &Twin) -> Markup {
    html! {
        @match &interlock.violation {
            Some(Violation { says, schedule, table, .. }) => {
                p { "Goes wrong: " (says) " (" code { (schedule) } ")." }
                (timeline(table))
            }
            None => p {
                "Holds in " @if interlock.exhausted { "all " } (count(interlock.schedules))
                " schedules, with " (count(interlock.faults))
                " faults in them."
            },
        }
        p { a href="/audit" { "All races" } }
    }
}

fn timeline(timeline: &Timeline) -> Markup {
    let mut cells = timeline.cells().into_iter();
    let header = cells.next().unwrap_or_default();
    let columns: Vec<_> = header.iter().map(|name| Column::Text(name)).collect();
    let markup = |(row, line): (&Row, Vec<String>)| {
        let mut line: Vec<Markup> = line.into_iter().map(|cell| html! { (cell) }).collect();
        if row.is_violation {
            line[0] = badge(Tone::Bad, &line[0].0);
        }
        line
    };
    let rows: Vec<_> = timeline.rows.iter().zip(cells).map(markup).collect();
    table(&columns, &rows, "Nobody said anything.")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use interlock_audit::{cases, own};

    use super::*;

    #[test]
    fn every_race_has_a_page_of_its_own_under_a_document_with_a_title() {
        let own = own::all().map(|promise| promise.name);
        let names = cases::all().map(|case| case.name).chain(own);
        let addresses: BTreeSet<_> = names.map(address).collect();
        assert_eq!(addresses.len(), Results::scenarios());
        for case in cases::all() {
            assert!(DOCUMENTS.iter().any(|(number, _)| *number == case.document), "{}", case.name);
        }
    }
}
