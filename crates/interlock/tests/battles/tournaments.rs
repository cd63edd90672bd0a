//! Tournaments on the real server.

use std::thread;

use crate::support::{Place, Showdown, agrees_with_the_logs};

#[test]
fn two_runs_that_meet_in_tournaments_count_the_same_battles() {
    let showdown = Showdown::start();
    showdown.hold_tournaments("gen9randombattle");
    let play = |name: &'static str| {
        let url = showdown.url().to_owned();
        let arguments = ["run", "--server", &url, "-u", name, "--mode", "tournament", "-n", "3"];
        let arguments = [&arguments[..], &["--player", "random", "--run", name, "--json"]].concat();
        let place = Place::new();
        let report = place.run(&arguments).json();
        assert_eq!(report["finished"], 3);
        agrees_with_the_logs(&report, &place.logged(name, name), name);
        report
    };
    let [one, two] = thread::scope(|scope| {
        ["one", "two"].map(|name| scope.spawn(move || play(name))).map(|it| it.join().unwrap())
    });
    assert_eq!([&one["wins"], &one["ties"]], [&two["losses"], &two["ties"]]);
    assert_eq!(one["losses"], two["wins"]);
}
