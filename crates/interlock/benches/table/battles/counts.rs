//! A run whose process is killed again and again, on a server that loses connections.
//!
//! The judge is the server: what it says of every battle must be what the run has counted.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::ChildStdout,
    time::Instant,
};

use interlock_battles::{
    domain::{
        contestant::Contestant,
        run::{Mode, Tally},
    },
    fleet::Report,
};
use interlock_kernel::quota::Limit;
use serde_json::Value;

use super::ground::{Ground, Side, fleet};
use crate::{folder, restart};

/// Lives that are cut off before the last one.
const KILLS: u64 = 4;

/// Battles a second, restarts included. Panics unless every one is counted once.
pub fn battles_per_second(count: u64) -> f64 {
    let (ground, folder) = (Ground::stand_in("faulty"), folder());
    let path = folder.path().to_str().expect("a temporary folder has a plain name");
    let target = count.to_string();
    let began = Instant::now();
    for life in 1..=KILLS {
        let mut process = restart::child(&["fleet-child", path, &ground.url, &target]);
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        wait_for(&mut lines, count * life / (KILLS + 1));
        process.kill().expect("it runs");
        process.wait().expect("it is ours");
    }
    let mut process = restart::child(&["fleet-child", path, &ground.url, &target]);
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    wait_for(&mut lines, count);
    let took = began.elapsed();
    let report = lines.map_while(Result::ok).find(|line| line.starts_with('{'));
    let report = report.expect("it ends with a report");
    process.wait().expect("it is ours");
    let report: Value = serde_json::from_str(&report).expect("it is an object");
    let total: Tally = serde_json::from_value(report.clone()).expect("it has all counts");
    assert_eq!(Tally { void: 0, ..total }, ground.truth(), "the server knows better");
    let number = |field: &str| report[field].as_u64();
    assert_eq!(
        [number("finished"), number("claimed"), number("drift")],
        [Some(count), Some(0), Some(0)]
    );
    count as f64 / took.as_secs_f64()
}

fn wait_for(lines: &mut std::io::Lines<BufReader<ChildStdout>>, count: u64) {
    let counted = lines.map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok());
    let reached = { counted }.find(|finished| *finished >= count);
    assert!(reached.is_some(), "it ended before {count} battles");
}

/// Plays a part of the run, and says how many have finished; at the end, the report.
pub async fn fleet_child(folder: &Path, url: &str, target: u64) {
    let side = Side {
        accounts: &["Count A", "Count B"],
        workers: 8,
        player: Contestant::Random,
        partner: Contestant::Random,
    };
    let (runtime, counter, fleet) =
        fleet(folder, url, Mode::Ladder, Limit::Of(target), &side).await;
    let mut news = fleet.tracker().news();
    let say = async {
        loop {
            let view = counter.view().await.expect("the run is open");
            println!("{}", view.total.finished());
            if news.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    };
    let report: Report = tokio::select! {
        report = fleet.ended() => report.expect("nothing ends it early"),
        never = say => never,
    };
    println!("{}", report.finished);
    println!("{}", serde_json::to_string(&report).expect("a report is plain"));
    runtime.stop().await;
}
