//! The invariants of the entities that Interlock has: recounted after every record, and not only followed.
//!
//! Entities of one's own assert theirs in `apply`.

use std::any::Any;

use interlock_kernel::entity::Entity;
use interlock_primitives::domain::{
    barrier::BarrierEntity, job::JobEntity, pool::PoolEntity, quota::QuotaEntity, turn::TurnEntity,
    value::ValueEntity,
};
use interlock_streams::domain::engines::Engines;

/// Recounts a state, if there is more to it than `apply` asserts.
///
/// Panics if an invariant does not hold.
pub(crate) fn check<E: Entity>(state: &E) {
    fn on<E: Entity>(state: &dyn Any, check: fn(&E)) {
        if let Some(state) = state.downcast_ref() {
            check(state);
        }
    }
    on(state, BarrierEntity::check);
    on(state, JobEntity::check);
    on(state, PoolEntity::check);
    on(state, QuotaEntity::check);
    on(state, TurnEntity::check);
    on(state, ValueEntity::check);
    on(state, |engines: &Engines| engines.pool().check());
}
