//! The fleet: many workers on one run.

pub mod logs;
pub mod searches;
