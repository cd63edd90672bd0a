//! Mutants of the six primitives. Where an assert would stop the bug at once, it is dropped too.

use super::list::{Edit, Mutant};

const QUOTA_LIMIT: &str = "crates/kernel/src/quota/limit.rs";
const TURN: &str = "crates/kernel/src/turn.rs";
const JOB: &str = "crates/kernel/src/job.rs";
const VALUE: &str = "crates/kernel/src/value.rs";
const POOL_APPLY: &str = "crates/kernel/src/pool/apply.rs";
const POOL_MEMBER: &str = "crates/kernel/src/pool/member.rs";
const BARRIER: &str = "crates/kernel/src/barrier.rs";

pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "pool's token does not grow",
        breaks: "every lease has a token of its own",
        edits: &[Edit { file: POOL_APPLY, from: "self.granted = leased.token;", to: "" }],
    },
    Mutant {
        name: "pool over a member's limit",
        breaks: "no member is ever over its limit",
        edits: &[
            Edit {
                file: POOL_MEMBER,
                from: "admits && self.in_use.total() < self.limit",
                to: "admits && self.in_use.total() <= self.limit",
            },
            Edit {
                file: POOL_APPLY,
                from: "assert!(record.in_use.total() <= record.limit, \"never over the limit\");",
                to: "",
            },
        ],
    },
    Mutant {
        name: "quota's limit off by one",
        breaks: "claimed + in doubt + settled never exceed the limit",
        edits: &[Edit {
            file: QUOTA_LIMIT,
            from: "limit.checked_sub(used)",
            to: "(limit + 1).checked_sub(used)",
        }],
    },
    Mutant {
        name: "job's runs overlap",
        breaks: "one run at a time",
        edits: &[
            Edit {
                file: JOB,
                from: "if let Some(run) = self.running(now) {",
                to: "if let Some(run) = self.running(now).filter(|_| false) {",
            },
            Edit {
                file: JOB,
                from: "assert!(self.running.is_none(), \"one run at a time\");",
                to: "",
            },
        ],
    },
    Mutant {
        name: "job's interval ignored",
        breaks: "at least the interval lies between two starts",
        edits: &[Edit { file: JOB, from: "if now < earliest {", to: "if false {" }],
    },
    Mutant {
        name: "barrier fires twice",
        breaks: "\"all have come\" fires exactly once",
        edits: &[
            Edit {
                file: BARRIER,
                from: "if self.arrivals.count() + 1 == parties.len() {",
                to: "if self.arrivals.count() + 1 <= parties.len() {",
            },
            Edit {
                file: BARRIER,
                from: "assert!(!self.complete, \"nothing changes after completion\");",
                to: "",
            },
            Edit {
                file: BARRIER,
                from: "assert_eq!(self.arrivals.count(), awaited, \"it completes when all have come\");",
                to: "",
            },
        ],
    },
    Mutant {
        name: "turn's second winner",
        breaks: "one winner per turn",
        edits: &[
            Edit { file: TURN, from: "if turn == next {", to: "if turn.get() + 1 >= next.get() {" },
            Edit {
                file: TURN,
                from: "assert_eq!(won.turn, self.next, \"turns are won once and in order\");",
                to: "if won.turn < self.next {
                    self.kept.pop_back();
                }",
            },
        ],
    },
    Mutant {
        name: "value's If-Match ignored",
        breaks: "a value is replaced only as it was read",
        edits: &[Edit { file: VALUE, from: "if !holds {", to: "if false && !holds {" }],
    },
    Mutant {
        name: "value's fencing token ignored",
        breaks: "who lost the lease cannot write",
        edits: &[
            Edit {
                file: VALUE,
                from: "(Some(token), Some(seen)) if token < seen => Err(",
                to: "(Some(token), Some(seen)) if false && token < seen => Err(",
            },
            Edit {
                file: VALUE,
                from: "assert!(token.is_none() || token >= self.token, \"a stale token is never taken\");",
                to: "",
            },
        ],
    },
];
