//! What the store tests share.

pub mod place;
pub mod suite;
pub mod tools;
