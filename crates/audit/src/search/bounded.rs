//! Every schedule of few preemptions and faults, the cheap ones first.

use crate::choice::{Choice, Schedule};

/// The most preemptions and faults together: most races need no more.
const BOUND: u32 = 2;

/// The search between two runs.
#[derive(Default)]
pub(super) struct Bounded {
    bound: u32,
    /// The answers to begin the next schedule with.
    prefix: Vec<u16>,
    /// Whether there is a schedule that costs more than the bound.
    cut: bool,
}

/// What follows a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one.
    Schedule,
    /// All that are left cost more than the highest bound.
    TooDear,
    /// None: every schedule was tried.
    Nothing,
}

impl Bounded {
    /// What to begin the next schedule with.
    pub(super) fn next(&self) -> Schedule {
        Schedule(self.prefix.clone())
    }

    /// Moves on from a schedule that was run.
    pub(super) fn advance(&mut self, choices: &[Choice]) -> Next {
        if let Some(prefix) = next_prefix(choices, self.bound, &mut self.cut) {
            self.prefix = prefix;
            return Next::Schedule;
        }
        if !std::mem::take(&mut self.cut) {
            return Next::Nothing;
        }
        if self.bound == BOUND {
            return Next::TooDear;
        }
        self.bound += 1;
        self.prefix.clear();
        Next::Schedule
    }
}

/// The next schedule after one, in the order of a depth-first search that never costs more than `bound`.
/// Notes in `cut` when only the bound kept it from another one.
pub(super) fn next_prefix(choices: &[Choice], bound: u32, cut: &mut bool) -> Option<Vec<u16>> {
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
