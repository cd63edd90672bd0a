//! Names and ids: what is one, what is none, and that they say what they were made of.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use interlock_kernel::{
    ids::{BadName, CommandId, Key, check_name},
    limits,
};

#[test]
fn a_name_has_up_to_two_hundred_plain_characters() {
    let longest = "n".repeat(limits::NAME_CHARS);
    for name in ["a", "Z-9_.:", "..a", &longest] {
        assert_eq!(check_name(name), Ok(()), "{name}");
        assert_eq!(Key::new(name).unwrap().as_str(), name);
    }
    for length in [0, limits::NAME_CHARS + 1, limits::NAME_CHARS * 4 + 1] {
        assert_eq!(check_name(&"n".repeat(length)), Err(BadName::Length), "{length}");
    }
    // What is far too long is not read to its end.
    let strange = " ".repeat(limits::NAME_CHARS * 4);
    assert_eq!(check_name(&strange), Err(BadName::Character(' ')));
    assert_eq!(check_name(&format!("{strange} ")), Err(BadName::Length));
    for (name, why) in [
        (".", BadName::Dots),
        ("..", BadName::Dots),
        ("a b", BadName::Character(' ')),
        ("a/b", BadName::Character('/')),
        ("é", BadName::Character('é')),
    ] {
        assert_eq!(check_name(name), Err(why), "{name}");
    }
}

#[test]
fn a_command_id_has_up_to_255_visible_characters() {
    let longest = "i".repeat(limits::COMMAND_ID_CHARS);
    for id in ["w0-17", "!~", &longest] {
        assert_eq!(CommandId::new(id).unwrap().as_str(), id);
    }
    for id in ["", "a b", "a\u{7f}", "é", &format!("{longest}i")] {
        assert!(CommandId::new(id).is_err(), "{id}");
    }
}
