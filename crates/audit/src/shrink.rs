//! Shrinking: the smallest schedule that still fails.
//!
//! Smaller means fewer answers that are not calm, then an earlier last one. Answers are made calm in blocks
//! that get smaller, then one by one; then blocks are left out, which moves later answers forward.

use crate::{
    choice::Schedule,
    run::{self, Scenario},
};

/// Runs that a shrinking may take.
const RUNS_MAX: usize = 2_000;

/// A schedule that fails, as small as it gets.
#[must_use]
pub fn shrink(scenario: &dyn Scenario, failing: &Schedule) -> Schedule {
    let mut shrinker = Shrinker { scenario, best: failing.clone(), runs: 0 };
    loop {
        let before = shrinker.best.clone();
        shrinker.calm();
        shrinker.cut();
        shrinker.lower();
        if shrinker.best == before || shrinker.runs >= RUNS_MAX {
            return shrinker.best;
        }
    }
}

struct Shrinker<'a> {
    scenario: &'a dyn Scenario,
    best: Schedule,
    runs: usize,
}

impl Shrinker<'_> {
    /// Takes a schedule over if it fails and is smaller.
    fn try_out(&mut self, candidate: Vec<u16>) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let run = run::replay(self.scenario, &Schedule(candidate), false);
        // What was really chosen: answers that did not fit have been bent.
        let schedule = run.schedule();
        let size = |schedule: &Schedule| {
            (
                schedule.deviations(),
                schedule.0.len(),
                schedule.0.iter().map(|taken| u64::from(*taken)).sum::<u64>(),
            )
        };
        let smaller = run.violation.is_some() && size(&schedule) < size(&self.best);
        if smaller {
            self.best = schedule;
        }
        smaller
    }

    /// Makes blocks of answers calm.
    fn calm(&mut self) {
        let mut block = self.best.0.len().next_power_of_two();
        while block > 0 {
            let mut start = 0;
            while start < self.best.0.len() {
                let end = (start + block).min(self.best.0.len());
                if self.best.0[start..end].iter().any(|taken| *taken > 0) {
                    let mut candidate = self.best.0.clone();
                    candidate[start..end].fill(0);
                    self.try_out(candidate);
                }
                start += block;
            }
            block /= 2;
        }
    }

    /// Leaves blocks of answers out.
    fn cut(&mut self) {
        for block in [16, 4, 1] {
            let mut start = 0;
            while start + block <= self.best.0.len() {
                let mut candidate = self.best.0.clone();
                candidate.drain(start..start + block);
                if !self.try_out(candidate) {
                    start += 1;
                }
            }
        }
    }

    /// Prefers smaller answers.
    fn lower(&mut self) {
        for place in 0..self.best.0.len() {
            for lower in 1..self.best.0.get(place).copied().unwrap_or(0) {
                let mut candidate = self.best.0.clone();
                candidate[place] = lower;
                if self.try_out(candidate) {
                    break;
                }
            }
        }
    }
}
