//! kill -9 under load, restarted at once, two hundred times; then a separate process checks the history.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use interlock_audit::{
    check::{Event, Request},
    live::{Plan, record},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_interlock");
const ROUNDS: u64 = 200;

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_two_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("history"));
    let plan = Plan { program: PathBuf::from(PROGRAM), rounds: ROUNDS, clients: 4, seed: 0 };
    let history = record(&plan, &data).unwrap();
    write(&file, &history);
    let says = run(&["audit", "check", file.to_str().unwrap()]);
    assert!(says.status.success(), "{says:?}");
    eprintln!("{}", String::from_utf8_lossy(&says.stdout));
    let asked = |kind: &str| {
        let is_asked = |event: &&Event| match event {
            Event::Request(Request { entity, status, .. }) => {
                entity.starts_with(kind) && status.is_some()
            }
            Event::Kept(_) => false,
        };
        history.iter().filter(is_asked).count()
    };
    for kind in ["barrier/", "job/", "pool/", "quota/", "turn/", "value/"] {
        assert!(asked(kind) > 100, "{kind} was asked {} times", asked(kind));
    }
    let verified = run(&["store", "verify", "--data", data.to_str().unwrap()]);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn a_history_with_a_lost_command_is_refused_and_so_is_what_is_no_history() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history");
    let plan = Plan { program: PathBuf::from(PROGRAM), rounds: 2, clients: 2, seed: 7 };
    let mut history = record(&plan, &folder.path().join("data")).unwrap();
    let is_answered = |id: &str, history: &[Event]| {
        let of = |event: &Event| matches!(event, Event::Request(request) if request.id == id && request.status == Some(201));
        history.iter().any(of)
    };
    let lost = history.iter().position(|event| match event {
        Event::Kept(kept) => is_answered(&kept.id, &history),
        Event::Request(_) => false,
    });
    history.remove(lost.expect("something was acknowledged"));
    write(&file, &history);
    let says = run(&["audit", "check", file.to_str().unwrap()]);
    let out = String::from_utf8_lossy(&says.stdout);
    assert!(!says.status.success() && out.contains("and is lost"), "{says:?}");
    fs::write(&file, "{}\n").unwrap();
    let says = run(&["audit", "check", file.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&says.stderr);
    assert!(!says.status.success() && error.contains("line 1 is neither"), "{says:?}");
}

fn write(file: &Path, history: &[Event]) {
    let line = |event: &Event| format!("{}\n", serde_json::to_string(event).unwrap());
    fs::write(file, history.iter().map(line).collect::<String>()).unwrap();
}

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}
