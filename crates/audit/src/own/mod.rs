//! What Interlock promises beyond the races of the documents, each promise under the faults that it is made
//! against.
//!
//! Besides what a scenario itself says, every answer in it is compared with the log ([`crate::history`]).

mod alarms;
mod fleets;
mod lasting;
mod outages;
mod phases;
mod primitives;
mod records;
mod runs;
pub(crate) mod tally;
mod waiters;
mod zombies;

use crate::run::Scenario;

/// A promise.
pub struct Own {
    /// What is tried.
    pub name: &'static str,
    /// What goes wrong meanwhile.
    pub faults: &'static str,
    /// The scenario.
    pub scenario: &'static dyn Scenario,
}

const OWN: &[&[Own]] = &[
    lasting::OWN,
    alarms::OWN,
    phases::OWN,
    zombies::OWN,
    outages::OWN,
    waiters::OWN,
    primitives::OWN,
    runs::OWN,
    fleets::OWN,
    records::OWN,
];

/// Every promise.
pub fn all() -> impl Iterator<Item = &'static Own> {
    OWN.iter().copied().flatten()
}

/// What goes wrong under [`crate::node::Faults::ONE`].
const EVERYTHING: &str = "everything";
