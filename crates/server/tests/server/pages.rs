use interlock_kernel::ids::Member;
use interlock_streams::service::EngineConfig;

use crate::support::Running;

#[tokio::test]
async fn the_first_page_shows_what_runs() {
    let server = Running::start().await;
    let page = server.get("/").await;
    for type_of_entity in ["barrier", "job", "pool", "quota", "turn", "value", "stream"] {
        let link = format!("<a href=\"/entities/{type_of_entity}\">{type_of_entity}</a>");
        assert!(page.contains(&link), "{type_of_entity}");
    }
    assert!(!page.contains("story"), "nobody has written to it");
    assert!(!page.contains("<h2>Engines</h2>"), "there are none");

    server.command("POST", "turns/story", r#"{"turn": 1, "value": 1}"#).await;
    let page = server.get("/").await;
    assert!(page.contains("<a href=\"/entities/turn/story\" title=\"story\">story</a>"), "{page}");
    server.stop().await;
}

#[tokio::test]
async fn engines_are_shown_with_their_load() {
    let engine = EngineConfig {
        name: Member::new("gluetun-1").unwrap(),
        url: "http://127.0.0.1:9".parse().unwrap(),
        limit: 3,
        forwarded: true,
    };
    let server = Running::with(|config| config.streams.engines.push(engine)).await.unwrap();
    let page = server.get("/").await;
    for part in ["gluetun-1", "0 of 3", "forwarded", "Nobody is watching."] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let metrics = server.get("/metrics").await;
    assert!(metrics.contains("interlock_engine_limit{engine=\"gluetun-1\"} 3\n"), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn an_entity_shows_its_timeline_and_its_state() {
    let server = Running::start().await;
    server.command("POST", "turns/story", r#"{"turn": 1, "value": "north"}"#).await;
    server.command("POST", "turns/story", r#"{"turn": 2, "value": "south"}"#).await;
    let page = server.get("/entities/turn/story").await;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place("<h1>turn/story</h1>") < place("<strong>post</strong>"));
    assert!(place("south") < place("north"), "newest first");
    assert!(place("→ won") < place("<h2>State</h2>"));
    server.stop().await;
}

#[tokio::test]
async fn what_users_sent_is_text_and_nothing_else() {
    let server = Running::start().await;
    let body = r#"{"turn": 1, "value": "<script>alert(1)</script>"}"#;
    server.command("POST", "turns/story", body).await;
    let page = server.get("/entities/turn/story").await;
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&lt;script&gt;alert"), "{page}");
    server.stop().await;
}

#[tokio::test]
async fn values_that_few_parsers_read_are_shown_as_they_are() {
    let server = Running::start().await;
    server.command("POST", "turns/story", r#"{"turn": 1, "value": [1e999, "\ud800"]}"#).await;
    let page = server.get("/entities/turn/story").await;
    assert!(page.contains(r"[1e999, &quot;\ud800&quot;]"), "{page}");
    server.stop().await;
}

#[tokio::test]
async fn a_long_timeline_goes_on_on_the_next_page() {
    let server = Running::start().await;
    for turn in 1..=51 {
        let body = format!(r#"{{"turn": {turn}, "value": "v{turn}-"}}"#);
        server.command("POST", "turns/story", &body).await;
    }
    let first = server.get("/entities/turn/story").await;
    let (timeline, _) = first.split_once("<h2>State</h2>").unwrap();
    assert!(timeline.contains("v51-") && timeline.contains("v2-") && !timeline.contains("v1-"));
    let (_, older) = timeline.split_once("<a href=\"/entities/turn/story?before=").unwrap();
    let (place, _) = older.split_once('"').unwrap();
    let next = server.get(&format!("/entities/turn/story?before={place}")).await;
    let (timeline, _) = next.split_once("<h2>State</h2>").unwrap();
    assert!(timeline.contains("v1-") && !timeline.contains("v2-"));
    assert!(!timeline.contains("before="), "there is nothing older");
    assert!(!next.contains("data-feed"), "the past does not change");
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_is_not_there_says_so_as_a_page() {
    let server = Running::start().await;
    server.command("POST", "turns/story", r#"{"turn": 1, "value": 1}"#).await;
    for (path, status, says) in [
        ("/entities/dragon", 404, "There is no such type of entities."),
        ("/entities/dragon/smaug", 404, "There is no such type of entities."),
        ("/entities/turn/nobody", 404, "Nobody has written to this entity."),
        ("/entities/turn/story?before=x", 400, "This part of the timeline is not known."),
        ("/entities/turn/story?before=999", 400, "This part of the timeline is not known."),
    ] {
        let page = server.get(path).await;
        assert!(page.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {page}");
        assert!(page.contains("text/html") && page.contains(says), "{path}: {page}");
    }
    let problem = server.get("/entities/turn/a%20b").await;
    assert!(problem.contains("\"code\":\"bad_key\""), "{problem}");
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_told_to_the_pages_that_show_it() {
    let server = Running::start().await;
    let mut overview = server.feed("/feed").await;
    let mut story = server.feed("/entities/turn/story/feed").await;
    server.command("POST", "turns/story", r#"{"turn": 1, "value": 1}"#).await;
    assert!(story.next().await && overview.next().await);
    server.stop().await;
    while story.next().await || overview.next().await {}
}

#[tokio::test]
async fn pages_are_for_people_and_left_out_of_the_document_for_programs() {
    let server = Running::start().await;
    let document = server.get("/api/openapi.json").await;
    assert!(document.contains("\"/metrics\"") && document.contains("\"/api/v1/turns/{key}\""));
    assert!(!document.contains("\"/entities/{type}/{key}\"") && !document.contains("\"/feed\""));
    server.stop().await;
}

#[tokio::test]
async fn the_audit_runs_when_it_is_asked_for_and_shows_each_race() {
    let server = Running::start().await;
    assert!(server.get("/audit").await.contains("Run the audit"));
    let unasked = server.get("/audit/a-tie-is-counted-nowhere").await;
    assert!(unasked.contains("No audit has run since the server started."), "{unasked}");

    let mut news = server.feed("/audit/feed").await;
    let answer = server.ask("POST", "/audit", "").await;
    assert!(answer.starts_with("HTTP/1.1 303 ") && answer.contains("location: /audit"), "{answer}");
    let link = "href=\"/audit/a-magic-number-switches-the-quotas-off\"";
    while !server.get("/audit").await.contains(link) {
        assert!(news.next().await);
    }
    let race = server.get("/audit/a-magic-number-switches-the-quotas-off").await;
    for part in ["found; the twin holds", "As found", "--schedule", "On Interlock", "Holds in "] {
        assert!(race.contains(part), "{part}: {race}");
    }
    // It ends with the server, wherever it is.
    server.stop().await;
}
