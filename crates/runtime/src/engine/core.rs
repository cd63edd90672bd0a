//! What the engine and its lanes share: the indexes, the chunk that is being filled, log time, and who is to be woken.

use std::{any::Any, collections::BTreeSet, future::Future, sync::Arc};

use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Position},
    time::Time,
};

use super::{PoisonList, message::LaneId, poison, upkeep};
use crate::{
    dispatch::Backlog,
    env::{Env, Sender},
    index::Index,
    limits,
    record::ChunkBuilder,
    status::Status,
    store::StoreError,
};

/// What lanes share.
pub(crate) struct Core {
    pub env: Env,
    /// Entity → newest record and next wake-up.
    pub heads: Index,
    /// Command id → record.
    pub ids: Index,
    /// The records of the next commit.
    pub builder: ChunkBuilder,
    /// Everything below is committed.
    pub durable: Position,
    /// Log time of this turn of the loop.
    pub now: Time,
    /// Who wants to be woken when.
    pub schedule: BTreeSet<(Time, Due)>,
    pub poisoned: PoisonList,
    pub resident_bytes: usize,
    pub status: Arc<Status>,
    pub backlog: Arc<Backlog>,
    pub(super) jobs: Sender<JobDone>,
    pub(super) jobs_pending: usize,
    pub(super) tickets: u64,
}

/// Who is to be woken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// An entity.
    Key(LaneId, Key),
    /// The entity of this record: all that the index knows after a restart.
    Record(Position),
}

/// What an asynchronous job ended with.
pub(crate) enum JobDone {
    /// A read on behalf of one entity.
    Entity(LaneId, Key, Box<dyn Any + Send>),
    /// Whose record it is that wants to be woken.
    Whose(Position, Result<Option<(String, String)>, StoreError>),
    /// The indexes' upkeep.
    Upkeep(upkeep::Ended),
    /// A side record was written, or not.
    Noted,
}

impl Core {
    /// Runs something asynchronous and gives its result to the engine. It shares with others what does not change:
    /// runs of an index, bytes of the log.
    pub(crate) fn job(&mut self, job: impl Future<Output = JobDone> + Send + 'static) {
        let jobs = self.jobs.clone();
        self.jobs_pending += 1;
        self.env.spawn_apart("job", async move {
            let done = job.await;
            // The engine ends only when it expects no more.
            drop(jobs.send(done).await);
        });
    }

    /// A number for a question whose answer comes later.
    pub(crate) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Wakes an entity once the store had time to recover.
    pub(crate) fn wake_later(&mut self, lane: LaneId, key: &Key) {
        let at = self.now + limits::STORE_BACKOFF;
        self.schedule.insert((at, Due::Key(lane, key.clone())));
    }

    /// Writes the side record of an entity that is set aside, or no longer.
    pub(crate) fn note_poison(&mut self, change: RowChange) {
        let store = self.env.store().clone();
        self.job(async move {
            poison::write(store, change).await;
            JobDone::Noted
        });
    }

    /// Whether more may be taken from outside: the next chunk, the loads and the indexes have room.
    pub(super) fn has_room(&self) -> bool {
        usize::try_from(self.builder.count()).is_ok_and(|count| count < limits::CHUNK_RECORDS)
            && self.builder.len() < limits::CHUNK_BYTES
            && self.jobs_pending < limits::LOADS_AT_ONCE
            && !self.heads.is_behind()
            && !self.ids.is_behind()
    }
}
