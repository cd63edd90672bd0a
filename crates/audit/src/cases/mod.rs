//! The races of the five documents: each system as it was found, and its twin on Interlock.
//!
//! A model as found keeps what made it race, the awaits between a look and the act that rests on it, and
//! leaves everything else out. Each has one [`Flaw`], and holds without it. A twin does the same work with the
//! shipping runtime and entities, under one of each fault ([`crate::node::Faults::ONE`]).

pub(crate) mod battles;
mod decisions;
mod folder;
mod matches;
pub(crate) mod parts;
mod stories;
pub(crate) mod streams;

use crate::run::Scenario;

/// A race of one of the documents.
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// The document's number.
    pub document: &'static str,
    /// The system as it was found.
    pub as_found: &'static dyn Scenario,
    /// The same system without its one flaw: it holds, so nothing else in the model can be what fails.
    pub repaired: &'static dyn Scenario,
    /// The same work on Interlock.
    pub interlock: &'static dyn Scenario,
}

/// The one thing in a system as it was found that lets it race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// As found.
    Present,
    /// Repaired, and nothing else.
    Absent,
}

impl Flaw {
    fn is_present(self) -> bool {
        self == Self::Present
    }
}

/// Every case, in the order of the documents.
pub const CASES: &[&[Case]] =
    &[battles::CASES, stories::CASES, decisions::CASES, streams::CASES, matches::CASES];

/// Every case, in the order of the documents.
pub fn all() -> impl Iterator<Item = &'static Case> {
    CASES.iter().copied().flatten()
}
