//! What the stores promise, and what it takes to break them.

#![allow(clippy::unwrap_used)] // a test may stop where it stands

#[path = "store/mod.rs"]
mod store;
