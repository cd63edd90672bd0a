//! Matches of bots that are not ours: they are watched, and counted as exactly as our own.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::support::{Fleet, Place, Said, Showdown, agrees_with_the_logs, package};

const INTERLOCK: &str = env!("CARGO_BIN_EXE_interlock");

/// A bot that does what its environment says: the program itself, with a data folder of its own.
fn bot(place: &Place, name: &str, player: &str) -> String {
    let script = format!(
        "#!/bin/sh\nexec {INTERLOCK} battles run --run own --data {name} --server \"$INTERLOCK_SERVER\" \
         -u \"$INTERLOCK_NAME\" --mode \"$INTERLOCK_ROLE\" --opponent \"$INTERLOCK_OPPONENT\" \
         --format \"$INTERLOCK_FORMAT\" -n \"$INTERLOCK_BATTLES\" --player {player}\n"
    );
    fs::write(place.path().join(format!("{name}.sh")), script).unwrap();
    format!("cmd:sh {name}.sh")
}

/// What a bot says of its own battles.
fn own(place: &Place, name: &str) -> Value {
    place.run(&["show", "own", "--data", name, "--json"]).json()
}

fn play(place: &Place, sides: [&str; 2], more: &[&str]) -> Said {
    let package = package().display().to_string();
    let local = ["match", sides[0], sides[1], "--local", "--showdown", &package, "--all-games"];
    place.run(&[&local[..], more].concat())
}

#[test]
fn two_programs_are_watched_and_each_battle_counts_once() {
    let place = Place::new();
    let (one, two) = (bot(&place, "one", "greedy"), bot(&place, "two", "random"));
    let said = play(&place, [&one, &two], &["-n", "5", "--run", "watched", "--json"]);
    let result = said.json();
    assert_eq!(result["players"], json!([one, two]));
    assert_eq!((&result["games"], &result["unread"]), (&json!(5), &json!(0)), "{}", said.err);
    assert!(result["elo"].is_object() && result["sprt"]["verdict"].is_string(), "{result}");
    agrees_with_the_logs(&place.show("watched"), &place.logged("watched", "matcha"), "Match A");
    let (one, two) = (own(&place, "one"), own(&place, "two"));
    for field in ["finished", "wins", "losses", "ties"] {
        assert_eq!(place.show("watched")[field], one[field], "as the first one has seen it");
    }
    assert_eq!(
        (&one["wins"], &one["opponents"]["matchb"]["losses"]),
        (&two["losses"], &two["wins"])
    );
}

#[test]
fn one_of_ours_challenges_a_program() {
    let place = Place::new();
    let program = bot(&place, "two", "random");
    let said = play(&place, ["greedy", &program], &["-n", "2", "--run", "ours", "--json"]);
    let result = said.json();
    assert_eq!((&result["games"], &result["drift"]), (&json!(2), &json!(0)), "{}", said.err);
    assert_eq!(result["wins"], own(&place, "two")["losses"]);
}

/// Whether the process whose number is in this file is there.
fn lives(number: &Path) -> bool {
    let number = fs::read_to_string(number).unwrap();
    // What has ended and is not waited for has no command line.
    fs::read(format!("/proc/{}/cmdline", number.trim())).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_program_that_ends_too_early_is_quoted_and_whatever_was_started_is_stopped() {
    let place = Place::new();
    let failing = "cmd:sleep 1000 & echo $! > one; echo 'no model' >&2; exit 3";
    let waiting = "cmd:sleep 1000 & echo $! > two; wait";
    let said = play(&place, [failing, waiting], &["-n", "5"]);
    assert_eq!(said.code, Some(1));
    let words = "has ended with exit code 3, and said last:\nno model";
    assert!(said.err.contains(words), "{}", said.err);
    assert!(said.out.contains("0 of 5 finished"), "{}", said.out);
    assert!(["one", "two"].map(|file| lives(&place.path().join(file))) == [false; 2]);
}

#[test]
fn programs_that_play_nothing_are_given_up_with_words() {
    let place = Place::new();
    let deaf = "cmd:trap '' TERM; while :; do sleep 1; done";
    let said = play(&place, ["cmd:sleep 1000", deaf], &["-n", "5", "--patience", "1"]);
    assert_eq!(said.code, Some(1));
    let words = "the programs have played nothing for 1 s";
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn the_third_signal_waits_for_no_program_and_leaves_none_behind() {
    let (place, package) = (Place::new(), package().display().to_string());
    let deaf = "cmd:trap '' TERM; echo $$ > new; mv new one; while :; do sleep 1; done";
    let sides = ["match", deaf, "cmd:sleep 1000"];
    let mut playing = place.start(&[&sides[..], &["--local", "--showdown", &package]].concat());
    playing.line_with("cmd:sleep 1000 plays as");
    let number = place.path().join("one");
    while !number.exists() {
        std::thread::yield_now();
    }
    for words in ["finishing what is in play", "giving up what is in play"] {
        playing.signal("TERM");
        playing.line_with(words);
    }
    playing.signal("TERM");
    playing.line_with("the same --run goes on where it was");
    assert_eq!(playing.wait().code(), Some(1));
    assert!(!lives(&number));
}

/// Two users play each other, whoever watches.
fn users(place: &Place, url: &str, battles: &str) -> [Fleet; 2] {
    let user = |name, mode, opponent| {
        let run = ["run", "--run", "own", "--data", name, "--server", url, "-u", name];
        let how = ["--mode", mode, "--opponent", opponent, "--player", "random", "-n", battles];
        place.start(&[&run[..], &how].concat())
    };
    let accepting = user("Bob", "accept", "Ann");
    [accepting, user("Ann", "challenge", "Bob")]
}

#[test]
fn who_was_killed_while_watching_users_counts_on_where_it_was() {
    let (place, server) = (Place::new(), Showdown::start());
    let said = ["match", "user:Ann", "user:Bob", "--server", server.url(), "--run", "w"];
    let watch = [&said[..], &["-n", "6", "--all-games", "--json"]].concat();
    let watching = place.start(&watch);
    let users = users(&place, server.url(), "6");
    watching.wait_for("w", "over", 2);
    watching.signal("KILL");
    assert_eq!(watching.wait().code(), None, "killed");
    // Some of theirs are over before anybody watches again.
    for user in users {
        assert!(user.wait().success());
    }

    let result = place.run(&watch).json();
    assert_eq!((&result["games"], &result["void"]), (&json!(6), &json!(0)), "{result}");
    let logs = place.logs("w", "ann");
    let battles: BTreeSet<&String> = logs.iter().collect();
    assert_eq!(battles.len(), 6, "each of them once");
    agrees_with_the_logs(&place.show("w"), &place.logged("w", "ann"), "Ann");
    assert_eq!(
        place.run(&["show", "own", "--data", "Ann", "--json"]).json()["wins"],
        result["wins"]
    );
}
