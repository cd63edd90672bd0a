//! What cannot be played is said in clear words, and leaves nothing claimed.

use std::fs;

use serde_json::json;

use crate::support::{Place, Showdown};

/// A run that cannot go on: one line that says why, exit code 1, no claim left open.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], words: &str) {
    let said = place.run(&[&["run", "--run", "r", "-n", "4"], arguments].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{}", said.err);
    let last = said.err.lines().last().unwrap();
    assert!(last.starts_with("interlock: ") && last.contains(words), "{}", said.err);
    if place.path().join("interlock-data").exists() {
        let shown = place.run(&["show", "r", "--json"]);
        if shown.err.contains("there is no such run") {
            return;
        }
        let shown = shown.json();
        assert_eq!((shown["claimed"].as_u64(), shown["finished"].as_u64()), (Some(0), Some(0)));
    }
}

/// Words that nobody can mean.
#[track_caller]
fn misread(arguments: &[&str], words: &str) {
    let said = Place::new().run(&[&["run", "--run", "r"], arguments].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{}", said.err);
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let server = "ws://127.0.0.1:1/showdown/websocket";
    refused(
        &Place::new(),
        &["--server", server, "-u", "bot"],
        &format!("no connection to {server}"),
    );
}

#[test]
fn a_mistyped_server_leaves_the_name_of_its_run_free() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let with_itself = ["-u", "one,two", "--mode", "self-play", "--player", "random"];
    let on = |server| [&with_itself[..], &["--server", server]].concat();
    refused(&place, &on("ws://127.0.0.1:1/showdown/websocket"), "no connection to");
    let again = [&["run", "--run", "r", "-n", "2", "--json"], &on(showdown.url())[..]].concat();
    assert_eq!(place.run(&again).json()["finished"], 2);
}

#[test]
fn who_could_never_play_is_not_sent_to_a_server() {
    let place = Place::new();
    for (names, words) in [
        ("bot,bot", "--username must have letters or digits, and name each account once"),
        (",", "--username must have letters or digits, and name each account once"),
        ("a name of nineteen.", "--username must not be longer than 18 characters each"),
    ] {
        refused(&place, &["-u", names], words);
    }
    refused(&place, &["-u", "bot", "--mode", "self-play"], "--username must be pairs");
    let page = ["-u", "bot", "--server", "http://127.0.0.1:8000"];
    refused(&place, &page, "--server http://127.0.0.1:8000 must be the address of a socket");
}

#[test]
fn whoever_joins_has_names_of_its_own_and_no_server_of_its_own() {
    let join = ["-u", "bot", "--join", "http://127.0.0.1:1"];
    misread(&join, "--worker-prefix <PREFIX>");
    let prefixed = [&join[..], &["--worker-prefix", "b"]].concat();
    for own in [&["--local"][..], &["--server", "ws://127.0.0.1:1"]] {
        misread(&[&prefixed[..], own].concat(), &format!("cannot be used with '{}", own[0]));
    }
}

#[test]
fn an_opponent_who_is_not_there_is_warned_of() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let challenge = ["--mode", "challenge", "--opponent", "Nobody Here"];
    let mut fleet = place.start(
        &[&["run", "-u", "bot", "--server", showdown.url(), "--json"], &challenge[..]].concat(),
    );
    fleet.line_with("The user 'nobodyhere' was not found");
    fleet.signal("TERM");
    assert_eq!(fleet.said().json()["claimed"], 0);
}

#[test]
fn a_folder_without_teams_is_named() {
    let place = Place::new();
    refused(&place, &["-u", "bot", "--team-dir", "nowhere"], "--team-dir nowhere: ");
    fs::create_dir(place.path().join("empty")).unwrap();
    refused(
        &place,
        &["-u", "bot", "--team-dir", "empty"],
        "--team-dir empty: there is no team in it",
    );
    fs::write(place.path().join("empty/odd"), "Pikachu\nAbilty: Static").unwrap();
    let words = "empty/odd: this line is not understood: Abilty: Static";
    refused(&place, &["-u", "bot", "--team-dir", "empty"], words);
}

#[test]
fn a_mistyped_format_spoils_no_name_over_http_either() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let own = ["run", "--server", showdown.url(), "-u", "one", "--listen", "127.0.0.1:0"];
    let fleet = place.start(&own);
    let open = |format: &str| {
        let server = showdown.url();
        let run = json!({"server": server, "format": format, "mode": "ladder", "target": 1});
        fleet.ask("PUT", "/api/v1/battles/runs/r", &run.to_string())
    };
    let answer = open("gen9radombatle");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("is it gen9randombattle, or "), "{answer}");
    let answer = open("gen9randombattle");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

#[test]
fn what_the_server_refuses_is_said_in_its_words() {
    let showdown = Showdown::start();
    let on_ladder = ["--server", showdown.url(), "-u", "bot", "--workers", "2"];
    let in_tournaments =
        [&on_ladder[..], &["--mode", "tournament", "--room", "Nowhere 1"]].concat();
    refused(&Place::new(), &in_tournaments, "the room nowhere1 is not there");
    let with_itself =
        ["--server", showdown.url(), "-u", "one,two", "--mode", "self-play", "--workers", "2"];
    for who in [&on_ladder[..], &with_itself] {
        let (place, mistyped) = (Place::new(), [who, &["--format", "gen9radombatle"]].concat());
        let words = "the server has no format gen9radombatle: is it gen9randombattle, or ";
        refused(&place, &mistyped, words);
        let shown = place.run(&["show", "r"]);
        assert!(shown.err.contains("there is no such run"), "its name is free: {}", shown.err);

        let place = Place::new();
        fs::create_dir(place.path().join("teams")).unwrap();
        fs::write(place.path().join("teams/bad"), "|Pikachu||static|surf|||||||").unwrap();
        let bad_team = [who, &["--format", "gen9ou", "--team-dir", "teams"]].concat();
        refused(&place, &bad_team, "the server refuses the team: ");
    }
}

#[test]
fn sides_that_can_never_play_each_other_are_refused_with_what_to_say_instead() {
    let nowhere = ["--server", "ws://127.0.0.1:1/"];
    let refused = |arguments: &[&str], words: &str| {
        let said = Place::new().run(&[&["match"], arguments, &nowhere].concat());
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains(words), "{}", said.err);
    };
    refused(&["user:Ann", "greedy"], "one of ours comes first: match 'greedy' 'user:Ann'");
    refused(&["cmd:bot", "greedy", "-u", "a,b"], "one of ours comes first");
    refused(&["user:Ann", "user:ann"], "name each account once");
    refused(&["user:Ann", "user:A name of nineteen."], "18 characters");
    refused(&["user:Ann", "user:Bob", "-u", "a,b"], "one is enough");
    refused(
        &["user:Ann", "cmd:bot"],
        "--username must name an account for each side but user:NAME",
    );
    refused(&["user:Ann", "cmd:bot", "-u", "a,b"], "must name 1, and names 2");
    refused(&["cmd:a", "cmd:b", "-u", "a"], "must name 2, and names 1");
    refused(&["user:Ann", "user:Bob", "--team-dir", "."], "nobody of ours plays");
}

#[test]
fn users_are_not_waited_for_on_a_server_that_they_cannot_find() {
    for sides in [["user:Ann", "user:Bob"], ["greedy", "user:Ann"]] {
        let said = Place::new().run(&["match", sides[0], sides[1], "--local"]);
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains("leave --local out"), "{}", said.err);
    }
}
