//! The index beside a plain map, under random work, crashes, lost rows and failing writes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use interlock_kernel::{ids::Position, time::Time};
use interlock_runtime::index::{Entry, Flush, Index};
use proptest::prelude::*;

use super::world::*;

/// Entries of so many hashes.
const HASHES: u64 = 14;

#[derive(Debug, Clone)]
enum Step {
    Insert {
        n: u64,
        due: u64,
    },
    Commit {
        count: usize,
    },
    Retract {
        keep: usize,
    },
    Forget {
        n: u64,
    },
    Fail {
        writes: usize,
        fault: Fault,
    },
    /// Run for so many polls, then crash if it is not done.
    Flush {
        polls: usize,
    },
    Upkeep {
        polls: usize,
    },
    /// Begin a flush, do other work, then finish it.
    Freeze,
    Crash {
        lost: usize,
    },
    DueScan,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let polls = || prop_oneof![4 => Just(usize::MAX), 1 => 0_usize..20];
    let fault = prop_oneof![Just(Fault::NotWritten), Just(Fault::Written)];
    let step = prop_oneof![
        30 => (0..HASHES, 0_u64..4).prop_map(|(n, due)| Step::Insert { n, due }),
        10 => prop_oneof![Just(usize::MAX), 0_usize..5].prop_map(|count| Step::Commit { count }),
        3 => (0_usize..4).prop_map(|keep| Step::Retract { keep }),
        3 => (0..HASHES).prop_map(|n| Step::Forget { n }),
        2 => (0_usize..4, fault).prop_map(|(writes, fault)| Step::Fail { writes, fault }),
        8 => polls().prop_map(|polls| Step::Flush { polls }),
        8 => polls().prop_map(|polls| Step::Upkeep { polls }),
        2 => Just(Step::Freeze),
        2 => (0_usize..6).prop_map(|lost| Step::Crash { lost }),
        1 => Just(Step::DueScan),
    ];
    prop::collection::vec(step, 1..150)
}

/// What the log holds, and what was forgotten of it.
#[derive(Default)]
struct Model {
    committed: Vec<(u64, Entry)>,
    pending: Vec<(u64, Entry)>,
    /// The position up to which a hash was forgotten.
    forgotten: BTreeMap<u64, Position>,
    /// What was forgotten by a tombstone that is not in a run, as far as known: a crash may bring it back.
    in_doubt: BTreeSet<(u64, Position)>,
}

impl Model {
    fn end(&self) -> Position {
        self.committed.last().map_or(Position(1), |(_, entry)| entry.position.next())
    }

    fn next(&self) -> Position {
        self.pending.last().map_or(self.end(), |(_, entry)| entry.position.next())
    }

    fn newest(&self, n: u64) -> Option<Entry> {
        let all = self.committed.iter().chain(&self.pending).rev();
        all.map(|(m, entry)| (*m, *entry)).find(|(m, _)| *m == n).map(|(_, entry)| entry)
    }

    fn expected(&self, n: u64) -> Option<Entry> {
        let gone = self.forgotten.get(&n).copied().unwrap_or(Position(0));
        self.newest(n).filter(|entry| entry.position > gone)
    }
}

struct System {
    store: Arc<TestStore>,
    index: Index,
    model: Model,
    flush: Option<Flush>,
    /// What was in doubt when the frozen memtable was frozen, if there is one.
    frozen: Option<BTreeSet<(u64, Position)>>,
}

impl System {
    fn new() -> Self {
        let store = TestStore::new();
        let index = open(&store).unwrap();
        Self { store, index, model: Model::default(), flush: None, frozen: None }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Insert { n, due } => self.insert(n, due),
            Step::Commit { count } => {
                let count = count.min(self.model.pending.len());
                self.model.committed.extend(self.model.pending.drain(..count));
                self.index.commit(self.model.end());
            }
            Step::Retract { keep } => {
                self.model.pending.truncate(keep);
                self.index.retract(self.model.next());
            }
            Step::Forget { n } => self.forget(n),
            Step::Fail { writes, fault } => self.store.fail_after(writes, fault),
            Step::Flush { polls } => {
                self.freeze();
                self.flush(polls);
            }
            Step::Upkeep { polls } => self.upkeep(polls),
            Step::Freeze => self.freeze(),
            Step::Crash { lost } => self.crash(lost),
            Step::DueScan => self.due_scan(),
        }
        self.check();
    }

    fn insert(&mut self, n: u64, due: u64) {
        let due = if due == 0 { Time::NEVER } else { Time(due) };
        let entry = Entry { due, ..entry(n, self.model.next().0) };
        self.index.insert(entry);
        self.model.pending.push((n, entry));
    }

    /// Forgets the newest entry if it is committed, as compaction does.
    fn forget(&mut self, n: u64) {
        let committed = self.model.expected(n).filter(|entry| entry.position < self.model.end());
        if let Some(entry) = committed {
            self.index.forget(hash(n), entry.position);
            self.model.forgotten.insert(n, entry.position);
            self.model.in_doubt.insert((n, entry.position));
        }
    }

    fn freeze(&mut self) {
        if let Some(flush) = self.index.freeze(Time(self.model.end().0)) {
            assert!(self.flush.is_none());
            self.flush = Some(flush);
            self.frozen.get_or_insert(self.model.in_doubt.clone());
        }
    }

    fn flush(&mut self, polls: usize) {
        let Some(flush) = self.flush.take() else { return };
        match poll(flush.run(), polls) {
            Some(flushed) => {
                if self.index.flushed(flushed).is_ok() {
                    let in_doubt = self.frozen.take().expect("it was frozen");
                    self.model.in_doubt.retain(|buried| !in_doubt.contains(buried));
                }
            }
            None => self.crash(0),
        }
    }

    fn upkeep(&mut self, polls: usize) {
        let Some(upkeep) = self.index.upkeep() else { return };
        match poll(upkeep.run(), polls) {
            // An error is one that was asked for; the next upkeep tries again.
            Some(upkept) => drop(self.index.upkept(upkept)),
            None => self.crash(0),
        }
    }

    /// A restart: what was not committed is gone, newest rows may be, the log's tail is inserted again.
    fn crash(&mut self, lost: usize) {
        self.model.pending.clear();
        self.flush = None;
        self.frozen = None;
        self.store.crash(lost);
        self.index = open(&self.store).unwrap();
        let covered = self.index.covered();
        assert!(covered <= self.model.end());
        for (_, entry) in &self.model.committed {
            if entry.position >= covered {
                self.index.insert(*entry);
            }
        }
        self.index.commit(self.model.end());
        let may_be_back: Vec<u64> = if lost == 0 {
            self.model.in_doubt.iter().map(|(n, _)| *n).collect()
        } else {
            (0..HASHES).collect()
        };
        for n in may_be_back {
            if look(&self.index, n) == self.model.newest(n) {
                self.model.forgotten.remove(&n);
                self.model.in_doubt.retain(|(m, _)| *m != n);
            }
        }
    }

    fn due_scan(&mut self) {
        // Everything into runs, so that the scan sees it.
        self.step(Step::Crash { lost: 0 });
        self.step(Step::Flush { polls: usize::MAX });
        let mut scan = self.index.due_entries();
        let mut seen = Vec::new();
        while let Some(batch) = finish(scan.next()).unwrap() {
            seen.extend(batch);
        }
        let expected = (0..HASHES).filter_map(|n| self.model.expected(n));
        let mut expected: Vec<Entry> = expected.filter(|entry| entry.due != Time::NEVER).collect();
        expected.sort_by_key(|entry| entry.hash);
        assert_eq!(seen, expected);
    }

    fn check(&self) {
        for n in 0..HASHES {
            assert_eq!(look(&self.index, n), self.model.expected(n), "hash {n}");
        }
        assert!(self.index.covered() <= self.model.end());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_index_finds_what_a_map_would(steps in steps()) {
        let mut system = System::new();
        for step in steps {
            system.step(step);
        }
    }
}
