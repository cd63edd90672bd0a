//! A run as a table: time, what each actor said, and the state beside it.

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
    /// Whose words: an index into [`Timeline::actors`].
    pub actor: usize,
    /// The words.
    pub says: String,
    /// The state after it.
    pub state: String,
}

impl Timeline {
    pub(crate) fn column(&mut self, name: &str) -> usize {
        self.actors.push(name.to_owned());
        self.actors.len() - 1
    }

    pub(crate) fn row(&mut self, now: Duration, actor: usize, says: String, state: String) {
        let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.rows.push(Row { ms, actor, says, state });
    }

    /// The table's cells, the header first: time, actors, state. Who says nothing has no column.
    #[must_use]
    pub fn cells(&self) -> Vec<Vec<String>> {
        let speaks = |actor: &usize| self.rows.iter().any(|row| row.actor == *actor);
        let speakers: Vec<usize> = (0..self.actors.len()).filter(speaks).collect();
        let mut header = vec!["time".to_owned()];
        header.extend(speakers.iter().map(|actor| self.actors[*actor].clone()));
        header.push("state".to_owned());
        let mut cells = vec![header];
        let (mut last_ms, mut last_state) = (None, "");
        for row in &self.rows {
            // Time and state are shown when they change.
            let ms = if last_ms == Some(row.ms) { String::new() } else { format!("{} ms", row.ms) };
            let mut line = vec![ms];
            let of =
                |actor: &usize| if *actor == row.actor { row.says.clone() } else { String::new() };
            line.extend(speakers.iter().map(of));
            line.push(if last_state == row.state { String::new() } else { row.state.clone() });
            (last_ms, last_state) = (Some(row.ms), &row.state);
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
