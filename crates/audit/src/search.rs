//! The search: a portfolio of ways to choose schedules, each run again when it is only a sample.
//!
//! Two take turns. One tries every schedule, those without a preemption or fault first, then those with one,
//! and so on: most races need few, and when it comes to an end, nothing is left to find. The other samples by
//! seed, half of the time by random steps, half by random priorities (partial order sampling, after Yuan, Yang
//! and Gu, CAV 2018, without the knowledge of which steps race), with faults rare in some and frequent in
//! others.

use std::time::{Duration, Instant};

use crate::{
    choice::{Choice, Chooser, Kind, Point, Replay, Schedule},
    run::{self, Run, Scenario},
    shrink,
    world::mix,
};

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
    let mut search = Search { scenario, budget, schedules: 0, faults: 0, began: now() };
    let (found, exhausted) = search.everything();
    let Search { schedules, faults, began, .. } = search;
    let took = began.elapsed();
    let failure = found.map(|(violation, found)| match violation {
        Some(hidden) => {
            let run = run::replay(scenario, &found, true);
            Failure { violation: hidden, schedule: found.clone(), found, run }
        }
        None => {
            let schedule = shrink::shrink(scenario, &found);
            let run = run::replay(scenario, &schedule, true);
            let violation = run.violation.clone().expect("shrinking keeps schedules that fail");
            Failure { violation, found, schedule, run }
        }
    });
    Outcome { schedules, faults, exhausted, took, failure }
}

#[expect(clippy::disallowed_methods, reason = "how long a search takes is told, not decided on")]
fn now() -> Instant {
    Instant::now()
}

/// A schedule that failed; what is wrong with it, unless the scenario itself says so.
type Found = (Option<String>, Schedule);

struct Search<'a> {
    scenario: &'a dyn Scenario,
    budget: Budget,
    schedules: u64,
    faults: u64,
    began: Instant,
}

impl Search<'_> {
    /// Turn by turn: one schedule of the depth-first search, one sample.
    fn everything(&mut self) -> (Option<Found>, bool) {
        let mut systematic = Systematic::default();
        while self.schedules < self.budget.schedules {
            let run = self.run(Box::new(Replay::new(Schedule(systematic.next.clone()))));
            if run.violation.is_some() {
                return (Some((None, run.schedule())), false);
            }
            if !systematic.after(&run.record.choices) {
                return (None, true);
            }
            let number = self.schedules;
            if let Some(found) = self.sample(mix(self.budget.seed ^ mix(number))) {
                return (Some(found), false);
            }
        }
        (None, false)
    }

    fn run(&mut self, chooser: Box<dyn Chooser>) -> Run {
        let run = run::run(self.scenario, chooser, false);
        self.schedules += 1;
        self.faults += u64::from(run.record.faults);
        run
    }

    /// One random schedule, twice.
    fn sample(&mut self, seed: u64) -> Option<Found> {
        let run = self.run(Box::new(Sampler::new(seed)));
        let schedule = run.schedule();
        if run.violation.is_some() {
            return Some((None, schedule));
        }
        let again = run::replay(self.scenario, &schedule, false);
        (again.record.trace != run.record.trace).then(|| {
            let hidden = "the same schedule took other steps the second time: \
                          something random or timed is not asked of the world";
            (Some(hidden.to_owned()), schedule)
        })
    }
}

/// Every schedule, the cheap ones first: those without a preemption or fault, then those with one, and so on.
#[derive(Default)]
struct Systematic {
    bound: u32,
    /// The answers to begin the next schedule with.
    next: Vec<u16>,
    /// Whether there is a schedule that costs more than the bound.
    cut: bool,
}

impl Systematic {
    /// Moves on from a schedule that was run. False: there is no other.
    fn after(&mut self, choices: &[Choice]) -> bool {
        if let Some(next) = next_prefix(choices, self.bound, &mut self.cut) {
            self.next = next;
            return true;
        }
        let more = std::mem::take(&mut self.cut);
        self.bound += 1;
        self.next.clear();
        more
    }
}

/// The next schedule after one, in the order of a depth-first search that never costs more than `bound`.
/// Notes in `cut` when only the bound kept it from another one.
fn next_prefix(choices: &[Choice], bound: u32, cut: &mut bool) -> Option<Vec<u16>> {
    let mut before: Vec<u32> = Vec::with_capacity(choices.len());
    let mut cost = 0;
    for choice in choices {
        before.push(cost);
        cost += choice.cost(choice.taken);
    }
    for (place, choice) in choices.iter().enumerate().rev() {
        for taken in choice.taken + 1..choice.options {
            if before[place] + choice.cost(taken) > bound {
                *cut = true;
                continue;
            }
            let mut prefix: Vec<u16> = choices[..place].iter().map(|choice| choice.taken).collect();
            prefix.push(taken);
            return Some(prefix);
        }
    }
    None
}

/// Chooses by chance.
struct Sampler {
    random: u64,
    /// Faults strike in one of so many points at which they can.
    fault_odds: u64,
    /// By task; `None`: every step is a coin's.
    priorities: Option<Vec<u64>>,
}

impl Sampler {
    fn new(seed: u64) -> Self {
        let fault_odds = [u64::MAX, 200, 30, 6][usize::try_from(seed % 4).expect("below 4")];
        let priorities = (seed / 4).is_multiple_of(2).then(Vec::new);
        Self { random: seed, fault_odds, priorities }
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("it is below a usize")
    }

    fn priority(&mut self, task: u32) -> u64 {
        let known = self.priorities.as_ref().map_or(0, Vec::len);
        for _ in known..=task as usize {
            let drawn = self.draw();
            self.priorities.get_or_insert_default().push(drawn);
        }
        self.priorities.as_ref().map_or(0, |priorities| priorities[task as usize])
    }
}

impl Chooser for Sampler {
    fn choose(&mut self, point: &Point<'_>) -> usize {
        let calm = if point.kind == Kind::Fault { 1 } else { point.tasks.len() };
        let faults = point.options - calm;
        if faults > 0 && self.fault_odds < u64::MAX && self.draw().is_multiple_of(self.fault_odds) {
            return calm + self.below(faults);
        }
        if point.kind == Kind::Fault {
            return 0;
        }
        if self.priorities.is_none() {
            return self.below(calm);
        }
        let best = (0..calm).max_by_key(|place| self.priority(point.tasks[*place]));
        let best = best.expect("there are tasks");
        let drawn = self.draw();
        if let Some(priorities) = &mut self.priorities {
            priorities[point.tasks[best] as usize] = drawn;
        }
        best
    }
}
