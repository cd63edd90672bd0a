//! The table of schedules that once failed: on the systems as found they still must, elsewhere they must not.
//!
//! ```text
//! as found | scenario | schedule | fits
//! twin     | scenario | schedule | fits | what it once showed
//! own      | promise  | schedule | fits | what it once showed
//! ```
//!
//! A schedule is a list of answers, and means something only while the same questions are asked: when scenarios or
//! the runtime change, the same list becomes another run, which shows nothing. So each line keeps what its run was
//! like ([`Run::fits`]).

use std::fmt;

use crate::{
    cases,
    choice::Schedule,
    own,
    run::{Run, Scenario, replay},
};

/// A line of the table.
pub struct Line {
    /// What it is about.
    pub kind: Kind,
    /// The scenario's name.
    pub name: String,
    /// What once failed.
    pub schedule: Schedule,
    /// What its run was like when the line was written.
    pub fits: String,
    /// What it once showed; on a system as found, the race.
    pub showed: String,
    scenario: &'static dyn Scenario,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A race of a document, which the schedule must show.
    AsFound,
    /// The same work on Interlock, which must hold.
    Twin,
    /// A promise of Interlock's own, which must hold.
    Own,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::AsFound => "as found",
            Self::Twin => "twin",
            Self::Own => "own",
        }
    }

    fn scenario(self, name: &str) -> Option<&'static dyn Scenario> {
        let mut cases = cases::all().filter(|case| case.name == name);
        match self {
            Self::AsFound => cases.next().map(|case| case.as_found),
            Self::Twin => cases.next().map(|case| case.interlock),
            Self::Own => own::all().find(|own| own.name == name).map(|own| own.scenario),
        }
    }
}

impl Line {
    /// A line for a schedule as it runs now.
    ///
    /// # Errors
    /// In words, if there is no such scenario.
    pub fn new(kind: Kind, name: &str, schedule: Schedule, showed: &str) -> Result<Self, String> {
        let scenario = kind.scenario(name);
        let scenario = scenario.ok_or_else(|| format!("there is no {} {name:?}", kind.word()))?;
        let fits = replay(scenario, &schedule, false).fits();
        let (name, showed) = (name.to_owned(), showed.to_owned());
        Ok(Self { kind, name, schedule, fits, showed, scenario })
    }

    /// Reads a line.
    fn read(text: &str) -> Result<Self, String> {
        let cells: Vec<&str> = text.split('|').map(str::trim).collect();
        let (kind, rest) = match cells[..] {
            ["as found", ref rest @ ..] => (Kind::AsFound, rest),
            ["twin", ref rest @ ..] => (Kind::Twin, rest),
            ["own", ref rest @ ..] => (Kind::Own, rest),
            [..] => return Err(format!("it begins with none of as found, twin, own: {text}")),
        };
        let (name, schedule, fits, showed) = match (kind, rest) {
            (Kind::AsFound, [name, schedule, fits]) => (*name, *schedule, *fits, ""),
            (Kind::Twin | Kind::Own, [name, schedule, fits, showed]) => {
                (*name, *schedule, *fits, *showed)
            }
            (Kind::AsFound | Kind::Twin | Kind::Own, _) => {
                return Err(format!("it has other cells than its kind: {text}"));
            }
        };
        let schedule = schedule.parse().map_err(|error| format!("{error}: {text}"))?;
        let line = Self::new(kind, name, schedule, showed)?;
        Ok(Self { fits: fits.to_owned(), ..line })
    }

    /// Runs it again: it must still be the run that it was, and fail if it is one of a system as found.
    ///
    /// # Errors
    /// In words, with what to do about it.
    pub fn check(&self) -> Result<(), String> {
        let run = replay(self.scenario, &self.schedule, true);
        let is_as_found = self.kind == Kind::AsFound;
        let Run { violation, timeline, .. } = &run;
        match violation {
            Some(violation) if !is_as_found => Err(format!("{self}: {violation}\n{timeline}")),
            None if is_as_found => Err(format!("{self}: it fails no more\n{RENEW}")),
            Some(_) | None if run.fits() != self.fits => {
                Err(format!("{self}: it is another run now, {}\n{RENEW}", run.fits()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, schedule, fits, showed, .. } = self;
        write!(f, "{} | {name} | {schedule} | {fits}", kind.word())?;
        if showed.is_empty() { Ok(()) } else { write!(f, " | {showed}") }
    }
}

const RENEW: &str = "\
The scenario or the runtime asks other questions than when this line was written, so its answers mean something else.
Lines of systems as found are searched anew. One of a twin or a promise shows what it once showed no more: break the
code once as it was and take the schedule that fails then, or let the line go. `interlock-trust regressions` prints
the whole table as it is now, for crates/audit/tests/regressions.txt.";

/// Reads the table.
///
/// # Errors
/// In words, with the line that is wrong.
pub fn read(table: &str) -> Result<Vec<Line>, String> {
    let wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
    table.lines().filter(wanted).map(Line::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RACE: &str = "two clicks answer the same turn";

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let line = Line::new(Kind::Twin, RACE, Schedule(vec![0, 1]), "a bug").unwrap();
        let text = line.to_string();
        assert_eq!(read(&text).unwrap()[0].to_string(), text);
        for bad in ["twin | no such race | 1:1 | 1 choices | a", "twin | a", "else | b | calm | c"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_whose_run_is_another_one_now_is_told() {
        let line = Line::new(Kind::Twin, RACE, Schedule(vec![0, 1]), "a bug").unwrap();
        assert_eq!(line.check(), Ok(()));
        let bent = Line { fits: "7 choices, 1".to_owned(), ..line };
        let wrong = bent.check().unwrap_err();
        assert!(
            wrong.contains("it is another run now") && wrong.contains("regressions"),
            "{wrong}"
        );
    }

    #[test]
    fn a_race_that_a_line_shows_no_more_is_told() {
        let calm = Line::new(Kind::AsFound, RACE, Schedule::default(), "").unwrap();
        let wrong = calm.check().unwrap_err();
        assert!(wrong.contains("it fails no more"), "{wrong}");
    }
}
