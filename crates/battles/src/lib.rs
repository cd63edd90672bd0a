//! Battles: a bot that plays Pokémon Showdown battles, from the first frame to the last.
//!
//! [`domain`] is pure: it reads the protocol, keeps a battle's state, knows what may be chosen and guesses what is
//! hidden. [`players`] think: at random, greedily, or by a tree search over guessed worlds. [`io`] speaks to the
//! server, gives every battle a channel of its own, and answers each request once. [`fleet`] plays many: each is
//! claimed from a run before it is searched for, and counted once. [`fake`] stands in for a server, for faults.

pub mod domain;
pub mod fake;
pub mod fleet;
pub mod fuzz;
pub mod handlers;
pub mod history;
pub mod io;
pub mod limits;
pub mod players;
pub mod routes;

use interlock_runtime::Builder;
pub use interlock_runtime::limits::RETENTION;

/// Adds the runs to a runtime, and the fleets that a process may host for them.
#[must_use]
pub fn register(builder: Builder, fleets: &fleet::Fleets) -> Builder {
    builder
        .entity_with::<domain::run::Run, _>(handlers::run(), None)
        .entity_with::<domain::fleet::Fleet, _>(handlers::fleet(fleets), None)
}
