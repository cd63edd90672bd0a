//! One promise at a time.

use interlock_kernel::{ids::Position, time::Time};
use interlock_runtime::{
    index::{Entry, Index, Probe},
    store::StoreError,
};

use super::world::*;

fn due(n: u64, position: u64, due: u64) -> Entry {
    Entry { due: Time(due), ..entry(n, position) }
}

#[test]
fn an_entry_is_found_before_during_and_after_its_flush() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, 0..10);
    let check = |index: &Index| {
        for n in 0..10 {
            assert_eq!(find(index, n), Some(n + 1));
        }
        assert_eq!(find(index, 10), None);
    };
    check(&index);
    let work = index.freeze(Time(0)).unwrap();
    check(&index);
    assert_eq!(index.covered(), Position(0));
    index.flushed(finish(work.run())).unwrap();
    check(&index);
    assert_eq!(index.covered(), Position(11));
    drop(index);
    let index = open(&store).unwrap();
    check(&index);
    assert_eq!(index.covered(), Position(11));
}

#[test]
fn the_newest_version_wins_wherever_it_is() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7]);
    flush(&mut index);
    assert_eq!(find(&index, 7), Some(1));
    fill(&mut index, 2, [7]);
    flush(&mut index);
    assert_eq!(find(&index, 7), Some(2), "the newer of two runs");
    fill(&mut index, 3, [7]);
    let work = index.freeze(Time(0)).unwrap();
    assert_eq!(find(&index, 7), Some(3), "the frozen memtable");
    fill(&mut index, 4, [7]);
    assert_eq!(find(&index, 7), Some(4), "the memtable");
    index.flushed(finish(work.run())).unwrap();
    assert_eq!(find(&index, 7), Some(4));
    flush(&mut index);
    keep_up(&mut index);
    assert_eq!(find(&index, 7), Some(4), "the merged run");
    assert_eq!(index.stats().run_entries, 1);
}

#[test]
fn a_retracted_entry_uncovers_the_older_version() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7]);
    index.insert(entry(7, 2));
    index.insert(entry(8, 3));
    index.insert(entry(7, 4));
    index.retract(Position(3));
    assert_eq!((find(&index, 7), find(&index, 8)), (Some(2), None));
    index.retract(Position(2));
    assert_eq!(find(&index, 7), Some(1));
    index.insert(entry(8, 2));
    assert_eq!(find(&index, 8), Some(2), "the positions are free again");
}

#[test]
fn what_is_not_committed_is_not_flushed_and_can_still_be_retracted() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, [7, 8]);
    index.insert(entry(7, 3));
    flush(&mut index);
    assert_eq!(index.covered(), Position(3));
    assert_eq!(find(&index, 7), Some(3));
    index.retract(Position(3));
    assert_eq!(find(&index, 7), Some(1), "the version below was flushed");
    assert_eq!(find(&open(&store).unwrap(), 7), Some(1));
}

#[test]
fn a_commit_leaves_the_next_one_retractable() {
    let mut index = open(&TestStore::new()).unwrap();
    for position in 1..5 {
        index.insert(entry(7, position));
    }
    index.commit(Position(3));
    index.retract(Position(3));
    assert_eq!(find(&index, 7), Some(2));
}

#[test]
fn a_hash_below_all_others_is_absent_even_if_the_filter_lets_it_through() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7]);
    flush(&mut index);
    // The filter looks at the low half alone.
    let twin = u128::from(hash(7) as u64);
    assert!(matches!(index.probe(twin), Probe::Absent));
    assert!(matches!(index.probe(twin | 0xffff << 112), Probe::Perhaps(_)));
}

#[test]
#[should_panic(expected = "is committed")]
fn retracting_what_is_committed_is_a_bug() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7, 8]);
    index.retract(Position(2));
}

#[test]
#[should_panic(expected = "where 3 or later was expected")]
fn inserting_backwards_is_a_bug() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7, 8]);
    index.insert(entry(9, 2));
}

#[test]
fn a_failed_flush_loses_nothing_and_is_tried_again() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, 0..10);
    for fault in [Fault::NotWritten, Fault::Written] {
        store.fail(fault);
        assert!(matches!(flush_at(&mut index, 0), Err(StoreError::Full(_))));
        assert_eq!(find(&index, 3), Some(4));
        assert_eq!(index.covered(), Position(0));
    }
    flush(&mut index);
    assert_eq!(find(&open(&store).unwrap(), 3), Some(4));
    assert!(index.freeze(Time(0)).is_none(), "there is nothing more to flush");
}

#[test]
fn only_one_flush_and_one_upkeep_are_under_way() {
    let mut index = open(&TestStore::new()).unwrap();
    for n in 0..2 {
        fill(&mut index, n + 1, [n]);
        let flush = index.freeze(Time(0)).unwrap();
        assert!(index.freeze(Time(0)).is_none());
        index.flushed(finish(flush.run())).unwrap();
    }
    let merge = index.upkeep().unwrap();
    assert!(index.upkeep().is_none());
    assert!(index.expire(Time::NEVER, Position(u64::MAX)).is_none());
    run(&mut index, merge).unwrap();
    assert!(index.upkeep().is_some());
}

#[test]
fn a_flush_without_entries_says_how_far_the_index_has_come() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    assert!(index.freeze(Time(0)).is_none());
    index.commit(Position(50));
    flush(&mut index);
    assert_eq!(open(&store).unwrap().covered(), Position(50));
    fill(&mut index, 50, [7]);
    flush(&mut index);
    keep_up(&mut index);
    assert_eq!(index.stats().runs, 1);
    assert_eq!(find(&open(&store).unwrap(), 7), Some(50));
}

#[test]
fn a_crash_at_any_step_of_a_merge_leaves_the_old_runs_or_the_new_one() {
    let mut steps = 0;
    loop {
        let store = TestStore::new();
        let mut index = open(&store).unwrap();
        fill(&mut index, 1, 0..12);
        flush(&mut index);
        fill(&mut index, 13, 6..18);
        flush(&mut index);
        let done = poll(index.upkeep().unwrap().run(), steps).is_some();
        drop(index);
        let index = open(&store).unwrap();
        assert_eq!(index.stats().runs, if done { 1 } else { 2 });
        for n in 0..18 {
            assert_eq!(find(&index, n), Some(if n < 6 { n + 1 } else { n + 7 }));
        }
        check_nothing_is_left_over(&store, &index);
        if done {
            assert!(steps > 5, "the merge was watched in {steps} steps");
            return;
        }
        steps += 1;
    }
}

/// All pages belong to runs, two entries to a page, two pages to a group.
fn check_nothing_is_left_over(store: &TestStore, index: &Index) {
    let runs: Vec<Vec<u8>> = store.table(TABLES[0]).into_iter().map(|(key, _)| key).collect();
    assert_eq!(runs.len(), index.stats().runs);
    for table in &TABLES[1..] {
        for (key, _) in store.table(table) {
            assert!(runs.contains(&key[..8].to_vec()), "{table} still has {key:?}");
        }
    }
}

#[test]
fn the_pages_of_a_merged_run_stay_until_the_last_lookup_is_done() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, 0..8);
    flush(&mut index);
    let Probe::Perhaps(lookup) = index.probe(hash(3)) else { panic!("it is in a run") };
    fill(&mut index, 9, 8..16);
    flush(&mut index);
    let merge = index.upkeep().unwrap();
    run(&mut index, merge).unwrap();
    // The newer run is in nobody's hands and goes; the older stays.
    keep_up(&mut index);
    assert_eq!(store.table(TABLES[2]).len(), 8 + 4);
    assert_eq!(finish(lookup.run()).unwrap(), Some(entry(3, 4)));
    keep_up(&mut index);
    assert_eq!(store.table(TABLES[2]).len(), 8);
    check_nothing_is_left_over(&store, &index);
    assert_eq!(find(&index, 3), Some(4));
}

#[test]
fn a_merge_that_was_written_after_all_is_undone_and_done_again() {
    // 16 entries are four groups of pages; the fifth write is the switch.
    for writes in 0..5 {
        for fault in [Fault::NotWritten, Fault::Written] {
            let store = TestStore::new();
            let mut index = open(&store).unwrap();
            for run in 0..2 {
                fill(&mut index, 1 + 8 * run, 8 * run..8 * run + 8);
                flush(&mut index);
            }
            store.fail_after(writes, fault);
            let merge = index.upkeep().unwrap();
            assert!(run(&mut index, merge).is_err());
            loop {
                for index in [&index, &open_copy(&store)] {
                    assert!((0..16).all(|n| find(index, n) == Some(n + 1)), "{writes}");
                }
                let Some(upkeep) = index.upkeep() else { break };
                run(&mut index, upkeep).unwrap();
            }
            assert_eq!(index.stats().runs, 1);
            check_nothing_is_left_over(&store, &index);
        }
    }
}

/// What a restart at this moment would see; the store is left as it is.
fn open_copy(store: &TestStore) -> Index {
    let copy = TestStore::new();
    for table in TABLES {
        for (key, value) in store.table(table) {
            copy.put(table, &key, &value);
        }
    }
    open(&copy).unwrap()
}

#[test]
fn a_forgotten_entry_is_absent_and_leaves_nothing_at_the_bottom() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, [7, 8]);
    flush(&mut index);
    index.forget(hash(7), Position(1));
    assert!(matches!(index.probe(hash(7)), Probe::Absent));
    flush(&mut index);
    assert_eq!(find(&index, 7), None, "a tombstone in a run hides it");
    assert_eq!(find(&open(&store).unwrap(), 7), None);
    keep_up(&mut index);
    assert_eq!(find(&index, 7), None);
    assert_eq!(find(&index, 8), Some(2));
    assert_eq!(index.stats().run_entries, 1);
}

#[test]
fn forgetting_does_not_touch_a_newer_entry() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, [7]);
    flush(&mut index);
    index.insert(entry(7, 2));
    index.forget(hash(7), Position(1));
    assert_eq!(find(&index, 7), Some(2));
    index.commit(Position(3));
    let work = index.freeze(Time(0)).unwrap();
    index.forget(hash(7), Position(1));
    assert_eq!(find(&index, 7), Some(2));
    index.forget(hash(7), Position(2));
    assert_eq!(find(&index, 7), None);
    index.insert(entry(7, 3));
    assert_eq!(find(&index, 7), Some(3), "it begins anew");
    index.retract(Position(3));
    assert_eq!(find(&index, 7), None);
    index.flushed(finish(work.run())).unwrap();
    assert_eq!(find(&index, 7), None);
}

#[test]
fn whole_runs_expire_once_their_newest_record_is_too_old() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    for n in 0..3 {
        fill(&mut index, n + 1, [n]);
        flush_at(&mut index, 1_000 * (n + 1)).unwrap();
    }
    let everything = Position(u64::MAX);
    assert!(index.expire(Time(1_000), everything).is_none(), "not older, just as old");
    assert!(index.expire(Time(1_001), Position(1)).is_none(), "the log still needs it");
    let expire = index.expire(Time(1_001), Position(2)).unwrap();
    run(&mut index, expire).unwrap();
    assert_eq!([0, 1, 2].map(|n| find(&index, n)), [None, Some(2), Some(3)]);
    let expire = index.expire(Time::NEVER, everything).unwrap();
    run(&mut index, expire).unwrap();
    assert_eq!([0, 1, 2].map(|n| find(&index, n)), [None, None, Some(3)]);
    assert!(index.expire(Time::NEVER, everything).is_none(), "the newest run stays");
    keep_up(&mut index);
    check_nothing_is_left_over(&store, &index);
    assert_eq!(open(&store).unwrap().covered(), Position(4));
}

#[test]
fn the_due_scan_shows_every_hash_whose_newest_version_is_due() {
    let mut index = open(&TestStore::new()).unwrap();
    for n in 0..20 {
        index.insert(due(n, n + 1, 100 + n));
    }
    index.commit(Position(21));
    flush(&mut index);
    // Every other one is due no more, one is due at once, one is gone.
    for n in (0..20).step_by(2) {
        index.insert(entry(n, 21 + n));
    }
    index.insert(due(3, 42, 0));
    index.commit(Position(43));
    index.forget(hash(5), Position(6));
    flush(&mut index);
    fill(&mut index, 43, 100..108);
    flush(&mut index);
    let mut scan = index.due_entries();
    // A merge in the meantime disturbs nobody.
    keep_up(&mut index);
    let mut seen = Vec::new();
    while let Some(batch) = finish(scan.next()).unwrap() {
        assert!(!batch.is_empty() && batch.len() < 10, "in batches");
        seen.extend(batch);
    }
    assert!(seen.is_sorted_by(|a, b| a.hash < b.hash));
    let mut expected: Vec<Entry> =
        (0..20).filter(|n| n % 2 == 1 && *n != 5).map(|n| due(n, n + 1, 100 + n)).collect();
    expected[1] = due(3, 42, 0);
    expected.sort_by_key(|entry| entry.hash);
    assert_eq!(seen, expected);
}

#[test]
fn a_full_memtable_and_too_many_runs_are_reported() {
    let mut index = open(&TestStore::new()).unwrap();
    fill(&mut index, 1, 0..3);
    assert!(!index.is_full());
    fill(&mut index, 4, 3..4);
    assert!(index.is_full() && !index.is_behind());
    fill(&mut index, 5, 4..8);
    assert!(index.is_behind(), "twice as much as a memtable should have");
    flush(&mut index);
    assert!(!index.is_full() && !index.is_behind());
    for n in 0..SMALL.runs_max as u64 - 1 {
        assert!(!index.is_behind());
        fill(&mut index, 100 + n, [n]);
        flush(&mut index);
    }
    assert!(index.is_behind(), "nobody merges");
    keep_up(&mut index);
    assert!(!index.is_behind());
}

#[test]
fn a_hit_reads_one_row_and_memory_stays_below_two_bytes_an_entry() {
    let store = TestStore::new();
    let mut index = finish(Index::open(store.clone(), NAME)).unwrap();
    let entries = 40_000;
    fill(&mut index, 1, 0..entries);
    flush(&mut index);
    let stats = index.stats();
    assert_eq!((stats.runs, stats.run_entries, stats.memtable_entries), (1, entries, 0));
    assert!(stats.run_bytes < 2 * 40_000, "{} bytes", stats.run_bytes);
    for n in 0..1_000 {
        assert_eq!(find(&index, n * 39), Some(n * 39 + 1));
    }
    assert_eq!(store.row_reads(), 1_000);
    let reads = (entries..entries + 10_000).filter(|n| match index.probe(hash(*n)) {
        Probe::Absent => false,
        Probe::Perhaps(_) => true,
        Probe::Here(entry) => panic!("{entry:?}"),
    });
    assert!(reads.count() < 50);
}
