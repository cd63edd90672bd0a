use serde_json::Value;

use crate::support::Place;

#[test]
fn a_report_for_programs_has_every_race_and_every_promise() {
    let said = Place::new().run(&["audit", "--json", "--schedules", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let scenarios = report["scenarios"].as_array().unwrap();
    assert!(scenarios.len() >= 35 && report["seconds"].is_f64());
    for scenario in scenarios {
        let found = &scenario["as_found"];
        assert_eq!(found["found"], true, "{scenario}");
        assert!(found["schedules"].is_u64() && found["steps"].is_u64(), "{scenario}");
        let timeline = found["timeline"].as_array().unwrap();
        let wrong = timeline.iter().filter(|row| row["is_violation"] == true).count();
        assert_eq!(wrong, 1, "one row is marked: {scenario}");
        assert_eq!(scenario["interlock"]["violations"], 0, "{scenario}");
        assert!(scenario["interlock"]["faults"].is_u64(), "{scenario}");
    }
    assert!(!report["own"].as_array().unwrap().is_empty());
}

#[test]
fn words_choose_and_the_schedule_that_is_printed_repeats() {
    let place = Place::new();
    let said = place.run(&["audit", "two clicks", "--schedules", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("1 race and 0 promises"), "{}", said.out);
    assert!(said.out.contains("\n  T0 ") && said.out.contains(" ✗"), "{}", said.out);
    let (_, line) = said.out.split_once("--schedule '").unwrap();
    let (schedule, _) = line.split_once('\'').unwrap();
    let again = place.run(&["audit", "two clicks", "--schedule", schedule]);
    assert_eq!(again.code, Some(0), "{}", again.err);
    let violation = again.out.lines().last().unwrap();
    assert!(said.out.contains(violation), "{violation}");
    let twin = place.run(&["audit", "two clicks", "--twin", "--schedule", schedule]);
    assert_eq!(twin.code, Some(1), "the twin holds");
    assert!(twin.err.contains("violates nothing"), "{}", twin.err);
}

#[test]
fn own_is_a_word_of_its_own() {
    let said = Place::new().run(&["audit", "own", "--schedules", "1", "--format", "markdown"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("| Interlock's own | while |"), "{}", said.out);
    assert!(!said.out.contains("countdown"), "a part of a word is no promise: {}", said.out);
}
