//! A server of one's own, and what is played on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::support::{Place, agrees_with_the_logs, end, package};

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_run_ends_with_one_object_and_an_exact_split() {
    let place = Place::new();
    let package = package().display().to_string();
    let said = place.run(&[
        "run",
        "--local",
        "--showdown",
        &package,
        "-u",
        "Bot",
        "-n",
        "6",
        "--workers",
        "3",
        "--player",
        "random",
        "--run",
        "six",
        "--json",
    ]);
    let report = said.json();
    let fields = [
        "claimed",
        "decision_overhead_ms",
        "decisions",
        "drift",
        "finished",
        "forfeits",
        "losses",
        "opponents",
        "rating",
        "run",
        "seconds",
        "target",
        "teams",
        "ties",
        "void",
        "wins",
        "workers",
    ];
    assert_eq!(keys(&report), fields);
    assert_eq!(keys(&report["decision_overhead_ms"]), ["p50", "p99"]);
    assert_eq!(keys(&report["workers"]), ["w0", "w1", "w2"]);
    for worker in report["workers"].as_object().unwrap().values() {
        let fields = ["finished", "forfeits", "losses", "quota", "ties", "void", "wins"];
        assert_eq!(keys(worker), fields);
        assert_eq!((&worker["quota"], &worker["finished"]), (&json!(2), &json!(2)));
    }
    assert_eq!(
        (&report["run"], &report["target"], &report["finished"]),
        (&json!("six"), &json!(6), &json!(6))
    );
    assert_eq!((&report["drift"], &report["claimed"]), (&json!(0), &json!(0)));
    assert!(report["decisions"].as_u64().unwrap() > 6);
    assert!(report["seconds"].as_f64().unwrap() > 0.0);
    assert!(report["decision_overhead_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert_eq!(keys(&report["opponents"]), ["bot2"]);
    assert_eq!(report["opponents"]["bot2"]["wins"], report["wins"]);
    assert_eq!(place.logged("six", "bot").len(), 6);

    let shown = place.show("six");
    assert_eq!(shown, report);
}

/// One team is kept in the export form, one packed.
#[test]
fn given_teams_are_searched_with_and_counted_apart() {
    let place = Place::new();
    let package = package().display().to_string();
    let teams = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/battles/teams");
    let arguments = ["run", "--local", "--showdown", &package, "-u", "Bot", "-n", "4"];
    let search = ["--workers", "2", "--search-iterations", "2000", "--run", "ou", "--json"];
    let ou = ["--format", "gen9ou", "--team-dir", teams];
    let said = place.run(&[&arguments[..], &search, &ou].concat());
    let report = said.json();
    assert!(!said.err.contains("something legal is played"), "{}", said.err);
    agrees_with_the_logs(&report, &place.logged("ou", "bot"), "Bot");
    assert_eq!(keys(&report["teams"]), ["balance", "rain"]);
    for team in report["teams"].as_object().unwrap().values() {
        assert_eq!(team["finished"], 2, "{report}");
        let score = ["low", "value", "high"].map(|field| team["score"][field].as_f64().unwrap());
        assert!(score.is_sorted() && score[0] >= 0.0 && score[2] <= 1.0, "{report}");
        let won = (team["wins"].as_f64().unwrap() + team["ties"].as_f64().unwrap() / 2.0) / 2.0;
        assert!((score[1] - won).abs() < 1e-9, "{report}");
    }
}

#[test]
fn a_match_ends_when_its_test_has_decided_and_counts_each_game_once() {
    let place = Place::new();
    let package = package().display().to_string();
    // Hypotheses so far apart are told apart by a few games.
    let said = place.run(&[
        "match",
        "greedy",
        "random",
        "--local",
        "--showdown",
        &package,
        "-n",
        "200",
        "--elo0",
        "-800",
        "--elo1",
        "800",
        "--run",
        "match",
        "--json",
    ]);
    let result = said.json();
    let count = |field: &str| result[field].as_u64().unwrap();
    assert_eq!(result["players"], json!(["greedy", "random"]));
    assert_ne!(result["sprt"]["verdict"], "open", "{result}");
    assert!(count("games") < 200, "{result}");
    assert_eq!(count("wins") + count("losses") + count("ties"), count("games"));
    assert_eq!((count("drift"), count("claimed"), count("forfeits")), (0, 0, 0));
    let pairs: Vec<u64> = serde_json::from_value(result["pairs"].clone()).unwrap();
    assert!(
        2 * pairs.iter().sum::<u64>() <= count("games") && pairs.iter().sum::<u64>() > 0,
        "{result}"
    );
    // Half of the workers play as either side's challenger.
    let logs = ["matcha1", "matcha2"].map(|account| place.logged("match", account).len() as u64);
    assert_eq!(logs.iter().sum::<u64>(), count("games"));
    let shown = place.show("match");
    assert_eq!((&shown["finished"], &shown["wins"]), (&result["games"], &result["wins"]));
}

/// A name says how many, how, where and by how many workers: none of it turns into its default.
#[test]
fn a_run_goes_on_as_it_was_when_no_more_than_its_name_is_said() {
    let place = Place::new();
    let package = package().display().to_string();
    let usual = ["run", "--run", "r", "-u", "Bot", "--player", "random", "--json"];
    let again = |more: &[&'static str]| {
        let local = [&usual[..], &["--showdown", &package], more].concat();
        place.start(&local)
    };
    let fleet = again(&["--local", "-n", "6", "--workers", "2"]);
    fleet.wait_for("r", "over", 2);
    fleet.signal("KILL");
    assert_eq!(fleet.wait().code(), None, "killed");

    let report = again(&["--local"]).said().json();
    assert_eq!((&report["target"], &report["finished"]), (&json!(6), &json!(6)));
    assert_eq!(keys(&report["workers"]), ["w0", "w1"]);
    let report = again(&["-n", "8"]).said().json();
    assert_eq!((&report["target"], &report["finished"]), (&json!(8), &json!(8)));

    let said = place.run(&[&usual[..], &["-u", "Two", "--server", "ws://127.0.0.1:1/"]].concat());
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("the run was opened with server local"), "{}", said.err);
}

#[test]
fn a_local_server_ends_with_the_program_even_if_that_is_killed() {
    let place = Place::new();
    let package = package().display().to_string();
    let mut fleet =
        place.spawn(&["run", "--local", "--showdown", &package, "-u", "Bot", "--player", "random"]);
    let socket = fleet.line_with("a server of its own: ws://");
    let address = socket.split('/').next().unwrap();
    TcpStream::connect(address).expect("it runs");
    fleet.signal("KILL");
    assert_eq!(fleet.wait().code(), None, "killed");
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

#[test]
fn a_local_server_and_a_login_service_are_never_told_a_password() {
    let place = Place::new();
    let package = package().display().to_string();
    let local = ["run", "--local", "--showdown", &package, "-u", "Bot", "-n", "1"];
    let mut command = place.command(&[&local[..], &["--player", "random", "--json"]].concat());
    command.env("INTERLOCK_SHOWDOWN_PASSWORD", "not to be told");
    assert_eq!(end(command).json()["finished"], 1);

    let said = place.run(&[&local[..], &["--password", "not to be told"]].concat());
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("'--local' cannot be used with '--password"), "{}", said.err);
}

#[test]
fn what_a_local_server_lacks_is_said_with_what_to_type() {
    let place = Place::new();
    let said = place.run(&["run", "--local", "-u", "Bot"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("npm install pokemon-showdown@"), "{}", said.err);

    let folder = place.path().join("node_modules/pokemon-showdown");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("pokemon-showdown"), "").unwrap();
    let mut command = place.command(&["run", "--local", "-u", "Bot"]);
    let said = end({
        command.env("PATH", place.path());
        command
    });
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("needs Node 18"), "{}", said.err);
}

/// What a log says of the teams' first Pokémon, side by side, for each seed.
fn leads(logs: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut leads: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for log in logs {
        let rest = |of: &'static str| log.lines().find_map(move |line| line.strip_prefix(of));
        let seed = rest("||seed ").expect("each game has a seed").to_owned();
        let of_side = |side| rest(side).unwrap().split('|').nth(1).unwrap();
        let both = format!("{} {}", of_side("|switch|p1a: "), of_side("|switch|p2a: "));
        leads.entry(seed).or_default().push(both);
    }
    leads
}

#[test]
fn the_games_of_a_pair_have_the_same_teams_and_swapped_sides() {
    let place = Place::new();
    let package = package().display().to_string();
    let local = ["match", "random", "greedy", "--local", "--showdown", &package, "--all-games"];
    let said = place.run(&[&local[..], &["-n", "8", "--run", "pairs", "--json"]].concat());
    let result = said.json();
    let pairs: Vec<u64> = serde_json::from_value(result["pairs"].clone()).unwrap();
    assert_eq!(pairs.iter().sum::<u64>(), 4, "{result}");
    let half_points: u64 = pairs.iter().zip(0..).map(|(pairs, points)| pairs * points).sum();
    let count = |field: &str| result[field].as_u64().unwrap();
    assert_eq!(half_points, 2 * count("wins") + count("ties"));
    let logs = [place.logs("pairs", "matcha1"), place.logs("pairs", "matcha2")];
    let first = |logs: &[String], name: &str| {
        logs.iter().all(|log| log.contains(&format!("|player|p1|{name}|")))
    };
    assert!(first(&logs[0], "Match A 1") && first(&logs[1], "Match B 2"), "sides are swapped");
    let [one, two] = [leads(&logs[0]), leads(&logs[1])];
    assert_eq!(one, two);
    let different: BTreeSet<&Vec<String>> = one.values().collect();
    assert!(one.len() == 4 && different.len() > 1, "each pair has its own: {one:?}");
}
