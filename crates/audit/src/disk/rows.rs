//! The rows of a disk, and how a power loss leaves them: without the newest groups that were written lazily.
//!
//! Each such group is kept with what undoes it, until a synced one makes all before it durable. Groups are undone
//! whole, the newest first, so what is left is what once was.
//!
//! What happened to them is kept in order, for whoever compares it when all is over.

use futures_util::FutureExt;
use interlock_kernel::bus::RowChange;
use interlock_runtime::store::{
    Direction, Durability, Scan, Store, StoreError, StoreFuture, memory::MemoryStore,
};

/// What happened to the rows, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowEvent {
    /// A change was written.
    Written(RowChange),
    /// A change was written, and its writer told that it was not: it may write it again.
    Doubted(RowChange),
    /// A power loss took so many, the newest that were there.
    Lost(usize),
}

impl RowEvent {
    /// What was written.
    pub(crate) fn change(&self) -> Option<&RowChange> {
        match self {
            Self::Written(change) | Self::Doubted(change) => Some(change),
            Self::Lost(_) => None,
        }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Rows {
    events: Vec<RowEvent>,
    /// Groups that no synced one has followed.
    lazy: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    changes: usize,
    undo: Vec<RowChange>,
}

impl Rows {
    pub(super) fn events(&self) -> &[RowEvent] {
        &self.events
    }

    /// Writes a group. `event`: what each of its changes is.
    pub(super) fn write(
        &mut self,
        memory: &MemoryStore,
        (changes, durability): (Vec<RowChange>, Durability),
        event: fn(RowChange) -> RowEvent,
    ) -> Result<(), StoreError> {
        let undo = changes.iter().map(|change| undo(memory, change)).collect::<Result<Vec<_>, _>>();
        let group = Group { changes: changes.len(), undo: undo?.concat() };
        now(memory.write_rows(changes.clone(), durability))?;
        match durability {
            Durability::Lazy => self.lazy.push(group),
            Durability::Synced => self.lazy.clear(),
        }
        self.events.extend(changes.into_iter().map(event));
        Ok(())
    }

    /// How many groups a power loss could take: one, twice as many, and so on, up to all of them.
    pub(super) fn losses(&self) -> impl Iterator<Item = usize> + use<> {
        let all = self.lazy.len();
        let some = std::iter::successors(Some(1), |groups| Some(groups * 2));
        some.take_while(move |groups| *groups < all).chain((all > 0).then_some(all))
    }

    /// A power loss takes so many groups.
    pub(super) fn lose(&mut self, memory: &MemoryStore, groups: usize) {
        for Group { changes, undo } in self.lazy.drain(self.lazy.len() - groups..).rev() {
            now(memory.write_rows(undo, Durability::Synced)).expect("whoever opened it last may");
            self.events.push(RowEvent::Lost(changes));
        }
    }
}

/// What stands when all that has happened.
pub(crate) fn standing(events: &[RowEvent]) -> Vec<&RowEvent> {
    let mut standing = Vec::new();
    for event in events {
        match event {
            RowEvent::Written(_) | RowEvent::Doubted(_) => standing.push(event),
            RowEvent::Lost(changes) => standing.truncate(standing.len() - changes),
        }
    }
    standing
}

/// What makes the rows of a change what they are now.
fn undo(memory: &MemoryStore, change: &RowChange) -> Result<Vec<RowChange>, StoreError> {
    let put = |table: &String, key: Vec<u8>, value: Vec<u8>| {
        let table = table.clone();
        RowChange::Put { table, key, value }
    };
    Ok(match change {
        RowChange::Put { table, key, .. } | RowChange::Delete { table, key } => {
            vec![match now(memory.row(table, key))? {
                Some(value) => put(table, key.clone(), value.to_vec()),
                None => RowChange::Delete { table: table.clone(), key: key.clone() },
            }]
        }
        RowChange::DeleteRange { table, from, to } => {
            let (from, to) = (from.clone(), Some(to.clone()));
            let (limit, direction) = (usize::MAX, Direction::Up);
            let scan = Scan { table: table.clone(), from, to, limit, direction };
            let rows = now(memory.scan(scan))?.into_iter();
            rows.map(|(key, value)| put(table, key, value.to_vec())).collect()
        }
    })
}

pub(super) fn now<T>(answer: StoreFuture<T>) -> T {
    answer.now_or_never().expect("memory answers at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: &str) -> RowChange {
        RowChange::Put { table: "t".to_owned(), key: key.into(), value: value.into() }
    }

    fn range(from: &str, to: &str) -> RowChange {
        RowChange::DeleteRange { table: "t".to_owned(), from: from.into(), to: to.into() }
    }

    fn all(memory: &MemoryStore) -> Vec<(Vec<u8>, bytes::Bytes)> {
        now(memory.scan(Scan::table("t"))).unwrap()
    }

    #[test]
    fn a_power_loss_leaves_the_rows_as_they_once_were() {
        let groups = [
            vec![change("a", "1"), change("b", "1")],
            vec![change("a", "2"), RowChange::Delete { table: "t".to_owned(), key: "b".into() }],
            vec![range("a", "c"), change("b", "3"), change("c", "3"), change("c", "4")],
        ];
        for lost in 0..=groups.len() {
            let (memory, mut rows) = (MemoryStore::new(), Rows::default());
            let mut once = vec![all(&memory)];
            for group in &groups {
                let group = (group.clone(), Durability::Lazy);
                rows.write(&memory, group, RowEvent::Written).unwrap();
                once.push(all(&memory));
            }
            rows.lose(&memory, lost);
            let kept = groups.len() - lost;
            assert_eq!(all(&memory), once[kept]);
            assert_eq!(standing(rows.events()).len(), groups[..kept].concat().len());
        }
    }

    #[test]
    fn what_was_synced_and_all_before_it_is_not_lost() {
        let (memory, mut rows) = (MemoryStore::new(), Rows::default());
        let mut losses = Vec::new();
        let mut write = |number: u32, durability| {
            let group = (vec![change(&number.to_string(), "")], durability);
            rows.write(&memory, group, RowEvent::Written).unwrap();
            rows.losses().collect::<Vec<_>>()
        };
        for number in 0..8 {
            losses.push(write(number, Durability::Lazy));
        }
        assert_eq!(losses[0], [1]);
        assert_eq!(losses[4], [1, 2, 4, 5]);
        assert_eq!(losses[7], [1, 2, 4, 8]);
        assert!(write(8, Durability::Synced).is_empty());
    }
}
