//! One entity: its state, and its timeline: command → events → handlers, newest first.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use interlock_kernel::ids::{Key, Version};
use interlock_runtime::{
    ShowError, Shown,
    status::HandlerRun,
    timeline::{Entry, EventEntry, Timeline, TimelineError},
};
use interlock_web::{
    page::{Column, Tone, badge, facts, live, table},
    path::Path,
    request,
    request::Query,
    shape::{optional, text},
};
use maud::{Markup, html};

use super::{
    apology, entity_path,
    figures::{count, micros, precise_clock},
    page,
};
use crate::{app::Site, limits};

request! {
    /// Which part of a timeline is wanted.
    pub struct Part {
        /// From before this place back.
        pub before: Option<String> = optional(text(1..=interlock_web::limits::ID_CHARS)),
    }
}

/// `GET /entities/{type}/{key}`
pub async fn show(
    State(site): State<Site>,
    Path((entity, key)): Path<(String, Key)>,
    Query(part): Query<Part>,
) -> Response {
    let title = format!("{entity}/{key}");
    let shown = site.runtime.show(&entity, &key).await;
    let before = part.before.as_deref();
    let timeline = site.runtime.timeline(&entity, &key, before, limits::TIMELINE_SHOWN).await;
    let (shown, timeline) = match (shown, timeline) {
        (Ok(shown), Ok(Some(timeline))) => (shown, timeline),
        (Ok(_), Ok(None)) => {
            return apology(StatusCode::NOT_FOUND, &title, "Nobody has written to this entity.");
        }
        (_, Err(TimelineError::BadBefore)) => {
            return apology(
                StatusCode::BAD_REQUEST,
                &title,
                "This part of the timeline is not known.",
            );
        }
        (Err(error), _) | (Ok(_), Err(TimelineError::Show(error))) => {
            return failed(&title, &error);
        }
    };
    let feed = format!("{}/feed", entity_path(&entity, key.as_str()));
    let older = timeline
        .next
        .as_ref()
        .map(|next| format!("{}?before={next}", entity_path(&entity, key.as_str())));
    let body = html! {
        (live("entity", head(&shown)))
        h2 { "Timeline" }
        (live("timeline", html! {
            (entries(&timeline))
            @if let Some(older) = older { p { a href=(older) rel="next" { "Older" } } }
        }))
        h2 { "State" }
        (live("state", state(shown)))
    };
    // An older part does not change.
    let page = page(&title, "");
    let page = if before.is_none() { page.feed(&feed) } else { page };
    page.body(body).into_response()
}

fn failed(title: &str, error: &ShowError) -> Response {
    match error {
        ShowError::UnknownType => {
            apology(StatusCode::NOT_FOUND, title, "There is no such type of entities.")
        }
        ShowError::Busy
        | ShowError::Poisoned { .. }
        | ShowError::Unavailable(_)
        | ShowError::Stopping => apology(
            StatusCode::SERVICE_UNAVAILABLE,
            title,
            &format!("It cannot be shown: {error}."),
        ),
    }
}

fn head(shown: &Shown) -> Markup {
    let Version(version) = shown.version;
    html! {
        (facts(&[
            ("Version", html! { (count(version)) }),
            ("Last change, UTC", precise_clock(shown.at)),
            ("Waiting commands", html! { (count(shown.waiting as u64)) }),
            ("Takes commands", if shown.closed { badge(Tone::Plain, "closed") } else { html! { "yes" } }),
        ]))
    }
}

fn entries(timeline: &Timeline) -> Markup {
    let columns = [Column::Number("UTC"), Column::Text("What happened")];
    let row = |entry: &Entry| vec![precise_clock(entry.at), what(entry)];
    let rows: Vec<_> = timeline.entries.iter().map(row).collect();
    table(&columns, &rows, "Nothing is kept of what happened here.")
}

fn what(entry: &Entry) -> Markup {
    let Version(version) = entry.version;
    html! {
        div {
            strong { (entry.command) }
            span class="quiet" { " " (entry.id) ", version " (count(version)) }
        }
        @for event in &entry.events { (happened(event)) }
        @for run in &entry.handlers { (reacted(run)) }
    }
}

fn happened(EventEntry { name, data }: &EventEntry) -> Markup {
    html! { div { "→ " (name) " " code class="quiet" { (data.get()) } } }
}

fn reacted(run: &HandlerRun) -> Markup {
    let tone = match run.outcome {
        "done" => Tone::Good,
        "refused" => Tone::Warn,
        _ => Tone::Bad,
    };
    let us = run.ms * 1e3;
    html! {
        div {
            "⇒ " (run.name) " "
            span class="quiet" { "phase " (run.phase) ", " (micros(us.max(0.0) as u64)) } " "
            (badge(tone, run.outcome))
        }
    }
}

/// The state as programs see it.
fn state(shown: Shown) -> Markup {
    let Ok(json) = (shown.json)() else {
        return html! { p class="empty" { "It cannot be shown." } };
    };
    // Users' values hold what not every parser reads, such as 1e999.
    let value = serde_json::from_str::<serde_json::Value>(json.get());
    let pretty = value.and_then(|value| serde_json::to_string_pretty(&value));
    let text = pretty.unwrap_or_else(|_| json.get().to_owned());
    let shortened: String = text.chars().take(limits::STATE_CHARS).collect();
    html! {
        pre { (shortened) @if shortened.len() < text.len() { "\n…" } }
    }
}
