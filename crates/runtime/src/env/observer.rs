//! What the runtime does that leaves no trace in the store, for whoever checks it from outside.
//!
//! An observer only hears: nothing that it does can change what the runtime does next.

use interlock_kernel::{bus::Origin, entity::Context, ids::Position, time::Time};

/// Hears of it, in the task that does it.
pub trait Observer: Send + Sync + 'static {
    /// A read handler is about to be shown an event of this record.
    fn reads(&self, origin: &Origin, handler: &'static str);
    /// A command must wait until `until` at most: `decide` said so on the state before the record that will
    /// have the position `at`.
    fn waits(&self, entity: &'static str, cx: &Context<'_>, until: Time, at: Position);
}
