//! A whole server in this process, on a free port, with a folder of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod battles;
mod dead_letters;
mod fleets;
mod lifecycle;
mod metrics;
mod pages;
mod support;
