//! The six primitives over HTTP: quota, turn, job, value, pool and barrier, for programs in any language.
//!
//! [`domain`] holds one entity per primitive. Each wraps the kernel's data structure of the same name and
//! adds what a service needs around it: stable error codes, durable timers, views for `GET`. [`routes`]
//! are their paths, with the event feed and the view of any entity.
//!
//! A server [`register`]s the entities with its runtime and serves the [`routes`]; nothing reacts to the
//! events of primitives but their readers.

pub mod domain;
pub mod limits;
mod routes;

use interlock_kernel::time::Millis;
use interlock_runtime::{Builder, Runtime, limits::RETENTION};
use interlock_web::endpoint::Routes;

/// Adds the six entities to a runtime.
#[must_use]
pub fn register(builder: Builder) -> Builder {
    builder
        .entity::<domain::quota::QuotaEntity>()
        .entity::<domain::turn::TurnEntity>()
        .entity::<domain::job::JobEntity>()
        .entity::<domain::value::ValueEntity>()
        .entity::<domain::pool::PoolEntity>()
        .entity::<domain::barrier::BarrierEntity>()
}

/// The paths of the primitives, of the event feed and of the view of any entity, with their
/// documentation. The runtime was built with [`register`], and with the usual retention.
#[must_use]
pub fn routes(runtime: &Runtime) -> Routes {
    routes_remembering(runtime, RETENTION)
}

/// The same over a runtime that was built with another retention: how long command ids are kept, and the
/// endings of claims with them.
#[must_use]
pub fn routes_remembering(runtime: &Runtime, retention: Millis) -> Routes {
    routes::all(runtime, retention)
}
