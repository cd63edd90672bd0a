//! What processes of a machine do that their log does not tell: which read handlers they call, and who waits.

use std::sync::{Arc, Mutex, MutexGuard};

use interlock_kernel::{
    bus::Origin,
    entity::Context,
    ids::{CommandId, Key, Position, Version},
    time::Time,
};
use interlock_runtime::{
    Receipt, SendError,
    env::{Access, Observer, Witness},
};

use crate::{disk::Disk, world::Sim};

/// Watches all processes of a machine.
#[derive(Clone)]
pub(crate) struct Watch {
    world: Sim,
    /// What the world knows it as.
    object: u64,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// The newest process.
    pub(crate) term: u64,
    /// Calls of read handlers, in order.
    pub(crate) reads: Vec<Call>,
    /// Commands that were told to wait.
    pub(crate) waits: Vec<Wait>,
}

/// A call of a read handler.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) origin: Origin,
    pub(crate) handler: &'static str,
    /// The log's end, as durable, when it was made.
    pub(crate) end: Position,
    /// How much had happened to the rows by then.
    pub(crate) rows: usize,
}

/// A command in the waiting room of an entity.
#[derive(Debug, Clone)]
pub(crate) struct Wait {
    pub(crate) entity: &'static str,
    pub(crate) key: Key,
    pub(crate) id: CommandId,
    pub(crate) arrived: Time,
    pub(crate) until: Time,
    /// It was told so on everything before this position.
    pub(crate) from: Position,
    /// Its process was replaced when the log ended here.
    pub(crate) to: Option<Position>,
    /// It was answered, without a change, on this version.
    pub(crate) answered: Option<Version>,
}

impl Watch {
    /// Watches nobody yet.
    pub(crate) fn new(world: &Sim) -> Self {
        Self { world: world.clone(), object: world.object(), seen: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.world.touches(self.object, Access::Write);
        self.seen.lock().expect("no code panics while it holds the lock")
    }

    /// Looks at what was seen.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.lock())
    }

    /// Who watches the next process. Those who waited in an earlier one wait no more.
    pub(crate) fn process(&self, disk: &Disk) -> Arc<dyn Observer> {
        let end = disk.end();
        let mut seen = self.lock();
        seen.term += 1;
        seen.waits.iter_mut().for_each(|wait| wait.to = wait.to.or(Some(end)));
        Arc::new(Process { term: seen.term, watch: self.clone(), disk: disk.clone() })
    }

    /// A command was answered, or its client has gone: it waits no more.
    pub(crate) fn answered<T, R>(
        &self,
        entity: &str,
        (key, id): (&Key, &CommandId),
        answer: &Result<Receipt<T>, SendError<R>>,
    ) where
        R: std::error::Error,
    {
        let on = match answer {
            // Its place in the log tells when.
            Ok(receipt) if receipt.changed => return,
            Ok(receipt) => Some(receipt.version),
            Err(SendError::Rejected { version, .. }) => Some(*version),
            Err(
                SendError::Poisoned { .. }
                | SendError::Busy
                | SendError::Stopping
                | SendError::Unavailable(_)
                | SendError::Closed { .. }
                | SendError::IdReused
                | SendError::TooLarge { .. },
            ) => None,
        };
        let is_its = |wait: &Wait| wait.entity == entity && wait.key == *key && wait.id == *id;
        self.world.touches(self.object, Access::Read);
        if self.seen.lock().is_ok_and(|seen| !seen.waits.iter().any(is_its)) {
            return;
        }
        let mut seen = self.lock();
        match on {
            Some(version) => {
                let its = seen.waits.iter_mut().filter(|wait| is_its(wait));
                its.for_each(|wait| wait.answered = wait.answered.or(Some(version)));
            }
            // When it left is not known.
            None => seen.waits.retain(|wait| !is_its(wait)),
        }
    }
}

/// Watches one process.
struct Process {
    term: u64,
    watch: Watch,
    disk: Disk,
}

impl Observer for Process {
    fn reads(&self, origin: &Origin, handler: &'static str) {
        let (end, rows) = (self.disk.end(), self.disk.row_events_count());
        let call = Call { origin: origin.clone(), handler, end, rows };
        self.watch.lock().reads.push(call);
    }

    fn waits(&self, entity: &'static str, cx: &Context<'_>, until: Time, at: Position) {
        let mut seen = self.watch.lock();
        let Some(id) = cx.id.filter(|_| seen.term == self.term) else { return };
        let is_known = |wait: &Wait| {
            wait.entity == entity
                && wait.key == *cx.key
                && wait.id == *id
                && wait.to.is_none()
                && wait.answered.is_none()
        };
        if !seen.waits.iter().any(is_known) {
            let (key, id, arrived) = (cx.key.clone(), id.clone(), cx.arrived);
            let (from, to, answered) = (at, None, None);
            seen.waits.push(Wait { entity, key, id, arrived, until, from, to, answered });
        }
    }
}
