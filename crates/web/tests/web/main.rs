//! The crate as its users see it.

mod command;
mod fingerprint;
mod request;
mod serve;
mod support;
