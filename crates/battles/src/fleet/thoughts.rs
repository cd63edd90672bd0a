//! What a bot thought in a battle, kept beside its log: one JSON line for each decision.
//!
//! ```text
//! {"turn":3,"chosen":"Surf","candidates":[{"choice":"Surf","visits":812,"value":0.61}, …]}
//! ```
//!
//! Thoughts explain, and prove nothing: the oldest are kept up to a bound, and a line that cannot be read is left out.
//! Choices are named by the server, and may be anything: they are cut, and whoever shows them escapes them.
//!
//! Not here: what an earlier life of the process thought about the same battle. It is gone with it.

use serde::{Deserialize, Serialize};

use crate::{
    io::{BattleEvent, Thought},
    limits,
};

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// In which turn; 0 before the first.
    pub turn: u16,
    /// What was played, in words.
    pub chosen: String,
    /// What could be chosen, best first.
    pub candidates: Vec<Weighed>,
}

/// A choice, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// The move, or who comes in.
    pub choice: String,
    /// See [`Candidate`](crate::players::Candidate).
    pub visits: u64,
    /// See [`Candidate`](crate::players::Candidate).
    pub value: f32,
}

impl From<&Thought> for Weighed {
    fn from(Thought { name, candidate }: &Thought) -> Self {
        let choice = name.chars().take(limits::CHOICE_CHARS).collect();
        Self { choice, visits: candidate.visits, value: candidate.value }
    }
}

/// The decisions of a battle so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Thoughts(Vec<Decision>);

impl Thoughts {
    /// Takes in what happens.
    pub fn note(&mut self, event: &BattleEvent) {
        match event {
            BattleEvent::Decided { turn, candidates, .. } => self.add(*turn, candidates),
            BattleEvent::Refused { turn, .. } => self.refused(*turn),
            BattleEvent::Opened { .. } => {}
        }
    }

    fn add(&mut self, turn: u16, candidates: &[Thought]) {
        let Some(first) = candidates.first() else { return };
        if self.0.len() < limits::DECISIONS_KEPT {
            let kept = candidates.iter().take(limits::CANDIDATES_KEPT);
            let chosen = Weighed::from(first).choice;
            self.0.push(Decision { turn, chosen, candidates: kept.map(Weighed::from).collect() });
        }
    }

    /// The next best is played instead, and after some of these what the server likes.
    fn refused(&mut self, turn: u16) {
        let Some(Decision { chosen, candidates, .. }) =
            self.0.last_mut().filter(|newest| newest.turn == turn)
        else {
            return;
        };
        let mut choices = candidates.iter().take(limits::CHOICES_REFUSED).map(|it| &it.choice);
        let _refused = choices.find(|choice| *choice == chosen);
        *chosen = choices.next().map_or_else(|| Thought::SERVERS.to_owned(), Clone::clone);
    }

    /// As they are kept; `None`: there are none.
    #[must_use]
    pub fn lines(&self) -> Option<String> {
        let line = |decision| serde_json::to_string(decision).expect("plain data is JSON") + "\n";
        (!self.0.is_empty()).then(|| self.0.iter().map(line).collect())
    }
}

/// Reads what was kept.
#[must_use]
pub fn read(lines: &str) -> Vec<Decision> {
    let lines = lines.lines().take(limits::DECISIONS_KEPT);
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::choice::Choice, io::Cost, players::Candidate};

    fn decided(turn: u16, names: &[&str]) -> BattleEvent {
        let thought = |(place, name): (usize, &&str)| Thought {
            name: (*name).to_owned(),
            candidate: Candidate { choice: Choice::Switch { place }, visits: 7, value: 0.5 },
        };
        let candidates = names.iter().enumerate().map(thought).collect();
        BattleEvent::Decided { room: String::new(), turn, candidates, cost: Cost::default() }
    }

    fn thoughts(events: impl IntoIterator<Item = BattleEvent>) -> Thoughts {
        let mut thoughts = Thoughts::default();
        events.into_iter().for_each(|event| thoughts.note(&event));
        thoughts
    }

    fn kept(thoughts: &Thoughts) -> Vec<Decision> {
        read(&thoughts.lines().unwrap_or_default())
    }

    #[test]
    fn what_was_kept_is_read_again_and_broken_lines_are_left_out() {
        let thoughts = thoughts([decided(1, &["Surf", "→ Snorlax"]), decided(1, &["Rest"])]);
        let lines = thoughts.lines().unwrap();
        assert!(lines.starts_with(
            "{\"turn\":1,\"chosen\":\"Surf\",\"candidates\":[{\"choice\":\"Surf\",\"visits\":7,\"value\":0.5},"
        ));
        assert_eq!(read(&lines), thoughts.0);
        let broken = format!("\0\n{{\"turn\":-1}}\n{}", &lines[..lines.len() - 5]);
        assert_eq!(read(&broken), thoughts.0[..1]);
        assert_eq!(Thoughts::default().lines(), None);
    }

    #[test]
    fn of_a_refused_choice_the_next_one_was_played() {
        let refused = |turn| BattleEvent::Refused { room: String::new(), turn };
        let names = ["a", "b", "c", "d", "e"];
        let played = |refusals: usize| {
            let events = [decided(2, &names)].into_iter();
            let events = events.chain((0..refusals).map(|_| refused(2))).chain([refused(3)]);
            kept(&thoughts(events))[0].chosen.clone()
        };
        let expected = ["a", "b", "c", "d", Thought::SERVERS, Thought::SERVERS];
        assert_eq!([0, 1, 2, 3, 4, 5].map(played), expected);
    }

    #[test]
    fn however_long_a_battle_lasts_its_thoughts_are_bounded() {
        let long = "x".repeat(1_000);
        let names = [&*long; 40];
        let lasting = (0..).take(3 * limits::DECISIONS_KEPT).map(|turn| decided(turn, &names));
        let kept = kept(&thoughts(lasting));
        assert_eq!(kept.len(), limits::DECISIONS_KEPT);
        assert_eq!(kept[0].candidates.len(), limits::CANDIDATES_KEPT);
        assert_eq!(kept[0].chosen.len(), limits::CHOICE_CHARS);
    }
}
