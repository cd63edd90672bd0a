//! The rules of the engines' slots, alone and on a clock that only moves when told.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod line;
mod random;
mod rules;
mod support;
