//! Document 001: a game bot tells a story by turns, with a countdown, images and files, and many players.
//!
//! As found, every press of a button runs the engine at once. What the engine changes lies in the process, and
//! in files that are read, changed and written whole; the buttons vanish only when the turn has run.

mod clicks;
mod files;
mod sessions;

use self::clicks::{Disabled, Opens};
use super::{Case, Repaired};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "two clicks answer the same turn",
        document: "001",
        as_found: &|stage| clicks::double_click(stage, Disabled::AfterTurn),
        interlock: &clicks::double_click_twin,
    },
    Case {
        name: "the lock on free text opens before the turn has run",
        document: "001",
        as_found: &|stage| clicks::free_text(stage, Opens::WithText),
        interlock: &clicks::free_text_twin,
    },
    Case {
        name: "the countdown and a click answer the same turn",
        document: "001",
        as_found: &clicks::countdown,
        interlock: &clicks::countdown_twin,
    },
    Case {
        name: "one death is followed by two restarts",
        document: "001",
        as_found: &clicks::restarts,
        interlock: &clicks::restarts_twin,
    },
    Case {
        name: "a session writes the state file over another's change",
        document: "001",
        as_found: &files::lost_update,
        interlock: &files::lost_update_twin,
    },
    Case {
        name: "each process writes the history that it remembers",
        document: "001",
        as_found: &files::stale_history,
        interlock: &files::stale_history_twin,
    },
    Case {
        name: "the state file is read while it is half written",
        document: "001",
        as_found: &files::half_read,
        interlock: &files::whole_twin,
    },
    Case {
        name: "a crash leaves the state file half written",
        document: "001",
        as_found: &files::half_left,
        interlock: &files::whole_twin,
    },
    Case {
        name: "one switch for images serves every session",
        document: "001",
        as_found: &sessions::image_switch,
        interlock: &sessions::image_switch_twin,
    },
    Case {
        name: "a reaction that never comes keeps the turn open",
        document: "001",
        as_found: &sessions::endless_reaction,
        interlock: &sessions::endless_reaction_twin,
    },
];

pub(super) const REPAIRED_MODELS: &[Repaired] = &[
    Repaired {
        name: "two clicks answer the same turn",
        model: &|stage| clicks::double_click(stage, Disabled::AtOnce),
    },
    Repaired {
        name: "the lock on free text opens before the turn has run",
        model: &|stage| clicks::free_text(stage, Opens::AfterTurn),
    },
];
