//! The path of a command: decided once, remembered, waited for, refused clearly.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Command, TooLittle, id, key, on_computer, seeded, tanks};
use interlock_kernel::{ids::Version, time::Millis};
use interlock_runtime::{Meta, SendError};

use crate::common::Tank;

#[test]
fn a_command_changes_its_entity_and_is_seen_by_the_next_read() {
    seeded(1, |env| async move {
        let tanks = tanks(env).await.handle::<Tank>();
        let receipt = tanks.send(&key("a"), Command::Fill(3), Meta::default()).await.unwrap();
        assert_eq!((receipt.reply, receipt.version, receipt.changed), (3, Version(1), true));
        let view = tanks.view(&key("a")).await.unwrap();
        assert_eq!((view.state.level, view.version), (3, Version(1)));
        let other = tanks.view(&key("b")).await.unwrap();
        assert_eq!((other.state.level, other.version), (0, Version(0)));
    });
}

#[test]
fn a_repeated_id_gets_the_recorded_reply_and_no_second_effect_even_after_a_restart() {
    seeded(2, |env| async move {
        let runtime = tanks(env.clone()).await;
        let handle = runtime.handle::<Tank>();
        let first = handle.send(&key("a"), Command::Fill(3), id("x")).await.unwrap();
        let again = handle.send(&key("a"), Command::Fill(3), id("x")).await.unwrap();
        assert_eq!((again.reply, again.version, again.replayed), (3, first.version, true));
        handle.send(&key("a"), Command::Fill(5), id("y")).await.unwrap();
        // No stop: like a crash, everything in memory is lost.
        let runtime = tanks(env).await;
        let handle = runtime.handle::<Tank>();
        let again = handle.send(&key("a"), Command::Fill(3), id("x")).await.unwrap();
        assert_eq!((again.reply, again.version, again.replayed), (3, first.version, true));
        assert_eq!(handle.view(&key("a")).await.unwrap().state.level, 8);
    });
}

#[test]
fn an_id_used_for_another_request_is_refused() {
    seeded(3, |env| async move {
        let handle = tanks(env).await.handle::<Tank>();
        let meta = |fingerprint| Meta { fingerprint, ..id("x") };
        handle.send(&key("a"), Command::Fill(3), meta(1)).await.unwrap();
        let other = handle.send(&key("a"), Command::Fill(4), meta(2)).await;
        assert_eq!(other.unwrap_err(), SendError::IdReused);
        // Ids are scoped to their entity.
        assert!(handle.send(&key("b"), Command::Fill(4), meta(2)).await.is_ok());
    });
}

#[test]
fn a_rejection_is_not_remembered() {
    seeded(4, |env| async move {
        let handle = tanks(env).await.handle::<Tank>();
        let drain = || Command::Drain { amount: 2, wait: Millis(0) };
        let refused = handle.send(&key("a"), drain(), id("x")).await.unwrap_err();
        let rejection = TooLittle { level: 0 };
        assert_eq!(refused, SendError::Rejected { rejection, version: Version(0) });
        handle.send(&key("a"), Command::Fill(3), Meta::default()).await.unwrap();
        let now = handle.send(&key("a"), drain(), id("x")).await.unwrap();
        assert_eq!((now.reply, now.replayed), (1, false));
    });
}

#[test]
fn a_waiting_command_proceeds_when_it_can_and_in_order() {
    seeded(5, |env| async move {
        let handle = tanks(env.clone()).await.handle::<Tank>();
        let (sender, mut done) = env.channel(8);
        for (name, amount) in [("first", 5), ("second", 1), ("third", 1)] {
            let (handle, sender) = (handle.clone(), sender.clone());
            let before = handle.view(&key("a")).await.unwrap().waiting;
            let waiting = handle.clone();
            env.spawn("waiter", async move {
                let drain = Command::Drain { amount, wait: Millis(10_000) };
                let result = handle.send(&key("a"), drain, Meta::default()).await;
                sender.send((name, result.map(|receipt| receipt.reply))).await.unwrap();
            });
            while waiting.view(&key("a")).await.unwrap().waiting == before {
                env.sleep(Millis(1)).await;
            }
        }
        // Two fit the second and the third; the first goes on waiting and blocks nobody.
        handle.send(&key("a"), Command::Fill(2), Meta::default()).await.unwrap();
        let mut served = vec![done.recv().await.unwrap(), done.recv().await.unwrap()];
        served.sort_by_key(|(name, _)| *name);
        assert_eq!(served, [("second", Ok(1)), ("third", Ok(0))]);
        let (name, timed_out) = done.recv().await.unwrap();
        assert_eq!(name, "first");
        let rejection = TooLittle { level: 0 };
        assert!(
            matches!(timed_out, Err(SendError::Rejected { rejection: r, .. }) if r == rejection)
        );
    });
}

#[test]
fn a_repeat_of_a_waiting_command_waits_for_the_same_answer() {
    seeded(6, |env| async move {
        let handle = tanks(env.clone()).await.handle::<Tank>();
        let drain = || Command::Drain { amount: 2, wait: Millis(10_000) };
        let (sender, mut done) = env.channel(2);
        for _ in 0..2 {
            let (handle, sender) = (handle.clone(), sender.clone());
            env.spawn("waiter", async move {
                let receipt = handle.send(&key("a"), drain(), id("x")).await.unwrap();
                sender.send((receipt.version, receipt.replayed)).await.unwrap();
            });
        }
        while handle.view(&key("a")).await.unwrap().waiting == 0 {
            env.sleep(Millis(1)).await;
        }
        handle.send(&key("a"), Command::Fill(9), Meta::default()).await.unwrap();
        let mut answers = vec![done.recv().await.unwrap(), done.recv().await.unwrap()];
        answers.sort();
        assert_eq!(answers, [(Version(2), false), (Version(2), true)]);
        assert_eq!(handle.view(&key("a")).await.unwrap().state.level, 7);
    });
}

#[test]
fn a_command_that_changes_nothing_is_not_remembered() {
    seeded(7, |env| async move {
        let handle = tanks(env).await.handle::<Tank>();
        let none = handle.send(&key("a"), Command::Fill(0), id("x")).await.unwrap();
        assert_eq!((none.changed, none.version), (false, Version(0)));
        let some = handle.send(&key("a"), Command::Fill(1), id("x")).await.unwrap();
        assert_eq!((some.changed, some.replayed), (true, false));
    });
}

#[test]
fn a_closed_entity_answers_repeats_and_nothing_else() {
    seeded(8, |env| async move {
        let handle = tanks(env).await.handle::<Tank>();
        handle.send(&key("a"), Command::Fill(1), id("x")).await.unwrap();
        handle.send(&key("a"), Command::Close, id("c")).await.unwrap();
        let late = handle.send(&key("a"), Command::Fill(1), id("y")).await.unwrap_err();
        assert_eq!(late, SendError::Closed { version: Version(2) });
        assert!(handle.send(&key("a"), Command::Fill(1), id("x")).await.unwrap().replayed);
        assert!(handle.send(&key("a"), Command::Close, id("c")).await.unwrap().replayed);
        assert!(handle.view(&key("a")).await.unwrap().closed);
    });
}

#[test]
fn a_broken_invariant_sets_one_entity_aside_and_no_other() {
    on_computer(9, |computer| async move {
        let runtime = tanks(computer.env()).await;
        let handle = runtime.handle::<Tank>();
        handle.send(&key("a"), Command::Fill(1), Meta::default()).await.unwrap();
        let burst = handle.send(&key("a"), Command::Burst, Meta::default()).await.unwrap_err();
        assert!(matches!(burst, SendError::Poisoned { .. }), "{burst}");
        let after = handle.view(&key("a")).await.unwrap_err();
        assert!(after.to_string().contains("the tank burst"), "{after}");
        assert!(handle.send(&key("b"), Command::Fill(1), Meta::default()).await.is_ok());
        // Nothing of the broken decision was kept; but the same binary goes on refusing.
        runtime.stop().await;
        computer.crash();
        let handle = tanks(computer.env()).await.handle::<Tank>();
        let after = handle.send(&key("a"), Command::Fill(1), Meta::default()).await.unwrap_err();
        assert!(matches!(after, SendError::Poisoned { .. }), "{after}");
    });
}

#[test]
fn a_long_history_is_read_back_from_its_newest_snapshot() {
    seeded(10, |env| async move {
        let handle = tanks(env.clone()).await.handle::<Tank>();
        for _ in 0..500 {
            handle.send(&key("a"), Command::Fill(1), Meta::default()).await.unwrap();
        }
        let handle = tanks(env).await.handle::<Tank>();
        let view = handle.view(&key("a")).await.unwrap();
        assert_eq!((view.state.level, view.version), (500, Version(500)));
    });
}
