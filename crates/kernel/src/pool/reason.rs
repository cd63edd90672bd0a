//! Why a lease got its member: recorded with the grant, so that every choice can be explained later.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::ids::Member;

/// What the choice saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What decided.
    pub rule: Rule,
    /// How many members fitted.
    pub fitting: u32,
    /// The member's pending leases before this one.
    pub pending: u32,
    /// Its active leases.
    pub active: u32,
    /// Its slots that were not free yet.
    pub closing: u32,
    /// Its limit.
    pub limit: u32,
    /// Its weight.
    pub weight: NonZeroU32,
}

/// What decided between the members that fitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The oldest lease of the same `sticky` is there.
    Sticky,
    /// It is the best by the pool's ranking. Only older records say no more than that.
    Ranked,
    /// No other fitted.
    Only,
    /// It comes before this one, and this one before all others.
    Before(RunnerUp),
}

/// The member that would have been taken instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerUp {
    /// What it was second by.
    pub by: Criterion,
    /// Which one.
    pub member: Member,
    /// Its pending leases.
    pub pending: u32,
    /// Its active leases.
    pub active: u32,
    /// Its slots that were not free yet.
    pub closing: u32,
    /// Its weight.
    pub weight: NonZeroU32,
}

/// One step of a [`Ranking`]. Stored: new ones are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The least (used + 1) / weight.
    LeastLoaded,
    /// The oldest last grant.
    LongestUngranted,
    /// The lowest tier.
    Healthiest,
    /// The fewest used.
    FewestUsed,
    /// Preferred, and the other is not.
    Preferred,
    /// The longest unused.
    LongestUnused,
    /// All else being equal.
    Name,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sticky => f.write_str("a lease of the same kind is there"),
            Self::Ranked => f.write_str("the best by rank"),
            Self::Only => f.write_str("no other fitted"),
            Self::Before(RunnerUp { by, member, pending, active, closing, .. }) => write!(
                f,
                "{by}, before {member} ({pending} pending, {active} active, {closing} closing)"
            ),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeastLoaded => "least loaded",
            Self::LongestUngranted => "longest ungranted",
            Self::Healthiest => "healthiest",
            Self::FewestUsed => "fewest used",
            Self::Preferred => "preferred",
            Self::LongestUnused => "longest unused",
            Self::Name => "first by name",
        })
    }
}
