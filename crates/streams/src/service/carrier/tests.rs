//! What cannot be brought about from outside: a defect of our own, and a moment between two steps.

use std::time::Duration;

use interlock_kernel::time::Millis;

use super::{slot::Standing, *};
use crate::{
    domain::engines::Asker,
    io::disconnect::Disconnect,
    service::tests::{Stage, config, fake, flows, key, service},
};

#[tokio::test]
async fn a_carrier_that_panics_leaves_nobody_waiting_and_no_slot_behind() {
    let fake = fake().await;
    let service = service(config(&fake, 1)).await;
    let shared = &service.0;
    let deadline = Instant::now() + shared.config.start_deadline.as_duration();
    let (live, feed) = Live::new(&key(1), deadline);
    let live = Arc::new(live);
    let _player = live.hub.join(Disconnect::default()).unwrap();
    let mut phase = live.phase.subscribe();
    let held = Held::none(shared, &live);
    let panics = async {
        let _feed = feed;
        let (grant, _) = acquire(shared, &live, &BTreeSet::new()).await?.expect("there is one");
        held.take(&grant);
        let Tried::Flows { .. } = start(shared, &live, &grant, Instant::now()).await else {
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

#[tokio::test]
async fn who_leaves_the_line_lets_those_behind_have_the_slot() {
    let stage = Stage::new(2, Millis::from_secs(60)).await;
    stage.closes("a").await;
    let asker = Asker { stream: "x".to_owned(), avoid: BTreeSet::new() };
    let ahead = Standing::last(&stage.service.0, asker);
    let behind = stage.plays(1);
    // By now it was told, or will be, that the free slot is for the one ahead, and the other one closing.
    stage.until_line_is(2).await;
    drop(ahead);
    let _player = flows(behind).await;
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_does_not_close_in_time_is_out_of_time_and_not_full() {
    let stage = Stage::new(1, Millis::from_secs(60)).await;
    stage.closes("a").await;
    let begun = Instant::now();
    let (live, _feed) = Live::new(&key(1), begun + Duration::from_secs(7));
    let live = Arc::new(live);
    let _player = live.hub.join(Disconnect::default()).unwrap();
    let ended = acquire(&stage.service.0, &live, &BTreeSet::new()).await;
    assert!(matches!(ended, Err(Unplayed::Refused(PlayError::OutOfTime(_)))));
    assert_eq!(begun.elapsed().as_secs(), 7);
}
