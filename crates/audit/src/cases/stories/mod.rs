//! Document 001: a game bot tells a story by turns, with a countdown, images and files, and many players.
//!
//! As found, every press of a button runs the engine at once. What the engine changes lies in the process, and
//! in files that are read, changed and written whole; the buttons vanish only when the turn has run.

mod clicks;
mod files;
mod sessions;

use super::{Case, Flaw};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "two clicks answer the same turn",
        document: "001",
        as_found: &|stage| clicks::double_click(stage, Flaw::Present),
        repaired: &|stage| clicks::double_click(stage, Flaw::Absent),
        interlock: &clicks::double_click_twin,
    },
    Case {
        name: "the lock on free text opens before the turn has run",
        document: "001",
        as_found: &|stage| clicks::free_text(stage, Flaw::Present),
        repaired: &|stage| clicks::free_text(stage, Flaw::Absent),
        interlock: &clicks::free_text_twin,
    },
    Case {
        name: "the countdown and a click answer the same turn",
        document: "001",
        as_found: &|stage| clicks::countdown(stage, Flaw::Present),
        repaired: &|stage| clicks::countdown(stage, Flaw::Absent),
        interlock: &clicks::countdown_twin,
    },
    Case {
        name: "one death is followed by two restarts",
        document: "001",
        as_found: &|stage| clicks::restarts(stage, Flaw::Present),
        repaired: &|stage| clicks::restarts(stage, Flaw::Absent),
        interlock: &clicks::restarts_twin,
    },
    Case {
        name: "a session writes the state file over the change of another",
        document: "001",
        as_found: &|stage| files::lost_update(stage, Flaw::Present),
        repaired: &|stage| files::lost_update(stage, Flaw::Absent),
        interlock: &files::lost_update_twin,
    },
    Case {
        name: "each process writes the history that it remembers",
        document: "001",
        as_found: &|stage| files::stale_history(stage, Flaw::Present),
        repaired: &|stage| files::stale_history(stage, Flaw::Absent),
        interlock: &files::stale_history_twin,
    },
    Case {
        name: "the state file is read while it is half written",
        document: "001",
        as_found: &|stage| files::half_read(stage, Flaw::Present),
        repaired: &|stage| files::half_read(stage, Flaw::Absent),
        interlock: &files::whole_twin,
    },
    Case {
        name: "a crash leaves the state file half written",
        document: "001",
        as_found: &|stage| files::half_left(stage, Flaw::Present),
        repaired: &|stage| files::half_left(stage, Flaw::Absent),
        interlock: &files::whole_twin,
    },
    Case {
        name: "one switch for images serves every session",
        document: "001",
        as_found: &|stage| sessions::image_switch(stage, Flaw::Present),
        repaired: &|stage| sessions::image_switch(stage, Flaw::Absent),
        interlock: &sessions::image_switch_twin,
    },
    Case {
        name: "a reaction that never comes keeps the turn open",
        document: "001",
        as_found: &|stage| sessions::endless_reaction(stage, Flaw::Present),
        repaired: &|stage| sessions::endless_reaction(stage, Flaw::Absent),
        interlock: &sessions::endless_reaction_twin,
    },
];
