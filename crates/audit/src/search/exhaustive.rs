//! Every order that can show, once: a depth-first search with sleep sets (Godefroid 1996) and source sets
//! (Abdulla, Aronis, Jonsson, Sagonas, POPL 2014).
//!
//! Two steps that touch nothing in common come to the same whichever goes first, so one of the two orders is
//! enough. A run is looked at for races: steps that meet, of which the later one could have come first
//! ([`Races`]); only then somebody else is tried at the earlier one's turn. And after everything that begins
//! with a step has been tried, that step sleeps until a step is taken that it meets; a run in which all who
//! could go on are asleep is redundant, and ends.
//!
//! The clock meets everything: it is tried wherever it can move. So is, where a step touches everything, whoever
//! else could go on there.
//!
//! A crash is a step like others: it touches the tasks that fall, their memories, and the ends of channels that
//! they drop. It is tried first at every turn, and sleeps while the others are. And it commutes with more than it
//! does not meet. A step of the process that crashes may leave nothing behind: all that it did was to look at
//! things, to take something out of a channel, and to change memory that only its own process has. Then it comes
//! to the same whether the process crashes before or after it; so the sleeping crash sleeps on, and is tried
//! again only after a step that something outlives: a write that was submitted, a reply that was sent, a task of
//! another process that was woken. It takes over what the step has touched, so that it wakes when anybody else
//! touches that: without such a step between, the one that leaves nothing behind can go last, and be left out.
//!
//! Invariant: every end of a scenario, and every violation, is reached by some run. That rests on footprints
//! which the world writes down itself ([`Footprint`]). It would not hold under a bound on preemptions, which a
//! sleeping step may be too dear for: the two are never combined.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::races::Races;
use crate::{
    choice::{Chooser, Point},
    world::{Footprint, Step},
};

/// A step that need not be taken yet, with what it would touch.
type Asleep = (Step, Arc<Footprint>);

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
    /// The options.
    steps: Vec<Step>,
    /// For each option: whether it is to be tried.
    wanted: Vec<bool>,
    /// Who need not be tried here: those who came asleep, and those who were tried.
    asleep: Vec<Asleep>,
    /// What the step that is taken touches, whatever fails in it.
    touched: Footprint,
}

impl Turn {
    /// Everything but tasks is to be tried, and one task. `None`: nobody need be tried.
    fn begin(steps: Vec<Step>, asleep: Vec<Asleep>) -> Option<(usize, Self)> {
        let wanted = steps.iter().map(|step| !matches!(step, Step::Task(_))).collect();
        let mut turn = Self { steps, wanted, asleep, touched: Footprint::default() };
        let task = |step: &Step| matches!(step, Step::Task(_));
        let mut tasks = (0..turn.steps.len()).filter(|option| task(&turn.steps[*option]));
        if let Some(task) = tasks.find(|option| !turn.is_asleep(*option)) {
            turn.wanted[task] = true;
        }
        Some((turn.next()?, turn))
    }

    fn is_asleep(&self, option: usize) -> bool {
        self.asleep.iter().any(|(asleep, _)| *asleep == self.steps[option])
    }

    /// What is to be tried: crashes first, so that they sleep while the others are.
    fn next(&self) -> Option<usize> {
        let is_next = |option: &usize| self.wanted[*option] && !self.is_asleep(*option);
        let is_crash = |option: &usize| matches!(self.steps[*option], Step::Crash(_));
        let options = 0..self.steps.len();
        options.clone().filter(is_crash).find(is_next).or_else(|| options.clone().find(is_next))
    }

    /// Puts the option that was tried to sleep. The next one, if there is one.
    fn after(&mut self, taken: usize) -> Option<usize> {
        self.wanted[taken] = false;
        let touched = std::mem::take(&mut self.touched);
        self.asleep.push((self.steps[taken], Arc::new(touched)));
        self.next()
    }

    /// Everything is to be tried.
    fn want_all(&mut self) {
        let asleep: Vec<bool> =
            (0..self.steps.len()).map(|option| self.is_asleep(option)).collect();
        self.wanted.iter_mut().zip(asleep).for_each(|(wanted, asleep)| *wanted = !asleep);
    }

    /// One of these steps is to be tried, unless one of them was, or need not be.
    fn want(&mut self, taken: usize, firsts: &[Step]) {
        let option = |step: &Step| self.steps.iter().position(|other| other == step);
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
            Choice::Turn(turn) => Some((place, turn.steps.as_slice())),
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
        if point.kind.is_failure() {
            return self.push(0, Choice::Fault { options: point.options });
        }
        let Some((first, turn)) = Turn::begin(point.steps().collect(), self.asleep.clone()) else {
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
        self.is_redundant |= self.asleep.iter().any(|(asleep, _)| *asleep == step);
        !self.is_redundant
    }

    fn took(&mut self, step: Step, touched: &Footprint) {
        if self.steps == self.races.len() {
            self.add(step, touched);
        }
        self.steps += 1;
        self.asleep.retain_mut(|(asleep, theirs)| match asleep {
            Step::Crash(process) if touched.is_gone_with(*process) => {
                Arc::make_mut(theirs).join(touched);
                true
            }
            Step::Task(_) | Step::Clock | Step::Crash(_) => !theirs.meets(touched),
        });
        let Some(place) = self.turn.take() else { return };
        if let Choice::Turn(turn) = &mut self.nodes[place].choice {
            turn.touched.join(touched);
            if touched.is_everything() && matches!(step, Step::Task(_)) {
                turn.want_all();
            }
        }
    }
}
