//! The services of this server, in one place. A further one is one line of [`SERVICES`].

use interlock_primitives::domain::{
    barrier::BarrierEntity, job::JobEntity, turn::TurnEntity, value::ValueEntity,
};
use interlock_runtime::{Builder, Runtime};
use interlock_web::endpoint::Routes;

/// What a service brings.
pub struct Service {
    /// What it is called.
    pub name: &'static str,
    /// Adds its entity types.
    pub register: fn(Builder) -> Builder,
    /// Its endpoints.
    pub routes: fn(&Runtime) -> Routes,
}

/// Every service.
pub const SERVICES: &[Service] = &[Service {
    name: "primitives",
    register: |builder| {
        builder
            .entity::<TurnEntity>()
            .entity::<JobEntity>()
            .entity::<ValueEntity>()
            .entity::<BarrierEntity>()
    },
    routes: |_| Routes::new(),
}];

/// Adds the entity types of all services.
#[must_use]
pub fn register(builder: Builder) -> Builder {
    SERVICES.iter().fold(builder, |builder, service| (service.register)(builder))
}

/// The endpoints of all services.
#[must_use]
pub fn routes(runtime: &Runtime) -> Routes {
    SERVICES.iter().fold(Routes::new(), |routes, service| routes.and((service.routes)(runtime)))
}
