//! Write handlers that go on failing.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use interlock_kernel::{
    bus::{HandlerError, On, Origin, Reaction, Read, Write},
    ids::{Position, Version},
};
use interlock_runtime::Runtime;

use crate::common::{
    Computer, Filled, Journal, Pass, Relay, fill, key, on_computer, on_filled, start,
};

/// Handlers that fail for tank `bad` while the switch is on, and otherwise tell relay `sink`.
struct Moody {
    broken: Arc<AtomicBool>,
    journal: Journal,
}

impl Moody {
    fn new() -> Self {
        Self { broken: Arc::new(AtomicBool::new(true)), journal: Journal::default() }
    }

    async fn start(&self, computer: &Computer) -> Runtime {
        let (broken, writes, reads) =
            (self.broken.clone(), self.journal.clone(), self.journal.clone());
        let write = Write::new("tell", move |_: &Filled, origin: &Origin| {
            writes.note(1, "tell", origin);
            if origin.key.as_str() == "bad" && broken.load(Ordering::Relaxed) {
                return Err(HandlerError("it rains".to_owned()));
            }
            let tag = format!("{}@{}", origin.key, origin.version);
            Ok(Reaction::none().send::<Relay<0>>(key("sink"), Pass { tag, hops: 0 }))
        });
        let read = Read::new("show", move |_: &Filled, origin: &Origin| {
            reads.note(2, "show", origin);
        });
        start(computer, on_filled(On { write: vec![write], read: vec![read] })).await
    }

    fn shown(&self, tank: &str) -> Vec<u64> {
        self.journal.versions("show", &format!("tank/{tank}"))
    }

    async fn until_shown(&self, computer: &Computer, tank: &str, count: usize) {
        while self.shown(tank).len() < count {
            computer.pause(1).await;
        }
    }
}

async fn until_parked(computer: &Computer, runtime: &Runtime) {
    while runtime.dead_letters().await.unwrap().is_empty() {
        computer.pause(10).await;
    }
}

#[test]
fn a_write_handler_that_goes_on_failing_parks_its_entity_and_no_other() {
    on_computer(1, |computer| async move {
        let moody = Moody::new();
        let runtime = moody.start(&computer).await;
        fill(&runtime, "bad", 3).await;
        fill(&runtime, "good", 3).await;
        moody.until_shown(&computer, "good", 3).await;
        until_parked(&computer, &runtime).await;
        fill(&runtime, "bad", 1).await;
        fill(&runtime, "good", 1).await;
        moody.until_shown(&computer, "good", 4).await;
        runtime.stop().await;
        assert_eq!(moody.journal.versions("tell", "tank/bad"), [1; 5], "five tries of the first");
        assert_eq!(moody.shown("bad"), [0; 0]);
        assert_eq!(moody.shown("good"), [1, 2, 3, 4]);
        assert_eq!(runtime.status().types["tank"].dead.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_dead_letter_tells_whose_event_failed_where_and_why() {
    on_computer(2, |computer| async move {
        let runtime = Moody::new().start(&computer).await;
        fill(&runtime, "bad", 2).await;
        until_parked(&computer, &runtime).await;
        let letters = runtime.dead_letters().await.unwrap();
        let [letter] = letters.as_slice() else { panic!("one letter, not {letters:?}") };
        assert_eq!((letter.entity.as_str(), letter.key.as_str()), ("tank", "bad"));
        assert_eq!((letter.position, letter.version), (Position(1), Version(1)));
        assert_eq!((letter.handler.as_str(), letter.error.as_str()), ("tell", "it rains"));
    });
}

#[test]
fn a_retry_handles_the_parked_event_and_all_behind_it_in_order_and_once() {
    for seed in 0..30 {
        on_computer(seed, |computer| async move {
            let moody = Moody::new();
            let mut runtime = moody.start(&computer).await;
            fill(&runtime, "bad", 4).await;
            until_parked(&computer, &runtime).await;
            fill(&runtime, "good", 40).await;
            fill(&runtime, "bad", 2).await;
            if computer.dice(2) == 0 {
                // The letter outlives the process.
                computer.crash();
                runtime = moody.start(&computer).await;
            }
            moody.broken.store(false, Ordering::Relaxed);
            let (again, meanwhile) = (runtime.clone(), computer.clone());
            computer.spawn(async move {
                meanwhile.idle(30).await;
                // Events that come while the parked ones are looked for.
                fill(&again, "bad", 3).await;
            });
            runtime.retry_dead_letter("tank", &key("bad")).await.unwrap();
            moody.until_shown(&computer, "bad", 9).await;
            assert_eq!(moody.shown("bad"), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
            computer.pause(1_000).await;
            assert_eq!(runtime.dead_letters().await.unwrap(), []);
            let sink = runtime.handle::<Relay<0>>().view(&key("sink")).await.unwrap();
            assert_eq!(sink.version, Version(49), "every fill of both tanks was told, once");
            runtime.stop().await;
        });
    }
}

#[test]
fn a_retry_that_fails_again_leaves_the_letter_and_the_order() {
    on_computer(3, |computer| async move {
        let moody = Moody::new();
        let runtime = moody.start(&computer).await;
        fill(&runtime, "bad", 3).await;
        until_parked(&computer, &runtime).await;
        runtime.retry_dead_letter("tank", &key("bad")).await.unwrap();
        computer.pause(2_000).await;
        assert_eq!(runtime.dead_letters().await.unwrap().len(), 1);
        moody.broken.store(false, Ordering::Relaxed);
        runtime.retry_dead_letter("tank", &key("bad")).await.unwrap();
        moody.until_shown(&computer, "bad", 3).await;
        runtime.stop().await;
        assert_eq!(moody.shown("bad"), [1, 2, 3]);
    });
}

#[test]
fn a_retry_is_answered_when_its_letter_is_gone_for_good() {
    on_computer(5, |computer| async move {
        let moody = Moody::new();
        let runtime = moody.start(&computer).await;
        fill(&runtime, "bad", 1).await;
        until_parked(&computer, &runtime).await;
        moody.broken.store(false, Ordering::Relaxed);
        computer.fill_disk(true);
        let bad = key("bad");
        let mut retried = pin!(runtime.retry_dead_letter("tank", &bad));
        tokio::select! {
            biased;
            answer = &mut retried => panic!("it cannot be written, and is answered {answer:?}"),
            () = computer.pause(1_000) => {}
        }
        computer.fill_disk(false);
        assert_eq!(retried.await, Ok(()));
        computer.crash();
        let runtime = moody.start(&computer).await;
        assert_eq!(runtime.dead_letters().await.unwrap(), []);
        moody.until_shown(&computer, "bad", 1).await;
    });
}

#[test]
fn a_retry_without_a_dead_letter_says_so() {
    on_computer(4, |computer| async move {
        let runtime = Moody::new().start(&computer).await;
        fill(&runtime, "good", 1).await;
        let none = runtime.retry_dead_letter("tank", &key("good")).await.unwrap_err();
        assert_eq!(none, "tank/good has no dead letter");
        assert!(runtime.retry_dead_letter("nothing", &key("good")).await.is_err());
    });
}

#[test]
fn crashes_around_a_retry_lose_and_double_nothing() {
    for seed in 0..40 {
        on_computer(seed, |computer| async move {
            let moody = Moody::new();
            let runtime = moody.start(&computer).await;
            fill(&runtime, "bad", 5).await;
            until_parked(&computer, &runtime).await;
            fill(&runtime, "bad", 5).await;
            moody.broken.store(false, Ordering::Relaxed);
            let again = runtime.clone();
            computer.spawn(async move {
                // The crash may come before the answer.
                let _ = again.retry_dead_letter("tank", &key("bad")).await;
            });
            computer.idle(60).await;
            computer.crash();
            let runtime = moody.start(&computer).await;
            // Either the letter is still there, or its records go on by themselves.
            if !runtime.dead_letters().await.unwrap().is_empty() {
                let gone = runtime.retry_dead_letter("tank", &key("bad")).await;
                assert_eq!(gone, Ok(()));
            }
            let sink = runtime.handle::<Relay<0>>();
            while sink.view(&key("sink")).await.unwrap().version < Version(10) {
                computer.pause(10).await;
            }
            computer.pause(1_000).await;
            assert_eq!(sink.view(&key("sink")).await.unwrap().version, Version(10));
            assert_eq!(runtime.dead_letters().await.unwrap(), []);
        });
    }
}
