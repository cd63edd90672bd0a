//! What cannot be seen, or not made to happen, through the store's own calls.

use std::{path::Path, sync::Arc, thread, time::Duration};

use interlock_kernel::ids::Position;
use rusqlite::{Connection, OpenFlags};

use super::{
    database::{Database, Pass},
    disk::Disk,
    limits,
    log::{LAYOUT, Log},
    queue::{Ending, Next, Queue},
};
use crate::store::{
    Append, Chunk,
    faults::{FaultDisk, Loss, Survivors},
};

fn database(folder: &Path, disk: &FaultDisk) -> Database {
    Database::new(folder, &LAYOUT, Arc::new(disk.clone()))
}

fn insert(writer: &Connection, first: u64) {
    writer.execute("INSERT INTO log VALUES (?1, 1, zeroblob(30000))", [first]).unwrap();
}

fn count(connection: &Connection) -> u64 {
    connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap()
}

/// Leaves pages in the database file that no sync has covered, and lets the sync fail.
fn fail_a_checkpoint(database: &Database, disk: &FaultDisk, writer: &Connection) {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let vfs = disk.vfs().unwrap();
    let reader = Connection::open_with_flags_and_vfs(&database.path, flags, vfs).unwrap();
    reader.execute_batch("PRAGMA wal_autocheckpoint = 0; BEGIN").unwrap();
    insert(writer, 1);
    assert_eq!(count(&reader), 1);
    insert(writer, 2);
    let Pass { in_wal, copied } = database.checkpoint().unwrap();
    assert!(copied < in_wal, "the reader holds it up, so it does not sync");
    drop(reader);
    disk.fail_next_sync(LAYOUT.file, Loss::Later);
    assert_eq!(database.checkpoint(), None);
}

#[test]
fn after_a_failed_checkpoint_none_is_tried_before_the_file_was_opened_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new();
    let database = database(folder.path(), &disk);
    let writer = database.open_afresh().unwrap();
    fail_a_checkpoint(&database, &disk, &writer);
    assert_eq!(database.checkpoint(), None);
    assert!(database.is_in_doubt());
    drop(writer);

    let writer = database.open_afresh().unwrap();
    let Pass { in_wal, copied } = database.checkpoint().unwrap();
    assert!(copied == in_wal && in_wal > 14, "{in_wal} frames, {copied} of them copied");
    // The WAL starts over: what it had must be in the database.
    insert(&writer, 3);
    drop(writer);
    drop(database);
    disk.cut_power();
    disk.restore(Survivors::Synced).unwrap();
    assert_eq!(count(&self::database(folder.path(), &disk).open_afresh().unwrap()), 3);
}

#[test]
fn a_small_append_is_done_at_once_and_others_are_left_to_the_thread() {
    let folder = tempfile::tempdir().unwrap();
    let database = Arc::new(database(folder.path(), &FaultDisk::new()));
    let mut log = Log::open(Arc::clone(&database), limits::FRAMES_MAX).unwrap();
    let chunk = |first, bytes: usize| Chunk {
        first: Position(first),
        count: 1,
        bytes: vec![7; bytes].into(),
    };
    assert_eq!(log.append_at_once(&chunk(1, 9)), Some(Append::Done));
    assert_eq!(log.append_at_once(&chunk(2, limits::SMALL_CHUNK_BYTES)), None);
    assert!(matches!(log.append_at_once(&chunk(7, 9)), Some(Append::Refused(_))));
    log.note(9, limits::QUICK_APPEND);
    assert_eq!(log.append_at_once(&chunk(2, 9)), None, "the disk is slow");
    log.note(limits::SMALL_CHUNK_BYTES, Duration::ZERO);
    assert_eq!(log.append_at_once(&chunk(2, 9)), None, "others are at work");
    log.note(9, Duration::ZERO);
    assert_eq!(log.append_at_once(&chunk(2, 9)), Some(Append::Done));
}

#[test]
fn nothing_is_checkpointed_while_the_writer_is_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new();
    let database = database(folder.path(), &disk);
    let writer = database.open_afresh().unwrap();
    insert(&writer, 1);
    database.doubt();
    drop(writer);
    assert_eq!(database.checkpoint(), None);
    let _writer = database.open_afresh().unwrap();
    assert!(database.checkpoint().is_some());
}

#[test]
fn a_close_in_doubt_leaves_the_wal_to_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::new();
    let database = database(folder.path(), &disk);
    let writer = database.open_afresh().unwrap();
    fail_a_checkpoint(&database, &disk, &writer);
    let wal = folder.path().join("log.sqlite-wal");
    let before = std::fs::read(&wal).unwrap();
    database.close(writer);
    assert_eq!(std::fs::read(&wal).unwrap(), before);
    assert_eq!(count(&self::database(folder.path(), &disk).open_afresh().unwrap()), 2);
}

#[test]
fn a_full_queue_refuses_and_takes_again_when_there_is_room() {
    let queue = Queue::new(2);
    queue.push(1).unwrap();
    queue.push(2).unwrap();
    assert!(queue.push(3).is_err());
    assert_eq!(queue.pop(), Next::Job(1));
    queue.push(4).unwrap();
    assert_eq!((queue.try_pop(), queue.try_pop(), queue.try_pop()), (Some(2), Some(4), None));
}

#[test]
fn an_ended_queue_gives_out_what_it_has_and_then_its_first_ending() {
    let queue = Arc::new(Queue::new(2));
    queue.push(1).unwrap();
    queue.end(Ending::Tidy);
    queue.end(Ending::Abrupt);
    assert!(queue.push(2).is_err());
    assert_eq!(queue.pop(), Next::Job(1));
    let others = [(); 2].map(|()| {
        let queue = Arc::clone(&queue);
        thread::spawn(move || queue.pop())
    });
    for other in others {
        assert_eq!(other.join().unwrap(), Next::End(Ending::Tidy));
    }
}
