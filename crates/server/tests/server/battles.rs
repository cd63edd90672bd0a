//! The pages of battles: one in play, one over, and what a hostile server may have said in it.

use std::{fs, path::Path};

use interlock_battles::fake::{Fake, Faults};

use super::support::Running;

#[track_caller]
fn has(answer: &str, words: &[&str]) {
    for words in words {
        assert!(answer.contains(words), "{words}: {answer}");
    }
}

async fn server(folder: &Path) -> Running {
    let folder = folder.to_owned();
    Running::with(|config| config.data = folder).await.unwrap()
}

/// A server that plays for a run, on a stand-in for Showdown.
async fn playing(folder: &Path, showdown: &Fake, target: &str, player: &str) -> Running {
    let server = server(folder).await;
    let plan = format!(
        r#"{{"server": "{}", "format": "gen9randombattle", "mode": "ladder", "target": {target}}}"#,
        showdown.url()
    );
    server.command("PUT", "battles/runs/r", &plan).await;
    let crew = format!(r#"{{"usernames": ["Bot"], "player": "{player}"}}"#);
    server.command("PUT", "battles/runs/r/fleet", &crew).await;
    server
}

/// A run whose battle `c1` a program of somebody else's has played, in this room and against this user.
async fn reported(folder: &Path, room: &str, opponent: &str) -> Running {
    let server = server(folder).await;
    let plan =
        r#"{"server": "ws://127.0.0.1:1/", "format": "gen9ou", "mode": "ladder", "target": 5}"#;
    server.command("PUT", "battles/runs/r", plan).await;
    let team = format!(r#"{{"worker": "w0", "team": "{opponent}"}}"#);
    server.command("POST", "battles/runs/r/claims", &team).await;
    let begun = format!(r#"{{"room": "{room}", "account": "bot", "opponent": "{opponent}"}}"#);
    server.command("POST", "battles/runs/r/claims/c1/begin", &begun).await;
    let end = r#"{"ending": "win", "rating": 1234}"#;
    server.command("POST", "battles/runs/r/claims/c1/end", end).await;
    // Phase 1 has run when somebody else is told.
    let mut feed = server.feed("/api/v1/events?entity=run/r&from=start").await;
    feed.wait_for("\"type\":\"over\"", 1).await;
    server
}

const EVIL: &str = "<script>alert(1)</script>";

#[tokio::test]
async fn a_battle_in_play_shows_both_sides_what_happened_and_what_the_bot_thinks() {
    let folder = tempfile::tempdir().unwrap();
    let showdown = Fake::start(Faults::default(), 1).await.unwrap();
    // It thinks for so long that it is in play while we look.
    let server = playing(folder.path(), &showdown, "\"unlimited\"", "search:3000ms").await;
    let (battle, page) = loop {
        let run = server.get("/battles/r").await;
        // What is in play comes first.
        if let Some((_, rest)) = run.split_once("href=\"/battles/r/c") {
            let battle = format!("/battles/r/c{}", rest.split('"').next().unwrap());
            let page = server.get(&battle).await;
            if page.contains("Chance to win") {
                break (battle, page);
            }
        }
        server.feed("/battles/r/feed").await.next().await;
    };
    has(
        &page,
        &[
            &format!("data-feed=\"{battle}/feed\""),
            "in play",
            "our bot",
            "% HP",
            "Snorlax",
            "What the bot thinks",
            "Visits",
            "What happened",
            "sent out",
        ],
    );
    assert!(server.feed(&format!("{battle}/feed")).await.next().await, "it says when it goes on");
    server.stop().await;
}

#[tokio::test]
async fn a_battle_that_is_over_is_told_and_can_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let showdown = Fake::start(Faults::default(), 2).await.unwrap();
    let server = playing(folder.path(), &showdown, "2", "random").await;
    let mut feed = server.feed("/api/v1/events?entity=fleet/r&from=start").await;
    feed.wait_for("\"type\":\"ended\"", 1).await;
    let run = server.get("/battles/r").await;
    assert!(!run.contains("without logs here"), "{run}");
    has(&run, &["href=\"/battles/r/c1\"", "href=\"/battles/r/c2\"", "Win rate", "by battle"]);
    let page = server.get("/battles/r/c1").await;
    has(&page, &["Turn 1", "used", "fainted", "won the battle", "href=\"/battles/r/c1/log\""]);
    assert!(!page.contains("data-feed"), "the past does not change");
    let log = server.get("/battles/r/c1/log").await;
    has(&log, &["200 OK", "attachment; filename=\"battle-", ".log\"", "text/plain", "\n|win|"]);
    let replay = server.get("/battles/r/c1/replay").await;
    has(&replay, &["200 OK", "attachment; filename=\"battle-", ".html\"", "battle-log-data"]);
    assert!(!replay.contains("content-type: text/html"), "it is no page of this server");
    let older = server.get("/battles/r?before=c2").await;
    has(&older, &["href=\"/battles/r/c1\""]);
    assert!(!older.contains("href=\"/battles/r/c2\""), "{older}");
    server.stop().await;
}

#[tokio::test]
async fn a_battle_that_is_not_there_says_where_to_look() {
    let folder = tempfile::tempdir().unwrap();
    let server = reported(folder.path(), "battle-gen9ou-1", "rival").await;
    for path in ["r/c2", "r/nonsense", "r/c99999999999999999999", "r/c2/log", "r/c2/replay"] {
        let page = server.get(&format!("/battles/{path}")).await;
        has(&page, &["HTTP/1.1 404", "text/html", "no such battle", "href=\"/battles/r\""]);
    }
    has(&server.get("/battles/nobody/c1").await, &["404", "no such run", "href=\"/battles\""]);
    has(&server.get("/battles/r/c1").await, &["200", "rival", "1,234", "data folder"]);
    has(&server.get("/battles/r/c1/log").await, &["404", "data folder"]);
    has(&server.get("/battles/r").await, &["Drift", "1 without logs here"]);
    has(&server.get("/battles/r?before=x").await, &["400", "not known"]);
    server.command("POST", "battles/runs/r/claims", r#"{"worker": "w1"}"#).await;
    has(&server.get("/battles/r/c2").await, &["200", "An opponent is searched for."]);
    has(&server.get("/battles/r/c2/log").await, &["409", "when the battle is over"]);
    server.stop().await;
}

#[tokio::test]
async fn what_others_say_in_a_battle_is_text_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = reported(folder.path(), "battle-gen9ou-1", EVIL).await;
    let shelf = folder.path().join("battles/r/logs/w0/bot/0");
    fs::create_dir_all(&shelf).unwrap();
    let log = format!(
        "|player|p1|Bot|1|\n|player|p2|{EVIL}|2|\n|switch|p1a: {EVIL}|{EVIL}, L80|9/9\n\
         |switch|p2a: A|{EVIL}|100/100\n|turn|1\n|-weather|{EVIL}\n|-sidestart|p2: x|{EVIL}\n|c|☆{EVIL}|{EVIL}\n\
         |-start|p2a: A|{EVIL}|{EVIL}\n|-status|p2a: A|brn|[from] {EVIL}\n|-message|{EVIL}\n|move|p2a: A|{EVIL}\n|win|{EVIL}\n"
    );
    fs::write(shelf.join("c1.battle-gen9ou-1.log"), &log).unwrap();
    let candidates = format!(r#"[{{"choice": "{EVIL}", "visits": 1, "value": 1e9}}]"#);
    let thought = format!(r#"{{"turn": 1, "chosen": "{EVIL}", "candidates": {candidates}}}"#);
    fs::write(shelf.join("c1.battle-gen9ou-1.thoughts"), thought + "\n{").unwrap();
    for path in ["/battles/r", "/battles/r/c1"] {
        let page = server.get(path).await;
        has(&page, &["200 OK", "&lt;script&gt;alert"]);
        assert!(!page.contains("<script>alert"), "{page}");
    }
    has(&server.get("/battles/r/c1").await, &["The bot chose <strong>&lt;script&gt;"]);
    assert!(server.get("/battles/r/c1/log").await.ends_with(&log), "it is kept as it came");
    has(
        &server.get("/battles/r/c1/replay").await,
        &["<\\/script>", "content-security-policy: sandbox"],
    );
    server.stop().await;
}

#[tokio::test]
async fn what_others_report_leads_to_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = folder.path().join("battles/r/logs/w0/bot/0");
    // The way through it leads out again.
    fs::create_dir_all(shelf.join("c1.x")).unwrap();
    fs::write(shelf.join("secret.log"), "|win|sesame\n").unwrap();
    let server = reported(folder.path(), "x/../secret", "rival").await;
    for path in ["/battles/r/c1", "/battles/r/c1/log", "/battles/r/c1/replay"] {
        let page = server.get(path).await;
        has(&page, &["data folder"]);
        assert!(!page.contains("sesame"), "{page}");
    }
    server.stop().await;
}
