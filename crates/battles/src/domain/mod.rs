//! The rules, pure.

pub mod chance;
pub mod id;
pub mod log;
pub mod protocol;
pub mod run;
pub mod score;
