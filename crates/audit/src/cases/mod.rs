//! The races of the five documents: each system as it was found, and its twin on Interlock.
//!
//! A model as found keeps what made it race, the awaits between a look and the act that rests on it, and
//! leaves everything else out. A twin does the same work with the shipping runtime and entities, under
//! one of each fault ([`crate::node::Faults::ONE`]).

mod battles;
mod decisions;
mod matches;
pub(crate) mod parts;
mod stories;
mod streams;

use crate::run::Scenario;

/// A race of one of the documents.
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// The document's number.
    pub document: &'static str,
    /// The system as it was found.
    pub as_found: &'static dyn Scenario,
    /// The same work on Interlock.
    pub interlock: &'static dyn Scenario,
}

/// A system as found, but without its one flaw: it holds, so nothing else in the model can be what fails.
pub struct Repaired {
    /// The case's name.
    pub name: &'static str,
    /// The system without the flaw.
    pub model: &'static dyn Scenario,
}

/// Every case, in the order of the documents.
pub const CASES: &[&[Case]] =
    &[battles::CASES, stories::CASES, decisions::CASES, streams::CASES, matches::CASES];

/// Every case, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Case> {
    CASES.iter().copied().flatten()
}

/// Every model that can be had without its flaw.
pub fn repaired() -> impl Iterator<Item = &'static Repaired> {
    let models = [
        battles::REPAIRED_MODELS,
        stories::REPAIRED_MODELS,
        streams::REPAIRED_MODELS,
        matches::REPAIRED_MODELS,
    ];
    models.into_iter().flatten()
}
