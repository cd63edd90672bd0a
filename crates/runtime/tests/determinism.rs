//! One seed, one run: everything that the runtime does follows from the seed.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    Command, Computer, Filled, Pass, Relay, RelayHandlers, Tank, id, key, on_computer, on_filled,
};
use interlock_kernel::{
    bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write},
    ids::Key,
    time::Millis,
};
use interlock_runtime::{
    Builder, Runtime,
    effects::{EffectError, EffectHandler, Performed},
    env::{World, seeded::Seeded},
    feed::From,
    store::{Store, StoreError, memory::AppendFault},
};

struct Sky(Seeded);

impl EffectHandler<Tank> for Sky {
    fn perform(&self, _: &Key, effect: u64, _: u32) -> Performed<Tank> {
        let (draw, world) = (self.0.random(), self.0.clone());
        Box::pin(async move {
            world.sleep(Duration::from_micros(draw % 5_000)).await;
            match draw % 3 {
                0 => Err(EffectError("clouds".to_owned())),
                _ => Ok(Command::Rain(effect)),
            }
        })
    }
}

/// Tanks that tell relays, keep rows, pray, and are slow to show.
async fn start(computer: &Computer) -> Runtime {
    let tell = Write::new("tell", |_: &Filled, origin: &Origin| {
        if origin.version.0.is_multiple_of(7) {
            return Err(HandlerError("never".to_owned()));
        }
        let tag = format!("{}@{}", origin.key, origin.version);
        let row = RowChange::Put {
            table: "tags".to_owned(),
            key: tag.clone().into_bytes(),
            value: vec![],
        };
        Ok(Reaction::none().send::<Relay<0>>(key("r0"), Pass { tag, hops: 4 }).row(row))
    });
    let world = computer.world.clone();
    let show = Read::later("show", move |_: &Filled, _: &Origin| {
        let sleep = world.sleep(Duration::from_micros(world.random() % 2_000));
        async move {
            sleep.await;
            Ok(())
        }
    });
    Builder::new(computer.env())
        .entity_with::<Tank, _>(
            on_filled(On { write: vec![tell], read: vec![show] }),
            Some(Arc::new(Sky(computer.world.clone()))),
        )
        .entity_with::<Relay<0>, _>(RelayHandlers::to::<1>(2), None)
        .entity_with::<Relay<1>, _>(RelayHandlers::to::<0>(2), None)
        .start()
        .await
        .unwrap()
}

/// Commands of every kind from several clients, with faults, a crash and readers of the feed.
async fn busy(computer: Computer) -> Vec<Bytes> {
    for life in 0..2 {
        let runtime = start(&computer).await;
        for client in 0..4 {
            let (mut feed, sender) =
                (runtime.feed(From::Start, None).await.unwrap(), computer.clone());
            let follower = computer.clone();
            computer.spawn(async move {
                while let Ok(Some(_)) = feed.next().await {
                    // No two followers are alike, or nobody could tell them apart.
                    follower.world.sleep(Duration::from_micros(37 * client)).await;
                }
            });
            let tanks = runtime.handle::<Tank>();
            computer.spawn(async move {
                for number in 0..12 {
                    let tank = key(&format!("t{}", sender.dice(3)));
                    let command = match sender.dice(7) {
                        0 => Command::Pray,
                        1 => Command::Alarm(Millis(sender.dice(20))),
                        2 => Command::Drain { amount: 2, wait: Millis(sender.dice(9)) },
                        3 => Command::Drip(3),
                        _ => Command::Fill(1),
                    };
                    // Some ids come twice.
                    let name = id(&format!("{life}-{client}-{}", number - number % 5 / 4));
                    let _ = tanks.send(&tank, command, name).await;
                    sender.idle(10).await;
                }
            });
        }
        for _ in 0..20 {
            computer.idle(20).await;
            let error = StoreError::Failed("a fault".to_owned());
            match computer.dice(8) {
                0 => computer.disk().fail_next_append(AppendFault::Refused(error)),
                1 => computer.disk().fail_next_append(AppendFault::UnknownWritten(error)),
                2 => computer.disk().fail_next_append(AppendFault::UnknownLost(error)),
                3 => computer.disk().fail_next_rows(error),
                _ => {}
            }
        }
        computer.pause(200).await;
        if life == 1 {
            runtime.stop().await;
        }
        computer.crash();
    }
    let chunks =
        computer.disk().read(interlock_kernel::ids::Position(1), usize::MAX).await.unwrap();
    chunks.into_iter().map(|chunk| chunk.bytes).collect()
}

/// Every step and every byte of one run.
fn run(seed: u64) -> (Vec<(Duration, &'static str)>, Vec<Bytes>) {
    let world = Arc::new(std::sync::Mutex::new(None));
    let kept = world.clone();
    let log = on_computer(seed, move |computer| {
        *kept.lock().unwrap() = Some(computer.world.clone());
        busy(computer)
    });
    let world = world.lock().unwrap().take().unwrap();
    (world.trace(), log)
}

#[test]
fn the_same_seed_takes_the_same_steps_and_writes_the_same_bytes() {
    for seed in 0..5 {
        let (first, second) = (run(seed), run(seed));
        assert!(first.0.len() > 1_000 && first.1.len() > 20, "the run was busy");
        let differs = first.0.iter().zip(&second.0).position(|(one, other)| one != other);
        assert_eq!(differs, None, "the first step that differs");
        assert!(first == second);
    }
}

#[test]
fn another_seed_takes_other_steps() {
    let (first, second) = (run(1), run(2));
    assert!(first.0 != second.0);
    assert!(first.1 != second.1);
}
