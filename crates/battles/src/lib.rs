//! Battles.

pub mod domain;
pub mod fleet;
pub mod limits;
