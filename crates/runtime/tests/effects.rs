//! Calls to the outside: made until they are answered, answered once.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Command, Computer, Tank, key, on_computer};
use interlock_kernel::{
    bus::NoHandlers,
    ids::{Key, Version},
    time::Millis,
};
use interlock_runtime::{
    Builder, Meta, Runtime, View,
    effects::{EffectError, EffectHandler, Performed},
    env::{World, seeded::Seeded},
    limits,
    store::{StoreError, memory::AppendFault},
};

/// What the outside does about a try.
#[derive(Clone)]
enum Weather {
    /// Answers after that many milliseconds.
    After(u64, Command),
    Fails,
    Hangs,
    Panics,
    PanicsLater,
}

/// The outside, which notes when it was asked and how many ask at once.
#[derive(Clone)]
struct Sky {
    world: Seeded,
    weather: fn(u32) -> Weather,
    asked: Arc<Mutex<Vec<(String, u32, Duration)>>>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Sky {
    fn new(computer: &Computer, weather: fn(u32) -> Weather) -> Self {
        let world = computer.world.clone();
        Self { world, weather, asked: Arc::default(), now: Arc::default(), most: Arc::default() }
    }

    async fn start(&self, computer: &Computer) -> Runtime {
        let builder = Builder::new(computer.env());
        builder
            .entity_with::<Tank, _>(NoHandlers, Some(Arc::new(self.clone())))
            .start()
            .await
            .unwrap()
    }

    /// The tries so far, and when each began, in milliseconds after the first.
    fn tries(&self) -> Vec<(u32, u128)> {
        let asked = self.asked.lock().unwrap();
        let first = asked.first().map_or(Duration::ZERO, |(_, _, at)| *at);
        asked.iter().map(|(_, attempt, at)| (*attempt, (*at - first).as_millis())).collect()
    }
}

impl EffectHandler<Tank> for Sky {
    fn perform(&self, key: &Key, _: u64, attempt: u32) -> Performed<Tank> {
        self.asked.lock().unwrap().push((key.to_string(), attempt, self.world.now()));
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let (weather, sky) = ((self.weather)(attempt), self.clone());
        assert!(!matches!(weather, Weather::Panics), "lightning");
        Box::pin(async move {
            let result = match weather {
                Weather::After(ms, command) => {
                    sky.world.sleep(Duration::from_millis(ms)).await;
                    Ok(command)
                }
                Weather::Fails => Err(EffectError("clouds".to_owned())),
                Weather::Hangs => std::future::pending().await,
                Weather::PanicsLater => panic!("thunder"),
                Weather::Panics => unreachable!("it panicked before"),
            };
            sky.now.fetch_sub(1, Ordering::Relaxed);
            result
        })
    }
}

async fn send(runtime: &Runtime, tank: &str, command: Command) {
    runtime.handle::<Tank>().send(&key(tank), command, Meta::default()).await.unwrap();
}

async fn look(runtime: &Runtime, tank: &str) -> View<Tank> {
    runtime.handle::<Tank>().view(&key(tank)).await.unwrap()
}

async fn until_version(computer: &Computer, runtime: &Runtime, tank: &str, version: u64) {
    let tanks = runtime.handle::<Tank>();
    // A view that rests on a refused commit is refused, too.
    while !tanks.view(&key(tank)).await.is_ok_and(|view| view.version >= Version(version)) {
        computer.pause(1).await;
    }
}

/// One prayer under this weather: the runtime once it is answered, and the sky.
async fn pray(computer: &Computer, weather: fn(u32) -> Weather) -> (Runtime, Sky) {
    let sky = Sky::new(computer, weather);
    let runtime = sky.start(computer).await;
    send(&runtime, "t", Command::Pray).await;
    until_version(computer, &runtime, "t", 2).await;
    (runtime, sky)
}

#[test]
fn the_answer_comes_as_one_command() {
    on_computer(1, |computer| async move {
        let (runtime, sky) = pray(&computer, |_| Weather::After(5, Command::Rain(3))).await;
        computer.pause(10_000).await;
        let view = look(&runtime, "t").await;
        assert_eq!((view.state.level, view.version), (3, Version(2)));
        assert_eq!(sky.tries(), [(1, 0)]);
    });
}

#[test]
fn a_failed_call_is_made_again_after_growing_pauses() {
    on_computer(2, |computer| async move {
        let weather = |attempt| match attempt {
            1 | 2 => Weather::Fails,
            _ => Weather::After(0, Command::Rain(3)),
        };
        let (runtime, sky) = pray(&computer, weather).await;
        assert_eq!(sky.tries(), [(1, 0), (2, 10), (3, 30)]);
        assert_eq!(look(&runtime, "t").await.state.level, 3);
    });
}

#[test]
fn a_call_that_takes_too_long_or_panics_has_failed_and_the_fallback_answers() {
    for (weather, last) in [
        ((|_| Weather::Hangs) as fn(u32) -> Weather, (3, 2_030)),
        (|_| Weather::Panics, (3, 30)),
        (|_| Weather::PanicsLater, (3, 30)),
        (|_| Weather::Fails, (3, 30)),
    ] {
        on_computer(3, move |computer| async move {
            let (runtime, sky) = pray(&computer, weather).await;
            assert_eq!(sky.tries().last(), Some(&last));
            computer.pause(10_000).await;
            let view = look(&runtime, "t").await;
            assert_eq!(
                (view.state.level, view.version),
                (0, Version(2)),
                "the fallback is Rain(0)"
            );
        });
    }
}

#[test]
fn an_answer_that_is_rejected_or_changes_nothing_is_an_answer_also_after_a_restart() {
    const REJECTED: Command = Command::Drain { amount: 9, wait: Millis(0) };
    for weather in [(|_| Weather::After(0, REJECTED)) as fn(u32) -> Weather, |_| {
        Weather::After(0, Command::Fill(0))
    }] {
        on_computer(4, move |computer| async move {
            let sky = Sky::new(&computer, weather);
            let runtime = sky.start(&computer).await;
            send(&runtime, "t", Command::Pray).await;
            computer.pause(100).await;
            computer.crash();
            let runtime = sky.start(&computer).await;
            computer.pause(1_000).await;
            assert_eq!(sky.tries().len(), 1);
            assert_eq!(look(&runtime, "t").await.version, Version(1), "nothing has changed");
        });
    }
}

#[test]
fn a_closed_entity_takes_its_answer_in_and_asks_no_more() {
    on_computer(5, |computer| async move {
        let sky = Sky::new(&computer, |_| Weather::After(50, Command::Rain(3)));
        let runtime = sky.start(&computer).await;
        send(&runtime, "t", Command::Pray).await;
        send(&runtime, "t", Command::Close).await;
        computer.pause(100).await;
        computer.crash();
        let runtime = sky.start(&computer).await;
        computer.pause(100).await;
        assert_eq!(look(&runtime, "t").await.state.level, 0, "it is closed");
        assert_eq!(sky.tries().len(), 1);
    });
}

#[test]
fn every_call_is_answered_exactly_once_across_crashes() {
    for seed in 0..60 {
        on_computer(seed, |computer| async move {
            let weather = |attempt| match attempt {
                1 => Weather::Fails,
                _ => Weather::After(3, Command::Rain(1)),
            };
            let sky = Sky::new(&computer, weather);
            for _ in 0..4 {
                let runtime = sky.start(&computer).await;
                for tank in ["a", "b", "c"] {
                    let (tanks, computer) = (runtime.handle::<Tank>(), computer.clone());
                    computer.clone().spawn(async move {
                        for _ in 0..3 {
                            // After the crash nobody answers.
                            let _ = tanks.send(&key(tank), Command::Pray, Meta::default()).await;
                            computer.idle(30).await;
                        }
                    });
                }
                computer.idle(300).await;
                computer.crash();
            }
            let runtime = sky.start(&computer).await;
            computer.pause(2_000).await;
            for tank in ["a", "b", "c"] {
                let state = look(&runtime, tank).await.state;
                assert_eq!(state.level, state.calls, "{tank} got an answer for every prayer");
            }
        });
    }
}

#[test]
fn calls_under_way_are_bounded_and_all_are_made() {
    on_computer(6, |computer| async move {
        let sky = Sky::new(&computer, |_| Weather::After(20, Command::Rain(1)));
        let runtime = sky.start(&computer).await;
        let count = limits::EFFECTS_AT_ONCE * 2;
        for number in 0..count {
            let (tanks, key) = (runtime.handle::<Tank>(), key(&format!("{number}")));
            computer.spawn(async move {
                tanks.send(&key, Command::Pray, Meta::default()).await.unwrap();
            });
        }
        while sky.asked.lock().unwrap().len() < count {
            computer.pause(5).await;
        }
        assert_eq!(sky.most.load(Ordering::Relaxed), limits::EFFECTS_AT_ONCE);
    });
}

#[test]
fn an_entity_that_is_read_again_makes_no_second_call_of_one_under_way() {
    on_computer(7, |computer| async move {
        let sky = Sky::new(&computer, |_| Weather::After(900, Command::Rain(1)));
        let runtime = sky.start(&computer).await;
        send(&runtime, "t", Command::Pray).await;
        let full = || AppendFault::Refused(StoreError::Full("no room".to_owned()));
        computer.disk().fail_next_append(full());
        let tanks = runtime.handle::<Tank>();
        tanks.send(&key("t"), Command::Fill(1), Meta::default()).await.unwrap_err();
        // The answer's own commit is refused once, too.
        computer.pause(850).await;
        computer.disk().fail_next_append(full());
        until_version(&computer, &runtime, "t", 2).await;
        computer.pause(3_000).await;
        let view = look(&runtime, "t").await;
        assert_eq!((view.state.level, view.version), (1, Version(2)));
        assert_eq!(sky.tries().len(), 1);
    });
}

#[test]
fn a_stopped_runtime_calls_nobody_and_the_next_one_calls_again() {
    on_computer(8, |computer| async move {
        let sky = Sky::new(&computer, |_| Weather::Fails);
        let runtime = sky.start(&computer).await;
        send(&runtime, "t", Command::Pray).await;
        computer.pause(1).await;
        runtime.stop().await;
        assert_eq!(sky.tries().len(), 1);
        computer.pause(60_000).await;
        assert_eq!(sky.tries().len(), 1, "the second try would have come after 10 ms");
        computer.crash();
        let runtime = sky.start(&computer).await;
        until_version(&computer, &runtime, "t", 2).await;
        assert_eq!(sky.tries().len(), 4);
    });
}
