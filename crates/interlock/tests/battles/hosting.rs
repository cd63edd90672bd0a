//! Fleets that a server plays for others, whose passwords are in its environment.

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Stdio,
};

use serde_json::json;

use crate::support::{Fleet, Place, Showdown};

const PASSWORD: &str = "of the environment";

/// A login service that is asked once. Returns what it is told.
fn log_in(service: &TcpListener) -> String {
    let (mut socket, _) = service.accept().unwrap();
    let mut told = String::new();
    while !told.contains("challstr=") {
        let mut part = [0; 4096];
        let count = socket.read(&mut part).unwrap();
        assert!(count > 0, "it was told no more than {told}");
        told.push_str(std::str::from_utf8(&part[..count]).unwrap());
    }
    let answer = r#"]{"assertion":"proof"}"#;
    let length = answer.len();
    write!(
        socket,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}"
    )
    .unwrap();
    told
}

#[test]
fn a_fleet_proves_its_name_with_a_password_of_the_servers_environment() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/login", service.local_addr().unwrap());
    let mut command =
        place.command(&["run", "--server", showdown.url(), "-u", "own", "--listen", "127.0.0.1:0"]);
    command.env("INTERLOCK_SHOWDOWN_PASSWORD_NIGHT", PASSWORD);
    command.env("INTERLOCK_SHOWDOWN_LOGIN_URL", &url);
    let host = Fleet::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());

    let run = json!({"server": showdown.url(), "format": "gen9randombattle", "mode": "ladder", "target": 1});
    let answer = host.ask("PUT", "/api/v1/battles/runs/night", &run.to_string());
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let start = |variable: &str| {
        let crew = json!({"usernames": ["Sleepless"], "password_env": variable});
        host.ask("PUT", "/api/v1/battles/runs/night/fleet", &crew.to_string())
    };
    for variable in ["PATH", "INTERLOCK_SHOWDOWN_PASSWORD_DAY"] {
        let answer = start(variable);
        assert!(
            answer.starts_with("HTTP/1.1 400 ") && answer.contains("must name a variable"),
            "{answer}"
        );
    }
    let answer = start("INTERLOCK_SHOWDOWN_PASSWORD_NIGHT");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let told = log_in(&service);
    assert!(told.contains("name=Sleepless&pass=of%20the%20environment&challstr="), "{told}");
    let shown = host.ask("GET", "/api/v1/battles/runs/night/fleet", "");
    assert!(
        shown.contains("INTERLOCK_SHOWDOWN_PASSWORD_NIGHT") && !shown.contains(PASSWORD),
        "{shown}"
    );
}
