//! Whole battles on the real server: the npm package that `./test` installs.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod battles;
mod login;
mod support;
mod witness;
