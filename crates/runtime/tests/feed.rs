//! The feed: every committed event, in the order of the log, from any cursor on.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Command, Computer, Filled, Tank, fill, id, key, on_computer, on_filled, start};
use interlock_kernel::{
    bus::{On, Origin, Read},
    time::Millis,
};
use interlock_runtime::{
    Builder, Meta, Runtime,
    feed::{Cursor, FeedError, FeedEvent, Filter, From},
    store::{StoreError, memory::AppendFault},
};

async fn tanks(computer: &Computer) -> Runtime {
    Builder::new(computer.env()).entity::<Tank>().start().await.unwrap()
}

fn only(tank: &str) -> Option<Filter> {
    Some(Filter { entity: "tank".to_owned(), key: key(tank) })
}

/// What a feed tells, up to so many events.
async fn read(
    runtime: &Runtime,
    from: From,
    filter: Option<Filter>,
    count: usize,
) -> Vec<FeedEvent> {
    let mut feed = runtime.feed(from, filter).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        events.extend(feed.next().await.unwrap().unwrap());
    }
    events
}

fn cursors(events: &[FeedEvent]) -> Vec<Cursor> {
    events.iter().map(|event| event.cursor).collect()
}

/// Fills and drips into two tanks: records of one event and of three.
async fn some_history(runtime: &Runtime) -> usize {
    let handle = runtime.handle::<Tank>();
    for turn in 0..12 {
        let tank = key(if turn % 3 == 0 { "a" } else { "b" });
        let command = if turn % 4 == 0 { Command::Drip(3) } else { Command::Fill(turn) };
        handle.send(&tank, command, Meta::default()).await.unwrap();
    }
    3 * 3 + 9
}

#[test]
fn a_feed_resumes_after_any_cursor_without_a_gap_or_a_repeat() {
    on_computer(1, |computer| async move {
        let runtime = tanks(&computer).await;
        let count = some_history(&runtime).await;
        let all = read(&runtime, From::Start, None, count).await;
        assert_eq!(all.len(), count);
        assert!(cursors(&all).is_sorted_by(|one, next| one < next));
        for (index, cursor) in cursors(&all).into_iter().enumerate().take(count - 1) {
            let resumed: Cursor = cursor.to_string().parse().unwrap();
            let rest = read(&runtime, From::After(resumed), None, count - index - 1).await;
            assert_eq!(cursors(&rest), cursors(&all)[index + 1..]);
        }
    });
}

#[test]
fn a_cursor_means_the_same_under_every_filter() {
    on_computer(2, |computer| async move {
        let runtime = tanks(&computer).await;
        let count = some_history(&runtime).await;
        let all = read(&runtime, From::Start, None, count).await;
        for tank in ["a", "b"] {
            let own = |events: &[FeedEvent]| -> Vec<Cursor> {
                events.iter().filter(|event| event.key == tank).map(|event| event.cursor).collect()
            };
            for (index, cursor) in cursors(&all).into_iter().enumerate() {
                let expected = own(&all[index + 1..]);
                let rest = read(&runtime, From::After(cursor), only(tank), expected.len());
                assert_eq!(cursors(&rest.await), expected, "{tank} after {cursor}");
            }
        }
    });
}

#[test]
fn an_event_tells_whose_it_is_what_happened_and_when() {
    on_computer(3, |computer| async move {
        let runtime = tanks(&computer).await;
        let tanks = runtime.handle::<Tank>();
        let receipt = tanks.send(&key("a"), Command::Drip(2), Meta::default()).await.unwrap();
        let events = read(&runtime, From::Start, None, 2).await;
        for (event, level) in events.iter().zip(1..) {
            assert_eq!(
                (event.entity.as_str(), event.key.as_str(), event.name),
                ("tank", "a", "filled")
            );
            assert_eq!((event.version, event.at), (receipt.version, receipt.at));
            assert_eq!(event.data.get(), format!("{{\"amount\":1,\"level\":{level}}}"));
        }
        assert_eq!(events[0].cursor.to_string(), "1-0");
        assert_eq!(events[1].cursor.to_string(), "1-1");
    });
}

#[test]
fn a_feed_from_now_tells_only_what_comes() {
    on_computer(4, |computer| async move {
        let runtime = tanks(&computer).await;
        fill(&runtime, "a", 3).await;
        let mut feed = runtime.feed(From::Now, None).await.unwrap();
        fill(&runtime, "a", 1).await;
        let events = feed.next().await.unwrap().unwrap();
        assert_eq!(events.iter().map(|event| event.version.0).collect::<Vec<_>>(), [4]);
    });
}

#[test]
fn a_cursor_that_was_never_given_out_and_one_that_is_gone_are_told_apart() {
    on_computer(5, |computer| async move {
        let runtime = tanks(&computer).await;
        fill(&runtime, "a", 10).await;
        let open = |text: &str| runtime.feed(From::After(text.parse().unwrap()), None);
        assert!(matches!(open("b-0").await.err(), Some(FeedError::BadCursor(_))));
        assert!(open("a-0").await.is_ok(), "the newest: the feed goes on with what comes");
        computer.pause(10_000).await;
        let compacted = runtime.compact(Millis(1)).await.unwrap();
        assert!(compacted.dropped >= 10, "{compacted:?}");
        assert!(matches!(open("1-0").await.err(), Some(FeedError::CursorGone)));
        assert!(runtime.feed(From::Start, None).await.is_ok());
    });
}

#[test]
fn a_feed_does_not_wait_for_handlers() {
    on_computer(6, |computer| async move {
        let stuck = Read::later("stuck", |_: &Filled, _: &Origin| std::future::pending());
        let handlers = on_filled(On { write: vec![], read: vec![stuck] });
        let runtime = start(&computer, handlers).await;
        let began = computer.env().now();
        fill(&runtime, "a", 5).await;
        assert_eq!(read(&runtime, From::Start, None, 5).await.len(), 5);
        assert!((computer.env().now() - began).as_millis() < 100);
    });
}

#[test]
fn readers_that_follow_see_every_committed_event_once_whatever_the_store_answers() {
    for seed in 0..40 {
        on_computer(seed, |computer| async move {
            let runtime = tanks(&computer).await;
            let (sender, mut finished) = computer.env().channel(4);
            for reader in 0..3 {
                let (runtime, computer, sender) =
                    (runtime.clone(), computer.clone(), sender.clone());
                computer.clone().spawn(async move {
                    let filter = (reader == 2).then(|| only("t1")).flatten();
                    let mut feed = runtime.feed(From::Start, filter.clone()).await.unwrap();
                    let mut seen: Vec<FeedEvent> = Vec::new();
                    while seen.last().is_none_or(|event| event.name != "noted") {
                        seen.extend(feed.next().await.unwrap().unwrap());
                        if let (Some(last), 0) = (seen.last(), computer.dice(4)) {
                            // The connection broke; the reader comes back.
                            let after = From::After(last.cursor);
                            feed = runtime.feed(after, filter.clone()).await.unwrap();
                        }
                        computer.idle(10).await;
                    }
                    sender.send((reader, cursors(&seen))).await.unwrap();
                });
            }
            let handle = runtime.handle::<Tank>();
            for number in 0..40 {
                let error = StoreError::Full("no room".to_owned());
                match computer.dice(10) {
                    0 => computer.disk().fail_next_append(AppendFault::Refused(error)),
                    1 => computer.disk().fail_next_append(AppendFault::UnknownWritten(error)),
                    2 => computer.disk().fail_next_append(AppendFault::UnknownLost(error)),
                    _ => {}
                }
                let tank = key(&format!("t{}", computer.dice(2)));
                let drip = Command::Drip(1 + computer.dice(3));
                let _ = handle.send(&tank, drip, id(&format!("{number}"))).await;
                computer.idle(5).await;
            }
            // Any other event than of a fill ends the history.
            while handle.send(&key("t1"), Command::Close, Meta::default()).await.is_err() {}
            let mut told: Vec<(u64, Vec<Cursor>)> = Vec::new();
            for _ in 0..3 {
                told.push(finished.recv().await.unwrap());
            }
            let count = told.iter().find(|(reader, _)| *reader == 0).unwrap().1.len();
            let all = read(&runtime, From::Start, None, count).await;
            for (reader, seen) in told {
                let wanted = |event: &&FeedEvent| reader != 2 || event.key == "t1";
                let expected: Vec<Cursor> = all.iter().filter(wanted).map(|it| it.cursor).collect();
                assert_eq!(seen, expected, "reader {reader}");
            }
        });
    }
}

#[test]
fn a_feed_ends_when_the_runtime_has_stopped() {
    on_computer(7, |computer| async move {
        let runtime = tanks(&computer).await;
        fill(&runtime, "a", 2).await;
        let mut feed = runtime.feed(From::Now, None).await.unwrap();
        let mut late = runtime.feed(From::Start, None).await.unwrap();
        runtime.stop().await;
        assert!(feed.next().await.unwrap().is_none());
        assert!(late.next().await.unwrap().is_none(), "what it has missed, the next runtime tells");
    });
}
