//! The log of a battle: what a room was told, in Showdown's own format.
//!
//! A log says how its battle ended without any help from who played it, so it settles what is in doubt, and it
//! is the independent record that a run's counts are judged by.

use serde::{Deserialize, Serialize};

use super::{
    id::id,
    protocol::{BattleLine, Line},
    run::{Outcome, Tally},
};

/// What stands between a player's name and its rating.
const RATING: &str = "'s rating: ";

/// How a log's battle ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// This player won; if the other gave up, who that was.
    Won {
        /// The winner's id.
        winner: String,
        /// The id of who forfeited.
        forfeited: Option<String>,
    },
    /// Nobody won.
    Tied,
}

impl End {
    /// What it is for the player with this id.
    #[must_use]
    pub fn outcome(&self, me: &str) -> Outcome {
        match self {
            Self::Tied => Outcome::Tie,
            Self::Won { winner, .. } if winner == me => Outcome::Win,
            Self::Won { forfeited: Some(who), .. } if who == me => Outcome::Forfeit,
            Self::Won { .. } => Outcome::Loss,
        }
    }
}

/// Reads lines as they come, until the battle has ended.
#[derive(Debug, Clone, Default)]
pub struct EndReader {
    forfeited: Option<String>,
    end: Option<End>,
}

impl EndReader {
    /// Reads one line. Whatever is said after the end changes nothing.
    pub fn read(&mut self, line: &str) {
        if self.end.is_some() {
            return;
        }
        if let Some(who) = forfeits(line) {
            self.forfeited = Some(id(who));
        }
        let line = Line::parse(line);
        if let Line::Battle(BattleLine::Win(winner)) = line {
            let forfeited = self.forfeited.take();
            self.end = Some(End::Won { winner: id(winner), forfeited });
        } else if line == Line::Battle(BattleLine::Tie) {
            self.end = Some(End::Tied);
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }
}

/// Whether a line may say how a battle ended.
#[must_use]
pub fn is_about_the_end(line: &str) -> bool {
    line == "|tie" || line.starts_with("|win|") || forfeits(line).is_some()
}

/// Whether a line tells a player's rating after the battle.
#[must_use]
pub fn is_rating(line: &str) -> bool {
    line.starts_with("|raw|") && line.contains(RATING)
}

/// Who gave up, if the line says that somebody did.
fn forfeits(line: &str) -> Option<&str> {
    line.strip_prefix("|-message|")?.strip_suffix(" forfeited.")
}

/// How the battle of a log ended; `None` while it goes on.
#[must_use]
pub fn end(log: &str) -> Option<End> {
    let mut reader = EndReader::default();
    log.lines().for_each(|line| reader.read(line));
    reader.end
}

/// The rating of the player with this id after the battle, if the server told.
#[must_use]
pub fn rating(log: &str, me: &str) -> Option<u32> {
    let told = log.lines().rev().filter_map(|line| line.strip_prefix("|raw|"));
    told.filter_map(|line| {
        let (name, change) = line.split_once(RATING)?;
        let (_, new) = change.split_once("<strong>")?;
        (id(name) == me).then(|| new.split('<').next()?.parse().ok())?
    })
    .next()
}

/// The newest turn that a log, or its end, tells of.
#[must_use]
pub fn turn(log: &str) -> Option<u16> {
    log.lines().rev().find_map(|line| {
        let Line::Battle(BattleLine::Turn(turn)) = Line::parse(line) else { return None };
        Some(turn)
    })
}

/// How far counts are from what the logs say: for each way of ending, the difference, summed up.
#[must_use]
pub fn drift(counted: Tally, logged: Tally) -> u64 {
    let Tally { wins, losses, ties, forfeits, void: _ } = logged;
    counted.wins.abs_diff(wins)
        + counted.losses.abs_diff(losses)
        + counted.ties.abs_diff(ties)
        + counted.forfeits.abs_diff(forfeits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::run::Ending;

    const LOG: &str = "|player|p1|Bot 1|60|\n|player|p2|Rival|1|\n|start\n|turn|1\n";

    #[test]
    fn a_log_says_how_its_battle_ended_for_each_player() {
        let won = end(&format!("{LOG}|faint|p2a: X\n|\n|win|Bot 1\n|win|Rival\n")).unwrap();
        assert_eq!((won.outcome("bot1"), won.outcome("rival")), (Outcome::Win, Outcome::Loss));
        let tied = end(&format!("{LOG}|tie\n")).unwrap();
        assert_eq!(tied.outcome("bot1"), Outcome::Tie);
        assert_eq!(end(LOG), None);
    }

    #[test]
    fn who_gave_up_forfeited_and_who_did_not_won() {
        let end =
            |said: &str| end(&format!("{LOG}|-message|Bot 1 {said}\n|\n|win|Rival\n")).unwrap();
        let gave_up = end("forfeited.");
        assert_eq!(gave_up.outcome("bot1"), Outcome::Forfeit);
        assert_eq!(gave_up.outcome("rival"), Outcome::Win);
        assert_eq!(end("lost due to inactivity.").outcome("bot1"), Outcome::Loss);
    }

    #[test]
    fn chat_ends_no_battle() {
        let talk = "|c|☆Rival|win\n|c|Rival||win|Rival\n|-message|Rival forfeited.x\n|raw||tie\n";
        assert_eq!(end(&format!("{LOG}{talk}")), None);
    }

    #[test]
    fn the_rating_is_the_one_that_the_server_told_of_us() {
        let told = "|raw|Bot 1's rating: 1000 &rarr; <strong>1045</strong><br />(+45 for winning)\n\
                    |raw|Rival's rating: 1000 &rarr; <strong>1000</strong><br />(+0 for losing)\n";
        assert_eq!(rating(&format!("{LOG}|win|Bot 1\n{told}"), "bot1"), Some(1045));
        assert_eq!(rating(LOG, "bot1"), None);
    }

    #[test]
    fn drift_is_the_difference_whichever_way_it_goes() {
        let mut counted = Tally::default();
        for outcome in [Outcome::Win, Outcome::Win, Outcome::Loss] {
            counted.add(Ending::Of(outcome));
        }
        counted.add(Ending::Void);
        let logged = Tally { wins: 1, losses: 1, ties: 2, ..Tally::default() };
        assert_eq!(drift(counted, logged), 3);
        assert_eq!(drift(counted, Tally { wins: 2, losses: 1, ..Tally::default() }), 0);
    }
}
