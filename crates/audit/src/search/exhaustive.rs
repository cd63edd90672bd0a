//! Every order that can show, once: a depth-first search with sleep sets (Godefroid 1996) and source sets
//! (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014).
//!
//! Two steps that touch nothing in common come to the same whichever goes first, so one of the two orders is
//! enough. A run is looked at for races: steps that meet, of which the later one could have come first
//! ([`Races`]); only then somebody else is tried at the earlier one's turn. And after everything that begins
//! with a step has been tried, that step sleeps until a step is taken that it meets; a run in which all who
//! could go on are asleep is redundant, and ends.
//!
//! The clock and crashes meet everything: they are tried wherever they can happen. So is, where a step touches
//! everything, whoever else could go on there.
//!
//! Invariant: every end of a scenario, and every violation, is reached by some run. That rests on footprints
//! which the world writes down itself ([`Footprint`]). It would not hold under a bound on preemptions, which a
//! sleeping step may be too dear for: the two are never combined.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::races::Races;
use crate::{
    choice::{Chooser, Kind, Point},
    world::{Footprint, Step},
};

/// A task that need not go on yet, with what its step would touch.
type Asleep = (u32, Arc<Footprint>);

/// The search between two runs, and the chooser of the next.
#[derive(Default)]
pub(super) struct Exhaustive {
    nodes: Vec<Node>,
    races: Races,
    /// Nodes that this run has come by.
    place: usize,
    /// Steps that this run has taken.
    steps: usize,
    /// The last of `nodes` that is a turn: from there on the run is new.
    last_turn: Option<usize>,
    asleep: Vec<Asleep>,
    /// The turn whose step is being taken.
    turn: Option<usize>,
    is_redundant: bool,
}

/// A point at which there was a choice, on the way to where the search is.
struct Node {
    /// The number of the step that is chosen here, or during which something may fail.
    step: usize,
    taken: usize,
    choice: Choice,
}

enum Choice {
    Turn(Turn),
    Fault { options: usize },
}

/// Who goes on.
struct Turn {
    /// The options that are tasks.
    tasks: Vec<u32>,
    /// For each option: whether it is to be tried.
    wanted: Vec<bool>,
    /// Who need not be tried here: those who came asleep, and those who were tried.
    asleep: Vec<Asleep>,
    /// What the step that is taken touches, whatever fails in it.
    touched: Footprint,
}

impl Turn {
    fn is_asleep(&self, option: usize) -> bool {
        let task = self.tasks.get(option);
        task.is_some_and(|task| self.asleep.iter().any(|(asleep, _)| asleep == task))
    }

    /// Puts the option that was tried to sleep. The next one, if there is one.
    fn after(&mut self, taken: usize) -> Option<usize> {
        self.wanted[taken] = false;
        let touched = std::mem::take(&mut self.touched);
        if let Some(task) = self.tasks.get(taken) {
            self.asleep.push((*task, Arc::new(touched)));
        }
        let mut options = 0..self.wanted.len();
        options.find(|option| self.wanted[*option] && !self.is_asleep(*option))
    }

    /// Every task is to be tried.
    fn want_all(&mut self) {
        self.wanted[..self.tasks.len()].fill(true);
    }

    /// One of these tasks is to be tried, unless one of them was, or need not be.
    fn want(&mut self, taken: usize, firsts: &[u32]) {
        let option = |task: &u32| self.tasks.iter().position(|other| other == task);
        let options: Vec<usize> = firsts.iter().filter_map(option).collect();
        let is_covered =
            |option: &usize| *option == taken || self.wanted[*option] || self.is_asleep(*option);
        if options.iter().any(is_covered) {
            return;
        }
        match options.first() {
            Some(first) => self.wanted[*first] = true,
            // None of them could go on here: whoever must be tried instead is among the others.
            None => self.want_all(),
        }
    }
}

impl Exhaustive {
    /// Moves on from a run. False: nothing is left to try.
    pub(super) fn advance(&mut self) -> bool {
        while let Some(node) = self.nodes.last_mut() {
            let next = match &mut node.choice {
                Choice::Turn(turn) => turn.after(node.taken),
                Choice::Fault { options } => Some(node.taken + 1).filter(|next| next < options),
            };
            if let Some(next) = next {
                node.taken = next;
                self.races.forget(node.step);
                break;
            }
            self.nodes.pop();
        }
        let is_turn = |node: &Node| matches!(node.choice, Choice::Turn(_));
        self.last_turn = self.nodes.iter().rposition(is_turn);
        self.place = 0;
        self.steps = 0;
        self.asleep.clear();
        self.turn = None;
        self.is_redundant = false;
        !self.nodes.is_empty()
    }

    /// The answer at a point that the last run came by, too.
    fn repeat(&mut self, place: usize) -> usize {
        let Node { taken, choice, .. } = &self.nodes[place];
        if let Choice::Turn(turn) = choice {
            self.turn = Some(place);
            if self.last_turn == Some(place) {
                self.asleep.clone_from(&turn.asleep);
            }
        }
        *taken
    }

    fn push(&mut self, taken: usize, choice: Choice) -> usize {
        self.nodes.push(Node { step: self.steps, taken, choice });
        taken
    }

    /// What a new step races with is to be tried the other way round.
    fn add(&mut self, step: Step, touched: &Footprint) {
        let able = self.turn.and_then(|place| match &self.nodes[place].choice {
            Choice::Turn(turn) => Some((place, turn.tasks.as_slice())),
            Choice::Fault { .. } => None,
        });
        for race in self.races.add(step, touched, able) {
            let Node { taken, choice, .. } = &mut self.nodes[race.turn];
            if let Choice::Turn(turn) = choice {
                turn.want(*taken, &race.firsts);
            }
        }
    }
}

/// Whoever panics while the search is lent to a run ends it, and is reported as a violation.
pub(super) fn lock(lent: &Mutex<Exhaustive>) -> MutexGuard<'_, Exhaustive> {
    lent.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chooser for Arc<Mutex<Exhaustive>> {
    fn choose(&mut self, point: &Point<'_>) -> usize {
        lock(self).choose(point)
    }

    fn watches(&self) -> bool {
        true
    }

    fn goes_on(&mut self, step: Step) -> bool {
        lock(self).goes_on(step)
    }

    fn took(&mut self, step: Step, touched: &Footprint) {
        lock(self).took(step, touched);
    }
}

impl Chooser for Exhaustive {
    fn choose(&mut self, point: &Point<'_>) -> usize {
        let place = self.place;
        self.place += 1;
        if place < self.nodes.len() {
            return self.repeat(place);
        }
        if point.kind == Kind::Fault {
            return self.push(0, Choice::Fault { options: point.options });
        }
        let mut wanted = vec![true; point.options];
        wanted[..point.tasks.len()].fill(false);
        let turn = Turn {
            tasks: point.tasks.to_vec(),
            wanted,
            asleep: self.asleep.clone(),
            touched: Footprint::default(),
        };
        let Some(first) = (0..point.options).find(|option| !turn.is_asleep(*option)) else {
            self.is_redundant = true;
            return 0;
        };
        self.turn = Some(place);
        self.push(first, Choice::Turn(turn))
    }

    fn watches(&self) -> bool {
        true
    }

    fn goes_on(&mut self, step: Step) -> bool {
        self.is_redundant |= match step {
            Step::Task(task) => self.asleep.iter().any(|(asleep, _)| *asleep == task),
            Step::Clock | Step::Crash(_) => false,
        };
        !self.is_redundant
    }

    fn took(&mut self, step: Step, touched: &Footprint) {
        if self.steps == self.races.len() {
            self.add(step, touched);
        }
        self.steps += 1;
        self.asleep.retain(|(_, theirs)| !theirs.meets(touched));
        let Some(place) = self.turn.take() else { return };
        if let Choice::Turn(turn) = &mut self.nodes[place].choice {
            turn.touched.join(touched);
            if touched.is_everything() && matches!(step, Step::Task(_)) {
                turn.want_all();
            }
        }
    }
}
