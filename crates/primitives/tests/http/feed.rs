//! `/events`, sentence by sentence.

use std::sync::Arc;

use interlock_kernel::time::Millis;
use interlock_runtime::{feed::From, store::memory::MemoryStore};
use serde_json::json;

use crate::{
    client::{Event, Events, ask},
    commands::every_change,
    support::{Clock, Server},
};

async fn post(server: &Server, key: &str, turn: u64) {
    let ask = ask(&format!("POST /turns/{key}"));
    server.send(&ask.json(json!({"turn": turn, "value": {"turn": turn}}))).await;
}

async fn follow(server: &Server, query: &str, after: Option<&str>) -> Events {
    let mut ask = ask(&format!("GET /events{query}"));
    if let Some(cursor) = after {
        ask = ask.header("last-event-id", cursor);
    }
    server.follow(&ask).await.unwrap_or_else(|answer| panic!("{answer:?}"))
}

/// `turn/t 3 won`: what an event is about.
fn shown(event: &Event) -> String {
    assert_eq!(event.data["cursor"], event.id.as_str());
    assert_eq!(event.data["type"], event.event.as_str());
    let entity = event.data["entity"].as_str().unwrap();
    format!("{entity} {} {}", event.data["version"], event.event)
}

async fn take(mut events: Events, count: usize) -> Vec<String> {
    events.take(count).await.iter().map(shown).collect()
}

/// What is refused.
pub async fn walk(server: &Server) {
    post(server, "feed", 1).await;
    for entity in ["nothing/x", "turn", "turn/", "turn/a%20b", "/x", "", "Turn/t", "turn/t/x"] {
        let refused =
            server.no(ask(&format!("GET /events?entity={entity}")), "400 bad_entity").await;
        assert_eq!(refused.json()["field"], "entity", "{entity}");
    }
    server.no(ask("GET /events?from=now"), "400 bad_value").await;
    server.no(ask("GET /events?from=start&from=start"), "400 duplicate_field").await;
    server.no(ask("GET /events?entity=%ff"), "400 bad_request").await;
    for garbage in ["x", "", "1", "-1", "1-0-0", "00-0", "ffffffff-0", "9999999999999999999"] {
        let ask = ask("GET /events?from=start").header("last-event-id", garbage);
        server.no(ask, "400 bad_cursor").await;
    }
    let twice = ask("GET /events").header("last-event-id", "0").header("last-event-id", "0");
    server.no(twice, "400 bad_cursor").await;
}

/// Older than what is kept.
pub async fn walk_gone(server: &Server) {
    post(server, "gone", 1).await;
    let first = follow(server, "?from=start", None).await.next().await.unwrap();
    server.pass(1).await;
    let compacted = server.runtime.compact(Millis(0)).await.unwrap();
    assert!(compacted.dropped > 0);
    server.no(ask("GET /events").header("last-event-id", &first.id), "410 cursor_gone").await;
    // What is left goes on, and a new reader begins with it.
    let oldest = follow(server, "?from=start&entity=turn/gone", None).await;
    post(server, "gone", 2).await;
    assert_eq!(take(oldest, 1).await, ["turn/gone 2 won"]);
}

#[tokio::test]
async fn garbage_is_refused() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn an_event_says_what_happened_to_whom_and_when() {
    let server = Server::start().await;
    let at = server.clock.after(0);
    post(&server, "t", 1).await;
    let event = follow(&server, "?from=start", None).await.next().await.unwrap();
    let expected = json!({
        "cursor": event.id, "entity": "turn/t", "version": 1, "type": "won", "at": at,
        "data": {"turn": 1, "value": {"turn": 1}},
    });
    assert_eq!((event.event.as_str(), &event.data), ("won", &expected));
}

#[tokio::test]
async fn every_change_is_told_under_the_version_that_it_made() {
    let server = Server::start().await;
    let mut expected = Vec::new();
    for change in every_change() {
        let version = server.send(&change).await.header("etag").unwrap().replace('"', "");
        let (_, entity) = change.path.split_once("/api/v1/").unwrap();
        expected.push(format!("{}/a {version}", entity.split_once("s/").unwrap().0));
    }
    let mut told = Vec::new();
    let mut events = follow(&server, "?from=start", None).await;
    while told.len() < expected.len() {
        let event = events.next().await.unwrap();
        assert!(event.data["data"].is_object(), "{event:?}");
        told.push(shown(&event).rsplit_once(' ').unwrap().0.to_owned());
        // Several events of one command share its version.
        told.dedup();
    }
    assert_eq!(told, expected);
}

#[tokio::test]
async fn versions_have_no_gap_though_timers_come_early_and_for_nothing() {
    let server = Server::start().await;
    server.send(&ask("PUT /quotas/q").json(json!({"limit": 9, "claim_ttl_ms": 1_000}))).await;
    server.send(&ask("PUT /pools/p/members/m").json(json!({"limit": 9}))).await;
    let claim = ask("POST /quotas/q/claims").json(json!({"worker": "w"}));
    let lease = ask("POST /pools/p/leases").json(json!({"holder": "h", "ttl_ms": 1_000}));
    server.send(&claim).await;
    server.send(&lease).await;
    for _ in 0..5 {
        // Here the timer of the expiry before the renewal comes.
        let before = server.send(&ask("GET /pools/p")).await;
        server.pass(900).await;
        let after = server.send(&ask("GET /pools/p")).await;
        assert_eq!(before.header("etag"), after.header("etag"), "nothing has changed");
        server.send(&ask("POST /quotas/q/claims/c1/renew")).await;
        server.send(&ask("POST /pools/p/leases/l1/renew").json(json!({"token": 1}))).await;
    }
    server.send(&claim).await;
    server.send(&lease).await;
    for (entity, newest) in [("quota/q", 8), ("pool/p", 8)] {
        let mut events = follow(&server, &format!("?from=start&entity={entity}"), None).await;
        for version in 1..=newest {
            assert_eq!(events.next().await.unwrap().data["version"], version, "{entity}");
        }
    }
}

#[tokio::test]
async fn without_a_cursor_it_begins_now_and_from_start_at_the_oldest() {
    let server = Server::start().await;
    for turn in 1..=3 {
        post(&server, "t", turn).await;
    }
    let now = follow(&server, "", None).await;
    let start = follow(&server, "?from=start", None).await;
    let zero = follow(&server, "", Some("0")).await;
    post(&server, "t", 4).await;
    assert_eq!(take(now, 1).await, ["turn/t 4 won"]);
    let all = ["turn/t 1 won", "turn/t 2 won", "turn/t 3 won", "turn/t 4 won"];
    assert_eq!(take(start, 4).await, all);
    assert_eq!(take(zero, 4).await, all);
}

#[tokio::test]
async fn resuming_has_no_gap_and_no_repeat_under_every_filter() {
    let server = Server::start().await;
    // The last arrival makes two events of one version.
    server.send(&ask("PUT /barriers/b").json(json!({"parties": ["p", "q"]}))).await;
    for (turn, party) in (1..).zip(["p", "q"]) {
        post(&server, "t", turn).await;
        server.send(&ask("POST /barriers/b/arrivals").json(json!({"party": party}))).await;
    }
    let all = follow(&server, "?from=start", None).await.take(6).await;
    let expected = [
        "barrier/b 1 opened",
        "turn/t 1 won",
        "barrier/b 2 arrived",
        "turn/t 2 won",
        "barrier/b 3 arrived",
        "barrier/b 3 completed",
    ];
    assert_eq!(all.iter().map(shown).collect::<Vec<_>>(), expected);
    for (place, event) in all.iter().enumerate() {
        let rest: Vec<_> = all[place + 1..].iter().map(shown).collect();
        // `Last-Event-ID` wins over `from`.
        let resumed = follow(&server, "?from=start", Some(&event.id)).await;
        assert_eq!(take(resumed, rest.len()).await, rest);
        for entity in ["turn/t", "barrier/b"] {
            let rest: Vec<_> = rest.iter().filter(|shown| shown.starts_with(entity)).collect();
            let resumed = follow(&server, &format!("?entity={entity}"), Some(&event.id)).await;
            assert_eq!(take(resumed, rest.len()).await.iter().collect::<Vec<_>>(), rest);
        }
    }
    let end = follow(&server, "", Some(&all[5].id)).await;
    post(&server, "t", 3).await;
    assert_eq!(take(end, 1).await, ["turn/t 3 won"]);
}

#[tokio::test]
async fn an_unknown_key_is_an_empty_stream_until_something_happens_to_it() {
    let server = Server::start().await;
    post(&server, "other", 1).await;
    let events = follow(&server, "?from=start&entity=turn/t&ignored=1", None).await;
    post(&server, "other", 2).await;
    post(&server, "t", 1).await;
    assert_eq!(take(events, 1).await, ["turn/t 1 won"]);
}

#[tokio::test]
async fn a_value_of_several_lines_stays_one_event() {
    let server = Server::start().await;
    let text = "{\n  \"turn\": 1,\r\n  \"value\": {\n \"a\":\r\n 1 }\n}";
    server.send(&ask("POST /turns/t").text(text)).await;
    post(&server, "t", 2).await;
    let events = follow(&server, "?from=start", None).await.take(2).await;
    assert_eq!(events[0].data["data"]["value"], json!({"a": 1}));
    assert_eq!(shown(&events[1]), "turn/t 2 won");
}

#[tokio::test]
async fn a_value_that_few_parsers_read_is_shown_as_it_was_sent() {
    let server = Server::start().await;
    let value = r#"[1e999, "half \ud800", 1.0000000000000000000001]"#;
    server.raw(&ask("POST /turns/t").text(&format!("{{\"turn\": 1, \"value\": {value}}}"))).await;
    let mut feed = server.runtime.feed(From::Start, None).await.unwrap();
    let shown = feed.next().await.unwrap().unwrap();
    assert!(shown[0].data.get().contains(value), "{shown:?}");
    let timeline = server.raw(&ask("GET /entities/turn/t/timeline")).await;
    assert!(timeline.text.contains(value), "{}", timeline.text);
}

#[tokio::test]
async fn a_cursor_survives_a_restart() {
    let (store, clock) = (MemoryStore::new(), Clock::new());
    let server = Server::on(Arc::new(store.clone()), clock.clone()).await;
    for turn in 1..=3 {
        post(&server, "t", turn).await;
    }
    let first = follow(&server, "?from=start", None).await.next().await.unwrap();
    server.crash();
    let server = Server::on(Arc::new(store.reopen()), clock).await;
    let resumed = follow(&server, "", Some(&first.id)).await;
    assert_eq!(take(resumed, 2).await, ["turn/t 2 won", "turn/t 3 won"]);
}

#[tokio::test]
async fn a_cursor_is_gone_with_what_it_points_to() {
    walk_gone(&Server::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_see_every_event_once_and_in_order() {
    let server = Server::start().await;
    let writer = async {
        for turn in 1..=60 {
            post(&server, "t", turn).await;
            post(&server, "other", turn).await;
        }
    };
    let reader = async {
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        while seen.len() < 60 {
            let mut events = follow(&server, "?entity=turn/t", Some(&cursor)).await;
            for event in events.take(5).await {
                cursor.clone_from(&event.id);
                seen.push(event.data["data"]["turn"].as_u64().unwrap());
            }
        }
        seen
    };
    let ((), seen) = tokio::join!(writer, reader);
    assert_eq!(seen, (1..=60).collect::<Vec<_>>());
}
