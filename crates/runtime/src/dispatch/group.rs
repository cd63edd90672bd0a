//! What a dispatcher writes: rows, dead letters and the cursor, in groups that are there whole or not at all.
//!
//! One group is under way at a time; what comes meanwhile makes the next one. So a row is written exactly
//! when the cursor says so, however the process ends.

use futures_util::FutureExt;
use interlock_kernel::{
    bus::{HandlerTable, RowChange},
    entity::Entity,
};

use super::{Committed, Dispatcher, Stage, cursor::Left};
use crate::{
    env::OnceSender,
    limits,
    store::{Durability, StoreError, StoreFuture},
};

/// Waits for what comes of a question.
pub(super) type Asker = OnceSender<Result<(), String>>;

/// What is to be written together.
pub(super) struct Group<E: Entity> {
    /// Records whose rows these are; phase 2 begins when they are written.
    records: Vec<(Committed<E>, Vec<RowChange>)>,
    /// Changes of dead letters.
    pub letters: Vec<RowChange>,
    /// Who asked for letters to be taken out: told when it is written.
    pub retried: Vec<Asker>,
    /// Whether the cursor is to be written even if there is nothing else.
    cursor: bool,
}

/// A group on its way to the store.
pub(super) struct Writing<E: Entity> {
    pub done: StoreFuture<Result<(), StoreError>>,
    group: Group<E>,
}

impl<E: Entity> Default for Group<E> {
    fn default() -> Self {
        Self { records: Vec::new(), letters: Vec::new(), retried: Vec::new(), cursor: false }
    }
}

impl<E: Entity> Group<E> {
    /// Records whose rows are to be written.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    fn is_wanted(&self) -> bool {
        self.cursor || !self.records.is_empty() || !self.letters.is_empty()
    }

    /// Rows can be made again from the log; what somebody has told the letters cannot.
    fn durability(&self) -> Durability {
        if self.letters.is_empty() { Durability::Lazy } else { Durability::Synced }
    }

    /// Puts what could not be written before what came meanwhile.
    fn put_back(&mut self, mut earlier: Self) {
        earlier.records.append(&mut self.records);
        earlier.letters.append(&mut self.letters);
        earlier.retried.append(&mut self.retried);
        earlier.cursor = true;
        *self = earlier;
    }
}

impl<E: Entity, T: HandlerTable<E>> Dispatcher<E, T> {
    /// Phase 1 of a record is over, but for its rows.
    pub(super) fn add_rows(&mut self, record: Committed<E>, rows: Vec<RowChange>) {
        if self.unwritable {
            self.leave(&record.origin.key, record.events.len());
        } else {
            self.group.records.push((record, rows));
        }
    }

    /// Writes what is to be written, if nothing is under way. `last`: the cursor too, whatever its age.
    pub(super) fn start_writing(&mut self, last: bool) {
        let last = last && self.under_way.is_empty() && self.cursor.is_dirty();
        let wanted = self.group.is_wanted() || last;
        if self.writing.is_some() || self.unwritable || !wanted {
            return;
        }
        let group = std::mem::take(&mut self.group);
        for (record, _) in &group.records {
            self.cursor.open(record.origin.position, Left::Read);
        }
        let rows = group.records.iter().flat_map(|(_, rows)| rows);
        let mut changes: Vec<RowChange> = rows.chain(&group.letters).cloned().collect();
        changes.push(self.cursor.row(E::TYPE));
        let done = self.around.env.store().write_rows(changes, group.durability());
        self.writing = Some(Writing { done, group });
    }

    /// Deals with the outcome of a write.
    pub(super) fn wrote(&mut self, result: Result<(), StoreError>) {
        let Writing { group, .. } = self.writing.take().expect("a write was under way");
        let Err(error) = result else {
            for asker in group.retried {
                // Who asked may have gone.
                let _ = asker.send(Ok(()));
            }
            for (record, _) in group.records {
                self.read(record);
            }
            return;
        };
        self.cursor.unwritten();
        if self.phases.is_stopping() {
            tracing::error!(entity = E::TYPE, %error, "query tables cannot be written; the next start will");
            self.unwritable = true;
            let later = std::mem::take(&mut self.group).records;
            for (record, _) in group.records.iter().chain(&later) {
                self.leave(&record.origin.key, record.events.len());
            }
            return;
        }
        tracing::error!(entity = E::TYPE, %error, "query tables cannot be written; trying again");
        self.group.put_back(group);
        // The pause takes the place of a write, so that none begins before it ends.
        let pause = self.around.env.sleep(limits::STORE_BACKOFF);
        let done = Box::pin(pause.map(|()| Ok(())));
        self.writing = Some(Writing { done, group: Group::default() });
    }

    /// Asks for the cursor to be written when it has moved.
    pub(super) fn look_at_cursor(&mut self) {
        self.tick = self.around.env.sleep(limits::CURSOR_PAUSE);
        let idle = self.around.env.now().saturating_sub(self.moved);
        if self.cursor.is_dirty() || idle >= limits::COMPACTION_PAUSE.as_duration() {
            self.see_all();
            self.group.cursor |= self.cursor.is_dirty();
        }
    }

    /// Moves the cursor over what other types committed, so that it does not hold the log back.
    pub(super) fn see_all(&mut self) {
        match self.stage {
            Stage::Serving => {}
            Stage::Replaying | Stage::Over => return,
        }
        // Batches are handed over before their end is announced: if none is left after the announcement was
        // read, everything before it was taken in.
        let end = *self.around.committed.borrow();
        if self.input.is_empty() {
            self.moved = self.around.env.now();
            self.cursor.saw_all(end);
        }
    }
}
