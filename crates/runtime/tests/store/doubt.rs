//! Appends whose outcome nobody knows, on every store that can be made to have them.

use super::{
    place::{Doubt, DoubtfulPlace, Faulty, Memory},
    tools::{chunk, fill, firsts, span, wait},
};
use interlock_kernel::ids::Position;
use interlock_runtime::store::{Append, Store};

macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod memory { $(#[test] fn $case() { super::$case(&super::Memory::new()); })+ }
        mod faulty { $(#[test] fn $case() { super::$case(&super::Faulty::new()); })+ }
    };
}

on_every_store!(
    an_append_in_doubt_may_turn_out_written,
    an_append_in_doubt_may_turn_out_lost,
    nothing_is_appended_or_truncated_before_the_doubt_is_settled,
    a_settling_that_failed_can_be_tried_again,
    opening_again_settles_too,
);

fn append_in_doubt(place: &dyn DoubtfulPlace, store: &dyn Store, doubt: Doubt) {
    place.make_next_append_unknown(doubt);
    let end = span(store).1;
    assert!(matches!(wait(store.append(chunk(end, 10, 30_000))), Append::Unknown(_)));
}

fn an_append_in_doubt_may_turn_out_written(place: &dyn DoubtfulPlace) {
    let store = place.open();
    fill(&*store, 1, 5);
    append_in_doubt(place, &*store, Doubt::Written);
    assert_eq!(wait(store.settle()).unwrap().end, Position(16));
    fill(&*store, 16, 17);
    assert_eq!(firsts(&*store, 5, usize::MAX), [5, 6, 16, 17]);
    assert_eq!(wait(store.read(Position(6), 0)).unwrap(), [chunk(6, 10, 30_000)]);
}

fn an_append_in_doubt_may_turn_out_lost(place: &dyn DoubtfulPlace) {
    let store = place.open();
    fill(&*store, 1, 5);
    append_in_doubt(place, &*store, Doubt::Lost);
    assert_eq!(wait(store.settle()).unwrap().end, Position(6));
    fill(&*store, 6, 7);
    assert_eq!(firsts(&*store, 5, usize::MAX), [5, 6, 7]);
}

fn nothing_is_appended_or_truncated_before_the_doubt_is_settled(place: &dyn DoubtfulPlace) {
    for doubt in [Doubt::Written, Doubt::Lost] {
        let store = place.open();
        append_in_doubt(place, &*store, doubt);
        let end = span(&*store).1;
        assert!(matches!(wait(store.append(chunk(end, 1, 100))), Append::Refused(_)));
        assert!(wait(store.truncate(Position(end))).is_err());
        let end = wait(store.settle()).unwrap().end.0;
        fill(&*store, end, end);
    }
}

fn a_settling_that_failed_can_be_tried_again(place: &dyn DoubtfulPlace) {
    let store = place.open();
    fill(&*store, 1, 5);
    append_in_doubt(place, &*store, Doubt::Lost);
    place.make_next_settle_fail();
    assert!(wait(store.settle()).is_err());
    assert!(matches!(wait(store.append(chunk(6, 1, 100))), Append::Refused(_)));
    assert_eq!(wait(store.settle()).unwrap().end, Position(6));
    fill(&*store, 6, 6);
}

fn opening_again_settles_too(place: &dyn DoubtfulPlace) {
    let store = place.open();
    fill(&*store, 1, 5);
    append_in_doubt(place, &*store, Doubt::Written);
    drop(store);
    let store = place.open();
    assert_eq!(span(&*store), (1, 16));
    append_in_doubt(place, &*store, Doubt::Lost);
    drop(store);
    assert_eq!(span(&*place.open()), (1, 16));
}
