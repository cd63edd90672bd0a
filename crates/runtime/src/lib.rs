//! The shell around Interlock's pure core: it takes commands to entities, commits what they decide, and
//! only then lets anything leave.
//!
//! ```text
//! Handle::send ─► engine: decide, group commit ─► reply
//!                              │                    └─► dispatch: phase 1, phase 2; effects
//!                              └─► store: log + rows
//! ```
//!
//! [`runtime`] starts, serves and stops; [`engine`] is the single writer; [`store`] is what it writes to;
//! [`index`] finds entities and command ids in the log; [`dispatch`] runs handlers; [`effects`] calls the
//! outside; [`env`](crate::env) is the only door to clocks, tasks and chance.

pub mod codec;
pub mod compact;
pub mod dispatch;
pub mod drift;
pub mod effects;
pub mod engine;
pub mod env;
pub mod feed;
pub mod fold;
pub mod history;
pub mod index;
pub mod limits;
pub mod lock;
pub mod reactions;
pub mod record;
pub mod runtime;
pub mod status;
pub mod store;
pub mod timeline;
pub mod verify;

pub use engine::message::{Receipt, Resident, SendError, ShowError, Shown, View};
pub use runtime::{Builder, Handle, Meta, Runtime};
