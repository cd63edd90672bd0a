//! A server that plays for runs itself, on the stand-in for a Showdown server.

use std::{fs, path::Path};

use interlock_battles::fake::{Fake, Faults};
use serde_json::Value;
use tempfile::TempDir;

use super::support::Running;

/// A data folder that outlives its server.
struct Ground {
    showdown: Fake,
    folder: TempDir,
}

impl Ground {
    async fn new(seed: u64) -> Self {
        let showdown = Fake::start(Faults::default(), seed).await.unwrap();
        Self { showdown, folder: tempfile::tempdir().unwrap() }
    }

    async fn server(&self) -> Running {
        let folder = self.folder.path().to_owned();
        Running::with(|config| config.data = folder).await.unwrap()
    }

    /// Opens a run of so many battles, a number or `"unlimited"`.
    async fn open(&self, server: &Running, run: &str, target: &str) {
        let url = self.showdown.url();
        let body = format!(
            r#"{{"server": "{url}", "format": "gen9randombattle", "mode": "ladder", "target": {target}}}"#
        );
        server.command("PUT", &format!("battles/runs/{run}"), &body).await;
    }
}

const CREW: &str = r#"{"usernames": ["Bot 1"], "workers": 2, "player": "random"}"#;

/// Waits until so many events of this type have happened to an entity, from its beginning.
async fn happened(server: &Running, entity: &str, event: &str, count: usize) {
    let mut feed = server.feed(&format!("/api/v1/events?entity={entity}&from=start")).await;
    feed.wait_for(&format!("\"type\":\"{event}\""), count).await;
}

#[track_caller]
fn has(answer: &str, words: &[&str]) {
    for words in words {
        assert!(answer.contains(words), "{words}: {answer}");
    }
}

/// How many battles count, by a run's answer.
fn finished(answer: &str) -> u64 {
    let body = answer.split_once("\r\n\r\n").expect("an answer has a body").1;
    let run: Value = serde_json::from_str(body).unwrap();
    let count = |ending: &str| run["total"][ending].as_u64().unwrap();
    ["wins", "losses", "ties", "forfeits"].into_iter().map(count).sum()
}

fn holds(folder: &Path, secret: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let in_file =
            || fs::read(&path).unwrap().windows(secret.len()).any(|it| it == secret.as_bytes());
        if path.is_dir() { holds(&path, secret) } else { in_file() }
    })
}

#[tokio::test]
async fn a_fleet_is_started_over_http_and_plays_to_the_target() {
    let ground = Ground::new(1).await;
    let server = ground.server().await;
    ground.open(&server, "five", "5").await;
    let fleet = "/api/v1/battles/runs/five/fleet";
    has(&server.get(fleet).await, &["404", "unknown_fleet"]);
    has(&server.ask("PUT", fleet, CREW).await, &["HTTP/1.1 201"]);
    happened(&server, "fleet/five", "ended", 1).await;
    has(
        &server.get(fleet).await,
        &["\"state\":\"over\"", "\"player\":\"random\"", "\"secret\":\"none\""],
    );
    has(&server.get("/api/v1/battles/runs/five").await, &["\"claimed\":0", "\"remaining\":0"]);
    assert_eq!(ground.showdown.played().len(), 5);
    has(&server.get("/battles").await, &["five", "5 of 5", "stopped"]);
    server.stop().await;
}

#[tokio::test]
async fn a_fleet_goes_on_by_itself_when_the_server_comes_back_and_drains_when_it_is_told() {
    let ground = Ground::new(2).await;
    let server = ground.server().await;
    ground.open(&server, "on", "\"unlimited\"").await;
    server.command("PUT", "battles/runs/on/fleet", CREW).await;
    happened(&server, "run/on", "over", 3).await;
    server.stop().await;

    let server = ground.server().await;
    let before = ground.showdown.played().len();
    happened(&server, "run/on", "over", before + 3).await;
    has(&server.get("/battles/on").await, &["playing", "Bot 1", "2 workers", "/battles/on/drain"]);
    // Once more the same changes nothing, another crew is refused.
    has(&server.ask("PUT", "/api/v1/battles/runs/on/fleet", CREW).await, &["HTTP/1.1 200"]);
    let other = r#"{"usernames": ["Bot 2"]}"#;
    has(
        &server.ask("PUT", "/api/v1/battles/runs/on/fleet", other).await,
        &["409", "fleet_playing"],
    );
    server.command("POST", "battles/runs/on/fleet/drain", "").await;
    happened(&server, "fleet/on", "ended", 1).await;
    let run = server.get("/api/v1/battles/runs/on").await;
    has(&run, &["\"claimed\":0", "\"in_doubt\":0", "\"forfeits\":0"]);
    assert_eq!(finished(&run), ground.showdown.played().len() as u64);
    // What has ended can be started anew.
    has(&server.ask("PUT", "/api/v1/battles/runs/on/fleet", other).await, &["HTTP/1.1 201"]);
    server.command("POST", "battles/runs/on/fleet/forfeit", "").await;
    happened(&server, "fleet/on", "ended", 2).await;
    server.stop().await;
}

#[tokio::test]
async fn a_drain_that_is_sent_once_more_ends_no_fleet_that_was_started_since() {
    let ground = Ground::new(6).await;
    let server = ground.server().await;
    ground.open(&server, "twice", "\"unlimited\"").await;
    let fleet = "/api/v1/battles/runs/twice/fleet";
    for (id, word, ends) in [("d", "drain", 1), ("f", "forfeit", 3)] {
        server.command("PUT", "battles/runs/twice/fleet", CREW).await;
        let slow = async || server.ask_as(id, "POST", &format!("{fleet}/{word}"), "").await;
        has(&slow().await, &["HTTP/1.1 200"]);
        happened(&server, "fleet/twice", "ended", ends).await;
        has(&server.ask("PUT", fleet, CREW).await, &["HTTP/1.1 201"]);
        has(&slow().await, &["HTTP/1.1 200", "idempotent-replayed: true"]);
        let stands = server.get(fleet).await;
        let goes_on = ["starting", "playing"].map(|state| format!("\"state\":\"{state}\""));
        assert!(goes_on.iter().any(|state| stands.contains(state)), "{stands}");
        server.command("POST", "battles/runs/twice/fleet/forfeit", "").await;
        happened(&server, "fleet/twice", "ended", ends + 1).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_password_is_kept_nowhere_and_missed_after_a_restart() {
    let ground = Ground::new(3).await;
    let server = ground.server().await;
    ground.open(&server, "secret", "5").await;
    // Nobody proves names at port 1.
    let crew = r#"{"usernames": ["Bot"], "password": "open sesame 4711", "login_url": "http://127.0.0.1:1/"}"#;
    has(&server.ask("PUT", "/api/v1/battles/runs/secret/fleet", crew).await, &["HTTP/1.1 201"]);
    let fleet = server.get("/api/v1/battles/runs/secret/fleet").await;
    has(&fleet, &["\"state\":\"starting\"", "\"memory\""]);
    assert!(!fleet.contains("sesame"), "{fleet}");
    server.stop().await;
    assert!(!holds(ground.folder.path(), "sesame"), "it is on the disk");

    let server = ground.server().await;
    happened(&server, "fleet/secret", "ended", 1).await;
    let page = server.get("/battles/secret").await;
    has(
        &page,
        &["stopped", "its password was in the memory of a process that has ended", "Play for it"],
    );
    server.stop().await;
}

#[tokio::test]
async fn what_could_never_play_is_refused() {
    let ground = Ground::new(4).await;
    let server = ground.server().await;
    ground.open(&server, "r", "5").await;
    let local =
        r#"{"server": "local", "format": "gen9randombattle", "mode": "self-play", "target": 5}"#;
    server.command("PUT", "battles/runs/pairs", local).await;
    for (run, crew, status, code, field) in [
        ("r", "{}", "400", "missing_field", "usernames"),
        ("r", r#"{"usernames": []}"#, "400", "out_of_range", "usernames"),
        ("r", r#"{"usernames": ["a b", "AB"]}"#, "400", "bad_value", "usernames"),
        ("r", r#"{"usernames": ["a|b", "!"]}"#, "400", "bad_value", "usernames"),
        ("r", r#"{"usernames": ["a"], "workers": 1001}"#, "400", "out_of_range", "workers"),
        (
            "r",
            r#"{"usernames": ["a"], "worker_prefix": "b1"}"#,
            "400",
            "bad_value",
            "worker_prefix",
        ),
        ("r", r#"{"usernames": ["a"], "player": "deep-thought"}"#, "400", "bad_value", "player"),
        ("r", r#"{"usernames": ["a"], "socket": "http://x/"}"#, "400", "bad_value", "socket"),
        (
            "r",
            r#"{"usernames": ["a"], "password_env": "PATH"}"#,
            "400",
            "bad_value",
            "password_env",
        ),
        ("r", r#"{"usernames": ["a"], "login_url": "http://x/"}"#, "400", "bad_value", "login_url"),
        ("pairs", r#"{"usernames": ["a"]}"#, "400", "bad_value", "usernames"),
        ("pairs", r#"{"usernames": ["a", "b"]}"#, "400", "bad_value", "server"),
    ] {
        let answer = server.ask("PUT", &format!("/api/v1/battles/runs/{run}/fleet"), crew).await;
        let (code, field) = (format!("\"code\":\"{code}\""), format!("\"field\":\"{field}\""));
        has(&answer, &[&format!("HTTP/1.1 {status}"), &code, &field]);
    }
    for (method, path) in
        [("PUT", "nobody/fleet"), ("POST", "r/fleet/drain"), ("POST", "r/fleet/forfeit")]
    {
        let body = if method == "PUT" { CREW } else { "" };
        has(
            &server.ask(method, &format!("/api/v1/battles/runs/{path}"), body).await,
            &["HTTP/1.1 404"],
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_fleet_is_started_and_stopped_on_the_page() {
    let ground = Ground::new(5).await;
    let server = ground.server().await;
    has(&server.get("/battles").await, &["There are no runs yet.", "action=\"/battles\""]);
    let form = |names: &str| {
        let url = ground.showdown.url().replace(':', "%3A").replace('/', "%2F");
        format!(
            "run=page&server={url}&format=gen9randombattle&mode=ladder&name=&target=unlimited&usernames={names}\
             &password=&password_env=&workers=3&player=random&save_replay=never"
        )
    };
    has(&server.submit("/battles", &form("")).await, &["HTTP/1.1 400", "`usernames` is required"]);
    has(
        &server.submit("/battles", &form("Bot+1%2C+Bot+2")).await,
        &["HTTP/1.1 303", "location: /battles/page"],
    );
    happened(&server, "run/page", "over", 2).await;
    has(
        &server.get("/battles/page").await,
        &["Bot 1, Bot 2", "3 workers", "Finish what is in play"],
    );
    has(&server.submit("/battles/page/drain", "").await, &["HTTP/1.1 303"]);
    happened(&server, "fleet/page", "ended", 1).await;
    let page = server.get("/battles/page").await;
    has(&page, &["stopped", "action=\"/battles/page/fleet\"", "value=\"Bot 1, Bot 2\""]);
    let before = ground.showdown.played().len();
    let again = "usernames=Bot+1&workers=1&player=random&save_replay=never";
    has(&server.submit("/battles/page/fleet", again).await, &["HTTP/1.1 303"]);
    happened(&server, "run/page", "over", before + 1).await;
    server.submit("/battles/page/forfeit", "").await;
    happened(&server, "fleet/page", "ended", 2).await;
    server.stop().await;
}
