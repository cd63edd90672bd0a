//! The program as people start it: the real process, from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod command_line;
mod serving;
mod stopping;
mod support;
