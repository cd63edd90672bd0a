//! Timers: at their time or soon after, never before, once.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Command, Computer, NOW, Tank, key, on_computer};
use interlock_kernel::{
    ids::Version,
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Meta, Runtime,
    feed::{FeedEvent, From},
    store::{StoreError, memory::AppendFault},
};

async fn start(computer: &Computer) -> Runtime {
    Builder::new(computer.env()).entity::<Tank>().start().await.unwrap()
}

async fn send(runtime: &Runtime, tank: &str, command: Command) {
    runtime.handle::<Tank>().send(&key(tank), command, Meta::default()).await.unwrap();
}

async fn rings(runtime: &Runtime, tank: &str) -> u64 {
    runtime.handle::<Tank>().view(&key(tank)).await.unwrap().state.rings
}

fn later(name: &str, after: u64) -> Command {
    let (name, then) = (name.to_owned(), Box::new(Command::Ring));
    Command::Later { name, after: Millis(after), then }
}

/// All events so far.
async fn events(runtime: &Runtime, count: usize) -> Vec<FeedEvent> {
    let mut feed = runtime.feed(From::Start, None).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(feed.next().await.unwrap().unwrap());
    }
    events
}

#[test]
fn a_timer_fires_once_at_its_time_and_never_before() {
    on_computer(1, |computer| async move {
        let runtime = start(&computer).await;
        send(&runtime, "t", Command::Alarm(Millis(5_000))).await;
        computer.pause(4_900).await;
        assert_eq!(rings(&runtime, "t").await, 0);
        computer.pause(60_000).await;
        assert_eq!(rings(&runtime, "t").await, 1);
        let events = events(&runtime, 2).await;
        let waited = events[1].at.since(events[0].at);
        assert!((5_000..5_010).contains(&waited.0), "it rang after {waited:?}");
    });
}

#[test]
fn setting_a_timer_again_replaces_it_and_cancelling_forgets_it() {
    on_computer(2, |computer| async move {
        let runtime = start(&computer).await;
        for (first, second) in [(1_000, 5_000), (5_000, 1_000)] {
            send(&runtime, "t", later("bell", first)).await;
            send(&runtime, "t", later("bell", second)).await;
        }
        send(&runtime, "t", later("other", 500)).await;
        send(&runtime, "t", later("gone", 500)).await;
        send(&runtime, "t", Command::Silence("gone".to_owned())).await;
        send(&runtime, "t", Command::Silence("unknown".to_owned())).await;
        computer.pause(20_000).await;
        assert_eq!(rings(&runtime, "t").await, 2, "one bell, one other");
    });
}

#[test]
fn a_timer_outlives_a_crash_and_a_stop_and_wakes_an_entity_that_is_not_in_memory() {
    for stops in [false, true] {
        on_computer(3, move |computer| async move {
            let runtime = start(&computer).await;
            send(&runtime, "past", Command::Alarm(Millis(1_000))).await;
            send(&runtime, "future", Command::Alarm(Millis(20_000))).await;
            if stops {
                runtime.stop().await;
            }
            computer.crash();
            computer.pause(10_000).await;
            let runtime = start(&computer).await;
            computer.pause(1_000).await;
            // Nobody asks for the entities before their time has come.
            assert_eq!(runtime.env().store().span().await.unwrap().end.0, 4, "one more record");
            computer.pause(20_000).await;
            assert_eq!((rings(&runtime, "past").await, rings(&runtime, "future").await), (1, 1));
            computer.crash();
            let runtime = start(&computer).await;
            computer.pause(60_000).await;
            assert_eq!((rings(&runtime, "past").await, rings(&runtime, "future").await), (1, 1));
        });
    }
}

#[test]
fn a_timer_whose_command_is_rejected_or_changes_nothing_is_over_also_after_a_restart() {
    let nothing = || Command::Fill(0);
    let rejected = || Command::Drain { amount: 1, wait: Millis(0) };
    for then in [nothing, rejected] {
        on_computer(4, move |computer| async move {
            let runtime = start(&computer).await;
            let name = "bell".to_owned();
            let then = Box::new(then());
            send(&runtime, "t", Command::Later { name, after: Millis(100), then }).await;
            computer.pause(1_000).await;
            // Now the same command would do something.
            send(&runtime, "t", Command::Fill(5)).await;
            computer.crash();
            let runtime = start(&computer).await;
            computer.pause(1_000).await;
            let view = runtime.handle::<Tank>().view(&key("t")).await.unwrap();
            assert_eq!((view.state.level, view.version), (5, Version(2)));
        });
    }
}

#[test]
fn a_command_is_decided_at_the_time_at_which_it_comes_however_long_nobody_came() {
    on_computer(6, |computer| async move {
        let runtime = start(&computer).await;
        send(&runtime, "t", Command::Fill(1)).await;
        // Longer than any upkeep, and not as long as anything else.
        for pause in [500, 59_999] {
            computer.pause(pause).await;
            let now = computer.env().wall();
            let tanks = runtime.handle::<Tank>();
            let receipt = tanks.send(&key("t"), Command::Fill(1), Meta::default()).await.unwrap();
            assert!(receipt.at >= now, "decided at {:?}, asked at {now:?}", receipt.at);
        }
    });
}

#[test]
fn every_timer_fires_exactly_once_across_crashes_and_refused_commits() {
    for seed in 0..60 {
        on_computer(seed, |computer| async move {
            for life in 0..4 {
                let runtime = start(&computer).await;
                for tank in ["a", "b", "c"] {
                    let (tanks, computer) = (runtime.handle::<Tank>(), computer.clone());
                    computer.clone().spawn(async move {
                        for number in 0..4 {
                            let bell = later(&format!("{life}-{number}"), 1 + computer.dice(30));
                            // After the crash nobody answers.
                            let _ = tanks.send(&key(tank), bell, Meta::default()).await;
                            computer.idle(30).await;
                        }
                    });
                }
                for _ in 0..computer.dice(6) {
                    computer.pause(computer.dice(30)).await;
                    if computer.dice(2) == 0 {
                        let full = StoreError::Full("no room".to_owned());
                        computer.disk().fail_next_append(AppendFault::Refused(full));
                    }
                }
                computer.crash();
            }
            let runtime = start(&computer).await;
            computer.pause(3_000).await;
            for tank in ["a", "b", "c"] {
                let state = runtime.handle::<Tank>().view(&key(tank)).await.unwrap().state;
                assert_eq!(state.rings, state.calls, "{tank}: every bell that was set rang once");
                assert!(runtime.recount("tank", &key(tank)).await.unwrap());
            }
        });
    }
}

#[test]
fn log_time_never_goes_back_and_timers_keep_firing_when_the_clock_is_set_back() {
    on_computer(5, |computer| async move {
        let runtime = start(&computer).await;
        send(&runtime, "t", Command::Alarm(Millis(5_000))).await;
        computer.world.set_wall(Time(NOW.0 - 3_600_000));
        send(&runtime, "t", Command::Fill(1)).await;
        computer.pause(6_000).await;
        assert_eq!(rings(&runtime, "t").await, 1, "an hour back makes nobody wait for an hour");
        send(&runtime, "t", Command::Alarm(Millis(5_000))).await;
        computer.crash();
        let runtime = start(&computer).await;
        computer.pause(6_000).await;
        assert_eq!(rings(&runtime, "t").await, 2);
        let times: Vec<Time> = events(&runtime, 5).await.iter().map(|event| event.at).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(times[0] >= NOW);
    });
}

#[test]
fn half_a_million_pending_timers_hold_up_nobody() {
    on_computer(6, |computer| async move {
        let runtime = start(&computer).await;
        let year = Millis(365 * 86_400_000);
        for number in 0..5_000 {
            let alarms = Command::Alarms { count: 100, after: year };
            send(&runtime, &format!("{number}"), alarms).await;
        }
        send(&runtime, "17", later("soon", 60_000)).await;
        computer.crash();
        let runtime = start(&computer).await;
        send(&runtime, "18", later("soon", 60_000)).await;
        computer.pause(70_000).await;
        for (tank, rung) in [("17", 1), ("18", 1), ("19", 0)] {
            assert_eq!(rings(&runtime, tank).await, rung, "{tank}");
        }
    });
}
