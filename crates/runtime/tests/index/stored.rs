//! The stored form: what is damaged is noticed, what is newer is refused, what was written stays readable.

use std::sync::Arc;

use interlock_kernel::{ids::Position, time::Time};
use interlock_runtime::{
    index::{Entry, Index, Probe},
    store::{Store, StoreError},
};

use super::world::*;

/// One run of ten entries: five pages, three groups.
fn ten() -> Arc<TestStore> {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    fill(&mut index, 1, 0..10);
    flush(&mut index);
    store
}

/// Opens the index and looks everything up.
fn read_all(store: &Arc<TestStore>) -> Result<Vec<Option<Entry>>, StoreError> {
    let index = open(store)?;
    let look = |n| match index.probe(hash(n)) {
        Probe::Absent => Ok(None),
        Probe::Here(entry) => Ok(Some(entry)),
        Probe::Perhaps(lookup) => finish(lookup.run()),
    };
    (0..10).map(look).collect()
}

fn check_damaged(store: &Arc<TestStore>, what: &str) {
    let result = read_all(store);
    assert!(matches!(result, Err(StoreError::Damaged(_))), "{what}: {result:?}");
}

#[test]
fn a_wrong_bit_anywhere_is_noticed() {
    let mut rows = 0;
    for table in TABLES {
        for (key, value) in ten().table(table) {
            rows += 1;
            for place in 0..value.len() {
                let store = ten();
                let mut wrong = value.to_vec();
                wrong[place] ^= 1 << (place % 8);
                store.put(table, &key, &wrong);
                let is_version = table == TABLES[0] && place == 0;
                let result = read_all(&store);
                match result {
                    Err(StoreError::Damaged(_)) => {}
                    // A version that is wrong towards zero is damage, one beyond ours may be news.
                    Err(StoreError::Newer(_)) if is_version => {}
                    other => panic!("{table} {key:?} byte {place}: {other:?}"),
                }
            }
        }
    }
    assert_eq!(rows, 1 + 3 + 5);
}

#[test]
fn a_row_cut_short_or_missing_is_noticed() {
    for table in TABLES {
        for (key, value) in ten().table(table) {
            for length in 0..value.len() {
                let store = ten();
                store.put(table, &key, &value[..length]);
                check_damaged(&store, &format!("{length} bytes of a row of {table}"));
            }
            if table != TABLES[0] {
                let store = ten();
                store.delete(table, &key);
                check_damaged(&store, &format!("a row less in {table}"));
            }
        }
    }
}

#[test]
fn a_row_in_the_place_of_another_is_noticed() {
    for table in &TABLES[1..] {
        let store = ten();
        let rows = store.table(table);
        store.put(table, &rows[0].0, &rows[1].1);
        check_damaged(&store, table);
    }
}

#[test]
fn a_merge_and_a_due_scan_notice_damage_too() {
    let store = ten();
    let mut index = open(&store).unwrap();
    fill(&mut index, 11, 10..20);
    flush(&mut index);
    let (key, value) = store.table(TABLES[2]).pop().unwrap();
    store.put(TABLES[2], &key, &value[1..]);
    let merge = index.upkeep().unwrap();
    assert!(matches!(run(&mut index, merge), Err(StoreError::Damaged(_))));
    let mut scan = index.due_entries();
    let end = loop {
        match finish(scan.next()) {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Err(StoreError::Damaged(_))));
}

#[test]
fn a_damaged_index_is_reset_and_filled_again() {
    let store = ten();
    let (key, _) = store.table(TABLES[2]).remove(2);
    store.delete(TABLES[2], &key);
    check_damaged(&store, "a page less");
    let handle: Arc<dyn Store> = store.clone();
    finish(Index::reset(&handle, NAME)).unwrap();
    let mut index = open(&store).unwrap();
    assert_eq!(index.covered(), Position(0));
    assert!(TABLES.iter().all(|table| store.table(table).is_empty()));
    fill(&mut index, 1, 0..10);
    flush(&mut index);
    assert!(read_all(&store).unwrap().iter().all(Option::is_some));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let store = ten();
    let (key, value) = store.table(TABLES[0]).remove(0);
    let mut newer = value.to_vec();
    newer[0] += 1;
    store.put(TABLES[0], &key, &newer);
    let result = open(&store).map(|index| index.covered());
    let expected = "heads.runs has format 2, this binary knows 1";
    assert_eq!(result, Err(StoreError::Newer(expected.into())));
}

#[test]
fn two_indexes_in_one_store_do_not_touch() {
    let store = ten();
    let mut ids = finish(Index::open_as(store.clone(), "ids", SMALL)).unwrap();
    assert_eq!(find(&ids, 3), None);
    fill(&mut ids, 1, 5..7);
    flush(&mut ids);
    assert!(read_all(&store).unwrap().iter().all(Option::is_some));
}

/// If this fails the stored form has changed: raise its version, keep the old reader, add a fixture.
#[test]
fn the_stored_form_of_version_1_stays_as_it_is() {
    let store = TestStore::new();
    let mut index = open(&store).unwrap();
    for n in 0..30 {
        let due = if n % 3 == 0 { Time(1_767_225_600_000 + n) } else { Time::NEVER };
        index.insert(Entry { due, ..entry(n, 1_000 + n) });
    }
    index.commit(Position(1_100));
    index.forget(hash(4), Position(1_004));
    flush_at(&mut index, 1_767_225_600_000).unwrap();
    let rows = TABLES.map(|table| store.table(table));
    let bytes: Vec<u8> =
        rows.iter().flatten().flat_map(|(key, value)| [key, &value[..]].concat()).collect();
    assert_eq!(rows.map(|rows| rows.len()), [1, 8, 15]);
    assert_eq!((bytes.len(), crc32fast::hash(&bytes)), (1_593, 1_983_931_827));
}
