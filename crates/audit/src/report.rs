//! The report of an audit: every race as it was found, and its twin on Interlock; then what Interlock promises
//! besides.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    cases::Case,
    own::Own,
    run::CrossChecked,
    search::{Budget, Outcome, search},
    timeline::{Row, Timeline},
    world::mix,
};

/// How much an audit tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Schedules at most, until a race as found is found.
    pub as_found: u64,
    /// Schedules of each twin, and of each promise of Interlock's own.
    pub interlock: u64,
    /// The seed of all.
    pub seed: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { as_found: 20_000, interlock: 300, seed: 1 }
    }
}

impl Effort {
    /// The search on Interlock: each scenario has samples of its own, so that those that share a twin do not
    /// try the same ones.
    fn of(self, name: &str) -> Budget {
        let seed = name.bytes().fold(self.seed, |seed, byte| mix(seed ^ u64::from(byte)));
        Budget { schedules: self.interlock, seed }
    }
}

/// What an audit came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// One for each race.
    pub scenarios: Vec<Line>,
    /// One for each promise of Interlock's own.
    pub own: Vec<OwnLine>,
    /// How long it took.
    pub seconds: f64,
}

/// One race.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// What it is called.
    pub name: &'static str,
    /// The number of the document that tells of it.
    pub document: &'static str,
    /// The system as it was found.
    pub as_found: Found,
    /// The same work on Interlock.
    pub interlock: Twin,
}

/// One promise of Interlock's own.
#[derive(Debug, Clone, Serialize)]
pub struct OwnLine {
    /// What is tried.
    pub name: &'static str,
    /// What goes wrong meanwhile.
    pub faults: &'static str,
    /// The search for a schedule that breaks it.
    pub interlock: Twin,
}

/// The search for a race.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Whether it was found.
    pub found: bool,
    /// Schedules until then.
    pub schedules: u64,
    /// Time until then.
    pub seconds: f64,
    /// Preemptions and faults that the smallest failing schedule needs.
    pub deviations: usize,
    /// Steps of its run.
    pub steps: u64,
    /// The schedule, to repeat it.
    pub schedule: String,
    /// What goes wrong.
    pub violation: String,
    /// Its timeline.
    pub timeline: Vec<Said>,
    /// The same, to print.
    #[serde(skip)]
    pub table: Timeline,
}

/// The search in a twin.
#[derive(Debug, Clone, Serialize)]
pub struct Twin {
    /// Schedules tried.
    pub schedules: u64,
    /// Faults that struck in them.
    pub faults: u64,
    /// Histories of entities in them for which some order must explain all answers, whatever versions say.
    pub cross_checked: u64,
    /// Histories for which that was not checked: they are too wide, or not the clients' alone.
    pub not_cross_checked: u64,
    /// Whether no schedule is left to try.
    pub exhausted: bool,
    /// Time that it took.
    pub seconds: f64,
    /// Violations found: 0, or 1, at which the search ends.
    pub violations: u32,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<Violation>,
}

/// A schedule of Interlock's own that breaks something.
#[derive(Debug, Clone, Serialize)]
pub struct Violation {
    /// What goes wrong.
    pub says: String,
    /// The schedule, to repeat it.
    pub schedule: String,
    /// Its timeline.
    pub timeline: Vec<Said>,
    /// The same, to print.
    #[serde(skip)]
    pub table: Timeline,
}

/// A row of a timeline, with its actor's name.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// Simulated time, in milliseconds.
    pub ms: u64,
    /// Who; empty at the end, where only the state is shown.
    pub actor: String,
    /// What.
    pub says: String,
    /// The state after it.
    pub state: String,
    /// Whether something had gone wrong after it, for the first time.
    pub is_violation: bool,
}

impl Said {
    fn all(table: &Timeline) -> Vec<Self> {
        let said = |row: &Row| Self {
            ms: row.ms,
            actor: row.actor.map_or_else(String::new, |actor| table.actors[actor].clone()),
            says: row.says.clone(),
            state: row.state.clone(),
            is_violation: row.is_violation,
        };
        table.rows.iter().map(said).collect()
    }
}

impl Report {
    /// Audits cases; `progress` hears of each line as it is ready.
    pub fn of<'a>(
        cases: impl IntoIterator<Item = &'a Case>,
        effort: Effort,
        mut progress: impl FnMut(&Line),
    ) -> Self {
        let began = now();
        let line = |case: &Case| {
            let line = Line::of(case, effort);
            progress(&line);
            line
        };
        let scenarios = cases.into_iter().map(line).collect();
        Self { scenarios, own: Vec::new(), seconds: began.elapsed().as_secs_f64() }
    }

    /// Goes on with promises of Interlock's own; `progress` hears of each line as it is ready.
    #[must_use]
    pub fn and_own<'a>(
        mut self,
        promises: impl IntoIterator<Item = &'a Own>,
        effort: Effort,
        mut progress: impl FnMut(&OwnLine),
    ) -> Self {
        let began = now();
        for promise in promises {
            let line = OwnLine::of(promise, effort);
            progress(&line);
            self.own.push(line);
        }
        self.seconds += began.elapsed().as_secs_f64();
        self
    }

    /// Whether something was audited, every race was found and none in a twin, and every promise kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let is_something = !self.scenarios.is_empty() || !self.own.is_empty();
        is_something
            && self.scenarios.iter().all(Line::is_good)
            && self.own.iter().all(OwnLine::is_good)
    }

    /// As a Markdown document: the table, then each timeline.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.scenarios.is_empty() {
            text += "| race | document | as found | Interlock | verdict |\n|---|---|---|---|---|\n";
        }
        for line in &self.scenarios {
            let [found, twin, verdict] = line.cells();
            let _ = writeln!(
                text,
                "| {} | {} | {found} | {twin} | {verdict} |",
                line.name, line.document
            );
        }
        if !self.own.is_empty() {
            text += "\n| Interlock's own | while | tried | verdict |\n|---|---|---|---|\n";
        }
        for line in &self.own {
            let [tried, verdict] = line.cells();
            let _ = writeln!(text, "| {} | {} | {tried} | {verdict} |", line.name, line.faults);
        }
        let twins = self.scenarios.iter().map(|line| (line.name, &line.interlock));
        let own = self.own.iter().map(|line| (line.name, &line.interlock));
        for (name, twin) in twins.chain(own) {
            if let Some(Violation { says, schedule, table, .. }) = &twin.violation {
                let title = format!("On Interlock: {name}");
                text += &section(&title, says, schedule, table);
            }
        }
        for line in self.scenarios.iter().filter(|line| line.as_found.found) {
            let Found { violation, table, schedule, .. } = &line.as_found;
            text += &section(line.name, violation, schedule, table);
        }
        text
    }
}

fn section(title: &str, says: &str, schedule: &str, table: &Timeline) -> String {
    format!("\n### {title}\n\n{says} (`{schedule}`)\n\n{}", table.markdown())
}

#[expect(clippy::disallowed_methods, reason = "how long an audit takes is told, not decided on")]
fn now() -> Instant {
    Instant::now()
}

/// What the search for a race and in its twin came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The race was found, and not in the twin: as it should be.
    Holds,
    /// The race was not found, so that nothing is known of the twin.
    Missed,
    /// It was found in the twin, too.
    TwinFails,
    /// It was found in the twin alone.
    MissedAndTwinFails,
}

impl Verdict {
    /// In a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Holds => "found; the twin holds",
            Self::Missed => "missed",
            Self::TwinFails => "the twin fails",
            Self::MissedAndTwinFails => "missed, and the twin fails",
        }
    }
}

/// What is bad cannot be overlooked, without colours too.
fn loud(words: &str, is_good: bool) -> String {
    if is_good { words.to_owned() } else { words.to_uppercase() }
}

impl Line {
    fn of(case: &Case, effort: Effort) -> Self {
        let found = search(case.as_found, Budget { schedules: effort.as_found, seed: effort.seed });
        let twin = search(case.interlock, effort.of(case.name));
        Self {
            name: case.name,
            document: case.document,
            as_found: found.into(),
            interlock: twin.into(),
        }
    }

    /// What it came to.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.as_found.found, self.interlock.violations) {
            (true, 0) => Verdict::Holds,
            (false, 0) => Verdict::Missed,
            (true, _) => Verdict::TwinFails,
            (false, _) => Verdict::MissedAndTwinFails,
        }
    }

    /// Whether the race was found, and not in its twin.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict() == Verdict::Holds
    }

    /// As found, Interlock, verdict: each in a few words.
    #[must_use]
    pub fn cells(&self) -> [String; 3] {
        let Found { found, schedules, seconds, .. } = &self.as_found;
        let seconds = Duration::from_secs_f64(*seconds);
        let as_found = match found {
            true => format!("found in {schedules} schedules, {seconds:.1?}"),
            false => format!("missed in {schedules} schedules"),
        };
        let twin = self.interlock.tried();
        [as_found, twin, loud(self.verdict().words(), self.is_good())]
    }
}

impl OwnLine {
    fn of(promise: &Own, effort: Effort) -> Self {
        let interlock = search(promise.scenario, effort.of(promise.name)).into();
        Self { name: promise.name, faults: promise.faults, interlock }
    }

    /// Whether no schedule breaks it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.interlock.violations == 0
    }

    /// The verdict, in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        if self.is_good() { "holds" } else { "broken" }
    }

    /// What was tried, and the verdict: each in a few words.
    #[must_use]
    pub fn cells(&self) -> [String; 2] {
        [self.interlock.tried(), loud(self.word(), self.is_good())]
    }
}

impl Twin {
    fn tried(&self) -> String {
        let Self { schedules, faults, cross_checked, not_cross_checked, exhausted, .. } = self;
        let all = if *exhausted { "all " } else { "" };
        let tried = format!("{all}{schedules} schedules, {faults} faults");
        match (not_cross_checked, cross_checked + not_cross_checked) {
            (0, _) => tried,
            (left_out, all) => format!("{tried}; {left_out} of {all} histories not cross-checked"),
        }
    }
}

impl From<Outcome> for Found {
    fn from(outcome: Outcome) -> Self {
        let Outcome { schedules, took, failure, .. } = outcome;
        let found = failure.is_some();
        let seconds = took.as_secs_f64();
        let Some(failure) = failure else {
            return Self {
                found,
                schedules,
                seconds,
                deviations: 0,
                steps: 0,
                schedule: String::new(),
                violation: String::new(),
                timeline: Vec::new(),
                table: Timeline::default(),
            };
        };
        let table = failure.run.timeline;
        Self {
            found,
            schedules,
            seconds,
            deviations: failure.schedule.deviations(),
            steps: failure.run.record.steps,
            schedule: failure.schedule.to_string(),
            violation: failure.violation,
            timeline: Said::all(&table),
            table,
        }
    }
}

impl From<Outcome> for Twin {
    fn from(outcome: Outcome) -> Self {
        let Outcome { schedules, faults, cross_checked, exhausted, took, failure } = outcome;
        let CrossChecked { done: cross_checked, left_out: not_cross_checked } = cross_checked;
        let violations = u32::from(failure.is_some());
        let violation = failure.map(|failure| Violation {
            says: failure.violation,
            schedule: failure.schedule.to_string(),
            timeline: Said::all(&failure.run.timeline),
            table: failure.run.timeline,
        });
        let seconds = took.as_secs_f64();
        Self {
            schedules,
            faults,
            cross_checked,
            not_cross_checked,
            exhausted,
            seconds,
            violations,
            violation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stage;

    async fn fails(stage: Stage) {
        stage.extra("somebody").says(|| "does it".to_owned());
        stage.violation("it is broken".to_owned());
    }

    async fn holds(_: Stage) {}

    fn report(case: &Case) -> Report {
        Report::of([case], Effort { as_found: 5, interlock: 5, seed: 1 }, |_| {})
    }

    const GOOD: Case = Case {
        name: "a race",
        document: "000",
        as_found: &fails,
        repaired: &holds,
        interlock: &holds,
    };

    #[test]
    fn a_race_that_is_found_and_a_twin_that_holds_are_good() {
        assert!(report(&GOOD).is_good());
        let nothing = Report::of([], Effort::default(), |_| {});
        assert!(!nothing.is_good(), "nothing was audited");
    }

    #[test]
    fn a_missed_race_a_failing_twin_and_a_broken_promise_are_not_and_say_so() {
        let missed = report(&Case { as_found: &holds, ..GOOD });
        let failing = report(&Case { interlock: &fails, ..GOOD });
        let both = report(&Case { as_found: &holds, interlock: &fails, ..GOOD });
        let promise = Own { name: "a promise", faults: "none", scenario: &fails };
        let broken = report(&GOOD).and_own([&promise], Effort::default(), |_| {});
        let verdicts = [
            (&missed, "MISSED"),
            (&failing, "THE TWIN FAILS"),
            (&both, "MISSED, AND THE TWIN FAILS"),
            (&broken, "BROKEN"),
        ];
        for (report, verdict) in verdicts {
            assert!(!report.is_good(), "{verdict}");
            assert!(report.markdown().contains(&format!("| {verdict} |")), "{verdict}");
        }
        for report in [&failing, &broken] {
            assert!(report.markdown().contains("does it"), "its timeline is there");
            let json = serde_json::to_string(report).expect("plain data");
            assert!(json.contains("\"says\":\"it is broken\",\"schedule\":\"calm\""), "{json}");
        }
    }
}
