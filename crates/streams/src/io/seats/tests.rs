//! The rule for slow players, alone.

use super::*;

const RING: u64 = limits::RING_BYTES as u64;
/// A stream of which two rings have passed; the oldest byte in a full ring has the offset `RING`.
const END: u64 = 2 * RING;
const CUT: u64 = RING + 1;

/// What the rule says to players that are so many bytes behind.
fn check(behind: &[u64], expected: Room) {
    let mut seats = Seats::default();
    for bytes in behind {
        seats.take(END - bytes, Disconnect::default());
    }
    assert_eq!(seats.room(CUT, END), expected, "{behind:?} bytes behind");
}

#[test]
fn there_is_room_when_everybody_has_read_up_to_the_cut() {
    check(&[], Room::Free);
    check(&[0], Room::Free);
    check(&[RING - 1, RING - 1, 0], Room::Free);
}

#[test]
fn the_pull_waits_for_a_strict_majority_that_is_far_behind() {
    check(&[RING], Room::Wait);
    check(&[RING, RING], Room::Wait);
    check(&[RING, RING / 2 + 1, 0], Room::Wait);
}

#[test]
fn a_minority_or_half_is_dropped() {
    check(&[RING, 0], Room::Drop);
    check(&[RING, RING / 2, 0], Room::Drop);
    check(&[RING, RING, 0, 0], Room::Drop);
}

#[test]
fn only_those_before_the_cut_are_dropped_and_then_they_count_no_more() {
    let mut seats = Seats::default();
    let dropped = seats.take(CUT - 1, Disconnect::default());
    let kept = seats.take(CUT, Disconnect::default());
    seats.take(END, Disconnect::default());
    let mut told = 0;
    seats.drop_before(CUT, |_| told += 1);
    seats.drop_before(CUT, |_| told += 1);
    assert_eq!(told, 1);
    assert!(seats.get_mut(dropped).dropped && !seats.get_mut(kept).dropped);
    assert_eq!((seats.present(), seats.slowest()), (2, Some(CUT)));
}

#[test]
fn a_seat_is_given_again_and_leaving_is_counted_once() {
    let mut seats = Seats::default();
    let first = seats.take(0, Disconnect::default());
    seats.drop_before(1, |_| ());
    seats.leave(first);
    assert_eq!((seats.present(), seats.slowest()), (0, None));
    assert_eq!(seats.take(7, Disconnect::default()), first);
    assert_eq!((seats.present(), seats.slowest()), (1, Some(7)));
}
