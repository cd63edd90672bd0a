//! The feeds that keep pages true. What they say does not matter, only that they say it.

use axum::{extract::State, response::Response};
use futures_util::{Stream, StreamExt, stream};
use interlock_kernel::{ids::Key, quota::ClaimId};
use interlock_runtime::feed::{Feed, Filter, From};
use interlock_web::{
    connection::Client,
    path::{Id, Path},
    problem::Problem,
    sse,
};
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

/// Says when a fleet starts or ends.
pub async fn fleets(State(site): State<Site>, client: Client) -> Response {
    whenever(site.desk.fleets.news(), site.stopping, client)
}

/// Says when a run changes, or what plays for it here. Ends when that starts or ends: the page asks anew.
pub async fn run(
    State(site): State<Site>,
    Path(run): Path<Key>,
    client: Client,
) -> Result<Response, Problem> {
    let mut fleets = site.desk.fleets.news();
    let news = match site.desk.fleets.tracker(&run) {
        Some(tracker) => changes(tracker.news(), site.stopping).left_stream(),
        None => changes_of(&site, "run".to_owned(), run).await?.right_stream(),
    };
    let other = async move { fleets.changed().await };
    Ok(sse::feed(client, news.take_until(Box::pin(other))))
}

/// Says when a battle in play changes, and once more when it is over; of one that is not played here, when its run
/// changes.
pub async fn battle(
    state: State<Site>,
    Path((run, Id(claim))): Path<(Key, Id)>,
    client: Client,
) -> Result<Response, Problem> {
    let tracker = state.desk.fleets.tracker(&run);
    let watched = tracker.zip(ClaimId::parse(&claim));
    let Some(watched) = watched.and_then(|(tracker, claim)| tracker.battle(claim)) else {
        return self::run(state, Path(run), client).await;
    };
    let over = stream::once(async { sse::Event::default() });
    let news = changes(watched.board.news(), state.stopping.clone()).chain(over);
    Ok(sse::feed(client, news))
}

/// Says when this changes.
fn whenever(
    news: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    client: Client,
) -> Response {
    sse::feed(client, changes(news, stopping))
}

fn changes(
    news: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
) -> impl Stream<Item = sse::Event> {
    stream::unfold((news, stopping), async |(mut news, mut stopping)| {
        let changed = async {
            sleep(limits::PAGE_PAUSE).await;
            news.changed().await
        };
        tokio::select! {
            changed = changed => changed.ok()?,
            () = stopped(&mut stopping) => return None,
        }
        Some((sse::Event::default(), (news, stopping)))
    })
}

/// Says when an entity changes, and once more when its handlers have probably run.
pub async fn entity(
    State(site): State<Site>,
    Path((entity, key)): Path<(String, Key)>,
    client: Client,
) -> Result<Response, Problem> {
    Ok(sse::feed(client, changes_of(&site, entity, key).await?))
}

async fn changes_of(
    site: &Site,
    entity: String,
    key: Key,
) -> Result<impl Stream<Item = sse::Event> + use<>, Problem> {
    let filter = Filter { entity, key };
    let feed = site.runtime.feed(From::Now, Some(filter)).await;
    let feed = feed.map_err(|_| Problem::store_unavailable())?;
    let start = (feed, site.stopping.clone(), false);
    Ok(stream::unfold(start, async |(feed, stopping, again)| next(feed, stopping, again).await))
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
