//! Stores that earlier versions wrote are read, verified and served.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

/// A copy of a fixture, since opening a store writes to it.
fn copy(version: &str) -> tempfile::TempDir {
    let fixture: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(version);
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env("INTERLOCK_LOG", "error")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { process, address }
    }

    /// The status, whether it is a recorded reply, and the body.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, bool, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let replayed = head.to_ascii_lowercase().contains("idempotent-replayed: true");
        (status, replayed, serde_json::from_str(body).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_store_of_format_1_recounts_to_what_it_says() {
    let data = copy("v1");
    let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["store", "verify", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    let says = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{says}{}", String::from_utf8_lossy(&output.stderr));
    assert!(says.contains("95 records"), "{says}");
}

#[test]
fn a_store_of_format_1_answers_repeats_as_it_did() {
    let data = copy("v1");
    let server = Server::start(data.path());
    let settle = server.ask(
        "POST",
        "/quotas/battles/claims/c1/settle",
        "idempotency-key: settle-1\r\n",
        r#"{"outcome":"win"}"#,
    );
    assert_eq!(settle, (200, true, json!({"claim": "c1", "outcome": "win", "version": 83})));
    // Closed, and still the winner's own answer.
    let turn = server.ask(
        "POST",
        "/turns/story",
        "idempotency-key: turn-1\r\n",
        r#"{"turn":1,"value":{"choice":"left"}}"#,
    );
    assert_eq!((turn.0, turn.1, &turn.2["won"]), (200, true, &json!(true)));
    let put = server.ask(
        "PUT",
        "/values/macros",
        "idempotency-key: value-2\r\nif-match: \"1\"\r\n",
        r#"{"a": 2}"#,
    );
    assert_eq!(put, (200, true, json!({"version": 2})));
}

#[test]
fn a_store_of_format_1_shows_its_entities() {
    let data = copy("v1");
    let server = Server::start(data.path());
    let get = |path: &str| {
        let (status, _, body) = server.ask("GET", path, "", "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let quota = get("/quotas/battles");
    assert_eq!((&quota["settled"], &quota["outcomes"]), (&json!(1), &json!({"win": 1})));
    assert_eq!(get("/values/macros"), json!({"a": 2}));
    assert_eq!(get("/values/macros?version=1"), json!({"a": 1.0, "b": "ä"}));
    assert_eq!(get("/barriers/match")["values"], json!({"p1": "deck"}));
    assert_eq!(get("/turns/story")["last"]["turn"], json!(2));
    assert_eq!(get("/jobs/improve")["version"].as_u64().map(|version| version >= 1), Some(true));
    assert_eq!(get("/pools/engines")["members"][0]["labels"], json!({"zone": "a"}));
    let (status, _, body) = server.ask("POST", "/turns/story", "", r#"{"turn":3,"value":1}"#);
    assert_eq!((status, &body["code"]), (410, &json!("closed")));
}

#[test]
fn a_run_of_the_second_form_goes_on_and_shows_what_is_in_doubt() {
    let data = copy("run2");
    let server = Server::start(data.path());
    let run = "/battles/runs/night";
    let (status, _, view) = server.ask("GET", run, "", "");
    assert_eq!(status, 200, "{view}");
    assert_eq!((&view["total"]["wins"], &view["decisions"]), (&json!(44), &json!(1320)));
    let doubted = &view["live"][0];
    assert_eq!((&doubted["claim"], &doubted["phase"]), (&json!("c67"), &json!("in_doubt")));
    assert!(doubted["in_doubt_ms"].as_u64().is_some(), "{doubted}");
    let renew = server.ask("POST", &format!("{run}/claims/c67/renew"), "", "{}");
    assert_eq!(renew.0, 200, "{}", renew.2);
    let end = r#"{"ending":"win","by":"b0"}"#;
    let end = server.ask("POST", &format!("{run}/claims/c67/end"), "", end);
    assert_eq!(end.0, 200, "{}", end.2);
    let (_, _, view) = server.ask("GET", run, "", "");
    assert_eq!(view["taken_up"][0]["by"], json!("b0"), "{view}");
}

#[test]
fn a_run_of_the_first_form_goes_on() {
    let data = copy("run1");
    let server = Server::start(data.path());
    let run = "/battles/runs/night";
    let (status, _, view) = server.ask("GET", run, "", "");
    assert_eq!(status, 200, "{view}");
    assert_eq!((&view["total"]["wins"], &view["total"]["losses"]), (&json!(45), &json!(22)));
    assert_eq!((&view["rating"], &view["decisions"]), (&json!(1067), &json!(0)));
    let rooms = view["live"].as_array().unwrap().iter().filter(|battle| !battle["room"].is_null());
    assert_eq!(rooms.count(), 3);
    // What a command was answered then.
    let claim = server.ask(
        "POST",
        &format!("{run}/claims"),
        "idempotency-key: k2\r\n",
        r#"{"worker":"w1","team":"rain"}"#,
    );
    assert_eq!((claim.0, claim.1, &claim.2["claim"]), (201, true, &json!("c1")));
    let end = server.ask(
        "POST",
        &format!("{run}/claims/c68/end"),
        "",
        r#"{"ending":"tie","overheads":[{"micros":350,"decisions":20}]}"#,
    );
    assert_eq!(end.0, 200, "{}", end.2);
    let (_, _, view) = server.ask("GET", run, "", "");
    assert_eq!((&view["total"]["ties"], &view["decisions"]), (&json!(1), &json!(20)));
}
