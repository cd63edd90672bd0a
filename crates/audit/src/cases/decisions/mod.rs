//! Document 002: a service plays a game by decisions, with macros in files, models that learn, and memories.
//!
//! Its report calls most of these safe because the service has one thread, or because a file is replaced by a
//! rename. One thread is no protection at an await; a rename protects one file, and only if nobody else writes
//! to the same temporary one. So some of the models say what its claims leave open.

mod cycles;
mod macros;
mod models;
mod states;

use super::{Case, Flaw};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "two improvement cycles overlap",
        document: "002",
        as_found: &|stage| cycles::overlap(stage, Flaw::Present),
        repaired: &|stage| cycles::overlap(stage, Flaw::Absent),
        interlock: &cycles::overlap_twin,
    },
    Case {
        name: "a macro file is read while it is written",
        document: "002",
        as_found: &|stage| macros::half_read(stage, Flaw::Present),
        repaired: &|stage| macros::half_read(stage, Flaw::Absent),
        interlock: &macros::set_twin,
    },
    Case {
        name: "two writers share one temporary file",
        document: "002",
        as_found: &|stage| macros::shared_temporary(stage, Flaw::Present),
        repaired: &|stage| macros::shared_temporary(stage, Flaw::Absent),
        interlock: &macros::set_twin,
    },
    Case {
        name: "a set of macro files is half replaced",
        document: "002",
        as_found: &|stage| macros::half_replaced(stage, Flaw::Present),
        repaired: &|stage| macros::half_replaced(stage, Flaw::Absent),
        interlock: &macros::set_twin,
    },
    Case {
        name: "a model is assigned before it is fitted",
        document: "002",
        as_found: &|stage| models::unfitted(stage, Flaw::Present),
        repaired: &|stage| models::unfitted(stage, Flaw::Absent),
        interlock: &models::unfitted_twin,
    },
    Case {
        name: "a model is swapped between two steps of a prediction",
        document: "002",
        as_found: &|stage| models::swapped(stage, Flaw::Present),
        repaired: &|stage| models::swapped(stage, Flaw::Absent),
        interlock: &models::swapped_twin,
    },
    Case {
        name: "two actions are executed for one state",
        document: "002",
        as_found: &|stage| states::two_actions(stage, Flaw::Present),
        repaired: &|stage| states::two_actions(stage, Flaw::Absent),
        interlock: &states::two_actions_twin,
    },
    Case {
        name: "a decision is executed on a later state",
        document: "002",
        as_found: &|stage| states::stale_decision(stage, Flaw::Present),
        repaired: &|stage| states::stale_decision(stage, Flaw::Absent),
        interlock: &states::stale_decision_twin,
    },
    Case {
        name: "two processes add to one memory",
        document: "002",
        as_found: &|stage| cycles::lost_memory(stage, Flaw::Present),
        repaired: &|stage| cycles::lost_memory(stage, Flaw::Absent),
        interlock: &cycles::lost_memory_twin,
    },
];
