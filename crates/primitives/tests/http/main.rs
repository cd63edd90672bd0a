//! The primitives over real sockets, sentence by sentence of their contract.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod barrier;
mod client;
mod documented;
mod job;
mod pool;
mod quota;
mod support;
mod turn;
mod value;
