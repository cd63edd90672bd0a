//! The timeline of an entity: command → events → handlers, newest first, in pages.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Command, Filled, Pass, Relay, Tank, fill, id, key, on_computer, on_filled, start};
use interlock_kernel::{
    bus::{On, Origin, Reaction, Read, Write},
    time::Millis,
};
use interlock_runtime::{
    Meta, Runtime, ShowError,
    timeline::{Entry, Timeline, TimelineError},
};

async fn page(runtime: &Runtime, tank: &str, before: Option<&str>, limit: usize) -> Timeline {
    runtime.timeline("tank", &key(tank), before, limit).await.unwrap().unwrap()
}

/// All pages of this size, one after the other.
async fn pages(runtime: &Runtime, tank: &str, limit: usize) -> Vec<Entry> {
    let mut first = page(runtime, tank, None, limit).await;
    let mut entries = std::mem::take(&mut first.entries);
    let mut next = first.next;
    while let Some(before) = next {
        let page = page(runtime, tank, Some(&before), limit).await;
        assert!(!page.entries.is_empty(), "a next page has something to show");
        assert!(page.entries.len() <= limit);
        entries.extend(page.entries);
        next = page.next;
    }
    entries
}

fn versions(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.version.0).collect()
}

/// A fill tells a relay.
fn telling() -> On<Filled> {
    let tell = Write::new("tell", |event: &Filled, origin: &Origin| {
        let tag = match origin.version.0 {
            1 => "refused".to_owned(),
            version => format!("{version} {}", event.level),
        };
        Ok(Reaction::none().send::<Relay<0>>(key("r"), Pass { tag, hops: 0 }))
    });
    let show = Read::new("show", |_: &Filled, _: &Origin| {});
    On { write: vec![tell], read: vec![show] }
}

#[test]
fn pages_of_every_size_show_the_whole_history_newest_first() {
    on_computer(1, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        for _ in 0..150 {
            // More than one snapshot stands between the records.
            fill(&runtime, "t", 1).await;
            fill(&runtime, "other", 1).await;
        }
        let expected: Vec<u64> = (1..=150).rev().collect();
        for limit in [1, 7, 50, 149, 150, 151, 1_000] {
            assert_eq!(versions(&pages(&runtime, "t", limit).await), expected, "pages of {limit}");
        }
        assert_eq!(page(&runtime, "t", None, 150).await.next, None);
    });
}

#[test]
fn an_entry_tells_command_id_events_and_handlers() {
    on_computer(2, |computer| async move {
        let runtime = start(&computer, on_filled(telling())).await;
        let tanks = runtime.handle::<Tank>();
        let first = tanks.send(&key("t"), Command::Fill(4), Meta::default()).await.unwrap();
        tanks.send(&key("t"), Command::Drip(2), id("mine")).await.unwrap();
        tanks.send(&key("t"), Command::Alarm(Millis(10)), id("alarm")).await.unwrap();
        computer.pause(1_000).await;
        let entries = page(&runtime, "t", None, 10).await.entries;
        let told: Vec<(&str, &str, usize)> = entries
            .iter()
            .map(|entry| (entry.command.as_str(), entry.id.as_str(), entry.events.len()))
            .collect();
        let ring = ("ring", "timer:ring", 1);
        assert_eq!(told, [ring, ("alarm", "alarm", 1), ("drip", "mine", 2), ("fill", "#1", 1)]);
        let filled = &entries[3];
        assert_eq!(
            (filled.outcome, filled.at, filled.version),
            ("committed", first.at, first.version)
        );
        let [event] = filled.events.as_slice() else { panic!("one event") };
        assert_eq!((event.name, event.data.get()), ("filled", r#"{"amount":4,"level":4}"#));
        let runs = |entry: &Entry| -> Vec<(&str, u8, &str)> {
            entry.handlers.iter().map(|run| (run.name, run.phase, run.outcome)).collect()
        };
        assert_eq!(runs(filled), [("tell", 1, "refused"), ("show", 2, "done")]);
        let both = [("tell", 1, "done"), ("show", 2, "done"), ("show", 2, "done")];
        assert_eq!(runs(&entries[2]), both);
        let relay = runtime.timeline("ra", &key("r"), None, 9).await.unwrap().unwrap();
        assert_eq!(
            relay.entries[0].id, "tank/t@2.1.0",
            "a handler's command tells where it comes from"
        );
    });
}

#[test]
fn a_timeline_reads_as_json_for_pages_and_programs() {
    on_computer(3, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        fill(&runtime, "t", 1).await;
        let json = serde_json::to_value(page(&runtime, "t", None, 10).await).unwrap();
        let expected = serde_json::json!({
            "entries": [{
                "at": json["entries"][0]["at"],
                "command": "fill",
                "id": "#1",
                "outcome": "committed",
                "version": 1,
                "events": [{ "type": "filled", "data": { "amount": 1, "level": 1 } }],
                "handlers": [],
            }],
            "next": null,
        });
        assert_eq!(json, expected);
    });
}

#[test]
fn a_place_that_is_not_in_this_timeline_is_refused() {
    on_computer(4, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        fill(&runtime, "other", 1).await;
        fill(&runtime, "t", 2).await;
        for before in ["", "x", "0", "1", "4", "+3", "03", "18446744073709551616"] {
            let refused = runtime.timeline("tank", &key("t"), Some(before), 10).await.unwrap_err();
            assert_eq!(refused, TimelineError::BadBefore, "{before}");
        }
        assert_eq!(versions(&page(&runtime, "t", Some("3"), 10).await.entries), [1]);
        assert_eq!(page(&runtime, "t", Some("2"), 10).await.entries.len(), 0);
    });
}

#[test]
fn an_entity_without_history_has_no_timeline_and_an_unknown_type_is_an_error() {
    on_computer(5, |computer| async move {
        let runtime = start(&computer, on_filled(On::nobody())).await;
        assert!(runtime.timeline("tank", &key("t"), None, 10).await.unwrap().is_none());
        let unknown = runtime.timeline("boat", &key("t"), None, 10).await.unwrap_err();
        assert_eq!(unknown, TimelineError::Show(ShowError::UnknownType));
    });
}
