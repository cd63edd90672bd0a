use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use crate::support::{Place, Server, read};

#[test]
fn told_to_stop_it_ends_what_is_in_progress_and_leaves_in_order() {
    for signal in ["TERM", "INT"] {
        let place = Place::new();
        let server = place.serve(&[]);
        let feed =
            server.send(&format!("GET /feed HTTP/1.1\r\nhost: {}\r\n\r\n", server.address()));
        let mut head = String::new();
        BufReader::new(feed.try_clone().unwrap()).read_line(&mut head).unwrap();
        assert_eq!(head, "HTTP/1.1 200 OK\r\n");

        server.signal(signal);
        let rest = read(feed);
        assert!(rest.ends_with("0\r\n\r\n"), "the feed ends as it should: {rest:?}");
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        assert_eq!(place.run(&["store", "verify"]).code, Some(0));
    }
}

#[test]
fn a_request_whose_body_is_on_its_way_is_answered() {
    let place = Place::new();
    let server = place.serve(&[]);
    let body = r#"{"turn": 1, "value": "north"}"#;
    let mut request = begun(&server, body.len());
    server.signal("TERM");
    server.wait_until_closed();
    request.write_all(body.as_bytes()).unwrap();
    let answer = read(request);
    // On a machine that is slow enough the grace is over.
    let taken = answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"won\":true");
    let refused = answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"shutting_down\"");
    assert!(taken || refused, "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    // A request that does not end, so that the server waits for it.
    let busy = begun(&server, 1);
    server.signal("TERM");
    server.wait_until_closed();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(1));
    drop(busy);
}

#[test]
fn after_a_kill_it_starts_again_at_once_on_the_same_port_and_folder() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    let address = server.address().to_string();
    for turn in 1..=3 {
        let json = "content-type: application/json\r\n";
        let body = format!("{{\"turn\": {turn}, \"value\": {turn}}}");
        let won = server.ask("POST /api/v1/turns/story", json, &body);
        assert!(won.contains("\"won\":true"), "{won}");
        // Connections that are open when the process dies leave the port in TIME_WAIT or worse.
        let open = server.send("GET /api/v1/health HTTP/1.1\r\n");
        server.signal("KILL");
        assert_eq!(server.wait().code(), None, "killed");
        server = place.serve(&["--listen", &address]);
        let kept = server.get("/api/v1/turns/story");
        assert!(kept.contains(&format!("\"last\":{{\"turn\":{turn},")), "{kept}");
        drop(open);
    }
}

/// A command that the server has begun to read: it has asked for the body.
fn begun(server: &Server, bytes: usize) -> TcpStream {
    let request = server.send(&format!(
        "POST /api/v1/turns/story HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\nexpect: 100-continue\r\n\r\n",
        server.address()
    ));
    let mut head = [0; 25];
    (&request).read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 100 Continue\r\n\r\n");
    request
}
