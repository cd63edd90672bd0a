//! The whole service over real sockets: fake engines on one side, players on the other, and what the
//! engines counted.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod players;
mod restart;
mod slots;
mod start;
mod support;
mod trouble;
mod web;
