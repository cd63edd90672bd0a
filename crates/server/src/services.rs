//! How each service takes part in the server: see [`crate::compose`].

pub mod battles;
pub mod primitives;
pub mod streams;
