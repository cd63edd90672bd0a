//! The waiting room: who gets a chance, when, and in which order.

use interlock_kernel::{
    limits,
    room::{Again, Room},
    time::Time,
};

fn room(waits: &[(u64, &'static str)]) -> Room<&'static str> {
    let mut room = Room::default();
    for (until, name) in waits {
        assert_eq!(room.enter(Time(*until), *name), Ok(()));
    }
    room
}

#[test]
fn a_room_counts_who_waits_and_turns_away_whom_it_cannot_hold() {
    let mut room = room(&[]);
    assert!(room.is_empty() && !room.is_full());
    for number in 0..limits::WAITERS {
        assert_eq!(room.len(), number);
        assert_eq!(room.enter(Time(1), "one of many"), Ok(()));
    }
    assert!(room.is_full() && !room.is_empty());
    assert_eq!(room.enter(Time(1), "one too many"), Err("one too many"));
    assert_eq!(room.drain().count(), limits::WAITERS);
    assert_eq!(room.len(), 0);
}

#[test]
fn a_wait_is_over_at_its_deadline_and_not_before() {
    let mut room = room(&[(20, "later"), (10, "now"), (10, "now too"), (11, "soon")]);
    assert_eq!(room.next_deadline(), Some(Time(10)));
    let mut asked = Vec::new();
    let changed = room.expire(Time(10), |name| {
        asked.push(*name);
        if *name == "now" { Again::Changed } else { Again::Answered }
    });
    assert!(changed);
    assert_eq!(asked, ["now", "now too"]);
    assert!(room.iter().eq(&["later", "soon"]));
    assert!(!room.expire(Time(11), |_| Again::Answered));
    assert_eq!(room.next_deadline(), Some(Time(20)));
}

#[test]
fn a_change_gives_those_before_it_another_chance() {
    let mut room = room(&[(9, "two"), (9, "one"), (9, "gone"), (9, "three")]);
    let (mut free, mut asked) = (1, Vec::new());
    // "one" sets two free, for whoever comes first.
    room.reconsider(|name| {
        asked.push(*name);
        match *name {
            "one" => {
                free += 1;
                Again::Changed
            }
            "two" if free == 2 => {
                free -= 2;
                Again::Changed
            }
            "gone" => Again::Answered,
            _ => Again::Waits,
        }
    });
    assert_eq!(asked, ["two", "one", "two", "gone", "three"]);
    assert!(room.iter().eq(&["three"]));
}
