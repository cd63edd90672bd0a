//! What the stores promise, and what it takes to break them.

#![cfg(unix)] // as the disk that fails is
#![allow(clippy::unwrap_used)] // a test may stop where it stands

#[path = "store/mod.rs"]
mod store;
