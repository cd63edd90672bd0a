//! The fleet: many workers on one run.

pub mod counter;
pub mod logs;
pub mod searches;
