//! Who reacts to a run's events: the query tables of runs, and of battles that are over. And to a fleet's: whoever
//! plays for it.

use interlock_kernel::bus::{On, Read, Write};

use crate::{
    domain::{
        fleet::{self, Fleet, FleetEvent, Slowed, Started},
        run::{Began, Claimed, Measured, Opened, Over, Run, RunEvent, TakenUp},
    },
    fleet::Fleets,
    history,
};

interlock_kernel::handlers! {
    /// The handlers of a fleet's events.
    pub struct FleetHandlers for Fleet {
        FleetEvent::Started => started: Started,
        FleetEvent::Slowed => slowed: Slowed,
        FleetEvent::Ended => ended: fleet::Over,
    }
}

/// The fleets' table.
#[must_use]
pub fn fleet(fleets: &Fleets) -> FleetHandlers {
    fn wake<Ev>(fleets: &Fleets) -> Read<Ev> {
        let fleets = fleets.clone();
        Read::new("wake", move |_: &Ev, origin| fleets.ring(&origin.key))
    }
    FleetHandlers {
        started: On {
            write: vec![Write::new("fleets", history::note_fleet)],
            read: vec![wake(fleets)],
        },
        slowed: On { write: vec![], read: vec![wake(fleets)] },
        ended: On {
            write: vec![Write::new("fleets", history::forget_fleet)],
            read: vec![wake(fleets)],
        },
    }
}

interlock_kernel::handlers! {
    /// The handlers of a run's events.
    pub struct RunHandlers for Run {
        RunEvent::Opened => opened: Opened,
        RunEvent::Quota => quota: interlock_kernel::quota::QuotaEvent,
        RunEvent::Claimed => claimed: Claimed,
        RunEvent::Began => began: Began,
        RunEvent::Over => over: Over,
        RunEvent::Measured => measured: Measured,
        RunEvent::TakenUp => taken_up: TakenUp,
    }
}

/// The runs' table.
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
        measured: On::nobody(),
        taken_up: On {
            write: vec![],
            read: vec![Read::new("log", |e: &TakenUp, origin| {
                let (worker, by) = (e.worker.as_str(), e.by.as_str());
                tracing::info!(run = %origin.key, claim = %e.claim, worker, by, "a battle in doubt was settled by another worker");
            })],
        },
    }
}
