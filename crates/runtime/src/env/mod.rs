//! Everything nondeterministic that the runtime uses: clock, random source, tasks, sleep, channels, store.
//!
//! The runtime asks [`Env`] and nothing else, so that the same code runs on tokio ([`tokio::Tokio`]) and,
//! step by step and repeatably, on one thread with a clock of its own ([`seeded::Seeded`]).

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use interlock_kernel::time::{Millis, Time};

pub use self::{
    channel::{
        Access, OnceReceiver, OnceSender, Receiver, Sender, WatchReceiver, WatchSender, Witness,
    },
    observer::Observer,
};
use crate::store::Store;

pub mod channel;
mod observer;
pub mod seeded;
pub mod tokio;

/// A task's future.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a world must offer.
pub trait World: Send + Sync + 'static {
    /// Time since some moment in the past; never goes back.
    fn now(&self) -> Duration;
    /// The wall clock. May jump.
    fn wall(&self) -> Time;
    /// A random number.
    fn random(&self) -> u64;
    /// Runs a task by itself. The name is for traces.
    fn spawn(&self, name: &'static str, task: Task);
    /// The same for a task that shares nothing that changes with any other, but through channels and the store.
    fn spawn_apart(&self, name: &'static str, task: Task) {
        self.spawn(name, task);
    }
    /// Ends after the given time.
    fn sleep(&self, span: Duration) -> Task;
    /// Who hears what tasks touch, where somebody cares.
    fn witness(&self) -> Option<Arc<dyn Witness>> {
        None
    }
}

/// The runtime's only door to the nondeterministic.
#[derive(Clone)]
pub struct Env {
    world: Arc<dyn World>,
    store: Arc<dyn Store>,
    witness: Option<Arc<dyn Witness>>,
    observer: Option<Arc<dyn Observer>>,
}

impl Env {
    /// An environment of a world and a store.
    pub fn new(world: impl World, store: Arc<dyn Store>) -> Self {
        let witness = world.witness();
        Self { world: Arc::new(world), store, witness, observer: None }
    }

    /// The same environment, with somebody who hears what the runtime does in it.
    #[must_use]
    pub fn observed_by(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.observer.as_deref()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Time since some moment in the past; never goes back.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.now()
    }

    /// The wall clock. May jump.
    #[must_use]
    pub fn wall(&self) -> Time {
        self.world.wall()
    }

    /// A random number.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.world.random()
    }

    /// Runs a task by itself.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.world.spawn(name, Box::pin(task));
    }

    /// Runs a task that shares nothing that changes with any other, but through channels and the store: the order
    /// of its steps and theirs shows nowhere else. Handles of a runtime are such: what they share says so.
    pub(crate) fn spawn_apart(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.world.spawn_apart(name, Box::pin(task));
    }

    /// Ends after the given time.
    #[must_use]
    pub fn sleep(&self, span: Millis) -> Task {
        self.world.sleep(span.as_duration())
    }

    /// A bounded channel.
    #[must_use]
    pub fn channel<T>(&self, capacity: usize) -> (Sender<T>, Receiver<T>) {
        channel::bounded(self.witness.as_ref(), capacity)
    }

    /// A channel for one value.
    #[must_use]
    pub fn once<T>(&self) -> (OnceSender<T>, OnceReceiver<T>) {
        channel::once(self.witness.as_ref())
    }

    /// A value to watch.
    #[must_use]
    pub fn watch<T>(&self, first: T) -> (WatchSender<T>, WatchReceiver<T>) {
        channel::watch(self.witness.as_ref(), first)
    }

    /// The running task reaches into memory of the runtime's own tasks.
    pub(crate) fn reach_in(&self) {
        if let Some(witness) = &self.witness {
            witness.touches_anything();
        }
    }
}
