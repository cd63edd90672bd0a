//! The server's own pages: what runs here, and what happened to one entity.
//!
//! They are rendered from the same state that programs get, and refreshed by their feeds; see
//! [`interlock_web::page`]. A page that cannot be shown says so as a page.

mod audit;
pub(crate) mod battles;
mod entities;
mod feeds;
pub(crate) mod figures;
mod fleets;
mod overview;
mod plot;
mod timeline;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use interlock_web::{
    endpoint::{Endpoint, Routes},
    page::{Html, Page},
    sse,
};
use maud::{Markup, html};

use crate::app::Site;

/// The pages and their feeds.
#[must_use]
pub fn routes() -> Routes<Site> {
    let page =
        |path, summary| Endpoint::get(path, summary).answers_with(200, "A page.", "text/html");
    let post =
        |path, summary| Endpoint::post(path, summary).answers_with(303, "See it.", "text/html");
    let feed = |path| {
        Endpoint::get(path, "Says when its page changes").answers_with(
            200,
            "A feed.",
            sse::MEDIA_TYPE,
        )
    };
    let file =
        |path, summary| Endpoint::get(path, summary).answers_with(200, "A file.", "text/plain");
    Routes::new()
        .on(page("/", "What runs here"), overview::show)
        .on(feed("/feed"), feeds::overview)
        .on(page("/audit", "The races of five systems, and their twins here"), audit::show)
        .on(page("/audit/{race}", "One race, with its timeline"), audit::race)
        .on(post("/audit", "Run the audit"), audit::run)
        .on(feed("/audit/feed"), feeds::audit)
        .on(page("/battles", "Runs of battles, and starting one"), fleets::index)
        .on(post("/battles", "Open a run, and play for it"), fleets::open)
        .on(feed("/battles/feed"), feeds::fleets)
        .on(page("/battles/{run}", "A run of battles"), battles::show)
        .on(post("/battles/{run}/fleet", "Play for a run"), fleets::start)
        .on(post("/battles/{run}/drain", "Finish what is in play"), fleets::drain)
        .on(post("/battles/{run}/forfeit", "Give up what is in play"), fleets::forfeit)
        .on(page("/battles/{run}/{claim}", "A battle, with the bot's thoughts"), battles::watch)
        .on(file("/battles/{run}/{claim}/log", "A battle's log, to keep"), battles::log)
        .on(file("/battles/{run}/{claim}/replay", "A battle to watch again"), battles::replay_page)
        .on(feed("/battles/{run}/{claim}/feed"), feeds::battle)
        .on(feed("/battles/{run}/feed"), feeds::run)
        .on(page("/entities/{type}", "Entities of a type"), entities::show)
        .on(page("/entities/{type}/{key}", "What happened to an entity"), timeline::show)
        .on(feed("/entities/{type}/{key}/feed"), feeds::entity)
}

/// The ways from page to page.
const NAV: &[(&str, &str)] = &[
    ("Overview", "/"),
    ("Battles", "/battles"),
    ("Audit", "/audit"),
    ("API", "/api/openapi.json"),
    ("Metrics", "/metrics"),
];

/// A page of this server.
fn page<'a>(title: &'a str, here: &'a str) -> Page<'a> {
    Page::new(title).nav(NAV, here)
}

/// Where an entity's page is. Types and keys follow the rule of names, which fits a path.
pub(crate) fn entity_path(entity: &str, key: &str) -> String {
    format!("/entities/{entity}/{key}")
}

/// A page that says why there is nothing else on it.
fn apology(status: StatusCode, title: &str, says: &str) -> Response {
    let body: Markup = html! {
        p { (says) }
        p { a href="/" { "What runs here" } }
    };
    let page: Html = page(title, "").body(body);
    (status, page).into_response()
}
