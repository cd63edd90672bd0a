//! Battles.

pub mod domain;
pub mod fake;
pub mod fleet;
pub mod limits;
