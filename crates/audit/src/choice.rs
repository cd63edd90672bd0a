//! Choices: the one source of everything that could have gone otherwise.
//!
//! Which task goes on, whether the clock overtakes it, whether a crash or another fault strikes: a simulated
//! world asks [`Chooser::choose`] for each, and for nothing else. So the list of answers, a [`Schedule`], is
//! all there is to say about a run, and searching, repeating and shrinking know nothing but such lists.
//!
//! Answer 0 is always the calm one: the same task goes on, nothing fails. A run of zeros has no preemption
//! and no fault, and every other answer is worth explaining.

use std::{fmt, str::FromStr};

use crate::world::{Footprint, Step};

/// What kind of thing is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who goes on, after the last one could not: any answer is as calm as another.
    Switch,
    /// Whether somebody else goes on although the last one could: other answers are preemptions.
    Preempt,
    /// Whether something fails, and how.
    Fault,
    /// How bad it is, where something fails: any answer is as likely as another.
    Damage,
}

impl Kind {
    /// Whether it is about what fails, not about who goes on.
    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Fault | Self::Damage => true,
            Self::Switch | Self::Preempt => false,
        }
    }
}

/// A point at which a run could go on in several ways.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// What is chosen.
    pub kind: Kind,
    /// The tasks that can go on, the calm one first. Empty where something may fail.
    pub tasks: &'a [u32],
    /// The processes that can crash: the last answers. Empty where something may fail.
    pub crashes: &'a [usize],
    /// How many answers there are; those beyond `tasks` are faults: a clock that overtakes, a crash.
    pub options: usize,
}

impl Point<'_> {
    /// What each answer does, where the question is who goes on.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> {
        let tasks = self.tasks.iter().copied().map(Step::Task);
        let clocks = self.options - self.tasks.len() - self.crashes.len();
        let crashes = self.crashes.iter().copied().map(Step::Crash);
        tasks.chain(std::iter::repeat_n(Step::Clock, clocks)).chain(crashes)
    }
}

/// Answers the questions of a simulated world.
pub trait Chooser: Send {
    /// A number below `point.options`, which is at least 2.
    fn choose(&mut self, point: &Point<'_>) -> usize;

    /// Whether it wants to hear of steps: only those who do are told, and what a step touches is written down
    /// only for them.
    fn watches(&self) -> bool {
        false
    }

    /// A step is about to be taken. False: nothing new can come of this run, and it ends here.
    fn goes_on(&mut self, _step: Step) -> bool {
        true
    }

    /// A step was taken, and touched that.
    fn took(&mut self, _step: Step, _touched: &Footprint) {}
}

/// One answer, as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The answer.
    pub taken: u16,
    /// How many there were.
    pub options: u16,
    /// How many of them were tasks.
    pub tasks: u16,
    /// What was chosen.
    pub kind: Kind,
}

impl Choice {
    /// What the answer costs: 1 if it is a preemption or a fault.
    #[must_use]
    pub fn cost(self, taken: u16) -> u32 {
        match self.kind {
            Kind::Switch => u32::from(taken >= self.tasks),
            Kind::Preempt | Kind::Fault | Kind::Damage => u32::from(taken > 0),
        }
    }
}

/// The answers of a run, in order; those that are missing are 0.
///
/// Written as the answers that are not 0, with their places: `3:1 17:2`; the calm run is `calm`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule(pub Vec<u16>);

/// The text is no schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSchedule(String);

impl Schedule {
    /// How many answers are not the calm one.
    #[must_use]
    pub fn deviations(&self) -> usize {
        self.0.iter().filter(|taken| **taken > 0).count()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deviations() == 0 {
            return f.write_str("calm");
        }
        let mut between = "";
        for (place, taken) in self.0.iter().enumerate().filter(|(_, taken)| **taken > 0) {
            write!(f, "{between}{place}:{taken}")?;
            between = " ";
        }
        Ok(())
    }
}

impl fmt::Display for BadSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a schedule: expected PLACE:ANSWER, such as \"3:1 17:2\", or \"calm\"",
            self.0
        )
    }
}

impl std::error::Error for BadSchedule {}

impl FromStr for Schedule {
    type Err = BadSchedule;

    fn from_str(text: &str) -> Result<Self, BadSchedule> {
        /// No run has more choices than this.
        const PLACES: usize = 1 << 24;
        let mut answers = Vec::new();
        if text.trim() == "calm" {
            return Ok(Self(answers));
        }
        for word in text.split_whitespace() {
            let bad = || BadSchedule(word.to_owned());
            let (place, taken) = word.split_once(':').ok_or_else(bad)?;
            let place: usize = place.parse().map_err(|_| bad())?;
            let taken: u16 = taken.parse().map_err(|_| bad())?;
            if place < answers.len() || place >= PLACES || taken == 0 {
                return Err(bad());
            }
            answers.resize(place, 0);
            answers.push(taken);
        }
        if answers.is_empty() { Err(BadSchedule(text.to_owned())) } else { Ok(Self(answers)) }
    }
}

/// Repeats a schedule; an answer that does not fit (the code has changed) becomes the last one that does.
#[derive(Debug)]
pub struct Replay {
    schedule: Schedule,
    place: usize,
}

impl Replay {
    /// From the beginning.
    #[must_use]
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, place: 0 }
    }
}

impl Chooser for Replay {
    fn choose(&mut self, point: &Point<'_>) -> usize {
        let taken = self.schedule.0.get(self.place).copied().unwrap_or(0);
        self.place += 1;
        usize::from(taken).min(point.options - 1)
    }
}
