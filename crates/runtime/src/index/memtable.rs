//! The newest entries, in memory, where a refused commit can still be taken back.
//!
//! One slot per hash. What is not yet committed is also kept in the order it came, each with the slot that
//! it replaced, so that taking it back brings the older version to light again. Committed entries need
//! no such memory, so its size is that of the commits under way.
//!
//! Invariant: an uncommitted entry is the newest of its hash or below newer uncommitted ones; everything
//! else in the slots is committed.

use std::{collections::VecDeque, mem};

use interlock_kernel::{ids::Position, time::Time};
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::Entry;

/// Where the newest record of a hash is, and when it is due; position 0 says that there is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub position: Position,
    pub due: Time,
}

impl Slot {
    const GONE: Slot = Slot { position: Position(0), due: Time::NEVER };

    pub(super) fn entry(self, hash: u128) -> Entry {
        Entry { hash, position: self.position, due: self.due }
    }
}

/// The newest version of every hash. Never iterated where the order could be seen.
pub(super) type Slots = FxHashMap<u128, Slot>;

/// An uncommitted entry, and what it replaced.
struct Pending {
    entry: Entry,
    before: Option<Slot>,
}

pub(super) struct Memtable {
    slots: Slots,
    pending: VecDeque<Pending>,
    /// Everything below is committed.
    committed: Position,
    /// The lowest position that the next entry may have.
    next: Position,
}

impl Memtable {
    /// An empty memtable for the entries from this position on.
    pub(super) fn new(from: Position) -> Self {
        Self {
            slots: Slots::default(),
            pending: VecDeque::new(),
            committed: from,
            next: from.max(Position(1)),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn committed(&self) -> Position {
        self.committed
    }

    pub(super) fn get(&self, hash: u128) -> Option<Slot> {
        self.slots.get(&hash).copied()
    }

    pub(super) fn insert(&mut self, entry: Entry) {
        assert!(
            entry.position >= self.next,
            "entry at {} where {} or later was expected",
            entry.position,
            self.next
        );
        self.next = entry.position.next();
        let slot = Slot { position: entry.position, due: entry.due };
        let before = self.slots.insert(entry.hash, slot);
        self.pending.push_back(Pending { entry, before });
    }

    /// Everything below `end` is committed.
    pub(super) fn commit(&mut self, end: Position) {
        while self.pending.front().is_some_and(|pending| pending.entry.position < end) {
            self.pending.pop_front();
        }
        self.committed = self.committed.max(end);
        self.next = self.next.max(end);
    }

    /// Takes back the entries at or beyond `from`, none of which is committed.
    pub(super) fn retract(&mut self, from: Position) {
        assert!(from >= self.committed, "{from} is committed, as is all below {}", self.committed);
        while let Some(Pending { entry, before }) =
            self.pending.pop_back_if(|pending| pending.entry.position >= from)
        {
            match before {
                Some(slot) => self.slots.insert(entry.hash, slot),
                None => self.slots.remove(&entry.hash),
            };
        }
        self.next = self.next.min(from);
    }

    /// Puts a tombstone in the place of a committed entry, here or further down.
    pub(super) fn bury(&mut self, hash: u128) {
        let buried = self.slots.insert(hash, Slot::GONE);
        assert!(
            buried.is_none_or(|slot| slot.position < self.committed),
            "only what is committed can be buried"
        );
    }

    /// Splits off what is committed; what is not stays.
    pub(super) fn split(&mut self) -> Slots {
        let stays: Vec<Entry> = self.pending.iter().map(|pending| pending.entry).collect();
        let next = self.next;
        self.retract(self.committed);
        // The next memtable will be as large as this one: no growing in steps.
        let empty = Slots::with_capacity_and_hasher(self.slots.len(), FxBuildHasher);
        let committed = mem::replace(&mut self.slots, empty);
        for entry in stays {
            self.insert(entry);
        }
        self.next = next;
        committed
    }
}
