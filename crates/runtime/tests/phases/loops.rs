//! Handlers that keep each other busy.

use std::sync::atomic::Ordering;

use interlock_kernel::bus::On;
use interlock_runtime::{Meta, Runtime, limits};

use crate::common::{Pass, Relay, fill, key, on_computer, on_filled, start};

fn handled(runtime: &Runtime, entity: &str) -> u64 {
    runtime.status().types[entity].handled.load(Ordering::Relaxed)
}

#[test]
fn handlers_that_feed_each_other_never_wait_for_each_other_for_ever() {
    on_computer(1, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        let (sender, mut done) = computer.env().channel(600);
        for number in 0..600 {
            let (relays, sender) = (runtime.handle::<Relay<0>>(), sender.clone());
            computer.spawn(async move {
                let pass = Pass { tag: format!("{number:03}"), hops: 9 };
                relays.send(&key("r0"), pass, Meta::default()).await.unwrap();
                sender.send(()).await.unwrap();
            });
        }
        for _ in 0..600 {
            done.recv().await.unwrap();
        }
        while handled(&runtime, "ra") < 600 * 5 || handled(&runtime, "rb") < 600 * 5 {
            computer.pause(10).await;
        }
        runtime.stop().await;
        assert_eq!((handled(&runtime, "ra"), handled(&runtime, "rb")), (3_000, 3_000));
    });
}

#[test]
fn handlers_that_never_rest_keep_no_caller_out() {
    on_computer(2, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        // More than a commit holds: handlers could fill every commit alone.
        let restless = 5 * limits::CHUNK_RECORDS as u64;
        for number in 0..restless {
            let (relays, tag) = (runtime.handle::<Relay<0>>(), format!("{number}"));
            computer.spawn(async move {
                let pass = Pass { tag: tag.clone(), hops: u32::MAX };
                relays.send(&key(&tag), pass, Meta::default()).await.unwrap();
            });
        }
        while handled(&runtime, "rb") < restless {
            computer.pause(1).await;
        }
        let before = handled(&runtime, "rb");
        fill(&runtime, "t", 5).await;
        let rounds = (handled(&runtime, "rb") - before) / restless;
        assert!(rounds < 20, "the relays went round {rounds} times before five commands were done");
    });
}
