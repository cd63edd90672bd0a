//! Who reacts to a run's events: the query tables of runs, and of battles that are over.

use interlock_kernel::bus::{On, Read, Write};

use crate::{
    domain::run::{Began, Claimed, Opened, Over, Run, RunEvent},
    history,
};

interlock_kernel::handlers! {
    /// The handlers of a run's events.
    pub struct RunHandlers for Run {
        RunEvent::Opened => opened: Opened,
        RunEvent::Quota => quota: interlock_kernel::quota::QuotaEvent,
        RunEvent::Claimed => claimed: Claimed,
        RunEvent::Began => began: Began,
        RunEvent::Over => over: Over,
    }
}

/// The table.
#[must_use]
pub fn run() -> RunHandlers {
    RunHandlers {
        opened: On { write: vec![Write::new("runs", history::note_run)], read: vec![] },
        quota: On::nobody(),
        claimed: On::nobody(),
        began: On {
            write: vec![],
            read: vec![Read::new("log", |e: &Began, origin| {
                let opponent = e.room.opponent.as_deref();
                tracing::info!(run = %origin.key, claim = %e.claim, room = e.room.id, opponent, "a battle began");
            })],
        },
        over: On {
            write: vec![Write::new("history", history::note_battle)],
            read: vec![Read::new("log", |e: &Over, origin| {
                let room = e.room.as_ref().map(|room| room.id.as_str());
                tracing::info!(run = %origin.key, claim = %e.claim, room, ending = e.ending.word(), "a battle is over");
            })],
        },
    }
}
