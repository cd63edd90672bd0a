//! `/api/v1/dead-letters`: records whose write handler failed for good, and a way to handle them again.
//!
//! An entity has at most one: its later records wait behind it. Whoever has mended the cause has it retried;
//! if it fails again, it comes back.

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Key, Version},
    time::Time,
};
use interlock_runtime::dispatch::dead::Letter;
use interlock_web::{
    endpoint::{Endpoint, Routes},
    path::Path,
    problem::Problem,
    reply::Reply,
    schema,
};
use serde::Serialize;
use serde_json::Value;

use crate::{app::Site, limits};

/// The endpoints.
#[must_use]
pub fn routes() -> Routes<Site> {
    Routes::new()
        .on(
            Endpoint::get("/api/v1/dead-letters", "Records whose handlers failed for good")
                .tag("server")
                .answers(
                    200,
                    "The dead letters, by type and key: the first of them, and how many there are.",
                    schema::object([
                        ("letters", schema::array(&letter())),
                        ("total", schema::integer()),
                    ]),
                )
                .refuses(503, &["store_unavailable"]),
            list,
        )
        .on(
            Endpoint::post(
                "/api/v1/dead-letters/{type}/{key}/retry",
                "Handle an entity's dead letter, and what waits behind it, again",
            )
            .tag("server")
            .answers(202, "It is no dead letter any more, unless it fails again.", letter())
            .refuses(404, &["unknown_dead_letter"])
            .refuses(409, &["not_retried"])
            .refuses(503, &["store_unavailable", "shutting_down"]),
            retry,
        )
}

fn letter() -> Value {
    schema::object([
        ("type", schema::text()),
        ("key", schema::text()),
        ("version", schema::integer()),
        ("at", schema::time()),
        ("handler", schema::text()),
        ("error", schema::text()),
    ])
}

/// A letter as programs see it.
#[derive(Serialize)]
struct Shown<'a> {
    r#type: &'a str,
    key: &'a Key,
    version: Version,
    at: Time,
    handler: &'a str,
    error: &'a str,
}

impl<'a> From<&'a Letter> for Shown<'a> {
    fn from(letter: &'a Letter) -> Self {
        // Where in the log it stands is of no use outside.
        let Letter { entity, key, position: _, version, at, handler, error } = letter;
        Self { r#type: entity, key, version: *version, at: *at, handler, error }
    }
}

async fn list(State(site): State<Site>) -> Result<Reply, Problem> {
    #[derive(Serialize)]
    struct List<'a> {
        letters: Vec<Shown<'a>>,
        total: usize,
    }
    let letters = letters(&site).await?;
    let shown = letters.iter().take(limits::LETTERS_SHOWN).map(Shown::from).collect();
    Ok(Reply::json(StatusCode::OK, &List { letters: shown, total: letters.len() }))
}

async fn retry(
    State(site): State<Site>,
    Path((entity, key)): Path<(String, Key)>,
) -> Result<Reply, Problem> {
    let letters = letters(&site).await?;
    let letter = letters.iter().find(|letter| letter.entity == entity && letter.key == key);
    let what = || format!("dead letter of {entity}/{key}");
    let letter = letter.ok_or_else(|| Problem::unknown("unknown_dead_letter", what()))?;
    let begun = site.runtime.retry_dead_letter(&entity, &key).await;
    begun.map_err(|why| match *site.stopping.borrow() {
        true => Problem::shutting_down(),
        false => Problem::new(StatusCode::CONFLICT, "not_retried", why),
    })?;
    tracing::info!(entity, %key, handler = letter.handler, "a dead letter is handled again");
    Ok(Reply::json(StatusCode::ACCEPTED, &Shown::from(letter)))
}

async fn letters(site: &Site) -> Result<Vec<Letter>, Problem> {
    site.runtime.dead_letters().await.map_err(|error| {
        tracing::warn!(%error, "the dead letters cannot be read");
        Problem::store_unavailable()
    })
}
