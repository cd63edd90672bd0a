//! Battles.

pub mod domain;
pub mod limits;
