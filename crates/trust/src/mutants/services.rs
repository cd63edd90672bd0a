//! Mutants of the services: of what a run counts, of who hosts a fleet, and of what is written of a stream.

use super::list::{Edit, Mutant};

const RUN: &str = "crates/battles/src/domain/run.rs";
const HISTORY: &str = "crates/battles/src/history.rs";
const FLEETS: &str = "crates/battles/src/handlers.rs";
const STREAMS: &str = "crates/streams/src/handlers.rs";

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "run's tie counted nowhere",
        breaks: "what is settled is counted as what it was",
        edits: &[Edit {
            file: RUN,
            from: "self.tallies.add(over);",
            to: "if over.ending != Ending::Of(Outcome::Tie) { self.tallies.add(over); }",
        }],
    },
    Mutant {
        name: "run's void battle counted",
        breaks: "a battle without an end gives its claim back",
        edits: &[Edit {
            file: RUN,
            from: "Ending::Void => self.quota.abandon(claim, now)?,",
            to: "Ending::Void => self.quota.settle(claim, &Outcome::Loss.name(), now)?,",
        }],
    },
    Mutant {
        name: "fleet forgotten in a crash",
        breaks: "a fleet is hosted until it is over",
        edits: &[Edit {
            file: HISTORY,
            from: "Ok(Reaction::none().row(put(FLEETS, key, &origin.key)?))",
            to: "put(FLEETS, key, &origin.key).map(|_| Reaction::none())",
        }],
    },
    Mutant {
        name: "fleet's end unheard",
        breaks: "a fleet ends when it is told to",
        edits: &[Edit {
            file: FLEETS,
            from: "slowed: On { write: vec![], read: vec![wake(fleets)] },",
            to: "slowed: On { write: vec![], read: vec![] },",
        }],
    },
    Mutant {
        name: "stream's end not written",
        breaks: "a stream's record says what happened to it",
        edits: &[Edit {
            file: STREAMS,
            from: "                note(|e: &Ended| &e.stream, StreamEvent::Ended),\n",
            to: "",
        }],
    },
];
