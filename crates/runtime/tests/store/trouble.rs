//! A disk that is full, read-only or fails now and then, and damaged files.

use std::{fs, sync::Arc, thread};

use interlock_kernel::ids::Position;
use interlock_runtime::store::{
    Append, Durability, Scan, Store, StoreError,
    faults::{Loss, Survivors},
    sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;

use super::{
    place::{Faulty, LOG_WAL, Place, ROWS_WAL},
    tools::{chunk, fill, firsts, keys, put, row, span, wait, write},
};

/// All positions of a log of one-record chunks.
fn all(store: &dyn Store) -> Vec<u64> {
    firsts(store, span(store).0, usize::MAX)
}

#[test]
fn a_full_disk_refuses_appends_and_is_usable_again_when_there_is_room() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 5);
    place.disk.fill_up(50_000);
    let mut end = 6;
    let refusal = loop {
        match wait(store.append(chunk(end, 1, 10_000))) {
            Append::Done => end += 1,
            Append::Refused(error) => break error,
            Append::Unknown(error) => panic!("a full disk leaves no doubt: {error}"),
        }
    };
    assert!(matches!(refusal, StoreError::Full(_)), "{refusal}");
    assert!((7..12).contains(&end), "the disk was full at {end}");
    assert!(matches!(wait(store.append(chunk(end, 1, 10_000))), Append::Refused(_)));
    assert_eq!(all(&*store), (1..end).collect::<Vec<_>>());

    place.disk.make_room();
    fill(&*store, end, end + 5);
    place.cut_power(store, Survivors::Synced);
    assert_eq!(all(&*place.open()), (1..end + 6).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_refuses_rows_and_takes_them_when_there_is_room() {
    let place = Faulty::new();
    let store = place.open();
    write(&*store, vec![put("t", b"a", b"1")]);
    place.disk.fill_up(0);
    let large = vec![put("t", b"a", b"2"), put("t", b"b", &[7; 50_000])];
    let refusal = wait(store.write_rows(large.clone(), Durability::Synced)).unwrap_err();
    assert!(matches!(refusal, StoreError::Full(_)), "{refusal}");
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"1");
    place.disk.make_room();
    wait(store.write_rows(large, Durability::Synced)).unwrap();
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"2");
}

#[test]
fn a_store_opens_on_a_full_disk_and_can_be_read() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 20);
    write(&*store, vec![put("t", b"a", b"1")]);
    drop(store);
    place.disk.fill_up(0);
    let store = place.open();
    assert_eq!(all(&*store), (1..21).collect::<Vec<_>>());
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"1");
}

#[test]
fn a_group_of_rows_that_cannot_be_written_takes_no_other_with_it() {
    let place = Faulty::new();
    let store = place.open();
    // The first keeps the writer busy, so that the others come together.
    let busy = (0..2_000_u32).map(|key| put("busy", &key.to_be_bytes(), &[0; 100])).collect();
    let busy = store.write_rows(busy, Durability::Lazy);
    wait(busy).unwrap();
    place.disk.fill_up(200_000);
    let blocker = store.write_rows(vec![put("t", b"a", b"")], Durability::Lazy);
    let small = store.write_rows(vec![put("t", b"b", b"")], Durability::Lazy);
    let large = store.write_rows(vec![put("t", b"c", &[1; 1_000_000])], Durability::Lazy);
    let last = store.write_rows(vec![put("t", b"d", b"")], Durability::Lazy);
    assert_eq!(wait(blocker), Ok(()));
    assert_eq!(wait(small), Ok(()));
    assert!(matches!(wait(large), Err(StoreError::Full(_))));
    assert_eq!(wait(last), Ok(()));
    assert_eq!(keys(&*store, Scan::table("t")), [b"a", b"b", b"d"]);
}

#[test]
fn the_wal_starts_over_even_if_the_side_thread_never_comes() {
    let mut place = Faulty::new();
    // Fewer frames than the side thread waits for.
    place.wal_frames_max = 100;
    let store = place.open();
    fill(&*store, 1, 400);
    let wal = fs::metadata(place.path().join(LOG_WAL)).unwrap().len();
    assert!((100 * 4_096..150 * 4_096).contains(&wal), "the WAL has {wal} bytes");
    place.cut_power(store, Survivors::Synced);
    assert_eq!(all(&*place.open()), (1..401).collect::<Vec<_>>());
}

#[test]
fn the_wal_starts_over_when_the_side_thread_has_copied_it() {
    let place = Faulty::new();
    let store = place.open();
    let wal = || fs::metadata(place.path().join(LOG_WAL)).unwrap().len();
    let mut end = 1;
    // It comes after a thousand frames, at some time: until then the file grows.
    let copied = loop {
        let before = wal();
        assert_eq!(wait(store.append(chunk(end, 1, 45_000))), Append::Done);
        end += 1;
        if wal() == before {
            break before;
        }
        assert!(end < 2_000, "nothing was copied");
        thread::yield_now();
    };
    assert!(copied > 1_000 * 4_096);
}

#[test]
fn a_checkpoint_that_finds_no_room_hurts_nobody() {
    let mut place = Faulty::new();
    place.wal_frames_max = 1_100;
    let store = place.open();
    // Room for the WAL to grow, then none for the database.
    place.disk.fill_up(8_000_000);
    let mut end = 1;
    while wait(store.append(chunk(end, 1, 45_000))) == Append::Done {
        end += 1;
    }
    assert!(matches!(wait(store.append(chunk(end, 1, 45_000))), Append::Refused(_)));
    place.disk.make_room();
    for _ in 0..100 {
        assert_eq!(wait(store.append(chunk(end, 1, 45_000))), Append::Done);
        end += 1;
    }
    place.cut_power(store, Survivors::Synced);
    assert_eq!(all(&*place.open()), (1..end).collect::<Vec<_>>());
}

#[test]
fn checkpoints_go_on_after_one_whose_sync_failed() {
    let mut place = Faulty::new();
    place.wal_frames_max = 100;
    let store = place.open();
    place.disk.fail_next_sync("log.sqlite", Loss::Later);
    fill(&*store, 1, 3_000);
    let wal = fs::metadata(place.path().join(LOG_WAL)).unwrap().len();
    assert!(wal < 2_000 * 4_096, "the WAL has {wal} bytes");
    place.cut_power(store, Survivors::Synced);
    assert_eq!(all(&*place.open()), (1..3_001).collect::<Vec<_>>());
}

#[test]
fn a_checkpoint_whose_sync_failed_loses_nothing() {
    for round in 0..10 {
        let mut place = Faulty::new();
        place.wal_frames_max = 1_100;
        let store = place.open();
        place.disk.fail_next_sync("log.sqlite", Loss::Later);
        for first in 1..=250 {
            assert_eq!(wait(store.append(chunk(first, 1, 45_000))), Append::Done);
        }
        place.cut_power(store, Survivors::Some(round));
        assert_eq!(all(&*place.open()), (1..251).collect::<Vec<_>>());
    }
}

#[test]
fn a_failed_sync_is_not_forgotten_by_the_next_process() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 5);
    place.disk.fail_next_sync(LOG_WAL, Loss::Later);
    assert!(matches!(wait(store.append(chunk(6, 1, 30_000))), Append::Unknown(_)));
    drop(store);
    // It reads what the disk does not have, and builds on it.
    let store = place.open();
    assert_eq!(span(&*store).1, 7);
    fill(&*store, 7, 10);
    place.cut_power(store, Survivors::Synced);
    assert_eq!(all(&*place.open()), (1..11).collect::<Vec<_>>());
}

#[test]
fn what_settling_found_survives_a_power_cut() {
    for (loss, end) in [(Loss::Later, 7), (Loss::Now, 6)] {
        for seed in 0..20 {
            let place = Faulty::new();
            let store = place.open();
            fill(&*store, 1, 5);
            place.disk.fail_next_sync(LOG_WAL, loss);
            assert!(matches!(wait(store.append(chunk(6, 1, 30_000))), Append::Unknown(_)));
            assert_eq!(wait(store.settle()).unwrap().end, Position(end));
            place.cut_power(store, Survivors::Some(seed));
            assert_eq!(all(&*place.open()), (1..end).collect::<Vec<_>>());
        }
    }
}

#[test]
fn synced_rows_whose_sync_failed_are_reported_and_lose_nothing_before() {
    let place = Faulty::new();
    let store = place.open();
    wait(store.write_rows(vec![put("t", b"a", b"")], Durability::Synced)).unwrap();
    write(&*store, vec![put("t", b"b", b"")]);
    place.disk.fail_next_sync(ROWS_WAL, Loss::Later);
    assert!(wait(store.write_rows(vec![put("t", b"c", b"")], Durability::Synced)).is_err());
    wait(store.write_rows(vec![put("t", b"d", b"")], Durability::Synced)).unwrap();
    place.cut_power(store, Survivors::Synced);
    let found = keys(&*place.open(), Scan::table("t"));
    assert!(found.starts_with(&[b"a".into(), b"b".into()]) && found.ends_with(&[b"d".into()]));
}

#[test]
fn an_empty_synced_group_syncs_what_came_before() {
    let place = Faulty::new();
    let store = place.open();
    write(&*store, vec![put("t", b"a", b"")]);
    wait(store.write_rows(vec![], Durability::Synced)).unwrap();
    place.cut_power(store, Survivors::Synced);
    assert_eq!(keys(&*place.open(), Scan::table("t")), [b"a"]);
}

#[test]
fn a_disk_that_becomes_read_only_loses_nothing_and_can_be_written_again() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 5);
    write(&*store, vec![put("t", b"a", b"1")]);
    place.disk.set_read_only(true);
    assert_ne!(wait(store.append(chunk(6, 1, 100))), Append::Done);
    assert!(wait(store.settle()).is_err());
    assert!(wait(store.write_rows(vec![put("t", b"a", b"2")], Durability::Lazy)).is_err());
    assert_eq!(span(&*store), (1, 6));
    place.disk.set_read_only(false);
    let end = wait(store.settle()).unwrap().end.0;
    fill(&*store, end, end + 3);
    write(&*store, vec![put("t", b"a", b"3")]);
    assert_eq!(all(&*store), (1..end + 4).collect::<Vec<_>>());
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"3");
}

#[test]
fn a_failed_write_is_a_doubt_that_settles() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 5);
    place.disk.fail_next_write(LOG_WAL);
    assert!(matches!(wait(store.append(chunk(6, 1, 100))), Append::Unknown(_)));
    assert_eq!(wait(store.settle()).unwrap().end, Position(6));
    fill(&*store, 6, 8);
}

#[test]
fn a_store_on_a_read_only_disk_is_not_opened() {
    let place = Faulty::new();
    fill(&*place.open(), 1, 3);
    place.disk.set_read_only(true);
    let error = place.try_open().unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    assert!(error.to_string().contains("log.sqlite"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_in_which_nothing_can_be_created_is_read_only() {
    let error = SqliteStore::open(&SqliteOptions::new("/sys")).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    assert!(error.to_string().contains("/sys/"), "{error}");
}

#[test]
fn a_folder_belongs_to_one_store_at_a_time() {
    let folder = TempDir::new().unwrap();
    let mut options = SqliteOptions::new(folder.path());
    options.listening_on = "127.0.0.1:7".into();
    let first = SqliteStore::open(&options).unwrap();
    let told = |told: &str| {
        let error = SqliteStore::open(&options).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::InUse(_)), "{text}");
        for part in [told, &std::process::id().to_string(), &folder.path().display().to_string()] {
            assert!(text.contains(part), "{text}");
        }
    };
    told("127.0.0.1:7");
    first.announce("127.0.0.1:8080").unwrap();
    told("127.0.0.1:8080");
    wait(first.close());
    let second = SqliteStore::open(&options).unwrap();
    drop(second);
    SqliteStore::open(&options).unwrap();
}

#[test]
fn a_closed_store_leaves_no_wal_and_a_dropped_one_does() {
    let place = Faulty::new();
    let wal = place.path().join(LOG_WAL);
    let store = place.open();
    fill(&*store, 1, 3);
    drop(store);
    assert!(wal.exists());
    wait(place.open().close());
    assert!(!wal.exists());
    assert!(!place.path().join(ROWS_WAL).exists());
}

#[test]
fn a_newer_format_is_left_alone() {
    let place = Faulty::new();
    wait(place.open().close());
    let raise = "UPDATE meta SET value = 2 WHERE name = 'format'";
    let file = place.path().join("rows.sqlite");
    rusqlite::Connection::open(&file).unwrap().execute(raise, []).unwrap();
    let error = place.try_open().unwrap_err();
    assert!(matches!(error, StoreError::Newer(_)), "{error}");
    assert!(error.to_string().contains("rows.sqlite"), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_damaged() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("log.sqlite"), [0x55; 10_000]).unwrap();
    let error = SqliteStore::open(&SqliteOptions::new(folder.path())).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[test]
fn missing_chunks_are_damage() {
    let place = Faulty::new();
    let store = place.open();
    fill(&*store, 1, 5);
    wait(store.close());
    drop(store);
    let file = place.path().join("log.sqlite");
    rusqlite::Connection::open(&file)
        .unwrap()
        .execute("DELETE FROM log WHERE first = 3", [])
        .unwrap();
    let store = place.open();
    let error = wait(store.read(Position(1), usize::MAX)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[test]
fn a_broken_page_is_damage_to_its_readers_alone() {
    let place = Faulty::new();
    let store = place.open();
    for first in 1..=50 {
        wait(store.append(chunk(first, 1, 3_000)));
    }
    write(&*store, vec![put("t", b"a", b"1")]);
    wait(store.close());
    drop(store);
    let file = place.path().join("log.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    let page = 10 * 4_096;
    bytes[page..page + 4_096].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let store = place.open();
    let error = wait(store.read(Position(1), usize::MAX)).unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert_eq!(row(&*store, "t", b"a").unwrap(), b"1");
    fill(&*store, 51, 52);
}

#[test]
fn dropping_the_store_answers_its_callers() {
    let place = Faulty::new();
    let store = place.open();
    let unpolled = store.append(chunk(1, 1, 100));
    let row = store.row("t", b"a");
    drop(store);
    assert!(matches!(wait(unpolled), Append::Done));
    assert_eq!(wait(row), Ok(None));
}

#[test]
fn rows_and_log_are_written_at_once_without_harm() {
    let place = Faulty::new();
    let store = place.open();
    thread::scope(|scope| {
        for table in ["a", "b"] {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for key in 0..100_u8 {
                    write(&*store, vec![put(table, &[key], b"")]);
                    assert_eq!(keys(&*store, Scan::table(table)).len(), usize::from(key) + 1);
                }
            });
        }
        fill(&*store, 1, 100);
    });
    assert_eq!(all(&*store), (1..101).collect::<Vec<_>>());
}
