//! `cargo bench -p interlock`: the table of the README, as ratios inside one run.
#![allow(missing_docs, clippy::print_stdout)]

use std::time::Duration;

mod commands;
mod counter;
mod pairs;
mod raw;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use commands::Spread;

fn main() {
    let seconds: f64 = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3.0);
    let folder = tempfile::tempdir_in(".").expect("the working folder is writable");
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    let span = Duration::from_secs_f64(seconds);
    let spread = match std::env::var("SPREAD") {
        Ok(n) => Spread::Uniform(n.parse().expect("a number")),
        Err(_) => Spread::Hot,
    };
    let ours = folder.path().join("ours");
    std::fs::create_dir_all(&ours).expect("writable");
    let (runtime, seen) = tokio.block_on(commands::start(&ours));
    let handle = runtime.handle::<counter::Counter>();
    for round in 0..4 {
        let r = raw::appends_per_second(folder.path(), 256, seconds);
        let o = tokio.block_on(async {
            let handle = handle.clone();
            tokio::spawn(async move { commands::per_second(&handle, 256, spread, round, span).await })
                .await
                .expect("no panic")
        });
        let r1 = raw::commit_p50_us(folder.path(), 1.0);
        let o1 = tokio.block_on(async {
            let handle = handle.clone();
            tokio::spawn(async move {
                commands::p50_us(&handle, round, Duration::from_secs(1)).await
            })
            .await
            .expect("no panic")
        });
        println!(
            "raw {} ours {} ratio {:.2} | p50 raw {r1:.0} us ours {o1:.0} us ratio {:.2} | {:?}",
            pairs::human(r),
            pairs::human(o),
            o / r,
            o1 / r1,
            seen
        );
    }
    let s = runtime.status();
    println!("{:?} loads {:?} resident {:?} bytes {:?}", s.commit_times.read(), s.loads, s.resident, s.resident_bytes);
    tokio.block_on(runtime.stop());
}
