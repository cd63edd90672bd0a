use super::*;
use crate::domain::protocol::{Line, is_room};

fn lookout() -> Lookout {
    Lookout::new("gen9randombattle", ["ann".to_owned(), "bob1".to_owned()], [])
}

fn room(number: u64) -> String {
    format!("battle-gen9randombattle-{number}")
}

/// What the server says when these play.
fn shown(rooms: &[(&str, &str, &str)]) -> Listing {
    let players = |p1: &str, p2: &str| Players { p1: p1.to_owned(), p2: p2.to_owned() };
    Listing {
        rooms: rooms.iter().map(|(room, p1, p2)| ((*room).to_owned(), players(p1, p2))).collect(),
    }
}

#[test]
fn a_battle_that_is_listed_is_entered_and_found_once() {
    let mut lookout = lookout();
    assert!(lookout.is_blind() && lookout.due().is_empty());
    let both = shown(&[
        ("battle-gen9randombattle-7", "Bob 1", "Ann"),
        ("battle-gen9ou-8", "Ann", "Bob 1"),
        ("battle-gen9randombattle-9", "Ann", "Eve"),
    ]);
    lookout.hear(&both);
    assert_eq!(lookout.due(), [room(7), room(10)], "theirs, and the next number");
    assert!(lookout.enter(&room(7), "Bob 1 vs. Ann"));
    assert!(!lookout.enter(&room(7), "Bob 1 vs. Ann"));
    lookout.hear(&both);
    assert_eq!(lookout.due(), [room(10)]);
    assert_eq!(lookout.unread(), 0);
}

#[test]
fn what_began_and_ended_between_two_looks_is_found_by_its_number() {
    let mut lookout = lookout();
    lookout.hear(&shown(&[("battle-gen9ou-3", "x", "y")]));
    lookout.hear(&shown(&[
        ("battle-gen9randombattle-7", "Ann", "Bob 1"),
        ("battle-gen9ou-5", "x", "y"),
    ]));
    assert_eq!(lookout.due(), [room(4), room(6), room(7), room(8)]);
    assert!(lookout.enter(&room(4), "Ann vs. Bob 1"));
    assert!(!lookout.enter(&room(6), "Ann vs. Eve"), "a stranger's");
    assert!(lookout.enter(&room(7), "Ann vs. Bob 1"));
    assert_eq!((lookout.due(), lookout.unread()), (vec![room(8)], 0));
}

/// The last battle of a match has no other one after it.
#[test]
fn the_next_number_is_asked_for_until_there_is_one() {
    let mut lookout = lookout();
    lookout.hear(&shown(&[("battle-gen9randombattle-1", "Ann", "Bob 1")]));
    assert_eq!(lookout.due(), [room(1), room(2)]);
    lookout.no_room(&room(2));
    assert!(lookout.enter(&room(1), "Ann vs. Bob 1"));
    assert_eq!(lookout.due(), [room(2)]);
    assert!(lookout.enter(&room(2), "Bob 1 vs. Ann"));
    assert_eq!((lookout.due(), lookout.unread()), (vec![room(3)], 0));
}

#[test]
fn a_number_that_nobody_shows_is_said_and_not_guessed() {
    let mut lookout = lookout();
    lookout.hear(&shown(&[("battle-gen9ou-1", "x", "y")]));
    lookout.hear(&shown(&[("battle-gen9ou-4", "x", "y")]));
    assert_eq!(lookout.due(), [room(2), room(3), room(5)]);
    lookout.no_room(&room(2));
    assert_eq!(lookout.unread(), 1);
    // Nobody answers for the other one.
    let mut asked = 1;
    for _ in 0..100 {
        asked += u32::from(lookout.due().contains(&room(3)));
    }
    assert_eq!((asked, lookout.unread()), (limits::ROOM_ASKED, 2));
}

#[test]
fn who_comes_back_knows_what_was_found_before_and_asks_for_what_came_since() {
    let known = [room(5), "battle-gen9ou-90".to_owned(), room(3)];
    let pair = ["ann".to_owned(), "bob1".to_owned()];
    let mut lookout = Lookout::new("gen9randombattle", pair, known.iter().map(String::as_str));
    lookout.hear(&shown(&[
        ("battle-gen9randombattle-5", "Ann", "Bob 1"),
        ("battle-gen9randombattle-7", "Ann", "Bob 1"),
    ]));
    assert_eq!(lookout.due(), [room(6), room(7), room(8)]);
}

#[test]
fn a_room_that_was_lost_before_anybody_watched_is_asked_for_again() {
    let mut lookout = lookout();
    lookout.hear(&shown(&[("battle-gen9randombattle-1", "Ann", "Bob 1")]));
    lookout.due();
    assert!(lookout.enter(&room(1), "Ann vs. Bob 1"));
    lookout.lose(&room(1));
    lookout.ask_anew();
    assert_eq!(lookout.due(), [room(1), room(2)]);
    assert!(lookout.enter(&room(1), "Ann vs. Bob 1"));
}

#[test]
fn a_server_that_lies_about_its_numbers_costs_little() {
    let mut lookout = lookout();
    lookout.hear(&shown(&[("battle-gen9ou-1", "x", "y")]));
    let rooms = [
        format!("battle-gen9randombattle-{}", u64::MAX),
        "battle-gen9randombattle-99999999999999999999999".to_owned(),
        "battle-gen9randombattle-".to_owned(),
        "battle-gen9randombattle-7\n|/join x".to_owned(),
        "battle-".to_owned(),
        "lobby".to_owned(),
        String::new(),
    ];
    lookout.hear(&shown(&rooms.each_ref().map(|room| (room.as_str(), "Ann", "Bob 1"))));
    for _ in 0..1000 {
        let due = lookout.due();
        assert!(due.len() <= limits::ROOMS_PER_LOOK + 1, "{due:?}");
        assert!(due.iter().all(|room| is_room(room)), "{due:?}");
    }
    assert_eq!(lookout.unread(), u64::MAX - 2 + 1, "all between, and the one that is not there");
    assert!(!lookout.enter("lobby", "Ann vs. Bob 1"));
    lookout.no_room("lobby");

    let many: Vec<String> = (0..5000).map(room).collect();
    let many: Vec<_> = many.iter().map(|room| (room.as_str(), "Ann", "Bob 1")).collect();
    lookout.hear(&shown(&many));
    assert!(lookout.open.len() <= limits::ROOMS);
    for number in 0..2 * limits::FOUND_REMEMBERED as u64 {
        lookout.enter(&room(number), "Ann vs. Bob 1");
    }
    assert!(lookout.found.len() <= limits::FOUND_REMEMBERED);
}

#[test]
fn answers_that_are_no_lists_are_told_apart_from_lists() {
    let read = |line: &str| listing(&Line::parse(line));
    let told = read(
        r#"|queryresponse|roomlist|{"rooms":{"battle-gen9ou-1":{"p1":"A|b","p2":"B","minElo":"tour"}}}"#,
    );
    assert_eq!(told.unwrap().unwrap(), shown(&[("battle-gen9ou-1", "A|b", "B")]));
    let nobody = read(r#"|queryresponse|roomlist|{"rooms":{"battle-gen9ou-1":{}}}"#);
    assert_eq!(nobody.unwrap().unwrap(), shown(&[("battle-gen9ou-1", "", "")]));
    for answer in ["null", "false", "", "{", "[]", r#"{"rooms":false}"#, r#"{"rooms":{"a":1}}"#] {
        assert!(read(&format!("|queryresponse|roomlist|{answer}")).unwrap().is_err(), "{answer}");
    }
    assert!(read("|queryresponse|userdetails|{}").is_none());
    assert!(read("|queryresponse").is_none());
    assert!(read("|c| Eve|queryresponse|roomlist|{}").is_none());
}
