use std::io::{BufRead, BufReader};

use crate::support::Place;

#[test]
fn it_answers_where_it_says_that_it_listens() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert!(server.get("/api/v1/health").ends_with("\r\n\r\n{\"status\":\"ok\"}"));
    assert!(server.get("/").contains("What runs here"));
    let metrics = server.get("/metrics");
    assert!(metrics.contains("\ninterlock_commands_total "), "{metrics}");
    let unknown = server.get("/api/v1/nothing");
    assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
    assert!(unknown.contains("\"code\":\"not_found\""), "{unknown}");
}

#[test]
fn the_environment_says_what_the_command_line_does_not() {
    let place = Place::new().with_config("data = \"by-file\"\n");
    let said = place.run_with(
        &["serve", "--listen", "0.0.0.0:0"],
        &[("INTERLOCK_LISTEN", "127.0.0.1:0"), ("INTERLOCK_DATA", "by-variable")],
    );
    assert!(said.err.contains("listen: 0.0.0.0:0 can be reached"), "the flag wins: {}", said.err);
    let server = place.serve(&["--data", "by-flag"]);
    assert!(place.path().join("by-flag").is_dir());
    assert!(!place.path().join("by-file").exists());
    drop(server);
}

#[test]
fn a_second_server_on_a_folder_is_told_who_holds_it() {
    let place = Place::new();
    let first = place.serve(&[]);
    let same_port = first.address().to_string();
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["serve", "--listen", &same_port],
        &["store", "verify"],
    ] {
        let said = place.run(arguments);
        let expected = format!(
            "interlock: the store is in use: ./interlock-data is held by process {}, listening on {}\n",
            first.id(),
            first.address()
        );
        assert_eq!((said.err, said.code), (expected, Some(1)));
    }
    assert!(first.get("/api/v1/health").starts_with("HTTP/1.1 200 "), "the first goes on");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let place = Place::new();
    let first = place.serve(&[]);
    let address = first.address().to_string();
    let said = place.run(&["serve", "--data", "other", "--listen", &address]);
    let expected = format!(
        "interlock: {address} is taken: another program listens there; name another address with --listen\n"
    );
    assert_eq!((said.err, said.code), (expected, Some(1)));
    assert!(!place.path().join("other").exists(), "it has not begun");
}

#[test]
fn with_tokens_it_asks_for_one() {
    let place = Place::new().with_config("[auth.tokens]\nbot = \"0123456789abcdef\"\n");
    let server = place.serve(&["--listen", "0.0.0.0:0"]);
    let port = server.address().port();
    let local = format!("http://127.0.0.1:{port}");
    assert!(server.get("/").starts_with("HTTP/1.1 401 "), "{local}");
    let known = server.ask("GET /", "authorization: Bearer 0123456789abcdef\r\n", "");
    assert!(known.starts_with("HTTP/1.1 200 "), "{known}");
    let wrong = server.ask("GET /", "authorization: Bearer 0123456789abcdeg\r\n", "");
    assert!(wrong.starts_with("HTTP/1.1 401 "), "{wrong}");
}

#[test]
fn without_tokens_it_answers_only_to_names_of_this_machine() {
    let place = Place::new();
    let server = place.serve(&[]);
    let rebound = crate::support::read(
        server.send("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"),
    );
    assert!(rebound.contains("\"code\":\"forbidden_host\""), "{rebound}");
    let cross_site = server.ask("GET /", "origin: http://evil.example\r\n", "");
    assert!(cross_site.contains("\"code\":\"forbidden_origin\""), "{cross_site}");
}

#[test]
fn the_demonstration_names_a_stream_that_plays_at_once() {
    let place = Place::new();
    let mut server = place.serve(&["--demo"]);
    assert_eq!(server.line(), "play this with ffplay or VLC, as often as you like:\n");
    let url = server.line();
    let path = url.trim().strip_prefix(&format!("http://{}", server.address())).unwrap();
    for _ in 0..2 {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address());
        let mut player = BufReader::new(server.send(&request));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(player.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: video/mp2t\r\n"), "{head}");
    }
    let page = server.get("/");
    assert!(
        page.contains("demo1") && page.contains("healthy"),
        "the engines are on the first page"
    );
    assert!(!place.path().join("interlock-data").exists(), "its folder is elsewhere");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "players do not keep it from stopping");
}

#[test]
#[cfg(target_os = "linux")]
fn it_takes_as_many_open_files_as_the_system_allows() {
    let place = Place::new();
    let server = place.serve(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let numbers: Vec<_> = files.split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1], "soft and hard: {files}");
}
