//! Every store keeps the same promises: one suite, run on each.

use super::{place, suite};

/// The suite's cases for one kind of place.
macro_rules! conformance {
    ($kind:ident, $place:expr, [$($case:ident),+ $(,)?]) => {
        mod $kind {
            use super::*;
            $(#[test] fn $case() { suite::$case(&$place); })+
        }
    };
}

/// All cases for all kinds.
macro_rules! on_every_store {
    ($cases:tt) => {
        conformance!(memory, place::Memory::new(), $cases);
        conformance!(sqlite, place::Sqlite::new(), $cases);
        conformance!(faulty, place::Faulty::new(), $cases);
    };
}

on_every_store!([
    a_new_log_begins_at_one,
    chunks_come_back_as_they_were_appended,
    a_read_begins_with_the_chunk_that_holds_the_position,
    a_read_stops_at_the_limit_but_never_returns_nothing,
    a_read_outside_the_log_is_empty,
    a_chunk_that_does_not_continue_the_log_is_refused,
    a_large_chunk_is_kept_whole,
    truncation_drops_whole_chunks_and_keeps_the_end,
    a_log_truncated_to_nothing_goes_on_where_it_ended,
    a_long_truncation_lets_appends_through,
    settling_without_doubt_changes_nothing,
    a_reopened_store_has_everything,
    rows_are_put_replaced_and_deleted,
    a_group_of_rows_is_applied_in_its_order,
    groups_of_rows_are_applied_in_the_order_of_their_calls,
    tables_do_not_see_each_other,
    a_scan_is_ordered_bounded_and_goes_both_ways,
    a_range_of_rows_is_deleted_without_its_end,
    keys_and_values_may_be_empty_or_any_bytes,
    a_closed_store_refuses_everything,
    many_callers_read_while_the_log_grows,
]);
