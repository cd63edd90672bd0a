//! A process that is killed while it writes.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use interlock_kernel::ids::Position;
use interlock_runtime::store::{
    Append, Durability, Scan, Store, StoreError,
    sqlite::{SqliteOptions, SqliteStore},
};
use tempfile::TempDir;

use super::tools::{chunk, keys, put, span, wait};

/// Tells this test, in a process of its own, that it is to be killed, and where to write.
const FOLDER: &str = "INTERLOCK_TEST_FOLDER";

#[test]
fn a_killed_process_leaves_what_it_acknowledged_and_lets_go_of_the_folder() {
    if let Some(folder) = env::var_os(FOLDER) {
        write_for_ever(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    for round in 1..=3 {
        let mut child = start(folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        while acknowledged < round * 200 {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, end)) = line.split_once("acknowledged ") {
                acknowledged = end.parse().unwrap();
            }
        }
        let error = SqliteStore::open(&SqliteOptions::new(folder.path())).unwrap_err();
        assert!(matches!(error, StoreError::InUse(_)), "{error}");
        assert!(error.to_string().contains(&child.id().to_string()), "{error}");

        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteStore::open(&SqliteOptions::new(folder.path())).unwrap();
        let (first, end) = span(&store);
        assert!(first == 1 && end >= acknowledged, "{end} is before {acknowledged}");
        let chunks = wait(store.read(Position(1), usize::MAX)).unwrap();
        assert_eq!(chunks.len() as u64, end - 1);
        for found in chunks {
            assert_eq!(found, chunk(found.first.0, 1, 2_000));
        }
        let rows = keys(&store, Scan::table("ends"));
        let expected: Vec<_> =
            (1..=rows.len() as u64).map(|end| end.to_be_bytes().to_vec()).collect();
        assert_eq!(rows, expected);
        assert!(rows.len() as u64 + 1 >= acknowledged);
    }
}

fn start(folder: &Path) -> Child {
    let this_test =
        "store::process::a_killed_process_leaves_what_it_acknowledged_and_lets_go_of_the_folder";
    Command::new(env::current_exe().unwrap())
        .args(["--exact", this_test, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Appends and says so, each chunk with a row.
fn write_for_ever(folder: &Path) -> ! {
    let store = SqliteStore::open(&SqliteOptions::new(folder)).unwrap();
    let mut out = std::io::stdout();
    let mut end = span(&store).1;
    // Rows may be behind the log, but not in front of it.
    let rows = keys(&store, Scan::table("ends")).len() as u64;
    for end in rows + 1..end {
        wait(store.write_rows(vec![put("ends", &end.to_be_bytes(), b"")], Durability::Lazy))
            .unwrap();
    }
    loop {
        assert_eq!(wait(store.append(chunk(end, 1, 2_000))), Append::Done);
        wait(store.write_rows(vec![put("ends", &end.to_be_bytes(), b"")], Durability::Lazy))
            .unwrap();
        end += 1;
        if writeln!(out, "acknowledged {end}").is_err() {
            std::process::exit(1); // nobody is left to kill it
        }
    }
}
