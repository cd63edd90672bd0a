//! A battle's board: what is known of it while it is played, shared with those who watch.
//!
//! The one who plays writes with every line, under a lock that nobody holds for long; only when somebody looks is
//! anything copied. Nothing is decided on what watchers do.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use tokio::sync::watch;

use super::record::Record;
use crate::domain::{
    battle::Battle,
    choice::Choice,
    log::End,
    protocol::{Frame, Line},
    request::{OwnSide, Request},
    seat::{Ask, Seat},
};

/// The board of one battle. Clones are the same.
#[derive(Clone, Default)]
pub struct Board(Arc<Shared>);

#[derive(Default)]
struct Shared {
    table: Mutex<Table>,
    /// Counts what there is to see.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Table {
    seat: Seat,
    record: Record,
    /// When the server's time for us ends.
    time_ends: Option<Instant>,
}

/// What is on a board at one moment.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What both players can see.
    pub battle: Battle,
    /// The own team, with those that nobody has seen yet; `None` before the first request.
    pub own: Option<OwnSide>,
    /// What was said so far.
    pub log: String,
    /// Seconds that are left for this turn, as far as the server has told.
    pub seconds_left: Option<u64>,
}

impl Board {
    /// What is to be seen now. Copies the log: for those who show it.
    #[must_use]
    pub fn look(&self) -> Scene {
        let table = self.lock();
        let left = |ends: Instant| ends.saturating_duration_since(Instant::now()).as_secs();
        Scene {
            battle: table.seat.battle().clone(),
            own: table.seat.own().cloned(),
            log: table.record.log.clone(),
            seconds_left: table.time_ends.map(left),
        }
    }

    /// Changes whenever there is something new to see. Ends with the battle.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    pub(crate) fn tell(&self) {
        self.0.news.send_modify(|news| *news += 1);
    }

    pub(super) fn show_time(&self, ends: Option<Instant>) {
        self.lock().time_ends = ends;
    }

    pub(super) fn keep(&self, frame: &Frame<'_>) {
        self.lock().record.keep(frame);
    }

    pub(super) fn hear(&self, line: &Line<'_>) -> Ask {
        self.lock().seat.hear(line)
    }

    pub(super) fn answer(&self, choices: impl IntoIterator<Item = Choice>) -> Option<String> {
        self.lock().seat.answer(choices)
    }

    pub(super) fn question(&self) -> Option<Request> {
        self.lock().seat.question().cloned()
    }

    pub(super) fn battle(&self) -> Battle {
        self.lock().seat.battle().clone()
    }

    /// The own name, as the server writes it; empty until it has.
    pub(super) fn name(&self) -> String {
        self.lock().seat.name().to_owned()
    }

    pub(super) fn turn(&self) -> u16 {
        self.lock().seat.battle().turn
    }

    pub(super) fn end(&self) -> Option<End> {
        self.lock().record.end.end().cloned()
    }

    /// The log, for whoever keeps it; there is none on the board any more.
    pub(super) fn take_log(&self) -> String {
        std::mem::take(&mut self.lock().record.log)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().expect("no code panics while it holds the table")
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("turn", &self.turn()).finish_non_exhaustive()
    }
}

/// Whether it is the same battle's.
impl PartialEq for Board {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
