//! What a fleet is doing, for those who watch: live battles with the bot's thoughts, and what decisions cost.
//!
//! Nothing is decided on it, and nothing of it survives the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use interlock_kernel::{ids::Worker, quota::ClaimId};
use tokio::sync::watch;

use crate::{
    domain::overhead::{Overhead, Overheads},
    io::{BattleEvent, Board, Thought},
};

/// A battle in play, as it was last seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Who plays it.
    pub worker: Worker,
    /// Its room.
    pub room: String,
    /// The turn of the newest decision; 0 before the first.
    pub turn: u16,
    /// What could be chosen then, best first.
    pub candidates: Vec<Thought>,
    /// The battle itself.
    pub board: Board,
}

/// Watches a fleet.
#[derive(Debug, Default)]
pub struct Tracker {
    seen: Mutex<Seen>,
    /// Counts what there is to see.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Seen {
    battles: BTreeMap<ClaimId, Watched>,
    overheads: Overheads,
}

impl Tracker {
    /// The battles in play.
    #[must_use]
    pub fn battles(&self) -> BTreeMap<ClaimId, Watched> {
        self.lock().battles.clone()
    }

    /// One of them.
    #[must_use]
    pub fn battle(&self, claim: ClaimId) -> Option<Watched> {
        self.lock().battles.get(&claim).cloned()
    }

    /// What its decisions cost.
    #[must_use]
    pub fn overhead(&self) -> Overhead {
        self.lock().overheads.summary()
    }

    /// Changes whenever there is something new to see.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn note(&self, worker: &Worker, claim: ClaimId, event: BattleEvent) {
        match event {
            BattleEvent::Opened { room, board } => {
                let worker = worker.clone();
                let watched = Watched { worker, room, turn: 0, candidates: Vec::new(), board };
                self.lock().battles.insert(claim, watched);
            }
            BattleEvent::Decided { room: _, turn, candidates, cost } => {
                let mut seen = self.lock();
                seen.overheads.add(cost.overhead(), 1);
                if let Some(watched) = seen.battles.get_mut(&claim) {
                    (watched.turn, watched.candidates) = (turn, candidates);
                    watched.board.tell();
                }
            }
            BattleEvent::Refused { room, turn } => {
                tracing::info!(%claim, room, turn, "a choice was refused");
            }
        }
        self.tell();
    }

    pub(super) fn over(&self, claim: ClaimId) {
        self.lock().battles.remove(&claim);
        self.tell();
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no code panics while it holds what was seen")
    }
}
