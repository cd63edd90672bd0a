//! `/entities`, sentence by sentence.

use serde_json::{Value, json};

use crate::{client::ask, commands::every_change, support::Server};

/// What is refused, and what an entity looks like.
pub async fn walk(server: &Server) {
    for (entity, code) in [
        ("quota", "unknown_quota"),
        ("turn", "unknown_turn"),
        ("job", "unknown_job"),
        ("value", "unknown_value"),
        ("pool", "unknown_pool"),
        ("barrier", "unknown_barrier"),
        ("nothing", "unknown_type"),
        ("Turn", "unknown_type"),
        ("turns", "unknown_type"),
        ("%20", "unknown_type"),
    ] {
        for rest in ["", "/timeline"] {
            let ask = ask(&format!("GET /entities/{entity}/nobody{rest}"));
            server.no(ask, &format!("404 {code}")).await;
        }
    }
    for rest in ["", "/timeline"] {
        server.no(ask(&format!("GET /entities/turn/a%20b{rest}")), "400 bad_key").await;
        server.no(ask(&format!("GET /entities/nothing/a%20b{rest}")), "400 bad_key").await;
    }
    let post = |turn: u64| ask("POST /turns/e").json(json!({"turn": turn, "value": "x"}));
    server.send(&post(1)).await;
    let shown = server.send(&ask("GET /entities/turn/e")).await;
    assert_eq!(shown.header("etag"), Some("\"1\""));
    let (shown, state) = (shown.json(), shown.json()["state"].clone());
    assert!(state.is_object());
    assert_eq!(shown, json!({"type": "turn", "key": "e", "version": 1, "state": state}));
    for (query, expected) in [
        ("limit=0", "400 out_of_range"),
        ("limit=201", "400 out_of_range"),
        ("limit=x", "400 wrong_type"),
        ("limit=1.0", "400 wrong_type"),
        ("limit=1&limit=1", "400 duplicate_field"),
        ("before=x", "400 bad_value"),
        ("before=0", "400 bad_value"),
        ("before=999999", "400 bad_value"),
        ("before=-1", "400 bad_value"),
        ("before=", "400 out_of_range"),
        ("before=%ff", "400 bad_request"),
    ] {
        server.no(ask(&format!("GET /entities/turn/e/timeline?{query}")), expected).await;
    }
    // Closed: readable still.
    server.send(&ask("DELETE /turns/e")).await;
    assert_eq!(server.send(&ask("GET /entities/turn/e")).await.json()["version"], 2);
    let timeline = server.send(&ask("GET /entities/turn/e/timeline")).await.json();
    assert_eq!(timeline["entries"][0]["events"][0]["type"], "closed");
}

#[tokio::test]
async fn any_entity_can_be_read() {
    walk(&Server::start().await).await;
}

#[tokio::test]
async fn every_type_can_be_shown_in_use_and_closed() {
    let server = Server::start().await;
    for change in every_change() {
        let changed = server.send(&change).await;
        let (_, entity) = change.path.split_once("/api/v1/").unwrap();
        let (plural, rest) = entity.split_once('/').unwrap();
        let key = rest.split('/').next().unwrap();
        let path = format!("/entities/{}/{key}", plural.strip_suffix('s').unwrap());
        let shown = server.send(&ask(&format!("GET {path}"))).await;
        assert_eq!(shown.header("etag"), changed.header("etag"), "{shown:?}");
        let timeline = server.send(&ask(&format!("GET {path}/timeline?limit=1"))).await.json();
        assert_eq!(timeline["entries"][0]["version"], shown.json()["version"]);
        assert!(!timeline["entries"][0]["events"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_timeline_tells_what_was_asked_and_what_happened() {
    let server = Server::start().await;
    let at = server.clock.after(0);
    let put = ask("PUT /barriers/b").json(json!({"parties": ["p"]}));
    server.send(&put.id("the-id")).await;
    server
        .no(ask("POST /barriers/b/arrivals").json(json!({"party": "x"})), "404 unknown_party")
        .await;
    server.send(&ask("POST /barriers/b/arrivals").json(json!({"party": "p", "value": 7}))).await;
    let timeline = server.send(&ask("GET /entities/barrier/b/timeline")).await.json();
    let own_id = timeline["entries"][0]["id"].clone();
    assert!(own_id.is_string() && own_id != "the-id", "the server's own");
    let expected = json!({
        "entries": [
            {
                "at": at, "command": "arrive", "id": own_id, "outcome": "committed", "version": 2,
                "events": [
                    {"type": "arrived", "data": {"party": "p", "value": 7}},
                    {"type": "completed", "data": {"by": "p"}},
                ],
                "handlers": [],
            },
            {
                "at": at, "command": "put", "id": "the-id", "outcome": "committed", "version": 1,
                "events": [{"type": "opened", "data": {"parties": ["p"]}}],
                "handlers": [],
            },
        ],
        "next": null,
    });
    assert_eq!(timeline, expected, "newest first, and refusals are not listed");
}

#[tokio::test]
async fn a_timeline_is_read_page_by_page() {
    let server = Server::start().await;
    for turn in 1..=120 {
        server.send(&ask("POST /turns/t").json(json!({"turn": turn, "value": turn}))).await;
        server.send(&ask("POST /turns/other").json(json!({"turn": turn, "value": turn}))).await;
    }
    for (limit, pages) in [
        (None, vec![50, 50, 20]),
        (Some(60), vec![60, 60]),
        (Some(200), vec![120]),
        (Some(1), vec![1; 120]),
    ] {
        let (mut before, mut versions, mut sizes) = (String::new(), Vec::new(), Vec::new());
        loop {
            let limit = limit.map(|limit| format!("limit={limit}&")).unwrap_or_default();
            let page = ask(&format!("GET /entities/turn/t/timeline?{limit}{before}"));
            let page = server.send(&page).await.json();
            let entries = page["entries"].as_array().unwrap();
            sizes.push(entries.len());
            versions.extend(entries.iter().map(|entry| entry["version"].as_u64().unwrap()));
            let Some(next) = page["next"].as_str() else {
                assert_eq!(page["next"], Value::Null);
                break;
            };
            before = format!("before={next}");
        }
        assert_eq!((sizes, versions), (pages, (1..=120).rev().collect()));
    }
}
