//! Handlers that keep each other busy.

use std::sync::atomic::Ordering;

use interlock_kernel::bus::On;
use interlock_runtime::{Meta, Runtime};

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
    for seed in 0..5 {
        on_computer(seed, |computer| async move {
            let runtime = start(&computer, on_filled(On::nobody())).await;
            for number in 0..50 {
                let (tag, hops) = (format!("{number:02}"), u32::MAX);
                let pass = Pass { tag, hops };
                runtime.handle::<Relay<0>>().send(&key("r0"), pass, Meta::default()).await.unwrap();
            }
            let before = computer.env().now();
            fill(&runtime, "t", 20).await;
            let took = computer.env().now() - before;
            assert!(took.as_millis() < 500, "twenty commands took {took:?}");
            assert!(handled(&runtime, "ra") > 50, "the relays went on meanwhile");
        });
    }
}
