//! For fuzzers: whatever a server sends, nothing panics, no answer says more than an answer, and whatever is told of
//! it is short.

use crate::{
    domain::{
        chance::Chance,
        choice,
        protocol::Frame,
        seat::{Ask, Seat},
        words,
    },
    limits,
    players::{Position, World},
};

/// Takes the bytes as messages of one battle's room, parted by zero bytes; answers what is asked, makes a world of
/// each position, and tells what was said.
///
/// # Panics
/// When there is a bug.
pub fn room(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (mut seat, mut chance) = (Seat::default(), Chance::new(0));
    for frame in text.split('\0').filter_map(Frame::parse) {
        for line in frame.lines() {
            let Ask::Choose = seat.hear(&line) else { continue };
            let request = seat.question().expect("it was just asked");
            let choices = choice::legal(request);
            let _world = World::guess(Position { battle: seat.battle(), request }, &mut chance);
            let said = seat.answer(choices).expect("there is always a choice");
            assert!(said.starts_with("/choose ") && !said.contains('\n'));
        }
    }
    let story = words::tell(&text, "bot", 100);
    for said in story.turns.iter().flat_map(|turn| &turn.said) {
        assert!(said.text.chars().count() <= limits::SAID_CHARS + 1, "{}", said.text);
    }
}
