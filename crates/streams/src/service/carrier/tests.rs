//! What cannot be brought about from outside: a defect of our own.

use interlock_runtime::{
    Builder,
    env::{Env, tokio::Tokio},
    store::memory::MemoryStore,
};

use super::*;
use crate::{
    fake::FakeEngine,
    io::disconnect::Disconnect,
    service::{Config, EngineConfig, Freed, Service, register},
};

async fn service(fake: &FakeEngine) -> Service {
    let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
    let freed = Freed::default();
    let runtime = register(Builder::new(env), &freed).start().await.unwrap();
    let name = Member::new("engine").unwrap();
    let engine = EngineConfig { name, url: fake.url(), limit: 1, forwarded: false };
    let config = Config { engines: vec![engine], ..Config::default() };
    Service::start(&runtime, config, freed).await.unwrap()
}

#[tokio::test]
async fn a_carrier_that_panics_leaves_nobody_waiting_and_no_slot_behind() {
    let fake = FakeEngine::start(crate::fake::Settings::default()).await.unwrap();
    let service = service(&fake).await;
    let shared = &service.0;
    let key = engine::StreamKey::ContentId("0".repeat(40));
    let (live, feed) = Live::new(&key);
    let live = Arc::new(live);
    let _player = live.hub.join(Disconnect::default()).unwrap();
    let mut phase = live.phase.subscribe();
    let held = Held { shared, live: &live, lease: Mutex::new(None) };
    let panics = async {
        let _feed = feed;
        let deadline = Instant::now() + Duration::from_secs(60);
        let (grant, _) = acquire(shared, &live, &BTreeSet::new(), deadline).await?;
        held.take(&grant);
        let Tried::Flows { .. } = start(shared, &live, &grant, Instant::now(), deadline).await
        else {
            panic!("the engine works");
        };
        assert_eq!(fake.stats().active, 1);
        panic!("on purpose");
    };
    to_its_end(&held, panics).await;
    assert!(matches!(&*phase.borrow_and_update(), Phase::Failed(PlayError::NoEngine(_))));
    assert!(shared.streams().held.is_empty());
    fake.wait_until(|stats| stats.active == 0).await;
    assert_eq!(fake.stats().stop_requests, 1);
}
