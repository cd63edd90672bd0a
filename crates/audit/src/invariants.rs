//! The invariants of the entities that Interlock has: recounted after every record, and not only followed.
//!
//! Entities of one's own assert theirs in `apply`.

use interlock_kernel::entity::Entity;

/// Without the services there are none of theirs.
#[cfg(not(feature = "races"))]
pub(crate) fn check<E: Entity>(_: &E) {}

/// Recounts a state, if there is more to it than `apply` asserts.
///
/// Panics if an invariant does not hold.
#[cfg(feature = "races")]
pub(crate) fn check<E: Entity>(state: &E) {
    use std::any::Any;

    use interlock_battles::domain::run::Run;
    use interlock_primitives::domain::{
        barrier::BarrierEntity, job::JobEntity, pool::PoolEntity, quota::QuotaEntity,
        turn::TurnEntity, value::ValueEntity,
    };
    use interlock_streams::domain::engines::Engines;

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
    on(state, Run::check);
}
