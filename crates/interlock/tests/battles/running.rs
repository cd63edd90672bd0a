//! Counts are exact, whatever ends a fleet.

use crate::support::{Place, Showdown, agrees_with_the_logs};

#[test]
fn a_fleet_that_is_killed_goes_on_to_the_exact_count() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let arguments = [
        "run",
        "--server",
        showdown.url(),
        "-u",
        "one,two",
        "--mode",
        "self-play",
        "--player",
        "random",
        "-n",
        "10",
        "--workers",
        "2",
        "--run",
        "killed",
        "--json",
    ];
    let mut decided = 0;
    for life in 1..=2 {
        let fleet = place.start(&arguments);
        fleet.wait_for("killed", "over", life * 3);
        // The fleet itself is asked.
        let meanwhile = place.show("killed");
        assert!(meanwhile["finished"].as_u64().unwrap() >= life as u64 * 3, "{meanwhile}");
        let so_far = meanwhile["decisions"].as_u64().unwrap();
        assert!(so_far > decided, "what an earlier life has decided counts: {meanwhile}");
        decided = so_far;
        fleet.signal("KILL");
        assert_eq!(fleet.wait().code(), None, "killed");
    }
    let report = place.run(&arguments).json();
    assert_eq!(report["finished"], 10);
    assert_eq!(report["void"], 0, "the server still had them all");
    agrees_with_the_logs(&report, &place.logged("killed", "one"), "one");
    let workers = report["workers"].as_object().unwrap().values();
    assert!(workers.clone().all(|worker| worker["finished"] == 5), "{report}");
    assert!(report["decisions"].as_u64().unwrap() > decided, "{report}");
    // Nothing is left to play.
    assert_eq!(place.run(&arguments).json(), report);
    assert_eq!(place.show("killed"), report);
}

#[test]
fn a_signal_drains_a_fleet_and_a_second_one_gives_up() {
    let (place, showdown) = (Place::new(), Showdown::start());
    let arguments = |run: &'static str, millis: &'static str| {
        [
            "run",
            "--server",
            showdown.url(),
            "-u",
            "one,two",
            "--mode",
            "self-play",
            "--workers",
            "2",
            "--search-time-ms",
            millis,
            "--run",
            run,
            "--json",
        ]
        .map(str::to_owned)
    };
    let start = |run, millis| {
        let arguments = arguments(run, millis);
        place.start(&arguments.each_ref().map(String::as_str))
    };

    let mut fleet = start("drained", "1");
    fleet.wait_for("drained", "over", 1);
    fleet.signal("TERM");
    fleet.line_with("finishing what is in play");
    let report = fleet.said().json();
    assert_eq!(report["forfeits"], 0, "nothing is given up");
    agrees_with_the_logs(&report, &place.logged("drained", "one"), "one");

    let mut fleet = start("given-up", "2000");
    fleet.wait_for("given-up", "began", 2);
    fleet.signal("TERM");
    fleet.line_with("finishing what is in play");
    fleet.signal("TERM");
    fleet.line_with("giving up what is in play");
    let report = fleet.said().json();
    assert!(report["forfeits"].as_u64().unwrap() > 0, "{report}");
    agrees_with_the_logs(&report, &place.logged("given-up", "one"), "one");
}
