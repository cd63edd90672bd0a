//! What decisions cost beside waiting and thinking, in few bytes: a histogram whose buckets are a sixteenth of their
//! power of two wide, so that a percentile is right to 3 %.
//!
//! Histograms add up: those of a run's battles are the run's, whoever played them and however often it restarted.

use std::{collections::BTreeMap, ops::AddAssign, time::Duration};

use serde::{Deserialize, Serialize};

/// Bits of a bucket's place within its power of two.
const BITS: u32 = 4;
const WITHIN: u32 = 1 << BITS;
/// Buckets that there may be.
pub const BUCKETS: usize = (WITHIN * (u32::BITS - BITS + 1)) as usize;

/// So many decisions by what they cost, in microseconds; more than an hour counts as an hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overheads(BTreeMap<u16, u64>);

/// What decisions cost beside waiting and thinking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Decisions.
    pub decisions: u64,
    /// Half of them cost at most this.
    pub p50: Duration,
    /// Of a hundred, ninety-nine.
    pub p99: Duration,
}

impl Overheads {
    /// Counts so many decisions of this cost.
    pub fn add(&mut self, cost: Duration, decisions: u64) {
        let micros = u32::try_from(cost.as_micros()).unwrap_or(u32::MAX);
        let count = self.0.entry(bucket(micros)).or_default();
        *count = count.saturating_add(decisions);
    }

    /// Whether nothing was decided.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buckets that are not empty: the least cost of each, and its decisions.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let least = |(bucket, count): (&u16, &u64)| (micros(floor(*bucket)), *count);
        self.0.iter().map(least)
    }

    /// How many, and their percentiles.
    #[must_use]
    pub fn summary(&self) -> Overhead {
        let decisions = self.0.values().sum();
        Overhead {
            decisions,
            p50: self.percentile(decisions, 50),
            p99: self.percentile(decisions, 99),
        }
    }

    /// The middle of the bucket in which the percentile lies.
    fn percentile(&self, decisions: u64, percent: u64) -> Duration {
        let mut left = (decisions * percent).div_ceil(100);
        for (bucket, count) in &self.0 {
            if *count >= left {
                return micros(u32::midpoint(floor(*bucket), floor(bucket + 1) - 1));
            }
            left -= count;
        }
        Duration::ZERO
    }
}

impl AddAssign<&Self> for Overheads {
    fn add_assign(&mut self, other: &Self) {
        for (bucket, decisions) in &other.0 {
            let count = self.0.entry(*bucket).or_default();
            *count = count.saturating_add(*decisions);
        }
    }
}

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

/// Small numbers have a bucket each; of larger ones, the first bits tell.
fn bucket(micros: u32) -> u16 {
    let power = micros.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
    let bucket = power * WITHIN + (micros >> power);
    u16::try_from(bucket).expect("there are fewer buckets")
}

/// The least number of a bucket.
fn floor(bucket: u16) -> u32 {
    let bucket = u32::from(bucket);
    let power = (bucket / WITHIN).saturating_sub(1);
    let first = bucket - power * WITHIN;
    u32::try_from(u64::from(first) << power).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_those_of_the_costs() {
        let mut overheads = Overheads::default();
        assert_eq!(overheads.summary(), Overhead::default());
        (1..=100).for_each(|cost| overheads.add(Duration::from_micros(cost * 10), 1));
        let Overhead { decisions, p50, p99 } = overheads.summary();
        assert_eq!(decisions, 100);
        for (found, cost) in [(p50, 500.0), (p99, 990.0)] {
            assert!((found.as_secs_f64() * 1e6 / cost - 1.0).abs() < 0.032, "{found:?} of {cost}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_cost_is_in_its_bucket_and_no_bucket_is_wide(cost: u32) {
            let bucket = bucket(cost);
            prop_assert!(usize::from(bucket) < BUCKETS);
            let (from, to) = (floor(bucket), floor(bucket + 1));
            prop_assert!(from <= cost && (cost < to || to == u32::MAX));
            prop_assert!(to - from <= 1.max(from / WITHIN));
        }

        #[test]
        fn parts_add_up(costs in proptest::collection::vec(0..10_000_000_u64, 0..60), cut: prop::sample::Index) {
            let of = |costs: &[u64]| {
                let mut overheads = Overheads::default();
                costs.iter().for_each(|cost| overheads.add(Duration::from_micros(*cost), 1));
                overheads
            };
            let cut = cut.index(costs.len() + 1);
            let mut sum = of(&costs[..cut]);
            sum += &of(&costs[cut..]);
            prop_assert_eq!(&sum, &of(&costs));
            let mut again = Overheads::default();
            sum.buckets().for_each(|(cost, decisions)| again.add(cost, decisions));
            prop_assert_eq!(again, sum);
        }
    }
}
