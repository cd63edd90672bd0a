//! The rules of the streams service, pure.
//!
//! [`engines`] gives out the engines' slots and frees them only when nobody can be using them; [`stream`] is
//! the durable record of one stream; [`blame`] tells a broken stream from a broken engine.

pub mod blame;
pub mod engines;
pub mod engines_event;
pub mod stream;
