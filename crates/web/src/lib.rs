//! What the HTTP faces of all services share.
//!
//! A service declares its requests ([`mod@request`], [`shape`]) and its routes ([`endpoint`]); the same
//! declarations parse, refuse and document. Refusals are [`problem`]s, answers are [`reply`]s, commands
//! carry an id and conditions ([`command`], [`condition`]); [`runtime`] takes them to their entities.
//! [`guard`] says who may come in, [`serve`] runs the server. [`page`], [`sse`] and [`metrics`] are what
//! people, live feeds and Prometheus see.
//!
//! Not here: any service's own codes, paths or pages.

pub mod body;
pub mod command;
pub mod condition;
pub mod connection;
pub mod disconnect;
mod encoding;
pub mod endpoint;
pub mod form;
pub mod guard;
pub mod json;
pub mod limits;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod path;
pub mod problem;
pub mod reply;
pub mod request;
pub mod runtime;
pub mod schema;
pub mod serve;
pub mod shape;
pub mod sse;
pub mod traffic;
