//! A tournament of a chat room, as one of its players sees it: what the server says of it, and what comes next.
//!
//! The server says what has changed, in JSON objects that hold some of the fields, then `updateEnd`. Nothing comes
//! next before that: who enters a room is told its past first.
//!
//! Not here: brackets, and battles. These are found like any others.

use serde::{Deserialize, Deserializer};

use super::id::id;

/// What the server says of a room's tournament.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// There is one, of this format.
    Created(String),
    /// Some of it has changed.
    Update(Update),
    /// All that has changed is said.
    UpdateEnd,
    /// Nobody can join any more.
    Started,
    /// It is over.
    Over,
    /// What was asked for is refused, for this reason.
    Refused(String),
}

/// The fields that have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Update {
    /// The name, which may be a custom one.
    format: Option<String>,
    /// The format's id.
    teambuilder_format: Option<String>,
    is_started: Option<bool>,
    /// Whether we are among those who still play.
    is_joined: Option<bool>,
    /// Whom we may challenge now.
    challenges: Option<Vec<String>>,
    /// Whom we challenge.
    #[serde(deserialize_with = "or_nobody")]
    challenging: Option<Option<String>>,
    /// Who challenges us.
    #[serde(deserialize_with = "or_nobody")]
    challenged: Option<Option<String>>,
}

/// The server says `null` for nobody any more.
fn or_nobody<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(json).map(Some)
}

impl News {
    /// Reads what follows `|tournament|`; `None`: it is about others.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once('|').unwrap_or((text, ""));
        let first = || rest.split('|').next().unwrap_or("").to_owned();
        Some(match word {
            "create" => Self::Created(id(&first())),
            "update" => Self::Update(serde_json::from_str(rest).ok()?),
            "updateEnd" => Self::UpdateEnd,
            "start" => Self::Started,
            "end" | "forceend" => Self::Over,
            "error" => Self::Refused(first()),
            _ => return None,
        })
    }
}

/// A room's tournament; the default is that there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tournament {
    format: Option<String>,
    /// Whether all of it was said.
    is_told: bool,
    is_started: bool,
    is_joined: bool,
    /// It does not want us.
    is_closed: bool,
    /// The first whom we may challenge.
    opponent: Option<String>,
    is_challenging: bool,
    is_challenged: bool,
}

/// What a player does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Joins it.
    Join,
    /// Challenges this user.
    Challenge(String),
    /// Accepts the challenge.
    Accept,
}

impl Step {
    /// As a command.
    #[must_use]
    pub fn command(&self) -> String {
        match self {
            Self::Join => "join".to_owned(),
            Self::Challenge(user) => format!("challenge {user}"),
            Self::Accept => "acceptchallenge".to_owned(),
        }
    }
}

impl Tournament {
    /// Takes in what the server says.
    pub fn hear(&mut self, news: News) {
        match news {
            News::Created(format) => self.format = Some(format),
            News::Update(update) => self.update(update),
            News::UpdateEnd => self.is_told = true,
            News::Started => self.is_started = true,
            News::Over => *self = Self::default(),
            News::Refused(why) => match &*why {
                "UserAlreadyAdded" => self.is_joined = true,
                "Full" | "Banned" | "AltUserAlreadyAdded" | "UserNotNamed" => self.is_closed = true,
                "BracketFrozen" => self.is_started = true,
                _ => {}
            },
        }
    }

    fn update(&mut self, update: Update) {
        let named = || update.format.as_deref().filter(|_| self.format.is_none());
        if let Some(format) = update.teambuilder_format.as_deref().or_else(named) {
            self.format = Some(id(format));
        }
        self.is_started = update.is_started.unwrap_or(self.is_started);
        self.is_joined = update.is_joined.unwrap_or(self.is_joined);
        if let Some(users) = update.challenges {
            self.opponent = users.iter().map(|user| id(user)).find(|user| !user.is_empty());
        }
        if let Some(user) = update.challenging {
            self.is_challenging = user.is_some();
        }
        if let Some(user) = update.challenged {
            self.is_challenged = user.is_some();
        }
    }

    /// What comes next for somebody who plays this format.
    #[must_use]
    pub fn step(&self, format: &str) -> Option<Step> {
        if !self.is_told || self.format.as_deref() != Some(format) {
            return None;
        }
        match (self.is_joined, self.is_started) {
            (false, false) if !self.is_closed => Some(Step::Join),
            (true, true) if self.is_challenged => Some(Step::Accept),
            (true, true) if !self.is_challenging => self.opponent.clone().map(Step::Challenge),
            (_, _) => None,
        }
    }

    /// Whether we are among those who still play.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Whether our challenge waits to be accepted.
    #[must_use]
    pub fn is_challenging(&self) -> bool {
        self.is_challenging
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "gen9randombattle";

    /// Hears these lines, and says what comes next.
    fn next(tournament: &mut Tournament, lines: &[&str]) -> Option<Step> {
        lines.iter().filter_map(|line| News::parse(line)).for_each(|news| tournament.hear(news));
        tournament.step(OURS)
    }

    /// As the server says it: it sends updates at once, and what it writes into the room's log a little later.
    const CREATED: [&str; 4] = [
        r#"update|{"format":"[Gen 9] Random Battle","generator":"Single Elimination","playerCap":0,"isStarted":false,"isJoined":false,"teambuilderFormat":"gen9randombattle"}"#,
        r#"update|{"bracketData":{"type":"tree","rootNode":null,"users":[]}}"#,
        "updateEnd",
        "create|gen9randombattle|Single Elimination|0|[Gen 9] Random Battle",
    ];

    fn joined() -> Tournament {
        let mut tournament = Tournament::default();
        assert_eq!(next(&mut tournament, &CREATED), Some(Step::Join));
        let lines = [r#"update|{"isJoined":true}"#, "updateEnd", "join|Bot"];
        assert_eq!(next(&mut tournament, &lines), None);
        tournament
    }

    #[test]
    fn whoever_may_challenge_does_and_whoever_is_challenged_accepts() {
        let mut tournament = joined();
        let started =
            [r#"update|{"isStarted":true}"#, r#"update|{"challenges":["A Rival"]}"#, "start|2"];
        let challenge = Some(Step::Challenge("arival".to_owned()));
        assert_eq!(next(&mut tournament, &started), challenge);
        let waits = [r#"update|{"challenges":[]}"#, r#"update|{"challenging":"A Rival"}"#];
        assert_eq!(next(&mut tournament, &waits), None);
        let battle = [r#"update|{"challenging":null}"#, "battlestart|Bot|A Rival|battle-x-1"];
        assert_eq!(next(&mut tournament, &battle), None);
        let challenged = [r#"update|{"challenged":"Ann"}"#, "updateEnd"];
        assert_eq!(next(&mut tournament, &challenged), Some(Step::Accept));
        assert_eq!(next(&mut tournament, &[r#"update|{"challenged":null}"#]), None);
    }

    #[test]
    fn whoever_is_eliminated_waits_for_the_next_tournament() {
        let mut tournament = joined();
        assert_eq!(next(&mut tournament, &["start|2", r#"update|{"isJoined":false}"#]), None);
        assert_eq!(next(&mut tournament, &["end|{}"]), None);
        assert_eq!(next(&mut tournament, &CREATED), Some(Step::Join));
    }

    #[test]
    fn the_past_of_a_room_is_no_invitation() {
        let mut tournament = Tournament::default();
        assert_eq!(next(&mut tournament, &["create|gen9randombattle|x|0", "join|Bot"]), None);
        let now = [r#"update|{"isStarted":true,"isJoined":true}"#, r#"update|{"challenged":"A"}"#];
        assert_eq!(next(&mut tournament, &now), None);
        assert_eq!(next(&mut tournament, &["updateEnd"]), Some(Step::Accept));
    }

    #[test]
    fn who_is_not_wanted_or_comes_too_late_does_not_ask_again() {
        for refusal in
            ["Full", "Banned", "AltUserAlreadyAdded", "BracketFrozen", "UserAlreadyAdded"]
        {
            let mut tournament = Tournament::default();
            next(&mut tournament, &CREATED);
            assert_eq!(next(&mut tournament, &[&*format!("error|{refusal}")]), None, "{refusal}");
        }
    }

    #[test]
    fn other_formats_are_left_to_others_whatever_they_are_called() {
        let mut tournament = Tournament::default();
        let other = [r#"update|{"format":"gen9randombattle","teambuilderFormat":"gen9ou"}"#];
        assert_eq!(next(&mut tournament, &[other[0], "updateEnd"]), None);
        assert_eq!(tournament.step("gen9ou"), Some(Step::Join));
        // A custom name changes nothing.
        next(&mut tournament, &[r#"update|{"format":"gen9randombattle (with custom rules)"}"#]);
        assert_eq!(tournament.step("gen9ou"), Some(Step::Join));
    }

    #[test]
    fn nonsense_is_skipped() {
        for text in ["", "update", "update|{", "update|7", r#"update|{"challenges":7}"#, "x|y|z"] {
            assert_eq!(News::parse(text), None, "{text}");
        }
    }
}
