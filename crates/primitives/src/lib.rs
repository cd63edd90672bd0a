//! The six primitives over HTTP: quota, turn, job, value, pool and barrier, for programs in any language.
//!
//! [`domain`] holds one entity per primitive. Each wraps the kernel's data structure of the same name and
//! adds what a service needs around it: stable error codes, durable timers, views for `GET`.

pub mod domain;
