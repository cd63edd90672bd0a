//! The primitives over real sockets, sentence by sentence of their contract.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod barrier;
mod client;
mod commands;
mod documented;
mod entities;
mod feed;
mod input;
mod job;
mod openapi;
mod pool;
mod quota;
mod restart;
mod support;
mod turn;
mod value;
