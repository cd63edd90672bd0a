//! The index against what it promises: by scenario, and by comparison with a model under crashes and faults.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod model;
mod scenarios;
mod stored;
mod world;
