//! Recorded battles, broken in every way that chance finds, and lines that no server would send.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use interlock_battles::fuzz;
use proptest::prelude::*;

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

#[test]
fn every_byte_may_be_missing() {
    let begin = message(RECORDED, 5);
    let text = RECORDED[begin..].split("\n>").next().unwrap();
    for end in 0..text.len() {
        fuzz::room(&text.as_bytes()[..end]);
    }
}
