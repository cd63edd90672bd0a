//! The crate as its users see it.

mod command;
mod fingerprint;
mod openapi;
mod request;
mod serve;
mod support;
