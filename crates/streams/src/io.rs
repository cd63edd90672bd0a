//! The data plane: bytes from an engine to its players.
//!
//! ```text
//!  engine ──HTTP──► Pull ──Bytes──► Feed ─► ring ─► Player ──HTTP──► player
//!                                            ├────► Player ──HTTP──► player
//!  Engine: start, stop, stat, health         └────► …
//! ```
//!
//! Invariant: bytes are read once and never copied again per player; every player gets them unchanged
//! and without a gap from where it joined, or its connection ends.
//!
//! Not here: which engine, which stream, how many, how long. The caller says so.

pub mod engine;
mod exchange;
pub mod fault;
pub mod hub;
pub mod pull;
mod ring;
mod seats;
pub mod ts;

pub use interlock_web::disconnect;
