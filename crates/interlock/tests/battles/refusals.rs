//! What cannot be played is said in clear words, and leaves nothing claimed.

use std::fs;

use crate::support::{Place, Showdown};

/// A run that cannot go on: one line that says why, exit code 1, no claim left open.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], words: &str) {
    let said = place.run(&[&["run", "--run", "r", "-n", "4"], arguments].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{}", said.err);
    let last = said.err.lines().last().unwrap();
    assert!(last.starts_with("interlock: ") && last.contains(words), "{}", said.err);
    if place.path().join("interlock-data").exists() {
        let shown = place.show("r");
        assert_eq!((shown["claimed"].as_u64(), shown["finished"].as_u64()), (Some(0), Some(0)));
    }
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
fn what_the_server_refuses_is_said_in_its_words() {
    let showdown = Showdown::start();
    let on_ladder = ["--server", showdown.url(), "-u", "bot", "--workers", "2"];
    let in_tournaments =
        [&on_ladder[..], &["--mode", "tournament", "--room", "Nowhere 1"]].concat();
    refused(&Place::new(), &in_tournaments, "the room nowhere1 is not there");
    let with_itself =
        ["--server", showdown.url(), "-u", "one,two", "--mode", "self-play", "--workers", "2"];
    for who in [&on_ladder[..], &with_itself] {
        let unknown = [who, &["--format", "gen9nonsense"]].concat();
        refused(&Place::new(), &unknown, "the server refuses the format: ");

        let place = Place::new();
        fs::create_dir(place.path().join("teams")).unwrap();
        fs::write(place.path().join("teams/bad"), "|Pikachu||static|surf|||||||").unwrap();
        let bad_team = [who, &["--format", "gen9ou", "--team-dir", "teams"]].concat();
        refused(&place, &bad_team, "the server refuses the team: ");
    }
}
