//! How soon a restarted process answers its first command.
//!
//! The measured process is this program again, called as `restart-child FOLDER`; the log is written by
//! `fill-child FOLDER RECORDS stop|die`.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use interlock_kernel::ids::{CommandId, Key};
use interlock_runtime::Meta;

use crate::{
    commands::{self, Spread},
    counter::{Command, Counter},
};

/// Entities of the log.
const ENTITIES: u64 = 100_000;

/// Writes so many records, says so, and then stops, or goes on until it is killed.
pub async fn fill_child(folder: &Path, records: u64, stop: bool) {
    let (runtime, _) = commands::start(folder).await;
    let counters = runtime.handle::<Counter>();
    // Command ids that no earlier process used.
    let mut round = u64::from(std::process::id()) << 20;
    while runtime.status().records.load(std::sync::atomic::Ordering::Relaxed) < records {
        round += 1;
        let span = Duration::from_millis(500);
        commands::per_second(&counters, 1024, Spread::Uniform(ENTITIES), round, span).await;
    }
    if stop {
        runtime.stop().await;
        println!("stopped");
        return;
    }
    println!("full");
    loop {
        round += 1;
        let span = Duration::from_millis(500);
        commands::per_second(&counters, 256, Spread::Uniform(ENTITIES), round, span).await;
    }
}

/// Starts, sends one command, and says how many milliseconds that took from its first instruction.
pub async fn restart_child(folder: &Path, began: Instant) {
    let (runtime, _) = commands::start(folder).await;
    let counters = runtime.handle::<Counter>();
    let key = Key::new("e-17").expect("a valid key");
    let id = CommandId::new(&format!("restart-{}", std::process::id())).expect("a valid id");
    let add = Command::Add { note: "after the restart".to_owned() };
    counters.send(&key, add, Meta::id(id)).await.expect("it serves");
    println!("{}", began.elapsed().as_secs_f64() * 1e3);
}

/// This program again, called like this.
pub fn child(arguments: &[&str]) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    let mut process = Process::new(program);
    process.args(arguments).stdout(Stdio::piped());
    process.spawn().expect("this program can be started again")
}

/// The first line that it says.
pub fn first_line(child: &mut Child) -> String {
    let output = child.stdout.take().expect("it is piped");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("it says something");
    line.trim().to_owned()
}

/// Milliseconds to the first answer after a clean stop, and after kill -9, of a log of so many records.
pub fn first_answer_ms(folder: &Path, records: u64, restarts: usize) -> (Vec<f64>, Vec<f64>) {
    let path = folder.to_str().expect("a temporary folder has a plain name");
    let measure = || {
        let mut process = child(&["restart-child", path]);
        let ms = first_line(&mut process).parse().expect("a number");
        // It did not stop cleanly; the next start has to recover what it wrote.
        process.kill().expect("it runs or has ended");
        process.wait().expect("it is ours");
        ms
    };
    let records = records.to_string();
    let mut fill = child(&["fill-child", path, &records, "die"]);
    assert_eq!(first_line(&mut fill), "full");
    let mut killed = Vec::new();
    fill.kill().expect("it runs");
    fill.wait().expect("it is ours");
    killed.push(measure());
    let mut clean = Vec::new();
    for _ in 0..restarts {
        // A little more load, killed in the middle.
        let mut fill = child(&["fill-child", path, "1", "die"]);
        assert_eq!(first_line(&mut fill), "full");
        fill.kill().expect("it runs");
        fill.wait().expect("it is ours");
        killed.push(measure());
        let mut fill = child(&["fill-child", path, "1", "stop"]);
        assert_eq!(first_line(&mut fill), "stopped");
        fill.wait().expect("it is ours");
        clean.push(measure());
    }
    (clean, killed)
}
