//! The whole HTTP face: what the services offer, and what the server says about itself.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use interlock_battles::routes::fleet::Desk;
use interlock_kernel::time::Millis;
use interlock_runtime::Runtime;
use interlock_web::{
    endpoint::{Endpoint, Routes},
    metrics::{MEDIA_TYPE, Text},
    reply::Reply,
    schema,
    traffic::Traffic,
};
use serde_json::json;
use tokio::sync::watch;

use crate::{audit::Audit, compose::Services, dead_letters, metrics, pages, pulse::Pulse};

/// What the server's own handlers need.
#[derive(Clone)]
pub struct Site {
    /// The entities.
    pub runtime: Runtime,
    /// What runs on them.
    pub services: Arc<Services>,
    /// The audit of this program.
    pub audit: Arc<Audit>,
    /// The battle fleets of this process.
    pub desk: Desk,
    /// How long command ids are kept.
    pub retention: Millis,
    /// How busy they are.
    pub pulse: Arc<Pulse>,
    /// How busy the server is.
    pub traffic: Arc<Traffic>,
    /// True once the server stops.
    pub stopping: watch::Receiver<bool>,
}

/// Every endpoint. Pages are not in the OpenAPI document: it is for programs.
#[must_use]
pub fn routes(site: Site) -> Routes {
    let own =
        Routes::new()
            .on(
                Endpoint::get("/api/v1/health", "Whether the server answers")
                    .tag("server")
                    .answers(200, "It does.", schema::object([("status", schema::word("ok"))])),
                async || Reply::json(StatusCode::OK, &json!({"status": "ok"})),
            )
            .on(
                Endpoint::get("/metrics", "Everything that is counted, for Prometheus")
                    .tag("server")
                    .answers_with(200, "The Prometheus text format.", MEDIA_TYPE),
                async |State(site): State<Site>| -> Text {
                    let mut text = metrics::text(site.runtime.status(), &site.traffic);
                    site.services.measure(&mut text).await;
                    text
                },
            )
            .and(dead_letters::routes())
            .with_state(site.clone());
    let services = site.services.routes();
    services
        .and(own)
        .with_openapi("Interlock", env!("CARGO_PKG_VERSION"))
        .and(pages::routes().with_state(site))
}
