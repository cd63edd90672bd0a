//! What handlers still have to do, over all entity types: the engine takes no commands from outside while it
//! is too much, and does not end before it is nothing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::limits;

/// Events handed over by the engine and not yet handled.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    events: AtomicUsize,
    stopping: AtomicBool,
    fell: Notify,
}

impl Backlog {
    /// Events were handed over.
    pub(crate) fn add(&self, events: usize) {
        self.events.fetch_add(events, Ordering::Relaxed);
    }

    /// Events were handled, parked, or left to the next start.
    pub(crate) fn sub(&self, events: usize) {
        if events == 0 {
            return;
        }
        // In one order with `stop` and `is_empty`: one of the two sides sees what the other did.
        let before = self.events.fetch_sub(events, Ordering::SeqCst);
        let after = before.checked_sub(events).expect("only what was added is taken away");
        let is_relief =
            before >= limits::DISPATCH_LAG_EVENTS && after < limits::DISPATCH_LAG_EVENTS;
        if is_relief || (after == 0 && self.is_stopping()) {
            self.fell.notify_one();
        }
    }

    /// Whether it is so much that no more should come from outside.
    pub(crate) fn is_full(&self) -> bool {
        self.events.load(Ordering::Relaxed) >= limits::DISPATCH_LAG_EVENTS
    }

    /// Whether everything is done.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.load(Ordering::SeqCst) == 0
    }

    /// Ends when it is no longer full, or empty at last, since it was last asked.
    pub(crate) async fn fell(&self) {
        self.fell.notified().await;
    }

    /// The runtime stops: what cannot be done now is left to the next start.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether the runtime stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
