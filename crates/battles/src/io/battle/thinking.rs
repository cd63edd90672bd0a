//! One decision: a player thinks apart from the asynchronous threads, and what it has found by then is used when the
//! decision is due.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout_at;

use super::{Cost, Settings};
use crate::{
    domain::{battle::Battle, chance::Chance, choice, request::Request},
    limits,
    players::{Bounds, BrokeDown, Candidate, Position, ranked},
};

/// A decision on its way. Dropped, it is not waited for any more.
pub(super) struct Thinking {
    /// What is to be answered.
    pub(super) request: Request,
    /// When it was asked.
    pub(super) asked: Instant,
    search: Pin<Box<dyn Future<Output = Result<Found, BrokeDown>> + Send>>,
}

/// What a player has found.
struct Found {
    candidates: Vec<Candidate>,
    waited: Duration,
    thought: Duration,
}

impl Thinking {
    /// Has the player think, so that there is time left to say what it found before the decision is due.
    pub(super) fn begin(
        battle: Battle,
        request: Request,
        settings: &Settings,
        mut chance: Chance,
        asked: Instant,
        due: Instant,
    ) -> Self {
        let (player, thinkers) = (Arc::clone(&settings.player), Arc::clone(&settings.thinkers));
        let question = request.clone();
        let bounds = Bounds::from(settings.budget);
        let deadline = asked + due.saturating_duration_since(asked).mul_f64(limits::SEARCH_SHARE);
        let search = async move {
            let search = move |time| {
                let begun = Instant::now();
                let position = Position { battle: &battle, request: &question };
                let candidates = ranked(&*player, position, Bounds { time, ..bounds }, &mut chance);
                Found { candidates, waited: begun - asked, thought: begun.elapsed() }
            };
            thinkers.run(deadline, bounds.time, search).await
        };
        Self { request, asked, search: Box::pin(search) }
    }

    /// What could be chosen, best first, when it is found or due; something legal when the player fails. And what it
    /// cost. May be given up, and asked again with another time.
    pub(super) async fn done(&mut self, due: Instant) -> (Vec<Candidate>, Cost) {
        match timeout_at(due.into(), &mut self.search).await {
            Ok(Ok(Found { candidates, waited, thought })) => {
                return (candidates, Cost { waited, thought, took: self.asked.elapsed() });
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a player panicked: something legal is played");
            }
            Err(_) => tracing::error!("a player thought for too long: something legal is played"),
        }
        let unseen = |choice| Candidate { choice, visits: 0, value: 0.0 };
        let candidates = choice::legal(&self.request).into_iter().map(unseen).collect();
        (candidates, Cost { took: self.asked.elapsed(), ..Cost::default() })
    }
}
