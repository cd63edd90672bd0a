//! Battles on a server, and what they cost this process.

use std::{fs, time::Duration};

use interlock_battles::{
    domain::{
        contestant::{Budget, Contestant},
        run::Mode,
    },
    fleet::{Fleet, Overhead, counter::Counter},
};
use interlock_kernel::quota::Limit;
use tokio::time::{Instant, sleep};

use super::ground::{Ground, Side, fleet};
use crate::folder;

/// A hundredth of a second: what the system counts processor time in.
const TICKS_PER_SECOND: f64 = 100.0;
/// Before anything is measured: sessions, first battles.
const WARM_UP: Duration = Duration::from_secs(5);

/// What a decision costs.
pub struct Cost {
    pub cpu_ms: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// What comes of searching.
pub struct Hourly {
    pub battles: f64,
    pub p50_ms: f64,
}

/// Both sides choose at random: all that is left is what a decision costs beside thinking. Claims, logs and counts
/// are in it.
pub async fn cost(ground: &Ground, span: Duration) -> Cost {
    let (random, folder) = (Contestant::Random, folder());
    let side =
        Side { accounts: &["Cost A", "Cost B"], workers: 2, player: random, partner: random };
    let (runtime, _, fleet) =
        fleet(folder.path(), &ground.url, Mode::SelfPlay, Limit::Unlimited, &side).await;
    sleep(WARM_UP).await;
    let (before, cpu) = (overhead(&fleet).decisions, processor_seconds());
    sleep(span).await;
    let (after, used) = (overhead(&fleet), processor_seconds() - cpu);
    // Both sides are ours, and decide equally often; one is watched.
    let decisions = 2.0 * (after.decisions - before) as f64;
    end(fleet).await;
    runtime.stop().await;
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    Cost { cpu_ms: used * 1e3 / decisions, p50_ms: ms(after.p50), p99_ms: ms(after.p99) }
}

/// Battles of a search against the greedy player, an hour and core.
pub async fn hourly(ground: &Ground, span: Duration) -> Hourly {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = folder();
    let side = Side {
        accounts: &["Hour A", "Hour B"],
        workers: u32::try_from(cores * 2).expect("a few"),
        player: Contestant::Search(Budget::Time(Duration::from_millis(100))),
        partner: Contestant::Greedy,
    };
    let (runtime, counter, fleet) =
        fleet(folder.path(), &ground.url, Mode::SelfPlay, Limit::Unlimited, &side).await;
    // Battles end in step at first.
    sleep(WARM_UP * 4).await;
    let (began, before) = (Instant::now(), finished(&counter).await);
    sleep(span).await;
    let battles = finished(&counter).await - before;
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    let p50_ms = overhead(&fleet).p50.as_secs_f64() * 1e3;
    end(fleet).await;
    runtime.stop().await;
    Hourly { battles: battles as f64 / hours / cores as f64, p50_ms }
}

async fn finished(counter: &Counter) -> u64 {
    counter.view().await.expect("the run is open").total.finished()
}

fn overhead(fleet: &Fleet) -> Overhead {
    fleet.tracker().overhead()
}

async fn end(fleet: Fleet) {
    fleet.brake().forfeit();
    fleet.ended().await.expect("nothing goes wrong here");
}

/// Processor time of this process, without the threads that search.
fn processor_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").expect("this is Linux");
    let ticks = tasks.flatten().filter_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        // `17 (name) S …`: after the name, the 12th and 13th field.
        let (before, after) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after.split(' ').collect();
        let ticks = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        (!before.contains("(search-")).then_some(ticks)
    });
    ticks.sum::<u64>() as f64 / TICKS_PER_SECOND
}
