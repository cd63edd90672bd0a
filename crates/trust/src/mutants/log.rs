//! Mutants of the log: what is durable, and what a restart reads.

use super::list::{Edit, Mutant};

const MEMORY: &str = "crates/runtime/src/store/memory.rs";
const STORE: &str = "crates/runtime/src/store/mod.rs";
const ENGINE: &str = "crates/runtime/src/engine/mod.rs";
const RECOVER: &str = "crates/runtime/src/engine/recover.rs";
const RECORD: &str = "crates/runtime/src/engine/lane/record.rs";
const FOLD: &str = "crates/runtime/src/fold.rs";
const LANE: &str = "crates/runtime/src/engine/lane.rs";

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "version check dropped",
        breaks: "a chunk continues the log, and who is over writes no more",
        edits: &[
            Edit {
                file: MEMORY,
                from: "if memory.opening == self.opening { work(&mut memory) } else { Err(closed()) }",
                to: "work(&mut memory)",
            },
            Edit {
                file: STORE,
                from: "if chunk.first != end || chunk.count == 0 {",
                to: "if chunk.count == 0 {",
            },
        ],
    },
    Mutant {
        name: "commit and publish swapped",
        breaks: "handlers, effects and the feed begin after the commit",
        edits: &[Edit {
            file: ENGINE,
            from: "            append: self.core.env.store().append(chunk),
        });
",
            to: "            append: self.core.env.store().append(chunk),
        });
        self.core.durable = self.core.builder.next();
        for lane in &mut self.lanes {
            lane.committed(&mut self.core);
        }
        self.committed.send_replace(self.core.durable);
",
        }],
    },
    Mutant {
        name: "reply before commit",
        breaks: "what is acknowledged is durable",
        edits: &[Edit {
            file: RECORD,
            from: "        let done = Done {
            key: live.key.clone(),",
            to: "        if let Some(receipt) = &receipt {
            envelope.take_waiters().answer(Ok(receipt.clone()));
        }
        let done = Done {
            key: live.key.clone(),",
        }],
    },
    Mutant {
        name: "unknown commit taken for done",
        breaks: "a commit whose outcome is unknown is settled by reading the log",
        edits: &[Edit { file: ENGINE, from: "if span.end == end {", to: "if span.end <= end {" }],
    },
    Mutant {
        name: "memory kept after a refused commit",
        breaks: "nothing that was decided on a refused commit is kept",
        edits: &[Edit {
            file: LANE,
            from: "        for key in lost {
            self.reload(key, core);
        }",
            to: "        let _ = (lost, core);",
        }],
    },
    Mutant {
        name: "log's tail not read again",
        breaks: "a restart finds everything that was committed",
        edits: &[Edit {
            file: RECOVER,
            from: "heads.insert(Entry { hash, position, due: head.due });",
            to: "",
        }],
    },
    Mutant {
        name: "command ids lost on restart",
        breaks: "a repeat gets the first reply, crashes included",
        edits: &[Edit {
            file: RECOVER,
            from: "                    ids.insert(Entry { hash, position, due: Time::NEVER });",
            to: "                    let _ = hash;",
        }],
    },
    Mutant {
        name: "timer lost on restart",
        breaks: "timers survive crashes",
        edits: &[Edit {
            file: RECOVER,
            from: "filter(|(due, _)| *due != Time::NEVER)",
            to: "filter(|(due, _)| *due == Time(0))",
        }],
    },
    Mutant {
        name: "effect lost on restart",
        breaks: "what was asked of the outside is done at least once, crashes included",
        edits: &[Edit {
            file: RECOVER,
            from: "filter(|(due, _)| *due != Time::NEVER)",
            to: "filter(|(due, _)| *due != Time::NEVER && *due != Time(0))",
        }],
    },
    Mutant {
        name: "timer fires again after a restart",
        breaks: "a timer that has fired is over",
        edits: &[Edit {
            file: FOLD,
            from: "self.timers.retain(|timer, _| timer.0 != name);",
            to: "let _ = name;",
        }],
    },
    Mutant {
        name: "snapshot without its position",
        breaks: "a snapshot says which version it shows, and later events follow it",
        edits: &[Edit {
            file: RECORD,
            from: "            version: live.version,
            prev: live.head,",
            to: "            version: interlock_kernel::ids::Version(live.version.0 - 1),
            prev: live.head,",
        }],
    },
];
