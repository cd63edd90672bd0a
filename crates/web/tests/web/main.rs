//! The crate as its users see it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command;
mod fingerprint;
mod openapi;
mod request;
mod serve;
mod support;
