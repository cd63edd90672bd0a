//! Samples: schedules by chance.
//!
//! Half of them toss a coin at every step. The others are partial order sampling (Yuan, Yang, Gu, CAV 2018):
//! every pending step has a random priority, the highest goes on, and a step that races with the one just
//! taken draws anew, so that each order of racing steps is as likely as the other. What a pending step will
//! touch is not known yet; what its task touched last stands in for it, without the memory that all tasks of a
//! scenario share. Any guess is sound: it only changes how likely a schedule is.
//!
//! Faults are rare in some samples and frequent in others; how bad one is that has struck is a fair draw.

use crate::{
    choice::{Chooser, Kind, Point},
    world::{Footprint, Step, mix},
};

/// Chooses by chance.
pub(super) struct Sampler {
    random: u64,
    /// Faults strike in one of so many points at which they can.
    fault_odds: u64,
    /// By task; `None`: every step is a coin's.
    pending: Option<Vec<Pending>>,
}

/// A task's next step.
struct Pending {
    priority: u64,
    /// What its last one touched.
    touched: Footprint,
}

impl Sampler {
    pub(super) fn new(seed: u64) -> Self {
        let fault_odds = [u64::MAX, 200, 30, 6][usize::try_from(seed % 4).expect("below 4")];
        let pending = (seed / 4).is_multiple_of(2).then(Vec::new);
        Self { random: seed, fault_odds, pending }
    }

    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.draw() % end as u64).expect("it is below a usize")
    }

    /// The place of the task whose step has the highest priority.
    fn highest(&mut self, tasks: &[u32]) -> usize {
        let known = self.pending.as_ref().map_or(0, Vec::len);
        let newest = tasks.iter().max().map_or(0, |task| *task as usize + 1);
        for _ in known..newest {
            let drawn = Pending { priority: self.draw(), touched: Footprint::default() };
            self.pending.get_or_insert_default().push(drawn);
        }
        let pending = self.pending.as_deref().unwrap_or_default();
        let priority = |place: &usize| pending[tasks[*place] as usize].priority;
        (0..tasks.len()).max_by_key(priority).expect("there are tasks")
    }
}

impl Chooser for Sampler {
    fn choose(&mut self, point: &Point<'_>) -> usize {
        let calm = if point.kind.is_failure() { 1 } else { point.tasks.len() };
        let faults = point.options - calm;
        if faults > 0 && self.fault_odds < u64::MAX && self.draw().is_multiple_of(self.fault_odds) {
            return calm + self.below(faults);
        }
        match (point.kind, &self.pending) {
            (Kind::Fault, _) => 0,
            (Kind::Damage, _) => self.below(point.options),
            (Kind::Switch | Kind::Preempt, None) => self.below(calm),
            (Kind::Switch | Kind::Preempt, Some(_)) => self.highest(point.tasks),
        }
    }

    fn watches(&self) -> bool {
        self.pending.is_some()
    }

    fn took(&mut self, step: Step, touched: &Footprint) {
        let Some(mut pending) = self.pending.take() else { return };
        let Step::Task(taken) = step else {
            self.pending = Some(pending);
            return;
        };
        for (task, next) in (0..).zip(&mut pending) {
            if task == taken {
                next.touched.copy(touched);
            }
            if task == taken || next.touched.races(touched) {
                next.priority = self.draw();
            }
        }
        self.pending = Some(pending);
    }
}
