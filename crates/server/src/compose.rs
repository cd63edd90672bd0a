//! The services of this server, in one place.
//!
//! A service takes part in three steps, because entities are registered before a runtime starts, and used
//! after: it is prepared from the configuration ([`Prepared`]), it starts on the runtime, and then it
//! offers what it has ([`Service`]) until it is stopped. A further service is one line of [`SERVICES`].

use std::{error::Error, pin::Pin};

use futures_util::future::join_all;
use interlock_battles::fleet::Fleets;
use interlock_runtime::{Builder, Runtime};
use interlock_web::{endpoint::Routes, metrics::Text};
use maud::Markup;

use crate::{
    config::Config,
    services::{battles, primitives, streams},
};

/// Every service.
const SERVICES: &[Prepare] = &[primitives::prepare, streams::prepare, battles::prepare];

/// Prepares a service.
type Prepare = fn(&Config, &Fleets) -> Box<dyn Prepared>;

/// A future that a service hands out.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service that has not started.
pub trait Prepared: Send {
    /// Adds its entity types.
    fn register(&self, builder: Builder) -> Builder;

    /// Starts it on the runtime that its entity types were added to.
    fn start(self: Box<Self>, runtime: &Runtime) -> Later<'_, Result<Box<dyn Service>, BadStart>>;
}

/// Why a service does not start, in its own words.
pub type BadStart = Box<dyn Error + Send + Sync>;

/// A service that runs.
pub trait Service: Send + Sync {
    /// Its endpoints.
    fn routes(&self) -> Routes;

    /// Its part of the first page; empty if it has nothing to show.
    fn panel(&self) -> Later<'_, Markup> {
        Box::pin(async { Markup::default() })
    }

    /// What it counts besides what the runtime counts for it.
    fn measure(&self) -> Later<'_, Measure> {
        Box::pin(async { Box::new(|_: &mut Text| {}) as Measure })
    }

    /// Ends what would go on for ever, and returns when that is done.
    fn stop(&self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

/// Writes measurements that were taken before.
pub type Measure = Box<dyn FnOnce(&mut Text) + Send>;

/// All services, not started. The fleets are those of the process, which pages and programs around a server know too.
#[must_use]
pub fn prepare(config: &Config, fleets: &Fleets) -> Vec<Box<dyn Prepared>> {
    SERVICES.iter().map(|prepare| prepare(config, fleets)).collect()
}

/// Adds the entity types of all services.
#[must_use]
pub fn register(services: &[Box<dyn Prepared>], builder: Builder) -> Builder {
    services.iter().fold(builder, |builder, service| service.register(builder))
}

/// Starts all services, in the order of their list.
///
/// # Errors
/// When one does not start.
pub async fn start(
    services: Vec<Box<dyn Prepared>>,
    runtime: &Runtime,
) -> Result<Services, BadStart> {
    let mut running = Vec::new();
    for service in services {
        running.push(service.start(runtime).await?);
    }
    Ok(Services(running))
}

/// All services, running.
pub struct Services(Vec<Box<dyn Service>>);

impl Services {
    /// The endpoints of all.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.0.iter().fold(Routes::new(), |routes, service| routes.and(service.routes()))
    }

    /// The parts of the first page.
    pub async fn panels(&self) -> Vec<Markup> {
        join_all(self.0.iter().map(|service| service.panel())).await
    }

    /// Writes what they count.
    pub async fn measure(&self, text: &mut Text) {
        for service in &self.0 {
            service.measure().await(text);
        }
    }

    /// Ends them all, side by side.
    pub async fn stop(&self) {
        join_all(self.0.iter().map(|service| service.stop())).await;
    }
}
