//! `interlock battles` as people start it, on the real server: the npm package that `./test` installs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod hosting;
mod joined;
mod local;
mod outside;
mod refusals;
mod running;
mod support;
mod tournaments;
