//! One stream's carrier: from the first player's request to the free slot.
//!
//! ```text
//! acquire ─► start ─► open ─► flowing ─► (last player gone, linger) ─► release
//!    ▲         └─ failed: release, next engine ─┘
//! ```
//!
//! Whatever happens, the slot is released: on every way out of [`carry`], panics included. While it holds a
//! slot the carrier renews its lease; if it cannot, it stops by itself before the lease ends.

mod slot;
mod start;

use std::{collections::BTreeSet, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::FutureExt;
use interlock_kernel::ids::Member;
use tokio::time::{Instant, sleep};

use self::{
    slot::{Held, acquire, keep},
    start::{Tried, start},
};
use super::{
    PlayError, Shared,
    live::{Live, Phase},
};
use crate::{
    domain::engines::{Ending, Grant, Session},
    io::{
        hub::Feed,
        pull::{Pull, PullEnd},
    },
};

/// Why a stream did not flow.
enum Unplayed {
    /// Whoever waits for it is told so.
    Refused(PlayError),
    /// Nobody waits for it any more, which is no failure.
    Abandoned,
}

impl From<PlayError> for Unplayed {
    fn from(error: PlayError) -> Self {
        Self::Refused(error)
    }
}

/// Carries a stream to its end.
pub(super) async fn carry(shared: &Arc<Shared>, live: Arc<Live>, feed: Feed) {
    let held = Held::none(shared, &live);
    to_its_end(&held, run(shared, &live, feed, &held)).await;
}

/// Runs a carrier; afterwards nobody waits for it, and it holds nothing.
async fn to_its_end(held: &Held<'_>, run: impl Future<Output = Result<(), Unplayed>>) {
    let Held { shared, live, .. } = held;
    let ended = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(stream = live.name, "carrying a stream panicked");
        Err(PlayError::NoEngine("an internal error".to_owned()).into())
    });
    shared.streams().forget(live);
    match ended {
        Ok(()) => {}
        Err(Unplayed::Refused(error)) => {
            tracing::info!(stream = live.name, %error, "a stream did not start");
            live.phase.send_replace(Phase::Failed(error));
        }
        Err(Unplayed::Abandoned) => {
            tracing::info!(stream = live.name, "everybody left before a stream flowed");
        }
    }
    live.hub.close();
    // Only a panic leaves a slot behind.
    held.release(Ending::Panicked, Session::Unanswered).await;
}

async fn run(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    mut feed: Feed,
    held: &Held<'_>,
) -> Result<(), Unplayed> {
    let mut tried: BTreeSet<Member> = BTreeSet::new();
    let mut last = String::from("there is no engine");
    for _ in 0..shared.config.start_attempts {
        let Some((grant, granted)) = acquire(shared, live, &tried).await? else { break };
        held.take(&grant);
        tried.insert(grant.engine.clone());
        match start(shared, live, &grant, granted).await {
            Tried::Flows { session, pull, confirmed } => {
                let engine = grant.engine.clone();
                live.phase.send_replace(Phase::Flowing { engine, stat_url: session.stat_url });
                let ending = feed_players(shared, live, &grant, confirmed, pull, &mut feed).await;
                shared.streams().forget(live);
                drop(feed);
                held.release(ending, Session::Perhaps).await;
                return Ok(());
            }
            Tried::Failed { why, said, unreachable, session } => {
                last = said;
                held.release(Ending::Failed { why, unreachable }, session).await;
            }
            Tried::Dropped { ending, session, error } => {
                held.release(ending, session).await;
                return Err(error);
            }
        }
        if live.is_out_of_time() {
            return Err(PlayError::OutOfTime(last).into());
        }
        if shared.leave_if_unwatched(live) {
            return Err(Unplayed::Abandoned);
        }
    }
    Err(PlayError::NoEngine(last).into())
}

/// Moves bytes until the stream ends, nobody watches it, or its slot is wanted.
async fn feed_players(
    shared: &Shared,
    live: &Arc<Live>,
    grant: &Grant,
    confirmed: Instant,
    pull: Pull,
    feed: &mut Feed,
) -> Ending {
    let silence = shared.config.start_timeout.as_duration();
    tokio::select! {
        biased;
        ending = unwatched(shared, live) => ending,
        () = keep(shared, grant.lease, confirmed) => {
            tracing::error!(stream = live.name, "a stream was given up: its slot could not be kept");
            Ending::LeaseLost
        }
        end = pull.feed(feed, silence) => match end {
            PullEnd::Over => Ending::EngineEnded,
            PullEnd::Closed => Ending::Stopping,
            PullEnd::Failed(error) => {
                tracing::warn!(stream = live.name, %error, "a stream broke off");
                Ending::EngineEnded
            }
        },
    }
}

/// Returns once the stream has had no players for the linger time, or none when its slot was wanted.
async fn unwatched(shared: &Shared, live: &Arc<Live>) -> Ending {
    let mut players = live.hub.players();
    let since = |since: Option<Instant>| {
        *live.unwatched_since.lock().expect("held for a moment only") = since;
    };
    loop {
        // The hub, and with it the count, lives as long as the stream.
        let _ = players.wait_for(|count| *count == 0).await;
        since(Some(Instant::now()));
        let mut lingered = pin!(sleep(shared.config.linger.as_duration()));
        loop {
            tokio::select! {
                biased;
                // Somebody came back.
                _ = players.wait_for(|count| *count > 0) => break,
                () = live.give_way.notified() => {
                    if shared.leave_if_asked(live) {
                        return Ending::GaveWay;
                    }
                }
                () = lingered.as_mut() => {
                    if shared.leave_if_unwatched(live) {
                        return Ending::Unwatched;
                    }
                    break;
                }
            }
        }
        since(None);
    }
}

#[cfg(test)]
mod tests;
