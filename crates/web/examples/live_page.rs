//! A page that counts its own clicks, live in every browser that shows it.
//!
//! `cargo run -p interlock-web --example live_page`, then open the address it prints.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use interlock_web::{
    connection::Client,
    endpoint::{Endpoint, Routes},
    guard::Guard,
    metrics::Text,
    page::{Column, Page, Tone, badge, facts, live, table},
    reply::Reply,
    schema,
    serve::{App, Settings, serve},
    sse::{self, Event},
    traffic::Traffic,
};
use maud::html;
use tokio::{net::TcpListener, sync::watch};

type Clicks = watch::Sender<u64>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = "127.0.0.1:7600".parse()?;
    let traffic = Arc::new(Traffic::default());
    let counted = Arc::clone(&traffic);
    let routes = Routes::<Clicks>::new()
        .on(Endpoint::get("/", "The page").answers_with(200, "HTML.", "text/html"), page)
        .on(Endpoint::get("/feed", "Clicks").answers_with(200, "Events.", sse::MEDIA_TYPE), feed)
        .on(Endpoint::post("/clicks", "Clicks once").answers_with(303, "Back.", ""), click)
        .on(
            Endpoint::get("/clicks", "How many").answers(200, "So many.", schema::integer()),
            async |State(clicks): State<Clicks>| Reply::json(StatusCode::OK, &*clicks.borrow()),
        )
        .on(Endpoint::get("/metrics", "For Prometheus"), async move || {
            let mut text = Text::new();
            counted.write(&mut text);
            text
        })
        .with_state(watch::Sender::new(0))
        .with_openapi("Clicks", "1");
    let guard = Guard::new(&[address], &[])?;
    let app = Arc::new(App::new(routes, guard, traffic));
    let listener = TcpListener::bind(address).await?;
    #[expect(clippy::print_stdout, reason = "an example talks to the terminal")]
    {
        println!("http://{address}");
    }
    serve(listener, app, Settings::default(), std::future::pending()).await;
    Ok(())
}

async fn page(State(clicks): State<Clicks>) -> impl IntoResponse {
    let clicks = *clicks.borrow();
    let rows: Vec<_> = (1..=clicks.min(5))
        .map(|nth| vec![html! { "click " (nth) }, html! { (nth * nth) }, badge(Tone::Good, "seen")])
        .collect();
    let columns = [Column::Text("What"), Column::Number("Squared"), Column::Text("State")];
    Page::new("Clicks").nav(&[("Clicks", "/"), ("Metrics", "/metrics")], "/").feed("/feed").body(
        html! {
            p { "Open this page twice and press the button in one of them." }
            (live("counts", facts(&[
                ("Clicks", html! { (clicks) }),
                ("Even", html! { @if clicks % 2 == 0 { "yes" } @else { "no" } }),
                ("State", badge(if clicks > 9 { Tone::Warn } else { Tone::Good }, "healthy")),
            ])))
            form method="post" action="/clicks" { button { "Click" } }
            h2 { "The first ones" }
            (live("rows", table(&columns, &rows, "Nobody has clicked yet.")))
        },
    )
}

async fn click(State(clicks): State<Clicks>) -> Response {
    clicks.send_modify(|count| *count += 1);
    let back = (header::LOCATION, HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [back]).into_response()
}

async fn feed(State(clicks): State<Clicks>, client: Client) -> Response {
    let events = stream::unfold(clicks.subscribe(), async |mut seen| {
        seen.changed().await.ok()?;
        let data = seen.borrow_and_update().to_string();
        Some((Event { data, ..Event::default() }, seen))
    });
    sse::feed(client, events)
}
