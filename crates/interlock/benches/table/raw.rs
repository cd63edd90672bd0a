//! The reference for commands: a raw append-only SQLite log, one row per command, the id a column.

use std::{path::Path, time::Instant};

use rusqlite::Connection;

/// Opens a log the way the measured program's own is: WAL, every commit synced.
pub fn open(folder: &Path) -> Connection {
    let log = Connection::open(folder.join("raw.sqlite")).expect("a temporary folder is writable");
    log.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS log(position INTEGER PRIMARY KEY, id TEXT NOT NULL, event BLOB NOT NULL);",
    )
    .expect("plain SQL");
    log
}

/// Commands a second, appended in batches.
pub fn appends_per_second(folder: &Path, batch: usize, seconds: f64) -> f64 {
    let mut log = open(folder);
    let event = [b'e'; 150];
    let (begin, mut count) = (Instant::now(), 0_u64);
    while begin.elapsed().as_secs_f64() < seconds {
        let commit = log.transaction().expect("nobody else writes");
        {
            let mut insert = commit
                .prepare_cached("INSERT INTO log(id, event) VALUES (?1, ?2)")
                .expect("plain SQL");
            for _ in 0..batch {
                count += 1;
                insert
                    .execute((format!("caller-7-{count:012}"), &event[..]))
                    .expect("there is room");
            }
        }
        commit.commit().expect("there is room");
    }
    #[allow(clippy::cast_precision_loss)]
    {
        count as f64 / begin.elapsed().as_secs_f64()
    }
}

/// The median time of a commit of one row, in microseconds.
pub fn commit_p50_us(folder: &Path, seconds: f64) -> f64 {
    let log = open(folder);
    let event = [b'e'; 150];
    let mut insert = log.prepare("INSERT INTO log(id, event) VALUES (?1, ?2)").expect("plain SQL");
    let (begin, mut count, mut times) = (Instant::now(), 0_u64, Vec::new());
    while begin.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        count += 1;
        insert.execute((format!("caller-7-{count:012}"), &event[..])).expect("there is room");
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    crate::pairs::median(&mut times)
}
