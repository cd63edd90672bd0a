//! Composes the services into one server.
//!
//! [`config`] is what the user says.

pub mod config;
pub mod limits;
