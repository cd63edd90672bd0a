//! The first page: what runs here.

use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use interlock_runtime::{
    Resident,
    dispatch::dead::Letter,
    status::{Status, TypeStatus},
};
use interlock_web::page::{Column, Html, Tone, badge, facts, live, table};
use maud::{Markup, html};

use super::{
    entities::link,
    entity_path,
    figures::{bytes, clock, count, micros, short, sparkline},
    page,
};
use crate::{app::Site, limits, pulse::Beat};

/// `GET /`
pub async fn show(State(site): State<Site>) -> Html {
    let status = site.runtime.status();
    let mut kinds = Vec::new();
    for entity in site.runtime.types() {
        let recent = site.runtime.recent(entity, limits::RECENT_SHOWN).await;
        kinds.push((entity, recent));
    }
    let letters = site.runtime.dead_letters().await;
    let panels = site.services.panels().await;
    page("What runs here", "/").feed("/feed").body(html! {
        (live("load", load(status, &site.pulse.beats())))
        (live("trouble", match &letters {
            Ok(letters) => trouble(letters),
            Err(error) => html! { p { (badge(Tone::Bad, "store")) " " (error) } },
        }))
        @for panel in &panels { (panel) }
        h2 { "Entities" }
        (live("entities", entities(&kinds, status)))
        h2 { "Timings" }
        (live("timings", timings(status)))
    })
}

fn load(status: &Status, beats: &[Beat]) -> Markup {
    let course = |of: fn(&Beat) -> u64| beats.iter().map(of).collect::<Vec<_>>();
    let (commands, commits) = (course(|beat| beat.commands), course(|beat| beat.commits));
    let resident_bytes = status.resident_bytes.load(Relaxed) as u64;
    let resident = format!("Entities in memory, {}", bytes(resident_bytes));
    let sum = |of: fn(&TypeStatus) -> u64| status.types.values().map(of).sum::<u64>();
    let drift = sum(|it| it.drift.load(Relaxed));
    let drifting = format!("Drift in {} recounts", count(sum(|it| it.recounted.load(Relaxed))));
    html! {
        (facts(&[
            ("Commands a second", html! {
                (count(rate(&commands))) (sparkline(&commands, "Commands in each of the last seconds"))
            }),
            ("Commits a second", html! {
                (count(rate(&commits))) (sparkline(&commits, "Commits in each of the last seconds"))
            }),
            (&resident, html! { (count(status.resident.load(Relaxed) as u64)) }),
            (&drifting, html! {
                (count(drift)) @if drift > 0 { " " (badge(Tone::Bad, "must be 0")) }
            }),
        ]))
    }
}

/// The mean of the last beats, rounded up: a trickle is not nothing.
fn rate(course: &[u64]) -> u64 {
    let last = &course[course.len().saturating_sub(limits::RATE_BEATS)..];
    last.iter().sum::<u64>().div_ceil(last.len().max(1) as u64)
}

fn trouble(letters: &[Letter]) -> Markup {
    if letters.is_empty() {
        return html! {};
    }
    let columns = [
        Column::Text("Entity"),
        Column::Text("Handler"),
        Column::Text("It said"),
        Column::Number("UTC"),
    ];
    let row = |letter: &Letter| {
        let name = format!("{}/{}", letter.entity, letter.key);
        let path = entity_path(&letter.entity, letter.key.as_str());
        vec![
            html! { a href=(path) title=(name) { (short(&name)) } },
            html! { (letter.handler) },
            html! { (letter.error) },
            clock(letter.at),
        ]
    };
    let rows: Vec<_> = letters.iter().take(limits::LETTERS_SHOWN).map(row).collect();
    html! {
        h2 { "Dead letters " (badge(Tone::Bad, &count(letters.len() as u64))) }
        p class="quiet" {
            "What comes later waits behind them. Once the cause is mended, handle one again with "
            code { "POST /api/v1/dead-letters/{type}/{key}/retry" } "."
        }
        (table(&columns, &rows, ""))
    }
}

fn entities(kinds: &[(&str, Vec<Resident>)], status: &Status) -> Markup {
    let columns = [
        Column::Text("Type"),
        Column::Number("In memory"),
        Column::Text("Recently changed"),
        Column::Number("UTC"),
    ];
    let row = |(entity, recent): &(&str, Vec<Resident>)| {
        let resident = status.types.get(entity).map_or(0, |status| status.resident.load(Relaxed));
        vec![
            html! { a href=(format!("/entities/{entity}")) { (entity) } },
            html! { (count(resident as u64)) },
            html! {
                @for (index, one) in recent.iter().enumerate() {
                    @if index > 0 { ", " }
                    (link(entity, one))
                }
                @if recent.is_empty() { span class="quiet" { "none yet" } }
            },
            html! { @if let Some(newest) = recent.first() { (clock(newest.at)) } },
        ]
    };
    let rows: Vec<_> = kinds.iter().map(row).collect();
    table(&columns, &rows, "No service is switched on.")
}

fn timings(status: &Status) -> Markup {
    let columns = [
        Column::Text("What"),
        Column::Number("Times"),
        Column::Number("p50"),
        Column::Number("p99"),
        Column::Number("max"),
    ];
    let mut rows = vec![timing("Commit", &status.commit_times)];
    for (entity, status) in &status.types {
        for (phase, times) in [("phase 1", &status.write_times), ("phase 2", &status.read_times)] {
            if times.read().count > 0 {
                rows.push(timing(&format!("{entity}, {phase}"), times));
            }
        }
    }
    table(&columns, &rows, "")
}

fn timing(what: &str, times: &interlock_runtime::status::Histogram) -> Vec<Markup> {
    let timings = times.read();
    // Quantiles are known to the next power of two; none is longer than the longest.
    let within = |us: u64| micros(us.min(timings.max_us));
    vec![
        html! { (what) },
        html! { (count(timings.count)) },
        html! { (within(timings.p50_us)) },
        html! { (within(timings.p99_us)) },
        html! { (micros(timings.max_us)) },
    ]
}
