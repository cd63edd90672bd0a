use proptest::prelude::*;

use super::*;
use crate::domain::battle::Battle;

fn line(text: &str) -> Line<'_> {
    Line::parse(text)
}

fn who(name: &str) -> Ident<'_> {
    Ident { slot: Slot::P1, name }
}

#[test]
fn a_frame_has_a_room_and_lines() {
    let frame = Frame::parse(">battle-gen9randombattle-1\n|turn|3\nhello").unwrap();
    assert_eq!(frame.room, "battle-gen9randombattle-1");
    assert_eq!(
        frame.lines().collect::<Vec<_>>(),
        [Line::Battle(BattleLine::Turn(3)), Line::Other("hello")]
    );
    assert_eq!(Frame::parse("|turn|3").unwrap().room, "");
}

#[test]
fn a_room_that_says_more_than_its_id_is_no_room() {
    for room in ["", "battle-1|/choose", "lobby 2", "Battle-1", &"a".repeat(1000), "é"] {
        assert_eq!(Frame::parse(&format!(">{room}\n|turn|1")), None, "{room}");
    }
}

#[test]
fn a_switch_says_who_and_how_well() {
    let text = "|switch|p1a: Bob: the 2nd|Ogerpon-Wellspring, L76, F, shiny, tera:Water|57/100 brn";
    let details = Details {
        species: "Ogerpon-Wellspring",
        level: 76,
        gender: Some('F'),
        tera: Some("Water"),
    };
    let condition = Condition { hp: 57, max_hp: 100, status: Some(Status::Burn) };
    let (who, cause) = (who("Bob: the 2nd"), Cause::default());
    assert_eq!(line(text), Line::Battle(BattleLine::Switch { who, details, condition, cause }));
}

#[test]
fn a_cause_is_read_wherever_it_stands() {
    let text = "|-damage|p1a: Ann|0 fnt|[from] item: Rocky Helmet|[of] p2a: Eve";
    let Line::Battle(BattleLine::Hp { cause, condition, .. }) = line(text) else {
        panic!("{:?}", line(text))
    };
    assert_eq!(condition, Condition { hp: 0, max_hp: 0, status: None });
    assert_eq!(cause.item(), Some("Rocky Helmet"));
    assert_eq!(cause.of, Some(Ident { slot: Slot::P2, name: "Eve" }));
}

#[test]
fn bars_inside_json_and_messages_are_kept() {
    assert_eq!(line(r#"|request|{"a":"|"}"#), Line::Request(r#"{"a":"|"}"#));
    let text = "/challenge gen9randombattle|||";
    for ann in [" Ann", "☆Ann", "Ann"] {
        assert_eq!(line(&format!("|pm|{ann}| Bob|{text}")), Line::Pm { from: "Ann", text });
    }
}

#[test]
fn what_makes_no_sense_is_kept_as_it_is() {
    for text in [
        "|turn|99999999",
        "|turn|",
        "|switch|p1a: Ann",
        "|switch|p3a: Ann|Pikachu|1/1",
        "|switch|p1a: Ann|Pikachu, L200|1/1",
        "|-damage|p1a: Ann|200/100",
        "|-boost|p1a: Ann|atk|100",
        "|pm|é|x",
        "||",
        "|",
        "",
        "|from the future|1|2",
    ] {
        assert_eq!(line(text), Line::Other(text));
    }
}

/// Lines made of the words that the protocol is made of, in any order.
fn hostile() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "|",
        "\n",
        ">",
        ">battle-1\n",
        "switch",
        "-damage",
        "-boost",
        "-sidestart",
        "p1a: A",
        "p2: é",
        "p1",
        "p9a: B",
        "Pikachu, L50, M",
        ", L0",
        "L",
        "100/100",
        "0 fnt",
        "1/0",
        "57/100y brn",
        "[from] ",
        "[of] p2a: X",
        "[upkeep]",
        "atk",
        "-6",
        "999",
        "request",
        "{",
        "pm",
        "☆",
        "updateuser",
        "\u{0}",
        "player",
        "move",
        "turn",
        "-swapboost",
    ]);
    prop::collection::vec(prop_oneof![4 => words.prop_map(str::to_owned), 1 => ".*"], 0..30)
        .prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader_or_the_fold(text in hostile()) {
        let mut battle = Battle::default();
        if let Some(frame) = Frame::parse(&text) {
            prop_assert!(frame.room.is_empty() || is_room(frame.room));
            frame.lines().for_each(|line| battle.fold(&line));
        }
        for slot in Slot::BOTH {
            prop_assert!(battle.side(slot).team.iter().all(|one| one.hp <= one.max_hp));
        }
    }

    #[test]
    fn a_condition_is_never_more_than_full(hp: u16, max: u16) {
        match Condition::parse(&format!("{hp}/{max}")) {
            Some(condition) => prop_assert!(condition.hp <= condition.max_hp),
            None => prop_assert!(hp > max || max == 0),
        }
    }
}
