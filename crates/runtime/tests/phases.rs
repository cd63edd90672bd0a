//! The two-phase bus: phase 1 before phase 2, records in order, commands and rows exactly once, dead letters.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "phases/dead_letters.rs"]
mod dead_letters;
#[path = "phases/loops.rs"]
mod loops;
#[path = "phases/promises.rs"]
mod promises;
#[path = "phases/restarts.rs"]
mod restarts;
#[path = "phases/schedules.rs"]
mod schedules;
