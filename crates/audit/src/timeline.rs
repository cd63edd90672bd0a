//! A run as a table: moments, what each actor said, and the state beside it.
//!
//! Moments are numbered as the documents number theirs, T0, T1, …, since simulated time mostly stands still; where it
//! has moved, it says by how much. The moment at which something went wrong is marked.

use std::{fmt, fmt::Write as _, time::Duration};

use serde::Serialize;

/// What happened in one run, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The actors' names, by column.
    pub actors: Vec<String>,
    /// What they said.
    pub rows: Vec<Row>,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Simulated time since the start, in milliseconds.
    pub ms: u64,
    /// Whose words: an index into [`Timeline::actors`]; nobody's at the end, where only the state is shown.
    pub actor: Option<usize>,
    /// The words.
    pub says: String,
    /// The state after it.
    pub state: String,
    /// Whether something had gone wrong after it, for the first time.
    pub is_violation: bool,
}

/// Marks the moment at which something went wrong.
const WRONG: &str = " ✗";

impl Timeline {
    pub(crate) fn column(&mut self, name: &str) -> usize {
        self.actors.push(name.to_owned());
        self.actors.len() - 1
    }

    pub(crate) fn row(&mut self, now: Duration, actor: usize, says: String, state: String) {
        self.push(now, Some(actor), says, state);
    }

    fn push(&mut self, now: Duration, actor: Option<usize>, says: String, state: String) {
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.rows.push(Row { ms, actor, says, state, is_violation: false });
    }

    /// Something has gone wrong: what was said last is marked, unless it had gone wrong before.
    pub(crate) fn goes_wrong(&mut self) {
        if self.rows.iter().all(|row| !row.is_violation)
            && let Some(last) = self.rows.iter_mut().rfind(|row| row.actor.is_some())
        {
            last.is_violation = true;
        }
    }

    /// It is over: what it came to is shown, if that has changed since somebody spoke.
    pub(crate) fn ends(&mut self, now: Duration, state: String) {
        if self.rows.last().is_some_and(|last| last.state != state) {
            self.push(now, None, String::new(), state);
        }
    }

    /// A row's moment: its number, and the time that has passed since the row before, if any has.
    fn moment(&self, number: usize) -> String {
        let before = number.checked_sub(1).map_or(0, |before| self.rows[before].ms);
        let Row { ms, is_violation, .. } = self.rows[number];
        let passed = if ms > before { format!(" +{} ms", ms - before) } else { String::new() };
        format!("T{number}{passed}{}", if is_violation { WRONG } else { "" })
    }

    /// The table's cells, the header first, then a line for each row: moment, actors, state. Who says nothing has no
    /// column.
    #[must_use]
    pub fn cells(&self) -> Vec<Vec<String>> {
        let speaks = |actor: &usize| self.rows.iter().any(|row| row.actor == Some(*actor));
        let speakers: Vec<usize> = (0..self.actors.len()).filter(speaks).collect();
        let mut header = vec!["time".to_owned()];
        header.extend(speakers.iter().map(|actor| self.actors[*actor].clone()));
        header.push("state".to_owned());
        let mut cells = vec![header];
        let mut last_state = "";
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = vec![self.moment(number)];
            let of = |actor: &usize| {
                if Some(*actor) == row.actor { row.says.clone() } else { String::new() }
            };
            line.extend(speakers.iter().map(of));
            // It is shown when it changes.
            line.push(if last_state == row.state { String::new() } else { row.state.clone() });
            last_state = &row.state;
            cells.push(line);
        }
        cells
    }

    /// As a Markdown table.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        for (number, line) in self.cells().into_iter().enumerate() {
            let line: Vec<String> = line.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", line.join(" | "));
            if number == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(line.len()));
            }
        }
        text
    }
}

/// As a table for terminals.
impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        let columns = cells.first().map_or(0, Vec::len);
        let width = |column: usize| {
            cells.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (number, line) in cells.iter().enumerate() {
            let mut text = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(text, "  {cell:width$}");
            }
            writeln!(f, "{}", text.trim_end())?;
            if number == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                writeln!(f, "  {}", rules.join("  "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Ann and Bob said, and when.
    fn said(rows: &[(u64, usize, &str)]) -> Timeline {
        let mut timeline = Timeline::default();
        let actors = [timeline.column("Ann"), timeline.column("Bob")];
        for (ms, actor, says) in rows {
            let state = format!("{} said", timeline.rows.len() + 1);
            timeline.row(Duration::from_millis(*ms), actors[*actor], (*says).to_owned(), state);
        }
        timeline
    }

    #[test]
    fn moments_are_numbered_and_tell_the_time_only_where_it_has_moved() {
        let timeline =
            said(&[(0, 0, "looks"), (0, 1, "looks"), (300, 0, "acts"), (300, 1, "acts")]);
        let moments: Vec<String> =
            timeline.cells().into_iter().map(|mut line| line.remove(0)).collect();
        assert_eq!(moments, ["time", "T0", "T1", "T2 +300 ms", "T3"]);
    }

    #[test]
    fn the_moment_at_which_it_first_went_wrong_is_marked_in_every_form() {
        let mut timeline = said(&[(0, 0, "looks"), (5, 1, "acts")]);
        timeline.goes_wrong();
        timeline.row(Duration::from_millis(5), 0, "acts".to_owned(), String::new());
        timeline.goes_wrong();
        let marked: Vec<bool> = timeline.rows.iter().map(|row| row.is_violation).collect();
        assert_eq!(marked, [false, true, false]);
        assert!(
            timeline.to_string().contains("\n  T1 +5 ms ✗         acts  2 said\n"),
            "{timeline}"
        );
        assert!(timeline.markdown().contains("\n| T1 +5 ms ✗ |  | acts | 2 said |\n"));
    }

    #[test]
    fn what_it_came_to_is_shown_where_nobody_has_said_it() {
        let mut timeline = said(&[(0, 0, "acts")]);
        timeline.ends(Duration::ZERO, "1 said".to_owned());
        assert_eq!(timeline.rows.len(), 1, "it is there");
        timeline.ends(Duration::from_millis(2), "3 hear".to_owned());
        assert!(timeline.to_string().ends_with("\n  T1 +2 ms        3 hear\n"), "{timeline}");
        timeline.goes_wrong();
        assert!(timeline.rows[0].is_violation, "it is somebody's");
    }

    #[test]
    fn where_nobody_has_said_anything_nothing_is_marked() {
        let mut timeline = Timeline::default();
        timeline.goes_wrong();
        assert_eq!(timeline, Timeline::default());
    }
}
