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
    /// Whether a stopping engine has flushed what it had, or could not.
    finished: [bool; 2],
    stopping: bool,
    /// Command ids that are past their retention.
    expired: Option<(Time, Position)>,
}

impl Upkeep {
    /// Begins to look for entities that sleep: they were not in the log's tail.
    pub(crate) fn begin(&mut self, core: &mut Core) {
        if core.heads.has_no_runs() {
            return;
        }
        let scan = core.heads.due_entries();
        self.sleepers(scan, core);
    }

    fn sleepers(&mut self, mut scan: DueScan, core: &mut Core) {
        self.running += 1;
        // Not at once after a failure.
        let pause = core.env.sleep(self.pause_until.since(core.now));
        core.job(async move {
            pause.await;
            let entries = scan.next().await;
            JobDone::Upkeep(Ended::Sleepers(scan, entries))
        });
    }

    /// Command ids decided before that time, below that position, are past their retention.
    pub(crate) fn expire(&mut self, decided: Time, below: Position) {
        self.expired = Some((decided, below));
    }

    /// Starts what is worth starting. `last`: the engine stops, and has nothing else left to do.
    pub(crate) fn start(&mut self, core: &mut Core, last: bool) {
        if !last {
            self.finished = [false; 2];
        }
        self.stopping = last;
        if core.now < self.pause_until && !last {
            return;
        }
        if let Some((decided, below)) = self.expired
            && !last
            && let Some(work) = core.ids.expire(decided, below)
        {
            self.expired = None;
            self.running += 1;
            core.job(async move { JobDone::Upkeep(Ended::Upkept(Which::Ids, work.run().await)) });
        }
        for which in [Which::Heads, Which::Ids] {
            let now = core.now;
            let index = index(core, which);
            let wanted = if last { !self.finished[which as usize] } else { index.is_full() };
            if wanted && let Some(flush) = index.freeze(now) {
                self.running += 1;
                core.job(async move { JobDone::Upkeep(Ended::Flushed(which, flush.run().await)) });
            } else if last && self.running == 0 {
                self.finished[which as usize] = true;
            }
            if !last && let Some(work) = self::index(core, which).upkeep() {
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
            Ended::Sleepers(_, Err(error)) => {
                self.pause_until = core.now + limits::STORE_BACKOFF;
                if !self.stopping {
                    // From the start: whoever is found twice is woken once more, and looks in vain.
                    self.begin(core);
                }
                Err(error)
            }
        };
        if let Err(error) = result {
            tracing::error!(%error, "an index could not be read or written; trying again");
            self.pause_until = core.now + limits::STORE_BACKOFF;
            // Everything it holds is in the log: a stopping engine need not wait for it.
            self.finished = [self.stopping; 2];
            // An engine that waits for its indexes is woken by nothing else.
            let pause = core.env.sleep(limits::STORE_BACKOFF);
            core.job(async move {
                pause.await;
                JobDone::Noted
            });
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
