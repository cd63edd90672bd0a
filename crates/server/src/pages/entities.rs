//! The entities of one type that changed recently.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use interlock_runtime::Resident;
use interlock_web::{
    page::{Column, Tone, badge, live, table},
    path::Path,
};
use maud::{Markup, html};

use super::{
    apology, entity_path,
    figures::{clock, count, short},
    page,
};
use crate::{app::Site, limits};

/// `GET /entities/{type}`
pub async fn show(State(site): State<Site>, Path(entity): Path<String>) -> Response {
    if !site.runtime.types().any(|known| known == entity) {
        return apology(StatusCode::NOT_FOUND, &entity, "There is no such type of entities.");
    }
    let recent = site.runtime.recent(&entity, limits::LISTED).await;
    let title = format!("{entity}: recently changed");
    let body = live("entities", listed(&entity, &recent));
    page(&title, "").feed("/feed").body(body).into_response()
}

fn listed(entity: &str, recent: &[Resident]) -> Markup {
    let columns = [Column::Text("Key"), Column::Number("Version"), Column::Number("UTC")];
    let row = |one: &Resident| {
        vec![
            html! {
                (link(entity, one))
                @if one.closed { " " (badge(Tone::Plain, "closed")) }
            },
            html! { (count(one.version.0)) },
            clock(one.at),
        ]
    };
    let rows: Vec<_> = recent.iter().map(row).collect();
    table(&columns, &rows, "None has changed since the server started.")
}

/// An entity's key, leading to its page.
pub fn link(entity: &str, one: &Resident) -> Markup {
    let key = one.key.as_str();
    html! { a href=(entity_path(entity, key)) title=(key) { (short(key)) } }
}
