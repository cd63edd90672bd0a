//! Mutants of the two-phase bus, and of what leaves through it.

use super::list::{Edit, Mutant};

const DISPATCH: &str = "crates/runtime/src/dispatch/mod.rs";
const COMPACT: &str = "crates/runtime/src/compact.rs";
const GROUP: &str = "crates/runtime/src/dispatch/group.rs";
const PHASES: &str = "crates/runtime/src/dispatch/phases.rs";
const UNDER_WAY: &str = "crates/runtime/src/dispatch/under_way.rs";
const STREAMS: &str = "crates/streams/src/domain/engines.rs";

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "phase 2 started early",
        breaks: "phase 1 of all handlers ends before phase 2 of any begins",
        edits: &[Edit {
            file: PHASES,
            from: "                Ok(wants) if wants.is_nothing() => self.read(record, true),
                Ok(wants) => Progress::Wants(wants),",
            to: "                Ok(wants) => {
                    if let Progress::Reads(reads) = self.read(record, true) {
                        for read in reads {
                            self.env.spawn(\"early\", async move { drop(read.future.await) });
                        }
                    }
                    Progress::Wants(wants)
                }",
        }],
    },
    Mutant {
        name: "records of an entity handled beside each other",
        breaks: "records of one entity are handled in order",
        edits: &[Edit {
            file: DISPATCH,
            from: "        if !self.busy.is_empty()
            && let Some(busy) = self.busy.get_mut(key)
        {
            if busy.left {",
            to: "        if false
            && let Some(busy) = self.busy.get_mut(key)
        {
            if busy.left {",
        }],
    },
    Mutant {
        name: "cursor ahead of the handlers",
        breaks: "no event is skipped after a crash",
        edits: &[
            Edit {
                file: DISPATCH,
                from: "        self.cursor.open(record.origin.position, left);
",
                to: "        let _ = left;
",
            },
            Edit {
                file: DISPATCH,
                from: "        self.cursor.open(record.origin.position, Left::Read);
        match self.phases.read(&record, true) {",
                to: "        match self.phases.read(&record, true) {",
            },
        ],
    },
    Mutant {
        name: "refused rows taken for written",
        breaks: "phase 2 begins when the rows of phase 1 are written",
        edits: &[Edit {
            file: GROUP,
            from: "let Err(error) = result else {",
            to: "let Err(error) = result.or(Ok::<(), StoreError>(())) else {",
        }],
    },
    Mutant {
        name: "what letters were told written lazily",
        breaks: "a dead letter that was retried does not come back, power losses included",
        edits: &[Edit {
            file: GROUP,
            from: "if self.letters.is_empty() { Durability::Lazy } else { Durability::Synced }",
            to: "Durability::Lazy",
        }],
    },
    Mutant {
        name: "the log cut before its rows are safe",
        breaks: "rows survive as long as the records that could make them again do not",
        edits: &[Edit {
            file: COMPACT,
            from: "store.write_rows(vec![note], Durability::Synced)",
            to: "store.write_rows(vec![note], Durability::Lazy)",
        }],
    },
    Mutant {
        name: "handlers' commands without an id of their own",
        breaks: "a write handler's effect happens exactly once",
        edits: &[Edit {
            file: UNDER_WAY,
            from: "let id = format!(\"{}/{}@{}.{event}.{place}\", self.entity, origin.key, origin.version);",
            to: "let id = format!(\"{}@{}.{event}.{place}.{}\", origin.key, origin.version, self.env.random());",
        }],
    },
    Mutant {
        name: "handlers' commands not waited for",
        breaks: "phase 1 ends when its commands are committed or refused",
        edits: &[Edit {
            file: UNDER_WAY,
            from: "        ended.await.unwrap_or_else(|_| stopping())",
            to: "        drop(ended);
        Settled::Committed",
        }],
    },
    Mutant {
        name: "lease released early",
        breaks: "an engine's slot is free again only when the engine confirmed the stop",
        edits: &[Edit {
            file: STREAMS,
            from: "after_lease: AfterLease::Closing };",
            to: "after_lease: AfterLease::Free };",
        }],
    },
];
