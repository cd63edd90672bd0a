//! The search: a portfolio of ways to choose schedules.
//!
//! Two take turns. One tries schedules by a plan: those without a preemption or fault, then those with one, then
//! with two ([`bounded`]), then every order that can show ([`exhaustive`]); when that comes to an end, nothing
//! is left to find. The other samples by seed ([`sampler`]), and has two turns to the plan's one.
//!
//! Nothing found means little if a schedule is not all that decides. So a search that found nothing ends by running
//! every sample again, which must go the same way; and so must what fails, before it is made small.

mod bounded;
mod exhaustive;
mod races;
mod sampler;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use self::{
    bounded::{Bounded, Next},
    exhaustive::Exhaustive,
    sampler::Sampler,
};
use crate::{
    choice::{Chooser, Replay, Schedule},
    run::{self, CrossChecked, Run, Scenario},
    shrink,
    world::mix,
};

/// Samples to one schedule by the plan: what is found only deep down, chance finds sooner.
const SAMPLES: u32 = 2;

/// What is wrong where schedules are not all that decides.
const HIDDEN: &str = "the same schedule went another way the second time, in its steps or in what was committed or \
                      answered: something random or timed is not asked of the world";

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Schedules at most.
    pub schedules: u64,
    /// The samples' seed.
    pub seed: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { schedules: 20_000, seed: 1 }
    }
}

/// What a search came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Schedules tried, repeats not counted.
    pub schedules: u64,
    /// Faults that struck in them.
    pub faults: u64,
    /// Histories in them that were cross-checked, and that were not.
    pub cross_checked: CrossChecked,
    /// Whether there is no schedule left to try.
    pub exhausted: bool,
    /// How long it took, without shrinking.
    pub took: Duration,
    /// The first violation.
    pub failure: Option<Failure>,
}

/// A schedule that violates something, made as small as it gets.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What is wrong.
    pub violation: String,
    /// The schedule that was found first.
    pub found: Schedule,
    /// The smallest one that also fails.
    pub schedule: Schedule,
    /// Its run, with the timeline.
    pub run: Run,
}

/// For unit tests: searches, and panics with the timeline of what it finds.
///
/// # Panics
/// If a schedule violates something.
pub fn check(scenario: impl Scenario) {
    let budget = Budget { schedules: 1_000, ..Budget::default() };
    if let Some(Failure { violation, schedule, run, .. }) = search(&scenario, budget).failure {
        panic!("{violation}\n\n{}\n  schedule: {schedule}\n", run.timeline);
    }
}

/// Searches for a schedule that violates something.
#[must_use]
pub fn search(scenario: &dyn Scenario, budget: Budget) -> Outcome {
    Search::new(scenario, budget).outcome(Search::portfolio)
}

/// Tries every order that can show, and no sample, until there is none left or `schedules` were tried: if the
/// outcome is [`Outcome::exhausted`] without a failure, it is a proof for this scenario.
#[must_use]
pub fn exhaust(scenario: &dyn Scenario, schedules: u64) -> Outcome {
    Search::new(scenario, Budget { schedules, seed: 0 }).outcome(Search::every_order)
}

#[expect(clippy::disallowed_methods, reason = "how long a search takes is told, not decided on")]
fn now() -> Instant {
    Instant::now()
}

/// A sample that was run.
struct Sample {
    seed: u64,
    trace: u64,
}

/// A schedule that failed; what is wrong with it, unless the scenario itself says so.
type Found = (Option<String>, Schedule);

struct Search<'a> {
    scenario: &'a dyn Scenario,
    budget: Budget,
    schedules: u64,
    faults: u64,
    cross_checked: CrossChecked,
    began: Instant,
}

/// What a search ended with: a failure perhaps; and whether there is nothing left to try.
type Ended = (Option<Found>, bool);

impl<'a> Search<'a> {
    fn new(scenario: &'a dyn Scenario, budget: Budget) -> Self {
        let cross_checked = CrossChecked::default();
        Self { scenario, budget, schedules: 0, faults: 0, cross_checked, began: now() }
    }

    fn outcome(mut self, search: impl FnOnce(&mut Self) -> Ended) -> Outcome {
        let (found, exhausted) = search(&mut self);
        let Self { scenario, schedules, faults, cross_checked, began, .. } = self;
        let took = began.elapsed();
        let failure = found.map(|(violation, found)| match violation {
            Some(hidden) => {
                let run = run::replay(scenario, &found, true);
                Failure { violation: hidden, schedule: found.clone(), found, run }
            }
            None => shrunk(scenario, found),
        });
        Outcome { schedules, faults, cross_checked, exhausted, took, failure }
    }

    /// Turn by turn: one schedule by the plan, then samples.
    fn portfolio(&mut self) -> Ended {
        let (mut plan, mut samples) = (Plan::default(), Vec::new());
        while self.schedules < self.budget.schedules {
            match self.planned(&mut plan) {
                Some((None, true)) => return (self.again(&samples), true),
                Some(found) => return found,
                None => {}
            }
            for _ in 0..SAMPLES {
                let seed = mix(self.budget.seed ^ mix(self.schedules));
                let run = self.run(Box::new(Sampler::new(seed)));
                if run.violation.is_some() {
                    return (Some((None, run.schedule())), false);
                }
                samples.push(Sample { seed, trace: run.record.trace });
            }
        }
        (self.again(&samples), false)
    }

    /// Runs samples once more. A difference is a failure.
    fn again(&self, samples: &[Sample]) -> Option<Found> {
        samples.iter().find_map(|sample| {
            let run = run::run(self.scenario, Box::new(Sampler::new(sample.seed)), false);
            (run.record.trace != sample.trace).then(|| (Some(HIDDEN.to_owned()), run.schedule()))
        })
    }

    fn every_order(&mut self) -> Ended {
        let mut plan = Plan::Exhaustive(Lent::default());
        while self.schedules < self.budget.schedules {
            if let Some(ended) = self.planned(&mut plan) {
                return ended;
            }
        }
        (None, false)
    }

    /// One schedule by the plan.
    fn planned(&mut self, plan: &mut Plan) -> Option<Ended> {
        let run = self.run(plan.chooser());
        if run.violation.is_some() {
            return Some((Some((None, run.schedule())), false));
        }
        (!plan.advance(&run)).then_some((None, true))
    }

    fn run(&mut self, chooser: Box<dyn Chooser>) -> Run {
        let run = run::run(self.scenario, chooser, false);
        self.schedules += 1;
        self.faults += u64::from(run.record.faults);
        self.cross_checked += run.cross_checked;
        run
    }
}

/// A schedule that failed, made small: unless it fails no more, or goes another way each time.
fn shrunk(scenario: &dyn Scenario, found: Schedule) -> Failure {
    let [once, twice] = [(); 2].map(|()| run::replay(scenario, &found, false));
    if once.record.trace != twice.record.trace || once.violation.is_none() {
        let run = run::replay(scenario, &found, true);
        return Failure { violation: HIDDEN.to_owned(), schedule: found.clone(), found, run };
    }
    let schedule = shrink::shrink(scenario, &found);
    let run = run::replay(scenario, &schedule, true);
    let violation = run.violation.clone().expect("shrinking keeps schedules that fail");
    Failure { violation, found, schedule, run }
}

/// A search that is lent to one run after the other.
type Lent = Arc<Mutex<Exhaustive>>;

/// Where the plan is.
enum Plan {
    Bounded(Bounded),
    Exhaustive(Lent),
}

impl Default for Plan {
    fn default() -> Self {
        Self::Bounded(Bounded::default())
    }
}

impl Plan {
    fn chooser(&self) -> Box<dyn Chooser> {
        match self {
            Self::Bounded(bounded) => Box::new(Replay::new(bounded.next())),
            Self::Exhaustive(lent) => Box::new(lent.clone()),
        }
    }

    /// Moves on from a run. False: nothing is left to try.
    fn advance(&mut self, run: &Run) -> bool {
        match self {
            Self::Bounded(bounded) => match bounded.advance(&run.record.choices) {
                Next::Schedule => true,
                Next::Nothing => false,
                Next::TooDear => {
                    *self = Self::Exhaustive(Lent::default());
                    true
                }
            },
            Self::Exhaustive(lent) => exhaustive::lock(lent).advance(),
        }
    }
}
