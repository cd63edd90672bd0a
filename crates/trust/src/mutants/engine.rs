//! Mutants of the single writer: repeats, refusals, looks, waits, time.

use super::list::{Edit, Mutant};

const ENGINE: &str = "crates/runtime/src/engine/mod.rs";
const CLOCK: &str = "crates/runtime/src/engine/clock.rs";
const LANE: &str = "crates/runtime/src/engine/lane.rs";
const DECIDE: &str = "crates/runtime/src/engine/lane/decide.rs";
const REPEAT: &str = "crates/runtime/src/engine/lane/repeat.rs";
const EFFECTS: &str = "crates/runtime/src/effects.rs";

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "dedup skipped",
        breaks: "a command sent twice is decided once",
        edits: &[Edit {
            file: REPEAT,
            from: "let Some(id) = &envelope.id else { return self.decide_new(live, envelope, core) };",
            to: "let Some(id) = envelope.id.as_ref().filter(|_| false) else {
            return self.decide_new(live, envelope, core);
        };",
        }],
    },
    Mutant {
        name: "dedup skipped while the first is under way",
        breaks: "a repeat waits for the commit of the first",
        edits: &[Edit {
            file: REPEAT,
            from: "                self.repeat_in_flight(entry.position, &mut envelope);
                return Ok(());",
            to: "                return self.decide_new(live, envelope, core);",
        }],
    },
    Mutant {
        name: "refusal sent before the commit that it rests on",
        breaks: "a \"no\" rests on what is durable",
        edits: &[Edit {
            file: LANE,
            from: "        if live.is_dirty(core.durable) {
            let what = What::Told(waiters, answer);",
            to: "        if live.is_dirty(core.durable) && answer.is_ok() {
            let what = What::Told(waiters, answer);",
        }],
    },
    Mutant {
        name: "look at what is not committed",
        breaks: "a read rests on what is durable",
        edits: &[Edit {
            file: LANE,
            from: "        if live.is_dirty(core.durable) {
            let what = What::Shown(live.view(core.now), reply);",
            to: "        if false {
            let what = What::Shown(live.view(core.now), reply);",
        }],
    },
    Mutant {
        name: "waiters not asked again after a change",
        breaks: "after every change everyone in the waiting room is decided again",
        edits: &[Edit {
            file: DECIDE,
            from: "        match self.decide(live, &mut envelope, core)? {
            Again::Changed => self.settle_room(live, core),",
            to: "        match self.decide(live, &mut envelope, core)? {
            Again::Changed => Ok(()),",
        }],
    },
    Mutant {
        name: "decided at the time of the last turn",
        breaks: "log time is the time at which a command is decided",
        edits: &[Edit {
            file: ENGINE,
            from: "        // However long it waited.
        self.core.now = self.clock.now(&self.core.env);",
            to: "",
        }],
    },
    Mutant {
        name: "log time jumps with the wall clock",
        breaks: "log time never goes back, and a lease does not end before its time",
        edits: &[Edit {
            file: CLOCK,
            from: "let bend = away.min(passed / BEND);",
            to: "let bend = away.min(std::time::Duration::MAX);",
        }],
    },
    Mutant {
        name: "result of an effect taken twice",
        breaks: "an effect's result is a command exactly once",
        edits: &[
            Edit { file: DECIDE, from: "if !pending {", to: "if false && !pending {" },
            Edit {
                file: EFFECTS,
                from: "        if !lock(&self.under_way).insert(effect.clone()) {
            return;
        }",
                to: "",
            },
        ],
    },
];
