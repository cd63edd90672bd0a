//! The feeds that keep pages true. What they say does not matter, only that they say it.

use axum::{extract::State, response::Response};
use futures_util::stream;
use interlock_kernel::ids::Key;
use interlock_runtime::feed::{Feed, Filter, From};
use interlock_web::{connection::Client, path::Path, problem::Problem, sse};
use tokio::{sync::watch, time::sleep};

use crate::{app::Site, limits};

/// Says when the overview changes.
pub async fn overview(State(site): State<Site>, client: Client) -> Response {
    whenever(site.pulse.news(), site.stopping, client)
}

/// Says when the audit has come to another race.
pub async fn audit(State(site): State<Site>, client: Client) -> Response {
    whenever(site.audit.news(), site.stopping, client)
}

/// Says when this changes.
pub fn whenever(
    news: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    client: Client,
) -> Response {
    let told = stream::unfold((news, stopping), async |(mut news, mut stopping)| {
        tokio::select! {
            changed = news.changed() => changed.ok()?,
            () = stopped(&mut stopping) => return None,
        }
        Some((sse::Event::default(), (news, stopping)))
    });
    sse::feed(client, told)
}

/// Says when an entity changes, and once more when its handlers have probably run.
pub async fn entity(
    State(site): State<Site>,
    Path((entity, key)): Path<(String, Key)>,
    client: Client,
) -> Result<Response, Problem> {
    let filter = Filter { entity, key };
    let feed = site.runtime.feed(From::Now, Some(filter)).await;
    let feed = feed.map_err(|_| Problem::store_unavailable())?;
    let changes = stream::unfold((feed, site.stopping, false), async |(feed, stopping, again)| {
        next(feed, stopping, again).await
    });
    Ok(sse::feed(client, changes))
}

type Next = Option<(sse::Event, (Feed, watch::Receiver<bool>, bool))>;

/// `again`: the last message was about a change, whose handlers have not been shown yet.
async fn next(mut feed: Feed, mut stopping: watch::Receiver<bool>, again: bool) -> Next {
    tokio::select! {
        biased;
        () = stopped(&mut stopping) => return None,
        () = sleep(limits::PAGE_PAUSE) => {}
    }
    if again {
        return Some((sse::Event::default(), (feed, stopping, false)));
    }
    tokio::select! {
        biased;
        () = stopped(&mut stopping) => None,
        events = feed.next() => match events {
            Ok(Some(_)) => Some((sse::Event::default(), (feed, stopping, true))),
            // The page asks again, and is told why there is no feed.
            Ok(None) | Err(_) => None,
        },
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Without its sender the server is gone, which is the same.
    let _ = stopping.wait_for(|stopped| *stopped).await;
}
