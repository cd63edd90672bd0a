//! The log does not grow for ever, memory is recounted against it, and a store can be verified.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::{Command, Tank, fill, id, key, on_computer, seeded, tanks};
use interlock_kernel::{
    entity::{Context, Decision, Entity, Never, Verdict},
    ids::{Position, Version},
    time::{Millis, Time},
};
use interlock_runtime::{
    Builder, Meta, SendError,
    codec::Codec,
    env::Env,
    record::{Cause, ChunkBuilder, Decided, Head, Raw, Record},
    store::Append,
    verify::{Report, verify},
};
use serde::{Deserialize, Serialize};

const RETENTION: Millis = Millis(60_000);
const PAST: Millis = Millis(60_001);

async fn verified(env: &Env) -> Report {
    verify(env.store(), &[Codec::of::<Tank>()]).await.unwrap()
}

#[test]
fn what_is_older_than_the_retention_leaves_the_log_and_every_state_stays() {
    seeded(1, |env| async move {
        let runtime = tanks(env.clone()).await;
        for tank in ["a", "b", "c"] {
            fill(&runtime, tank, 100).await;
        }
        env.sleep(PAST).await;
        fill(&runtime, "a", 1).await;
        let before = env.store().span().await.unwrap();
        let done = runtime.compact(RETENTION).await.unwrap();
        assert!(done.dropped >= 300 && done.carried == 3, "{done:?}");
        let after = env.store().span().await.unwrap();
        assert!(after.first > before.first && after.first == done.first, "{after:?}");
        assert_eq!(verified(&env).await.wrong, 0);
        let tanks = tanks(env).await.handle::<Tank>();
        for (tank, level) in [("a", 101), ("b", 100), ("c", 100)] {
            let view = tanks.view(&key(tank)).await.unwrap();
            assert_eq!((view.state.level, view.version), (level, Version(level)), "{tank}");
        }
    });
}

#[test]
fn what_is_younger_than_the_retention_stays() {
    seeded(2, |env| async move {
        let runtime = tanks(env.clone()).await;
        fill(&runtime, "a", 100).await;
        let done = runtime.compact(RETENTION).await.unwrap();
        assert_eq!((done.dropped, done.first), (0, Position(1)));
    });
}

#[test]
fn a_command_id_is_known_for_the_retention_and_free_after_compaction() {
    seeded(3, |env| async move {
        let runtime = tanks(env.clone()).await;
        let tanks = runtime.handle::<Tank>();
        tanks.send(&key("a"), Command::Fill(1), id("old")).await.unwrap();
        env.sleep(PAST).await;
        tanks.send(&key("a"), Command::Fill(1), id("young")).await.unwrap();
        runtime.compact(RETENTION).await.unwrap();
        let young = tanks.send(&key("a"), Command::Fill(1), id("young")).await.unwrap();
        let old = tanks.send(&key("a"), Command::Fill(1), id("old")).await.unwrap();
        assert_eq!((young.replayed, old.replayed), (true, false));
        assert_eq!(tanks.view(&key("a")).await.unwrap().state.level, 3);
    });
}

#[test]
fn a_closed_entity_is_gone_once_its_history_is() {
    seeded(4, |env| async move {
        let runtime = tanks(env.clone()).await;
        let tanks = runtime.handle::<Tank>();
        tanks.send(&key("a"), Command::Fill(1), Meta::default()).await.unwrap();
        tanks.send(&key("a"), Command::Close, Meta::default()).await.unwrap();
        let closed = tanks.send(&key("a"), Command::Fill(1), Meta::default()).await.unwrap_err();
        assert_eq!(closed, SendError::Closed { version: Version(2) });
        env.sleep(PAST).await;
        let done = runtime.compact(RETENTION).await.unwrap();
        assert_eq!((done.dropped, done.forgotten), (2, 1));
        let again = tanks.send(&key("a"), Command::Fill(5), Meta::default()).await.unwrap();
        assert_eq!((again.reply, again.version), (5, Version(1)), "it begins anew");
    });
}

#[test]
fn a_timer_survives_compaction() {
    on_computer(5, |computer| async move {
        let runtime = tanks(computer.env()).await;
        let handle = runtime.handle::<Tank>();
        let alarm = Command::Alarm(Millis(4 * RETENTION.0));
        handle.send(&key("a"), alarm, Meta::default()).await.unwrap();
        computer.pause(PAST.0).await;
        assert_eq!(runtime.compact(RETENTION).await.unwrap().carried, 1);
        computer.crash();
        let handle = tanks(computer.env()).await.handle::<Tank>();
        computer.pause(4 * RETENTION.0).await;
        assert_eq!(handle.view(&key("a")).await.unwrap().state.rings, 1);
    });
}

#[test]
fn a_verified_store_has_nothing_wrong_and_says_how_much_it_read() {
    seeded(6, |env| async move {
        let runtime = tanks(env.clone()).await;
        fill(&runtime, "a", 200).await;
        fill(&runtime, "b", 3).await;
        let report = verified(&env).await;
        assert_eq!((report.wrong, report.problems.len()), (0, 0), "{report:?}");
        assert_eq!(report.entities.get("tank"), Some(&2));
        assert!(report.records >= 203 && report.snapshots_checked >= 1, "{report:?}");
    });
}

/// A record of the tank `a` as nobody would write it.
fn forged(version: u64, prev: u64, at: u64) -> Decided<'static> {
    Decided {
        head: Head {
            entity: "tank",
            key: "a",
            version: Version(version),
            prev: Position(prev),
            at: Time(at),
            due: Time::NEVER,
            schema: 1,
        },
        caller: "",
        cause: Cause::Sent,
        command: "fill",
        fingerprint: 0,
        events_count: 0,
        events: Raw(&[0]),
        reply: Raw(&[0]),
        timers: Raw(&[]),
        effects: Raw(&[]),
        closes: false,
    }
}

#[test]
fn verification_notices_what_a_log_must_not_hold() {
    let far = common::NOW.0 + 1_000_000_000;
    let cases = [
        ("version", forged(5, 1, far)),
        ("leads back", forged(2, 0, far)),
        ("time goes back", forged(2, 1, 1)),
    ];
    for (says, record) in cases {
        let report = seeded(7, |env| async move {
            let runtime = tanks(env.clone()).await;
            fill(&runtime, "a", 1).await;
            let mut chunk = ChunkBuilder::new(Position(2));
            chunk.push(&Record::Decided(record));
            assert_eq!(env.store().append(chunk.seal()).await, Append::Done);
            verified(&env).await
        });
        let problem = report.problems.iter().find(|problem| problem.contains(says));
        assert!(problem.is_some(), "{says}: {:?}", report.problems);
    }
}

/// Counts wrongly while [`SKEW`] is on: an invariant that nobody asserts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Skewed {
    count: u64,
}

static SKEW: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone, thiserror::Error)]
#[error("never")]
struct NeverRefuses;

impl Entity for Skewed {
    const TYPE: &'static str = "skewed";
    type Command = ();
    type Event = u64;
    type Reply = ();
    type Rejection = NeverRefuses;
    type Effect = Never;

    fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(1, ()))
    }

    fn apply(&mut self, by: &u64) {
        self.count += by + u64::from(SKEW.load(Ordering::Relaxed));
    }

    fn command_name((): &()) -> &'static str {
        "count"
    }

    fn event_name(_: &u64) -> &'static str {
        "counted"
    }
}

#[test]
fn the_drift_gauge_reads_zero_until_a_count_is_corrupted() {
    seeded(8, |env| async move {
        let runtime = Builder::new(env).entity::<Skewed>().start().await.unwrap();
        let handle = runtime.handle::<Skewed>();
        let drift = || runtime.status().types["skewed"].drift.load(Ordering::Relaxed);
        for _ in 0..100 {
            handle.send(&key("a"), (), Meta::default()).await.unwrap();
        }
        assert!(runtime.recount("skewed", &key("a")).await.unwrap());
        assert_eq!(drift(), 0);
        SKEW.store(true, Ordering::Relaxed);
        handle.send(&key("a"), (), Meta::default()).await.unwrap();
        SKEW.store(false, Ordering::Relaxed);
        assert!(!runtime.recount("skewed", &key("a")).await.unwrap());
        assert_eq!(drift(), 1);
        // A snapshot of the corrupted count does not hide it.
        for _ in 0..63 {
            handle.send(&key("a"), (), Meta::default()).await.unwrap();
        }
        assert!(!runtime.recount("skewed", &key("a")).await.unwrap());
    });
}
