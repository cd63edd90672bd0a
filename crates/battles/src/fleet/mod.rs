//! The fleet: many workers on one run.

pub mod searches;
