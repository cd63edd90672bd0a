//! The pure core of Interlock.
//!
//! An [`entity::Entity`] decides on commands and applies events; [`bus`] says who reacts to them; the six
//! primitives ([`quota`], [`turn`], [`job`], [`value`], [`pool`], [`barrier`]) are plain data structures
//! that entities embed; [`kit`] tests an entity without any runtime.
//!
//! Nothing here knows a clock, a random source, a thread, a socket or a file: they are arguments.

pub mod barrier;
pub mod bus;
pub mod entity;
pub mod expiry;
pub mod ids;
pub mod job;
pub mod json;
pub mod kit;
pub mod limits;
pub mod pool;
pub mod quota;
pub mod room;
mod serial;
pub mod time;
pub mod turn;
pub mod value;
