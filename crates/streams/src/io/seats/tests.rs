//! The rule for slow players, alone.

use super::*;

const RING: u64 = limits::RING_BYTES as u64;
/// A stream of which two rings have passed; the oldest byte in a full ring has the offset `RING`.
const END: u64 = 2 * RING;
const CUT: u64 = RING + 1;

/// For room at a time when no burst is held back any more.
fn ask(hold: Instant) -> Ask {
    Ask { cut: CUT, end: END, hold }
}

/// A stream with players that are so many bytes behind and just took some.
fn players(behind: &[u64]) -> (Seats, Instant) {
    let (mut seats, now) = (Seats::default(), Instant::now());
    for bytes in behind {
        seats.take(END - bytes, Disconnect::default(), now);
    }
    seats.watch(END, now);
    (seats, now)
}

/// What the rule says to players that just took bytes.
fn check(behind: &[u64], wait: impl Fn(Instant) -> Room) {
    let (mut seats, now) = players(behind);
    assert_eq!(seats.room(ask(now), now), wait(now), "{behind:?} bytes behind");
}

#[test]
fn there_is_room_when_everybody_has_read_up_to_the_cut() {
    check(&[], |_| Room::Free);
    check(&[0], |_| Room::Free);
    check(&[RING - 1, RING - 1, 0], |_| Room::Free);
}

#[test]
fn the_pull_waits_while_most_players_are_far_behind() {
    check(&[RING], |_| Room::Wait(None));
    check(&[RING, RING], |_| Room::Wait(None));
    check(&[RING, RING / 2 + 1, 0], |now| Room::Wait(Some(now + limits::STALL)));
}

#[test]
fn a_few_that_hold_the_room_get_their_time() {
    check(&[RING, 0], |now| Room::Wait(Some(now + limits::STALL)));
    check(&[RING, RING / 2, 0], |now| Room::Wait(Some(now + limits::STALL)));
    check(&[RING, RING, 0, 0], |now| Room::Wait(Some(now + limits::STALL)));
}

#[test]
fn a_stalled_player_is_dropped_and_does_not_count_among_most() {
    let (mut seats, now) = players(&[RING, RING, 0]);
    let later = now + limits::STALL;
    assert_eq!(seats.room(ask(now), later), Room::Drop(CUT));
    let mut told = 0;
    seats.drop_before(CUT, later, |_| told += 1);
    assert_eq!((told, seats.room(ask(now), later)), (2, Room::Free));
}

#[test]
fn players_that_all_stall_are_waited_for() {
    let (mut seats, now) = players(&[RING, RING]);
    assert_eq!(seats.room(ask(now), now + 10 * limits::STALL), Room::Wait(None));
}

#[test]
fn a_slow_player_that_reads_gets_its_time_from_when_it_fell_behind() {
    let (mut seats, now) = players(&[RING, 0, 0]);
    let slow = SeatId(0);
    let almost = now + limits::CATCH_UP - limits::STALL / 2;
    seats.get_mut(slow).advance(CUT - 1, END, almost);
    seats.watch(END, almost);
    let over = now + limits::CATCH_UP;
    assert_eq!(seats.room(ask(now), almost), Room::Wait(Some(over)));
    assert_eq!(seats.room(ask(now), over), Room::Drop(half_mark(END)));
}

#[test]
fn while_a_few_catch_up_the_pull_waits_until_they_are_not_far_behind() {
    let (mut seats, now) = players(&[RING, 0, 0]);
    let slow = SeatId(0);
    assert!(matches!(seats.room(ask(now), now), Room::Wait(Some(_))));
    seats.get_mut(slow).advance(half_mark(END) - 1, END, now);
    assert!(matches!(seats.room(ask(now), now), Room::Wait(Some(_))), "it would soon wait again");
    seats.get_mut(slow).advance(half_mark(END), END, now);
    assert_eq!(seats.room(ask(now), now), Room::Free);
    // Its time begins anew when it falls behind again.
    seats.watch(END + 1, now + limits::CATCH_UP);
    let due = seats.get_mut(slow).due();
    assert_eq!(due, now + limits::STALL);
    assert_eq!(seats.get_mut(slow).behind, Some(now + limits::CATCH_UP));
}

#[test]
fn a_burst_waits_a_moment_for_most_players_though_there_is_room() {
    let late = limits::BURST_BYTES as u64 + 1;
    let (mut seats, now) = players(&[late, late, 0]);
    let hold = now + limits::BURST_HOLD;
    assert_eq!(seats.room(ask(hold), now), Room::Wait(Some(hold)));
    assert_eq!(seats.room(ask(hold), hold), Room::Free);
    seats.get_mut(SeatId(0)).advance(END, END, now);
    assert_eq!(seats.room(ask(hold), now), Room::Free, "most have sent it");
    let (mut nobody, now) = players(&[]);
    assert_eq!(nobody.room(ask(hold), now), Room::Free);
}

#[test]
fn a_burst_that_leaves_most_behind_begins_nobodys_time() {
    let (mut seats, now) = players(&[RING, RING, 0]);
    assert_eq!(seats.get_mut(SeatId(0)).behind, None);
    seats.get_mut(SeatId(1)).advance(END, END, now);
    seats.watch(END, now);
    assert_eq!(seats.get_mut(SeatId(0)).behind, Some(now));
}

#[test]
fn only_those_before_the_cut_are_dropped_and_then_they_count_no_more() {
    let (mut seats, now) = (Seats::default(), Instant::now());
    let later = now + limits::STALL;
    let dropped = seats.take(CUT - 1, Disconnect::default(), now);
    let reading = seats.take(CUT - 1, Disconnect::default(), later);
    let kept = seats.take(CUT, Disconnect::default(), now);
    seats.take(END, Disconnect::default(), now);
    let mut told = 0;
    seats.drop_before(CUT, later, |_| told += 1);
    seats.drop_before(CUT, later, |_| told += 1);
    assert_eq!(told, 1);
    assert!(seats.get_mut(dropped).dropped);
    assert!(!seats.get_mut(kept).dropped && !seats.get_mut(reading).dropped);
    assert_eq!((seats.present(), seats.slowest()), (3, Some(CUT - 1)));
}

#[test]
fn a_seat_is_given_again_and_leaving_is_counted_once() {
    let (mut seats, now) = (Seats::default(), Instant::now());
    let first = seats.take(0, Disconnect::default(), now);
    seats.drop_before(1, now + limits::STALL, |_| ());
    seats.leave(first);
    assert_eq!((seats.present(), seats.slowest()), (0, None));
    assert_eq!(seats.take(7, Disconnect::default(), now), first);
    assert_eq!((seats.present(), seats.slowest()), (1, Some(7)));
}
