//! What becomes of the last process's sessions: they are stopped before their slots are used again.

use std::{thread, time::Duration};

use interlock_kernel::time::Millis;
use interlock_runtime::store::memory::MemoryStore;
use interlock_streams::{
    domain::engines::Ending as Why,
    fake::{Ending, FakeEngine, OnStart, Settings},
    service::Config,
};

use crate::support::{Process, config, engines, stream_path};

/// Runs a process until `begun`, then ends it between two instructions: no code of it runs any more.
async fn is_killed(
    store: &MemoryStore,
    config: Config,
    begun: impl AsyncFnOnce(&Process) + Send + 'static,
) {
    let store = store.clone();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let process = Process::on(&store, config).await;
            begun(&process).await;
            std::mem::forget(process);
        });
        runtime.shutdown_background();
    };
    let thread = thread::spawn(run);
    tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
}

async fn one_slot(settings: Settings) -> Vec<FakeEngine> {
    engines(1, Settings { limit: 1, ..settings }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_the_last_process_is_stopped_before_its_slot_is_used_again() {
    let (store, fakes) = (MemoryStore::new(), one_slot(Settings::default()).await);
    is_killed(&store, config(&fakes, 1), async |process: &Process| {
        std::mem::forget(process.plays(1).await);
    })
    .await;
    assert_eq!(fakes[0].stats().active, 1, "nobody stopped it");

    let process = Process::on(&store.reopen(), config(&fakes, 1)).await;
    let _next = process.plays(2).await;
    let stats = fakes[0].stats();
    assert_eq!(stats.sessions[&1].ended, Some(Ending::Stopped));
    assert_eq!((stats.most_active, stats.over_limit), (1, 0));
    let history = process.service.history(9).await.unwrap();
    assert_eq!(history[0].ending, Why::TakenOver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_the_last_process_did_not_live_to_hear_of_keeps_its_slot_until_it_must_be_over()
 {
    let idle_timeout = Duration::from_millis(500);
    let hangs = Settings { on_start: OnStart::Hang, idle_timeout, ..Settings::default() };
    let (store, fakes) = (MemoryStore::new(), one_slot(hangs).await);
    let mut config = config(&fakes, 1);
    (config.start_timeout, config.engine_idle) = (Millis(1_000), Millis(700));
    let path = stream_path(1);
    is_killed(&store, config.clone(), async move |process: &Process| {
        let asks = process.ask(hyper::Method::GET, &path);
        let starting = process.until("the start", |seen| seen.engines[0].pending == 1);
        tokio::select! {
            _ = asks => panic!("the engine hangs"),
            _ = starting => {}
        }
    })
    .await;
    fakes[0].change(|settings| settings.on_start = OnStart::Answer);
    let process = Process::on(&store.reopen(), config).await;
    let _next = process.plays(2).await;
    assert_eq!(fakes[0].stats().over_limit, 0);
}

#[tokio::test]
async fn a_service_that_stops_ends_its_players_cleanly_and_its_sessions_at_the_engines() {
    let (store, fakes) = (MemoryStore::new(), engines(2, Settings::default()).await);
    let process = Process::on(&store, config(&fakes, 2)).await;
    let (mut one, mut two) = (process.plays(1).await, process.plays(2).await);
    let stops = process.stop();
    tokio::join!(stops, one.ends(), two.ends());
    assert!(fakes.iter().all(|fake| fake.stats().active == 0));
    let process = Process::on(&store.reopen(), config(&fakes, 2)).await;
    let overview = process.service.overview().await;
    assert_eq!(crate::support::in_use(&overview), 0);
}
