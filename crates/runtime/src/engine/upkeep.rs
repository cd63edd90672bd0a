//! Work beside the path of commands: flushing and merging the indexes, and, after a restart, finding those
//! who sleep.
//!
//! One thing of a kind at a time; everything runs in tasks of its own and hands its result back.

use interlock_kernel::{ids::Position, time::Time};

use super::{Core, Due, JobDone};
use crate::{
    index::{DueScan, Entry, Flushed, Index, Upkept},
    limits,
    store::StoreError,
};

/// Which index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Heads,
    Ids,
}

/// What ended.
pub(crate) enum Ended {
    Flushed(Which, Flushed),
    Upkept(Which, Upkept),
    /// Some of those who sleep, and where to go on.
    Sleepers(DueScan, Result<Option<Vec<Entry>>, StoreError>),
}

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    running: usize,
    /// After a failure nothing new begins before this moment.
    pause_until: Time,
    /// Whether a stopping engine has flushed what it had.
    finished: [bool; 2],
    stopping: bool,
    /// Command ids that are past their retention.
    expired: Option<(Time, Position)>,
}

impl Upkeep {
    /// Begins to look for entities that sleep: they were not in the log's tail.
    pub(crate) fn begin(&mut self, core: &mut Core) {
        let scan = core.heads.due_entries();
        self.sleepers(scan, core);
    }

    fn sleepers(&mut self, mut scan: DueScan, core: &mut Core) {
        self.running += 1;
        core.job(async move {
            let entries = scan.next().await;
            JobDone::Upkeep(Ended::Sleepers(scan, entries))
        });
    }

    /// Command ids decided before that time, below that position, are past their retention.
    pub(crate) fn expire(&mut self, decided: Time, below: Position) {
        self.expired = Some((decided, below));
    }

    /// Starts what is worth starting.
    pub(crate) fn start(&mut self, core: &mut Core, stopping: bool) {
        self.stopping = stopping;
        if core.now < self.pause_until && !stopping {
            return;
        }
        if let Some((decided, below)) = self.expired
            && !stopping
            && let Some(work) = core.ids.expire(decided, below)
        {
            self.expired = None;
            self.running += 1;
            core.job(async move { JobDone::Upkeep(Ended::Upkept(Which::Ids, work.run().await)) });
        }
        for which in [Which::Heads, Which::Ids] {
            let now = core.now;
            let index = index(core, which);
            if (index.is_full() || stopping)
                && let Some(flush) = index.freeze(now)
            {
                self.running += 1;
                core.job(async move { JobDone::Upkeep(Ended::Flushed(which, flush.run().await)) });
            } else if stopping && self.running == 0 {
                self.finished[which as usize] = true;
            }
            if !stopping && let Some(work) = self::index(core, which).upkeep() {
                self.running += 1;
                core.job(async move { JobDone::Upkeep(Ended::Upkept(which, work.run().await)) });
            }
        }
    }

    /// Deals with what ended.
    pub(crate) fn ended(&mut self, ended: Ended, core: &mut Core) {
        self.running -= 1;
        let result = match ended {
            Ended::Flushed(which, done) => index(core, which).flushed(done),
            Ended::Upkept(which, done) => index(core, which).upkept(done),
            Ended::Sleepers(scan, Ok(Some(entries))) => {
                for entry in entries {
                    core.schedule.insert((entry.due, Due::Record(entry.position)));
                }
                if !self.stopping {
                    self.sleepers(scan, core);
                }
                Ok(())
            }
            Ended::Sleepers(_, Ok(None)) => Ok(()),
            Ended::Sleepers(_, Err(error)) => Err(error),
        };
        if let Err(error) = result {
            tracing::error!(%error, "an index could not be written; trying again");
            self.pause_until = core.now + limits::STORE_BACKOFF;
            // Everything it holds is in the log: a stopping engine need not wait for it.
            self.finished = [self.stopping; 2];
        }
    }

    /// Whether nothing is under way, and a stopping engine has written what makes the next start quick.
    pub(crate) fn is_done(&self) -> bool {
        self.running == 0 && self.finished == [true; 2]
    }
}

fn index(core: &mut Core, which: Which) -> &mut Index {
    match which {
        Which::Heads => &mut core.heads,
        Which::Ids => &mut core.ids,
    }
}
