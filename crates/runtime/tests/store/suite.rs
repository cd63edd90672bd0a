//! What every store promises, case by case.

use std::thread;

use futures_util::future::join_all;
use interlock_kernel::ids::Position;
use interlock_runtime::store::{Append, Direction, Durability, Scan};

use super::{
    place::Place,
    tools::{chunk, delete, delete_range, fill, firsts, keys, put, row, span, wait, write},
};

/// No chunks.
const NONE: [u64; 0] = [];

pub fn a_new_log_begins_at_one(place: &dyn Place) {
    let store = place.open();
    assert_eq!(span(&*store), (1, 1));
    assert_eq!(firsts(&*store, 1, 1_000), NONE);
}

pub fn chunks_come_back_as_they_were_appended(place: &dyn Place) {
    let store = place.open();
    let chunks = [chunk(1, 3, 500), chunk(4, 1, 0), chunk(5, 10, 9_000)];
    for chunk in &chunks {
        assert_eq!(wait(store.append(chunk.clone())), Append::Done);
    }
    assert_eq!(span(&*store), (1, 15));
    assert_eq!(wait(store.read(Position(1), usize::MAX)).unwrap(), chunks);
}

pub fn a_read_begins_with_the_chunk_that_holds_the_position(place: &dyn Place) {
    let store = place.open();
    for first in [1, 11, 21] {
        wait(store.append(chunk(first, 10, 100)));
    }
    assert_eq!(firsts(&*store, 1, usize::MAX), [1, 11, 21]);
    assert_eq!(firsts(&*store, 10, usize::MAX), [1, 11, 21]);
    assert_eq!(firsts(&*store, 11, usize::MAX), [11, 21]);
    assert_eq!(firsts(&*store, 30, usize::MAX), [21]);
}

pub fn a_read_stops_at_the_limit_but_never_returns_nothing(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 4);
    assert_eq!(firsts(&*store, 1, 300), [1, 2, 3]);
    assert_eq!(firsts(&*store, 1, 299), [1, 2]);
    assert_eq!(firsts(&*store, 1, 0), [1]);
}

pub fn a_read_outside_the_log_is_empty(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 4);
    wait(store.truncate(Position(3))).unwrap();
    assert_eq!(firsts(&*store, 0, usize::MAX), NONE);
    assert_eq!(firsts(&*store, 2, usize::MAX), NONE);
    assert_eq!(firsts(&*store, 3, usize::MAX), [3, 4]);
    assert_eq!(firsts(&*store, 5, usize::MAX), NONE);
    assert_eq!(firsts(&*store, u64::MAX, usize::MAX), NONE);
}

pub fn a_chunk_that_does_not_continue_the_log_is_refused(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 2);
    for stray in [chunk(2, 1, 10), chunk(4, 1, 10), chunk(u64::MAX, 1, 10), chunk(3, 0, 10)] {
        assert!(matches!(wait(store.append(stray)), Append::Refused(_)));
    }
    assert_eq!(span(&*store), (1, 3));
    fill(&*store, 3, 3);
}

pub fn a_large_chunk_is_kept_whole(place: &dyn Place) {
    let store = place.open();
    let large = chunk(1, 100_000, 20 << 20);
    assert_eq!(wait(store.append(large.clone())), Append::Done);
    drop(store);
    assert_eq!(wait(place.open().read(Position(99_999), 0)).unwrap(), [large]);
}

pub fn truncation_drops_whole_chunks_and_keeps_the_end(place: &dyn Place) {
    let store = place.open();
    for first in [1, 11, 21] {
        wait(store.append(chunk(first, 10, 100)));
    }
    wait(store.truncate(Position(10))).unwrap();
    assert_eq!(span(&*store), (1, 31));
    wait(store.truncate(Position(20))).unwrap();
    assert_eq!(span(&*store), (11, 31));
    wait(store.truncate(Position(1))).unwrap();
    assert_eq!(span(&*store), (11, 31));
    drop(store);
    let store = place.open();
    assert_eq!(span(&*store), (11, 31));
    assert_eq!(firsts(&*store, 11, usize::MAX), [11, 21]);
}

pub fn a_log_truncated_to_nothing_goes_on_where_it_ended(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 5);
    wait(store.truncate(Position(u64::MAX))).unwrap();
    assert_eq!(span(&*store), (6, 6));
    drop(store);
    let store = place.open();
    assert_eq!(span(&*store), (6, 6));
    fill(&*store, 6, 7);
    assert_eq!(span(&*store), (6, 8));
    assert_eq!(firsts(&*store, 6, usize::MAX), [6, 7]);
}

pub fn a_long_truncation_lets_appends_through(place: &dyn Place) {
    let store = place.open();
    for first in 1..=300 {
        wait(store.append(chunk(first, 1, 20_000)));
    }
    thread::scope(|scope| {
        let truncation = scope.spawn(|| wait(store.truncate(Position(291))));
        fill(&*store, 301, 340);
        truncation.join().unwrap().unwrap();
    });
    assert_eq!(span(&*store), (291, 341));
    assert_eq!(firsts(&*store, 291, usize::MAX), (291..341).collect::<Vec<_>>());
}

pub fn settling_without_doubt_changes_nothing(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 3);
    assert_eq!(wait(store.settle()).unwrap().end, Position(4));
    fill(&*store, 4, 5);
    assert_eq!(span(&*store), (1, 6));
}

pub fn a_reopened_store_has_everything(place: &dyn Place) {
    for round in 0..4_u8 {
        let store = place.open();
        let end = u64::from(round) * 10 + 1;
        assert_eq!(span(&*store), (1, end));
        let rounds: Vec<_> = (0..round).map(|before| vec![before]).collect();
        assert_eq!(keys(&*store, Scan::table("rounds")), rounds);
        fill(&*store, end, end + 9);
        write(&*store, vec![put("rounds", &[round], b"")]);
        if round % 2 == 0 {
            wait(store.close());
        }
    }
}

pub fn rows_are_put_replaced_and_deleted(place: &dyn Place) {
    let store = place.open();
    assert_eq!(row(&*store, "t", b"a"), None);
    write(&*store, vec![put("t", b"a", b"1"), put("t", b"b", b"2")]);
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"1");
    write(&*store, vec![put("t", b"a", b"3"), delete("t", b"b"), delete("t", b"c")]);
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"3");
    assert_eq!(row(&*store, "t", b"b"), None);
}

pub fn a_group_of_rows_is_applied_in_its_order(place: &dyn Place) {
    let store = place.open();
    let changes = vec![
        put("t", b"a", b"1"),
        delete("t", b"a"),
        put("t", b"b", b"1"),
        put("t", b"b", b"2"),
        put("t", b"c", b"1"),
        delete_range("t", b"c", b"d"),
        put("t", b"cc", b"3"),
    ];
    wait(store.write_rows(changes, Durability::Synced)).unwrap();
    let rows = wait(store.scan(Scan::table("t"))).unwrap();
    let expected = [("b", "2"), ("cc", "3")];
    let rows: Vec<_> = rows.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    assert_eq!(rows, expected.map(|(key, value)| (key.as_bytes(), value.as_bytes())));
}

pub fn groups_of_rows_are_applied_in_the_order_of_their_calls(place: &dyn Place) {
    let store = place.open();
    let writes = (0..500_u32).map(|number| {
        let durability = if number % 50 == 0 { Durability::Synced } else { Durability::Lazy };
        let number = number.to_be_bytes();
        store.write_rows(vec![put("t", b"last", &number), put("all", &number, b"")], durability)
    });
    let results = wait(Box::pin(join_all(writes.collect::<Vec<_>>())));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(row(&*store, "t", b"last").unwrap(), 499_u32.to_be_bytes());
    assert_eq!(keys(&*store, Scan::table("all")).len(), 500);
}

pub fn tables_do_not_see_each_other(place: &dyn Place) {
    let store = place.open();
    let same_key = ["", "t", "t2", "T", "t\0", "é"].map(|table| put(table, b"k", table.as_bytes()));
    write(&*store, same_key.to_vec());
    write(&*store, vec![delete_range("t", b"", b"z"), delete("T", b"k")]);
    assert_eq!(row(&*store, "t", b"k"), None);
    assert_eq!(row(&*store, "T", b"k"), None);
    for table in ["", "t2", "t\0", "é"] {
        assert_eq!(row(&*store, table, b"k").unwrap(), table.as_bytes());
        assert_eq!(keys(&*store, Scan::table(table)), [b"k"]);
    }
}

pub fn a_scan_is_ordered_bounded_and_goes_both_ways(place: &dyn Place) {
    let store = place.open();
    let all: [&[u8]; 6] = [b"", b"a", b"a\0", b"aa", b"b", b"\xff"];
    write(&*store, all.iter().rev().map(|key| put("t", key, key)).collect());
    let scan = |from: &[u8], to: Option<&[u8]>, limit, direction| {
        let (from, to) = (from.to_vec(), to.map(<[u8]>::to_vec));
        keys(&*store, Scan { table: "t".into(), from, to, limit, direction })
    };
    assert_eq!(scan(b"", None, usize::MAX, Direction::Up), all);
    assert_eq!(scan(b"a", Some(b"b"), usize::MAX, Direction::Up), all[1..4]);
    assert_eq!(scan(b"a", Some(b"b"), 2, Direction::Up), all[1..3]);
    assert_eq!(scan(b"a", None, 2, Direction::Down), [all[5], all[4]]);
    assert_eq!(scan(b"", Some(b"b"), 2, Direction::Down), [all[3], all[2]]);
    let nothing: [&[u8]; 0] = [];
    assert_eq!(scan(b"b", Some(b"b"), 9, Direction::Up), nothing);
    assert_eq!(scan(b"b", Some(b"a"), 9, Direction::Down), nothing);
    assert_eq!(scan(b"", None, 0, Direction::Up), nothing);
}

pub fn a_range_of_rows_is_deleted_without_its_end(place: &dyn Place) {
    let store = place.open();
    write(&*store, (0..10).map(|key| put("t", &[key], b"")).collect());
    write(&*store, vec![delete_range("t", &[3], &[6]), delete_range("t", &[9], &[1])]);
    let left: Vec<_> = [0, 1, 2, 6, 7, 8, 9].map(|key| vec![key]).into();
    assert_eq!(keys(&*store, Scan::table("t")), left);
}

pub fn keys_and_values_may_be_empty_or_any_bytes(place: &dyn Place) {
    let store = place.open();
    let large = vec![0x5a; 100_000];
    write(&*store, vec![put("t", b"", b""), put("t", b"\0\xff", &large)]);
    drop(store);
    let store = place.open();
    assert_eq!(row(&*store, "t", b"").unwrap(), b"");
    assert_eq!(row(&*store, "t", b"\0\xff").unwrap(), large);
}

pub fn a_closed_store_refuses_everything(place: &dyn Place) {
    let store = place.open();
    fill(&*store, 1, 3);
    wait(store.close());
    wait(store.close());
    assert!(matches!(wait(store.append(chunk(4, 1, 10))), Append::Refused(_)));
    assert!(wait(store.span()).is_err());
    assert!(wait(store.settle()).is_err());
    assert!(wait(store.read(Position(1), 10)).is_err());
    assert!(wait(store.truncate(Position(1))).is_err());
    assert!(wait(store.write_rows(vec![], Durability::Lazy)).is_err());
    assert!(wait(store.row("t", b"")).is_err());
    assert!(wait(store.scan(Scan::table("t"))).is_err());
    drop(store);
    assert_eq!(span(&*place.open()), (1, 4));
}

pub fn many_callers_read_while_the_log_grows(place: &dyn Place) {
    let store = place.open();
    thread::scope(|scope| {
        for reader in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let mut seen = 0;
                while seen < 200 {
                    let chunks = wait(store.read(Position(1), usize::MAX)).unwrap();
                    let firsts: Vec<u64> = chunks.iter().map(|chunk| chunk.first.0).collect();
                    let now = firsts.len() as u64;
                    assert_eq!(firsts, (1..=now).collect::<Vec<_>>(), "reader {reader}");
                    assert!(now >= seen, "the log went back");
                    seen = now;
                }
            });
        }
        fill(&*store, 1, 200);
    });
}
