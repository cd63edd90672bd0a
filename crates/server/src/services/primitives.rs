//! The six primitives over HTTP.

use interlock_battles::fleet::Fleets;
use interlock_kernel::time::Millis;
use interlock_runtime::{Builder, Runtime};
use interlock_web::endpoint::Routes;

use crate::{
    compose::{BadStart, Later, Prepared, Service},
    config::Config,
};

/// The service as configured.
#[must_use]
pub fn prepare(config: &Config, _: &Fleets) -> Box<dyn Prepared> {
    Box::new(Primitives { retention: config.retention })
}

struct Primitives {
    retention: Millis,
}

impl Prepared for Primitives {
    fn register(&self, builder: Builder) -> Builder {
        interlock_primitives::register(builder)
    }

    fn start(self: Box<Self>, runtime: &Runtime) -> Later<'_, Result<Box<dyn Service>, BadStart>> {
        let running = Running { runtime: runtime.clone(), retention: self.retention };
        Box::pin(async { Ok(Box::new(running) as Box<dyn Service>) })
    }
}

struct Running {
    runtime: Runtime,
    retention: Millis,
}

impl Service for Running {
    fn routes(&self) -> Routes {
        interlock_primitives::routes_remembering(&self.runtime, self.retention)
    }
}
