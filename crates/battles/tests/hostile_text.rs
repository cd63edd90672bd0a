//! Recorded battles, broken in every way that chance finds, and lines that no server would send.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use interlock_battles::{
    domain::{
        team,
        tournament::{News, Tournament},
    },
    fuzz,
};
use proptest::prelude::*;
use serde_json::json;

const RECORDED: &str = include_str!("../fixtures/one-p1.log");

/// Where the nth message of the record begins.
fn message(text: &str, nth: usize) -> usize {
    let mut starts = text.match_indices(">battle-").map(|(at, _)| at);
    let count = starts.clone().count();
    starts.nth(nth % count).unwrap()
}

#[test]
fn the_record_itself_is_played_through() {
    fuzz::room(RECORDED.replace("\n>", "\0>").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn broken_records_are_survived(
        from in 0_usize..200,
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = &RECORDED[message(RECORDED, from)..];
        let mut bytes = text[..text.len().min(20_000)].replace("\n>", "\0>").into_bytes();
        for (place, byte) in breaks {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()).max(1));
        fuzz::room(&bytes);
    }

    /// Species, moves, items and abilities of a generation that nobody has heard of.
    #[test]
    fn unknown_names_are_survived(name in "[A-Za-z-]{3,10}", pick in 0_usize..12) {
        let known = ["Basculegion", "basculegion", "Lucario", "shadowball", "adaptability", "Water", "assaultvest",
            "L80", "323", "\"pp\":24", "Swords Dance", "p2a"][pick];
        fuzz::room(RECORDED.replace("\n>", "\0>").replace(known, &name).as_bytes());
    }
}

/// What a room may hear of its tournament.
fn news() -> impl Strategy<Value = String> {
    let told = |name: String, is_joined: bool| json!({"teambuilderFormat": "gen9ou", "isJoined": is_joined, "challenges": [name]});
    prop_oneof![
        Just("create|gen9ou|Single Elimination|0".to_owned()),
        Just("updateEnd".to_owned()),
        Just("start|8".to_owned()),
        (any::<String>(), any::<bool>())
            .prop_map(move |(name, is_joined)| { format!("update|{}", told(name, is_joined)) }),
        any::<Option<String>>().prop_map(|by| format!("update|{}", json!({"challenged": by}))),
        "error\\|[A-Za-z]{0,20}",
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_name_in_a_tournament_makes_us_say_more_than_a_name(
        lines in prop::collection::vec(news(), 0..20),
    ) {
        let mut tournament = Tournament::default();
        for news in lines.iter().filter_map(|line| News::parse(line)) {
            tournament.hear(news);
            if let Some(step) = tournament.step("gen9ou") {
                let legal = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
                prop_assert!(step.command().chars().all(|char| legal(char) || char == ' '));
            }
        }
    }

    #[test]
    fn a_team_of_whatever_text_is_one_line_or_refused(text in "([ -~é|@()]{0,12}\n){0,12}") {
        if let Ok(packed) = team::packed(&text) {
            prop_assert!(!packed.contains('\n'), "{packed:?}");
        }
    }
}

#[test]
fn every_byte_may_be_missing() {
    let begin = message(RECORDED, 5);
    let text = RECORDED[begin..].split("\n>").next().unwrap();
    for end in 0..text.len() {
        fuzz::room(&text.as_bytes()[..end]);
    }
}
