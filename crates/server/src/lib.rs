//! Composes the services into one server.
//!
//! [`config`] is what the user says; [`compose`] lists the [`services`]; [`server`] starts and stops them;
//! [`app`] puts their endpoints together with the server's own: its [`pages`], its [`metrics`], its [`dead_letters`].

pub mod app;
pub mod audit;
pub mod compose;
pub mod config;
pub mod dead_letters;
pub mod demo;
pub mod limits;
pub mod metrics;
pub mod pages;
pub mod pulse;
pub mod server;
mod services;
