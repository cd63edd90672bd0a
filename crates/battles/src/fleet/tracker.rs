//! What a fleet is doing, for those who watch: live battles with the bot's thoughts, and what decisions cost.
//!
//! Nothing is decided on it, and nothing of it survives the process.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use interlock_kernel::{ids::Worker, quota::ClaimId};
use tokio::sync::watch;

use crate::{
    io::{BattleEvent, Board, Thought},
    limits,
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

/// What decisions cost beside thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Decisions.
    pub decisions: u64,
    /// Half of the newest cost at most this.
    pub p50: Duration,
    /// Of a hundred, ninety-nine.
    pub p99: Duration,
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
    decisions: u64,
    overheads: VecDeque<Duration>,
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

    /// What the newest decisions cost.
    #[must_use]
    pub fn overhead(&self) -> Overhead {
        let (decisions, mut sorted) = {
            let seen = self.lock();
            (seen.decisions, seen.overheads.iter().copied().collect::<Vec<_>>())
        };
        sorted.sort_unstable();
        let at = |percent: usize| {
            let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(place).copied().unwrap_or_default()
        };
        Overhead { decisions, p50: at(50), p99: at(99) }
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
                seen.decisions += 1;
                if seen.overheads.len() == limits::COSTS {
                    seen.overheads.pop_front();
                }
                seen.overheads.push_back(cost.overhead());
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
