//! Streams: one pull per stream from a pool of engines, fanned out to every player.
//!
//! [`io`] moves bytes: a client for the engine's HTTP API, the pull, and the hub that one pull feeds and
//! many players drink from. It decides nothing: which engine serves which stream, and when a pull starts
//! or stops, is said by its caller. [`fake`] is a faithful stand-in for an engine, for tests and demos.
//!
//! Not here: transcoding, remuxing, or any other change of the bytes. What an engine sends is what every
//! player gets, null packets included.

pub mod domain;
pub mod fake;
pub mod handlers;
pub mod io;
pub mod limits;
pub mod routes;
pub mod service;
