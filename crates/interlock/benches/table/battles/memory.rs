//! What a battle weighs while it waits for the opponent.

use std::fs;

use interlock_battles::domain::{contestant::Contestant, run::Mode};
use interlock_kernel::quota::Limit;

use super::ground::{Ground, Side, fleet};
use crate::{folder, restart};

/// Kilobytes of resident memory of each of so many battles in one process.
pub fn kilobytes_per_battle(count: u32) -> f64 {
    let ground = Ground::stand_in("waiting");
    let measure = |count: u32| -> f64 {
        let mut process = restart::child(&["waiting-child", &ground.url, &count.to_string()]);
        let kilobytes = restart::first_line(&mut process).parse().expect("a number");
        process.wait().expect("it is ours");
        kilobytes
    };
    // What a process needs for one battle, it does not need once more for each.
    (measure(count + 1) - measure(1)) / f64::from(count)
}

/// Begins so many battles, and says what the process weighs once all of them wait.
pub async fn waiting_child(url: &str, count: u32) {
    let folder = folder();
    // The search knows its worlds' weight best: it thinks once in each battle.
    let account = format!("Wait {count}");
    let side = Side {
        accounts: &[&account],
        workers: count,
        player: Contestant::Greedy,
        partner: Contestant::Greedy,
    };
    let (_runtime, _, fleet) =
        fleet(folder.path(), url, Mode::Ladder, Limit::Unlimited, &side).await;
    let tracker = fleet.tracker();
    let mut news = tracker.news();
    while tracker.overhead().decisions < u64::from(count) {
        news.changed().await.expect("the fleet plays");
    }
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|line| line.trim().strip_suffix(" kB"));
    println!("{}", kilobytes.expect("every process has some"));
}
