//! Battles.

pub mod domain;
pub mod fake;
pub mod fleet;
pub mod handlers;
pub mod history;
pub mod limits;
pub mod routes;

use interlock_runtime::Builder;

/// Adds the runs to a runtime.
#[must_use]
pub fn register(builder: Builder) -> Builder {
    builder.entity_with::<domain::run::Run, _>(handlers::run(), None)
}
