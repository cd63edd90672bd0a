//! `cargo bench -p interlock`: the table of the README, as ratios inside one run.
//!
//! `cargo bench -p interlock -- [ROW …] [--pairs N] [--seconds S]`: rows by the words they contain; 10 pairs
//! of 3 seconds unless told, so that every figure is a steady state of 30 seconds.
#![allow(missing_docs, clippy::print_stdout)]

use std::{path::Path, time::Duration, time::Instant};

mod battles;
mod commands;
mod counter;
mod fanout;
mod http;
mod pairs;
mod phases;
mod raw;
mod restart;

use commands::Spread;
use interlock_server::{
    config::{Config, Overrides},
    server::Server,
};
use interlock_streams::fake::Speed;
use pairs::Row;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Plan {
    only: Vec<String>,
    pairs: u64,
    span: Duration,
}

impl Plan {
    fn from_arguments(arguments: &[String]) -> Self {
        let mut plan = Plan { only: Vec::new(), pairs: 10, span: Duration::from_secs(3) };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                // Cargo passes it to every benchmark.
                "--bench" => {}
                "--pairs" => {
                    plan.pairs = rest.next().and_then(|n| n.parse().ok()).expect("a number")
                }
                "--seconds" => {
                    let seconds = rest.next().and_then(|s| s.parse().ok()).expect("a number");
                    plan.span = Duration::from_secs_f64(seconds);
                }
                word => plan.only.push(word.to_owned()),
            }
        }
        plan
    }

    fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| row.contains(&word.to_lowercase()))
    }
}

fn main() {
    let began = Instant::now();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let tokio = threads.expect("the system gives us threads");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill-child", folder, records, end] => {
            let records = records.parse().expect("a number");
            tokio.block_on(restart::fill_child(Path::new(folder), records, end == "stop"));
        }
        ["restart-child", folder] => {
            tokio.block_on(restart::restart_child(Path::new(folder), began));
        }
        ["drain-child", address, path, bytes] => {
            let address = address.parse().expect("an address");
            let bytes = bytes.parse().expect("a number");
            let one = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let players = tokio::task::LocalSet::new();
            let drain = players.run_until(fanout::drain_child(address, path, bytes));
            one.expect("the system gives us a thread").block_on(drain);
        }
        ["server-child", kind] => tokio.block_on(battles::server_child(kind)),
        ["waiting-child", url, count] => {
            tokio.block_on(battles::waiting_child(url, count.parse().expect("a number")));
        }
        ["fleet-child", folder, url, target] => {
            let target = target.parse().expect("a number");
            tokio.block_on(battles::fleet_child(Path::new(folder), url, target));
        }
        _ => table(&tokio, &Plan::from_arguments(&arguments)),
    }
}

fn table(tokio: &tokio::runtime::Runtime, plan: &Plan) {
    let seconds = plan.span.as_secs_f64();
    println!(
        "{} pairs of {seconds} s on {} cores",
        plan.pairs,
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!("| what | ours | reference | ratio (95 % interval) | at least | aim |");
    println!("|---|---|---|---|---|---|");
    if plan.wants("hot") {
        let (ours, raw) = (folder(), folder());
        commands_row(
            tokio,
            plan,
            "durable commands, 256 callers, 256 hot entities",
            Spread::Hot,
            ours.path(),
            raw.path(),
        );
    }
    if plan.wants("million") {
        let (ours, raw) = (folder(), folder());
        let spread = Spread::Uniform(1_000_000);
        commands_row(
            tokio,
            plan,
            "the same over a million entities",
            spread,
            ours.path(),
            raw.path(),
        );
    }
    if plan.wants("one caller") {
        let (ours, raw) = (folder(), folder());
        let (runtime, _) = tokio.block_on(commands::start(ours.path()));
        let counters = runtime.handle();
        let mut row = Row::new("one caller, p50", "µs", "≤ 1.5×", "≤ 1.2×");
        for round in 0..plan.pairs {
            row.reference.push(raw::commit_p50_us(raw.path(), seconds));
            // A task among tasks, as requests are.
            let caller = tokio.spawn(commands::p50_us(counters.clone(), round, plan.span));
            row.ours.push(tokio.block_on(caller).expect("callers do not panic"));
        }
        row.print();
        tokio.block_on(runtime.stop());
    }
    if plan.wants("retention") {
        retention_row(tokio, plan, folder().path(), folder().path());
    }
    runtime_rows(tokio, plan);
    service_rows(tokio, plan);
    battles::rows(tokio, plan);
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the target folder is writable")
}

/// The dispatcher, and restarts.
fn runtime_rows(tokio: &tokio::runtime::Runtime, plan: &Plan) {
    if plan.wants("phases") {
        let mut row = Row::new("two phases, memory store", "events/s", "3 M", "8 M");
        let mut inversions = 0;
        for _ in 0..plan.pairs {
            let (events, inverted) = tokio.block_on(phases::per_second(plan.span));
            row.ours.push(events);
            inversions += inverted;
        }
        row.print();
        assert_eq!(inversions, 0, "phase 2 of an event came before its phase 1");
    }
    if plan.wants("restart") {
        let folder = folder();
        let (clean, killed) = restart::first_answer_ms(folder.path(), 5_000_000, 5);
        let row =
            |what, values, floor, aim| Row { ours: values, ..Row::new(what, "ms", floor, aim) };
        row("first answer, 5 M records, after a clean stop", clean, "1000", "300").print();
        row("first answer, 5 M records, after kill -9", killed, "3000", "1000").print();
    }
}

/// What the services offer.
fn service_rows(tokio: &tokio::runtime::Runtime, plan: &Plan) {
    if plan.wants("fan-out") {
        let folder = folder();
        let streams = tokio.block_on(fanout::Fanout::start(folder.path(), Speed::Unlimited));
        let what = "fan-out of one unlimited source to 100 players, hash-checked";
        let mut row = Row::new(what, "MB/s", "1×", "1.5×");
        for round in 0..plan.pairs {
            row.reference.push(fanout::hot_buffer());
            row.ours.push(streams.megabytes_per_second(round));
        }
        row.print();
    }
    if plan.wants("joining") {
        let folder = folder();
        let speed = Speed::BitsPerSecond(6_000_000);
        let mut row =
            Row::new("first byte for a player joining a 6 Mbit/s stream", "ms", "< 50", "< 10");
        row.ours = tokio.block_on(async {
            fanout::Fanout::start(folder.path(), speed).await.join_ms(100).await
        });
        row.print();
    }
    if plan.wants("http") {
        http_row(tokio, plan, folder().path());
    }
}

fn commands_row(
    tokio: &tokio::runtime::Runtime,
    plan: &Plan,
    what: &'static str,
    spread: Spread,
    ours: &Path,
    raw: &Path,
) {
    let (runtime, _) = tokio.block_on(commands::start(ours));
    let counters = runtime.handle();
    let mut row = Row::new(what, "/s", "0.35×", "0.5×");
    for round in 0..plan.pairs {
        row.reference.push(raw::appends_per_second(raw, 256, plan.span.as_secs_f64()));
        let measured = commands::per_second(&counters, 256, spread, round, plan.span);
        row.ours.push(tokio.block_on(measured));
    }
    row.print();
    tokio.block_on(runtime.stop());
}

fn http_row(tokio: &tokio::runtime::Runtime, plan: &Plan, data: &Path) {
    let text = "listen = \"127.0.0.1:0\"";
    let data = Some(data.to_owned());
    let config = Config::parse("bench", text, &Overrides { listen: None, data });
    let config = config.expect("a valid configuration");
    let server = tokio.block_on(Server::start(&config)).expect("it starts");
    let ours = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio.spawn(server.run(async move {
        // Dropped or sent: stop.
        let _ = stopped.await;
    }));
    let nothing = tokio.block_on(http::serve_nothing());
    let mut row = Row::new("over HTTP, 256 connections", "/s", "0.5×", "0.65×");
    for round in 0..plan.pairs {
        row.reference.push(tokio.block_on(http::per_second(nothing, round, plan.span)));
        row.ours.push(tokio.block_on(http::per_second(ours, round, plan.span)));
    }
    row.print();
    drop(stop);
    tokio.block_on(served).expect("it stops");
}

/// Lets the disk write down what filling left in the system's memory, so that rows show a steady state.
fn settle() {
    let synced = std::process::Command::new("sync").status();
    assert!(synced.is_ok_and(|status| status.success()), "every system has sync");
}

fn retention_row(tokio: &tokio::runtime::Runtime, plan: &Plan, many: &Path, few: &Path) {
    const MANY: u64 = 1_000_000;
    const FEW: u64 = 10_000;
    let (much, _) = tokio.block_on(commands::start(many));
    let (little, _) = tokio.block_on(commands::start(few));
    let (much_counters, little_counters) = (much.handle(), little.handle());
    tokio.block_on(commands::preload(&much_counters, MANY));
    tokio.block_on(commands::preload(&little_counters, FEW));
    settle();
    let mut row = Row::new(
        "a million entities and ids in retention, against ten thousand",
        "/s",
        "0.7×",
        "0.9×",
    );
    for round in 0..plan.pairs {
        let reference =
            commands::per_second(&little_counters, 256, Spread::Uniform(FEW), round, plan.span);
        row.reference.push(tokio.block_on(reference));
        let ours =
            commands::per_second(&much_counters, 256, Spread::Uniform(MANY), round, plan.span);
        row.ours.push(tokio.block_on(ours));
    }
    row.print();
    tokio.block_on(async {
        much.stop().await;
        little.stop().await;
    });
}
