//! What the server says to people in popups, as far as it is about the search for a battle.
//!
//! Popups have no codes: these are the words of the npm package's server, and of the public one, which runs the same
//! code. A popup that is not known asks for a pause, like one that asks for it.

/// What a popup means for a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popup {
    /// The team is not taken, in the server's words.
    BadTeam(String),
    /// The format is not known, or has no ladder.
    BadFormat(String),
    /// Nothing: the search goes on.
    GoesOn,
    /// As many battles are played as may be: when one ends, the next may begin.
    TooMany,
    /// The account may not play for a long time.
    Barred,
    /// A challenge came less than ten seconds after the one before.
    TooSoon,
    /// Later.
    Later,
}

impl Popup {
    /// Reads a popup.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
        if says(&["rejected for the following"]) {
            Self::BadTeam(flat(text))
        } else if says(&["format is invalid", "is not ladderable"]) {
            Self::BadFormat(flat(text))
        } else if says(&[
            "already searching",
            "already challenging",
            "ladder is temporarily disabled",
        ]) {
            Self::GoesOn
        } else if says(&["games at the same time"]) {
            Self::TooMany
        } else if says(&["You are barred", "You are banned", "You are locked"]) {
            Self::Barred
        } else if says(&["less than 10 seconds"]) {
            Self::TooSoon
        } else {
            Self::Later
        }
    }
}

/// On one line: the server writes `||` where a line ends.
fn flat(text: &str) -> String {
    let lines = text.split("||").map(|line| line.trim().trim_start_matches("- "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn means(popup: Popup, texts: &[&str]) {
        texts.iter().for_each(|text| assert_eq!(Popup::parse(text), popup, "{text}"));
    }

    #[test]
    fn what_the_server_says_is_taken_for_what_it_means() {
        means(
            Popup::GoesOn,
            &[
                "Couldn't search: You are already searching for a gen9randombattle battle.",
                "You are already challenging someone. Cancel that challenge before challenging someone else.",
                "The ladder is temporarily disabled due to technical difficulties - you will not receive ladder rating for this game.",
            ],
        );
        means(
            Popup::TooMany,
            &[
                "Due to high load, you are limited to 5 games at the same time.",
                "Due to high load, you are limited to 4 games at the same time.",
            ],
        );
        means(
            Popup::Barred,
            &[
                "You are barred from starting any new games until your battle ban expires.",
                "You are banned from battling and cannot challenge users.",
                "You are locked and cannot challenge unlocked users. If this user is your friend, ask them to challenge you instead.",
            ],
        );
        let soon = "You challenged less than 10 seconds after your last challenge! It's cancelled in case it's a misclick.";
        means(Popup::TooSoon, &[soon]);
        means(
            Popup::Later,
            &[
                "Due to high load, you are limited to 12 battles and team validations every 3 minutes.",
                "The server is restarting. Battles will be available again in a few minutes.",
                "The user 'nobody' was not found.",
                "The user 'Ann' is not accepting challenges right now.",
                "Sorry, your opponent ann went offline before your battle could start.",
                "ann is not challenging you. Maybe they cancelled before you accepted?",
                "anything else",
            ],
        );
    }

    #[test]
    fn refusals_are_told_on_one_line() {
        let team = "Your team was rejected for the following reasons:||||- Pikachu is not allowed.||- Surf is not known.";
        let says = "Your team was rejected for the following reasons: Pikachu is not allowed. Surf is not known.";
        means(Popup::BadTeam(says.to_owned()), &[team]);
        let one = "Your team was rejected for the following reason:||||- Your Pokémon has a banned nickname: X";
        assert!(matches!(Popup::parse(one), Popup::BadTeam(_)));
        let format = "Your selected format is invalid:||||- Unrecognized format \"gen9x\"";
        let says = "Your selected format is invalid: Unrecognized format \"gen9x\"";
        means(Popup::BadFormat(says.to_owned()), &[format]);
        let ladder = "Error: Your format gen9x is not ladderable.";
        means(Popup::BadFormat(ladder.to_owned()), &[ladder]);
    }
}
