//! What a battle's room has said, as its log will be kept.

use crate::{
    domain::{
        log::{self, EndReader},
        protocol::{Frame, Line},
    },
    limits,
};

/// What a room has said, and how the battle ended.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub log: String,
    pub end: EndReader,
}

impl Record {
    pub fn keep(&mut self, frame: &Frame<'_>) {
        frame.public_lines().for_each(|line| self.keep_line(line));
    }

    fn keep_line(&mut self, line: &str) {
        let was_over = self.end.end().is_some();
        if !was_over && matches!(Line::parse(line), Line::Init(_)) {
            // After a rejoin the whole log comes once more.
            *self = Self::default();
        }
        self.end.read(line);
        let is_end = !was_over && self.end.end().is_some();
        let is_wanted = !was_over || log::is_rating(line);
        // However much was said: how it ended is kept.
        let limit = match is_end {
            true => usize::MAX,
            false if was_over || log::is_about_the_end(line) => 2 * limits::MESSAGE_BYTES,
            false => limits::MESSAGE_BYTES,
        };
        if is_wanted && self.log.len() + line.len() < limit {
            self.log.push_str(line);
            self.log.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(said: &[&str]) -> Record {
        let mut record = Record::default();
        for lines in said {
            let frame = format!(">battle-x-1\n{lines}");
            record.keep(&Frame::parse(&frame).expect("a room's frame"));
        }
        record
    }

    #[test]
    fn however_much_is_said_the_end_is_kept() {
        let chat = "|c|a|x\n".repeat(limits::MESSAGE_BYTES / 7);
        let gave_up = format!("|-message|{} forfeited.", "x".repeat(limits::MESSAGE_BYTES - 100));
        let Record { log, end } = record(&[&chat, "|c|a|and more", &gave_up, &gave_up, "|win|A"]);
        assert!(!log.contains("and more") && log.ends_with("|win|A\n"));
        assert_eq!(log::end(&log).as_ref(), end.end());
    }

    #[test]
    fn after_the_end_only_ratings_are_kept_and_nothing_begins_anew() {
        let rating = "|raw|A's rating: 1000 &rarr; <strong>1020</strong>";
        let said = ["|turn|1\n|win|A\n|c|b|gg", "|init|battle\n|win|B", "|raw|bye", rating];
        let Record { log, end } = record(&said);
        assert_eq!(log, format!("|turn|1\n|win|A\n{rating}\n"));
        assert_eq!(log::end(&log).as_ref(), end.end());
    }

    #[test]
    fn a_rejoined_room_tells_its_log_once_more() {
        let said = ["|init|battle\n|turn|1\n|turn|2", "|init|battle\n|turn|1"];
        assert_eq!(record(&said).log, "|init|battle\n|turn|1\n");
    }
}
