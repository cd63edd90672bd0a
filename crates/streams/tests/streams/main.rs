//! The data plane as its callers see it: engine client, pull, hub, and the fake engine they are tested on.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod engine;
mod fake;
mod hub;
mod players;
mod pull;
mod support;
