//! Races in a run: pairs of steps that meet, with nothing between them that orders them, of which the later one
//! could have come first.

use crate::world::{Footprint, Step};

/// The steps of a run, and which of them come before which in every order that comes to the same.
#[derive(Default)]
pub(super) struct Races {
    steps: Vec<Taken>,
}

struct Taken {
    step: Step,
    touched: Footprint,
    /// The turn at which it was chosen, if there was a choice, and what else could be taken there.
    turn: Option<(usize, Vec<Step>)>,
    before: Set,
}

/// A race, at the turn of its earlier step.
pub(super) struct Race {
    /// The number of that turn.
    pub(super) turn: usize,
    /// Steps with one of which an order begins in which the later one comes first.
    pub(super) firsts: Vec<Step>,
}

/// A set of steps, by their numbers.
#[derive(Default, Clone)]
struct Set(Vec<u64>);

impl Set {
    fn has(&self, step: usize) -> bool {
        self.0.get(step / 64).is_some_and(|word| word >> (step % 64) & 1 == 1)
    }

    fn insert(&mut self, step: usize) {
        self.0.resize(self.0.len().max(step / 64 + 1), 0);
        self.0[step / 64] |= 1 << (step % 64);
    }

    fn join(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }
}

impl Races {
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Forgets the steps from one on.
    pub(super) fn forget(&mut self, from: usize) {
        self.steps.truncate(from);
    }

    /// Takes in the next step, and the turn at which it was chosen, with all that could be taken there.
    /// Returns those races in which it is the later one.
    pub(super) fn add(
        &mut self,
        step: Step,
        touched: &Footprint,
        turn: Option<(usize, &[Step])>,
    ) -> Vec<Race> {
        let mut before = Set::default();
        let mut met = Vec::new();
        for (number, earlier) in self.steps.iter().enumerate().rev() {
            if !before.has(number) && earlier.touched.meets(touched) {
                before.join(&earlier.before);
                before.insert(number);
                met.push(number);
            }
        }
        let turn = turn.map(|(turn, able)| (turn, able.to_vec()));
        self.steps.push(Taken { step, touched: touched.clone(), turn, before });
        met.into_iter().filter_map(|met| self.race(met)).collect()
    }

    /// The race of an earlier step with the last one.
    fn race(&self, earlier: usize) -> Option<Race> {
        let (turn, able) = self.steps[earlier].turn.as_ref()?;
        let last = self.steps.len() - 1;
        let step = self.steps[last].step;
        let can_turn = match step {
            Step::Task(task) => {
                let before = &self.steps[earlier].touched;
                // Who waits for all goes on with the last one only because the earlier one is done, too.
                let lets_go_on = |taken: &Taken| {
                    taken.touched.touches_task(task) && !taken.touched.joins(before)
                };
                // Otherwise only the earlier one let it go on.
                able.contains(&step) || self.steps[earlier + 1..last].iter().any(lets_go_on)
            }
            Step::Crash(_) => able.contains(&step),
            Step::Clock => true,
        };
        if !can_turn || self.steps[earlier].step == step {
            return None;
        }
        // All that does not need the earlier step can go before it.
        let free = |number: &usize| !self.steps[*number].before.has(earlier);
        let mut ahead: Vec<usize> = Vec::new();
        let mut firsts = Vec::new();
        for number in (earlier + 1..last).filter(free).chain([last]) {
            let Taken { step, before, .. } = &self.steps[number];
            if !ahead.iter().any(|other| before.has(*other)) {
                match step {
                    Step::Task(_) | Step::Crash(_) => firsts.push(*step),
                    // It is tried at every turn.
                    Step::Clock => return None,
                }
            }
            ahead.push(number);
        }
        Some(Race { turn: *turn, firsts })
    }
}
