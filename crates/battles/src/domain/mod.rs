//! The rules, pure.

pub mod run;
