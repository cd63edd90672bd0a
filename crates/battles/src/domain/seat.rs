//! One player's seat at a battle: what was heard, what must be answered, and what was answered already.
//!
//! A request is answered once. A second answer happens only when the server said that the first cannot be done, or
//! after a rejoin, when the first may never have arrived. "Too late" is no refusal: the answer that counted was
//! another one, and the next request is on its way.
//!
//! A server that is throttled throws choices away, and its timer goes on: when it names us, the choice is sent again.
//! It has the request's number, so that it can do no harm.
//!
//! A request that is older than one that was heard is not answered, whatever number the server gives it.

use super::{
    battle::Battle,
    choice::Choice,
    protocol::{BattleLine, Line},
    request::{OwnSide, Request, RequestError},
};
use crate::limits;

/// One player's seat.
#[derive(Debug, Default)]
pub struct Seat {
    battle: Battle,
    request: Option<Request>,
    /// The request that the last answer was for.
    answered: Option<u64>,
    /// That answer, as it was said.
    said: String,
    /// What is left to answer, should the server refuse the first.
    others: Vec<Choice>,
    refused: usize,
}

/// What a line asks of the player.
#[derive(Debug)]
pub enum Ask {
    /// Nothing.
    Nothing,
    /// To choose: see [`Seat::question`].
    Choose,
    /// To say this instead of what was refused.
    Say(String),
    /// To say this once more: it has not arrived.
    Repeat(String),
    /// To say this, if anything: the request cannot be read, and the server itself may choose.
    Unreadable(RequestError, Option<String>),
    /// Nothing more: the battle is over.
    Over,
}

impl Seat {
    /// The battle, as far as it was heard.
    pub fn battle(&self) -> &Battle {
        &self.battle
    }

    /// The own name, as the server writes it; empty until it has.
    pub fn name(&self) -> &str {
        self.request.as_ref().map_or("", |request| &request.side.name)
    }

    /// Takes in one line of the room.
    pub fn hear(&mut self, line: &Line<'_>) -> Ask {
        self.battle.fold(line);
        if let Line::Init(_) = line {
            (self.answered, self.request) = (None, None);
        }
        if let Line::Request(json) = line {
            return self.asked(json);
        }
        if let Line::Error(text) = line {
            return self.refused(text);
        }
        if let Line::Other(text) = line {
            return if self.is_awaited(text) {
                Ask::Repeat(self.said.clone())
            } else {
                Ask::Nothing
            };
        }
        if let Line::Battle(BattleLine::Win(_) | BattleLine::Tie) = line {
            return Ask::Over;
        }
        Ask::Nothing
    }

    /// The request that waits for an answer.
    pub fn question(&self) -> Option<&Request> {
        self.request.as_ref().filter(|request| request.rqid > self.answered)
    }

    /// The own team, by the newest request; `None` before the first.
    pub fn own(&self) -> Option<&OwnSide> {
        self.request.as_ref().map(|request| &request.side)
    }

    /// Answers it: the first choice is made, the others are kept for a refusal. Returns what to say to the room;
    /// `None` when there is nothing to answer, or nothing to answer with.
    pub fn answer(&mut self, choices: impl IntoIterator<Item = Choice>) -> Option<String> {
        let rqid = self.question()?.rqid?;
        let mut choices = choices.into_iter();
        let first = choices.next()?;
        self.others = choices.take(limits::CHOICES_REFUSED - 1).collect();
        // The server's own choice is always possible.
        self.others.push(Choice::Default);
        self.others.reverse();
        (self.answered, self.refused) = (Some(rqid), 0);
        self.said = say(first, rqid);
        Some(self.said.clone())
    }

    /// Whether the timer says that it waits for us, though we have answered.
    fn is_awaited(&self, line: &str) -> bool {
        let Some(request) = &self.request else { return false };
        let named = || line.strip_prefix("|inactive|")?.strip_prefix(&request.side.name);
        let is_answered = self.answered.is_some() && self.answered == request.rqid;
        is_answered && named().is_some_and(|rest| rest.starts_with(" has "))
    }

    fn asked(&mut self, json: &str) -> Ask {
        match Request::parse(json) {
            Err(error) => Ask::Unreadable(error, self.leave_to_server(json)),
            Ok(None) => Ask::Nothing,
            Ok(Some(request)) if request.wait || request.rqid.is_none() => Ask::Nothing,
            Ok(Some(request)) if request.rqid < self.newest() => Ask::Nothing,
            Ok(Some(request)) => {
                self.request = Some(request);
                if self.question().is_some() { Ask::Choose } else { Ask::Nothing }
            }
        }
    }

    /// The newest request that was answered, or waits for an answer.
    fn newest(&self) -> Option<u64> {
        self.answered.max(self.request.as_ref().and_then(|request| request.rqid))
    }

    /// Answers what cannot be read: whoever says nothing loses by the timer.
    fn leave_to_server(&mut self, json: &str) -> Option<String> {
        let rqid = Request::number(json).filter(|rqid| Some(*rqid) > self.answered)?;
        (self.answered, self.request) = (Some(rqid), None);
        Some(say(Choice::Default, rqid))
    }

    fn refused(&mut self, text: &str) -> Ask {
        // An "unavailable" choice is followed by a request of its own.
        let final_word = ["too late", "nothing to choose", "undo", "do anything"];
        let Some(text) = text.strip_prefix("[Invalid choice]") else { return Ask::Nothing };
        let open = self.request.as_ref().and_then(|request| request.rqid);
        let current = self.answered.filter(|answered| Some(*answered) == open);
        let Some(rqid) = current.filter(|_| !final_word.iter().any(|word| text.contains(word)))
        else {
            return Ask::Nothing;
        };
        self.refused += 1;
        match self.others.pop().filter(|_| self.refused <= limits::CHOICES_REFUSED) {
            Some(next) => {
                self.said = say(next, rqid);
                Ask::Say(self.said.clone())
            }
            None => Ask::Nothing,
        }
    }
}

fn say(choice: Choice, rqid: u64) -> String {
    format!("/choose {choice}|{rqid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOICES: [Choice; 2] = [Choice::Switch { place: 1 }, Choice::Switch { place: 2 }];

    fn ask(seat: &mut Seat, rqid: u64) -> Ask {
        seat.hear(&Line::parse(&format!(r#"|request|{{"forceSwitch":[true],"rqid":{rqid}}}"#)))
    }

    fn hear(seat: &mut Seat, line: &str) -> String {
        let ask = seat.hear(&Line::parse(line));
        if let Ask::Say(text) = ask { text } else { format!("{ask:?}") }
    }

    #[test]
    fn a_request_is_answered_once() {
        let mut seat = Seat::default();
        assert_eq!(seat.answer(CHOICES), None);
        assert!(matches!(ask(&mut seat, 3), Ask::Choose));
        assert_eq!(seat.answer(CHOICES).unwrap(), "/choose switch 2|3");
        assert_eq!(seat.answer(CHOICES), None);
        assert!(matches!(ask(&mut seat, 3), Ask::Nothing));
        assert_eq!(seat.answer(CHOICES), None);
    }

    #[test]
    fn an_older_request_is_not_answered() {
        let mut seat = Seat::default();
        ask(&mut seat, 9);
        seat.answer(CHOICES);
        assert!(matches!(ask(&mut seat, 4), Ask::Nothing));
        assert_eq!(seat.answer(CHOICES), None);
        assert!(matches!(ask(&mut seat, 12), Ask::Choose));
    }

    #[test]
    fn a_refused_choice_is_followed_by_others_and_at_last_by_silence() {
        let mut seat = Seat::default();
        ask(&mut seat, 3);
        seat.answer(CHOICES);
        let no = "|error|[Invalid choice] Can't switch: it is trapped";
        assert_eq!(hear(&mut seat, no), "/choose switch 3|3");
        assert_eq!(hear(&mut seat, no), "/choose default|3");
        assert_eq!(hear(&mut seat, no), "Nothing");
    }

    #[test]
    fn an_answer_is_sent_again_when_the_timer_still_waits_for_us() {
        let mut seat = Seat::default();
        let request =
            r#"{"forceSwitch":[true],"side":{"name":"Bot has 1","id":"p1","pokemon":[]},"rqid":3}"#;
        seat.hear(&Line::Request(request));
        let ours = "|inactive|Bot has 1 has 30 seconds left.";
        assert_eq!(hear(&mut seat, ours), "Nothing", "it has not been answered");
        seat.answer(CHOICES);
        let again = seat.hear(&Line::parse(ours));
        assert!(matches!(again, Ask::Repeat(said) if said == "/choose switch 2|3"));
        assert_eq!(hear(&mut seat, "|inactive|Bot has 30 seconds left."), "Nothing");
        assert_eq!(hear(&mut seat, "|c| Eve||inactive|Bot has 1 has 9 seconds left."), "Nothing");
    }

    #[test]
    fn too_late_is_left_alone() {
        let mut seat = Seat::default();
        ask(&mut seat, 3);
        seat.answer(CHOICES);
        let late = "|error|[Invalid choice] Sorry, too late to make a different move";
        assert_eq!(hear(&mut seat, late), "Nothing");
    }

    #[test]
    fn a_refusal_that_comes_after_the_next_request_is_left_alone() {
        let mut seat = Seat::default();
        ask(&mut seat, 3);
        seat.answer(CHOICES);
        ask(&mut seat, 5);
        assert_eq!(hear(&mut seat, "|error|[Invalid choice] Can't switch"), "Nothing");
    }

    #[test]
    fn after_a_rejoin_the_same_request_is_answered_again() {
        let mut seat = Seat::default();
        ask(&mut seat, 3);
        seat.answer(CHOICES);
        seat.hear(&Line::parse("|init|battle"));
        assert!(matches!(ask(&mut seat, 3), Ask::Choose));
    }

    #[test]
    fn a_request_that_cannot_be_read_is_left_to_the_server_once() {
        let mut seat = Seat::default();
        let said = |ask: Ask| if let Ask::Unreadable(_, said) = ask { said } else { None };
        let mut doubles = |rqid: u64, wait: bool| {
            let json = format!(r#"{{"active":[{{}},{{}}],"rqid":{rqid},"wait":{wait}}}"#);
            said(seat.hear(&Line::Request(&json)))
        };
        assert_eq!(doubles(2, true), None);
        assert_eq!(doubles(3, false).as_deref(), Some("/choose default|3"));
        assert_eq!(doubles(3, false), None);
        assert_eq!(doubles(1, false), None);
        assert_eq!(hear(&mut seat, "|error|[Invalid choice] No"), "Nothing");
        assert!(matches!(ask(&mut seat, 4), Ask::Choose));
    }

    #[test]
    fn hostile_requests_are_said_to_be_unreadable() {
        for json in
            ["{", "[1]", "3", r#"{"active":[{},{}]}"#, r#"{"side":{"pokemon":[{"ident":"x"}]}}"#]
        {
            let mut seat = Seat::default();
            let ask = seat.hear(&Line::Request(json));
            assert!(matches!(ask, Ask::Unreadable(_, None)), "{json}: {ask:?}");
        }
    }
}
