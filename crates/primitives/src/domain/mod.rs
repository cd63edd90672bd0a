//! The entities: pure, one file per primitive.

pub mod barrier;
pub mod job;
pub mod pool;
pub mod quota;
pub mod turn;
pub mod value;

use serde::{Deserialize, Serialize};

/// The entity takes no more commands; its state stays readable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {}
