use std::{num::NonZeroU32, sync::Arc};

use interlock_kernel::quota::Limit;
use interlock_runtime::{
    Builder,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};

use super::*;
use crate::{RETENTION, domain::run::Mode, fleet::counter::Counter, register};

/// A desk of a process that hosts fleets, and plays none.
async fn desk(folder: &std::path::Path, run: &Key) -> Desk {
    let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
    let fleets = Fleets::new(folder);
    fleets.set_hosting(true);
    let runtime = register(Builder::new(env), &fleets).start().await.unwrap();
    let plan = Plan {
        server: "ws://127.0.0.1:1/showdown/websocket".to_owned(),
        format: "gen9randombattle".to_owned(),
        mode: Mode::Ladder,
        target: Limit::Of(5),
        shares: NonZeroU32::new(1),
    };
    let counter = Counter::new(&runtime, run.clone());
    counter.open(plan, limits::CLAIM_TTL, RETENTION).await.unwrap();
    Desk { runtime, fleets }
}

fn setup(name: &str, password: &str) -> FleetSetup {
    FleetSetup {
        usernames: vec![name.to_owned()],
        password: Some(password.to_owned()),
        login_url: None,
        password_env: None,
        socket: None,
        workers: None,
        worker_prefix: None,
        player: None,
        teams: None,
        save_replay: None,
    }
}

#[tokio::test]
async fn a_fleet_that_is_refused_leaves_the_password_of_the_one_that_plays() {
    let folder = tempfile::tempdir().unwrap();
    let run = Key::new("test").unwrap();
    let desk = desk(folder.path(), &run).await;
    let start =
        async |name, password| desk.start(&run, &setup(name, password), Caller::local()).await;
    start("one", "first").await.unwrap();
    assert_eq!(start("two", "second").await.unwrap_err().code(), "fleet_playing");
    start("one", "third").await.unwrap();
    assert_eq!(desk.fleets.password(&run), Some(Password::new("first")));
}

#[tokio::test]
async fn a_fleet_that_was_told_to_end_is_not_started_before_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let run = Key::new("test").unwrap();
    let desk = desk(folder.path(), &run).await;
    let start = async || desk.start(&run, &setup("one", "first"), Caller::local()).await;
    start().await.unwrap();
    desk.slow(&run, FleetCommand::Drain, Caller::local()).await.unwrap();
    let refused = start().await.unwrap_err();
    assert_eq!(refused.code(), "fleet_ending");
}
