//! Conditions on a request: `If-Match`, `If-None-Match` (RFC 9110 §13) and `Interlock-Fencing-Token`.
//!
//! An entity's tag is its version in quotes, always strong: `"17"`. A reader who sends the tag that it has
//! is spared the same answer again ([`Known`]).

mod known;

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use interlock_kernel::{
    ids::{Token, Version},
    limits::JSON_INTEGER,
};

pub(crate) use self::known::Known;
use crate::{limits, problem::Problem};

/// The header of a fencing token.
pub const FENCING_TOKEN: HeaderName = HeaderName::from_static("interlock-fencing-token");

/// An entity's tag.
#[must_use]
pub fn etag(version: Version) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits and quotes fit a header")
}

/// Which versions a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// `*`: any version, as long as there is one.
    Any,
    /// Tags, each with its quotes, in the order they came.
    Listed(Vec<Tag>),
}

/// One tag, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Written `W/"…"`.
    pub weak: bool,
    /// What stands between the quotes.
    pub text: String,
}

impl fmt::Display for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tags::Any => f.write_str("*"),
            Tags::Listed(tags) => {
                for (index, tag) in tags.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    let weak = if tag.weak { "W/" } else { "" };
                    write!(f, "{comma}{weak}\"{}\"", tag.text)?;
                }
                Ok(())
            }
        }
    }
}

impl Tags {
    /// The versions that strong tags name; tags that are no version of ours name none. Empty for `*`.
    #[must_use]
    pub fn versions(&self) -> Vec<Version> {
        let tags = match self {
            Tags::Any => &[][..],
            Tags::Listed(tags) => tags,
        };
        let number = |tag: &Tag| tag.text.parse().ok().filter(|n: &u64| n.to_string() == tag.text);
        tags.iter().filter(|tag| !tag.weak).filter_map(number).map(Version).collect()
    }

    /// Whether the version is among them; `None` is an entity that does not exist. Weak tags count only
    /// where `weak` says so: `If-Match` wants strong ones, `If-None-Match` takes both.
    fn name(&self, version: Option<Version>, weak: bool) -> bool {
        let Some(version) = version else { return false };
        match self {
            Tags::Any => true,
            Tags::Listed(tags) => {
                let version = version.to_string();
                tags.iter().any(|tag| (weak || !tag.weak) && tag.text == version)
            }
        }
    }
}

/// The conditions of one command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Only if the version is one of these.
    pub if_match: Option<Tags>,
    /// Only if the version is none of these.
    pub if_none_match: Option<Tags>,
    /// Only if no higher token has been seen.
    pub fencing_token: Option<Token>,
}

impl Conditions {
    /// Reads the headers. 400 `bad_condition` or `bad_fencing_token` for what cannot be understood.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, &header::IF_MATCH, "If-Match")?,
            if_none_match: tags(headers, &header::IF_NONE_MATCH, "If-None-Match")?,
            fencing_token: fencing_token(headers)?,
        })
    }

    /// Whether the conditions on the version allow the command (fencing tokens are the entity's own).
    /// `None` is an entity that does not exist.
    #[must_use]
    pub fn allow(&self, version: Option<Version>) -> bool {
        self.if_match.as_ref().is_none_or(|tags| tags.name(version, false))
            && self.if_none_match.as_ref().is_none_or(|tags| !tags.name(version, true))
    }

    /// Whether there is any condition on the version.
    #[must_use]
    pub fn name_a_version(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }
}

fn tags(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &'static str,
) -> Result<Option<Tags>, Problem> {
    let bad = |why: &str| Problem::bad_condition(shown, why);
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return Ok(None);
    }
    let mut listed = Vec::new();
    let mut any = false;
    for line in lines {
        let line = line.to_str().map_err(|_| bad("may hold only ASCII"))?.trim();
        if line == "*" && !any && listed.is_empty() {
            any = true;
        } else {
            parse_list(line, &mut listed).map_err(bad)?;
        }
    }
    match (any, listed.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (false, false) => Ok(Some(Tags::Listed(listed))),
        (true, false) => Err(bad("must be either * or a list of tags")),
        (false, true) => Err(bad("names no tag")),
    }
}

/// Reads `"17", W/"18"` into `tags`.
fn parse_list(line: &str, tags: &mut Vec<Tag>) -> Result<(), &'static str> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(());
        }
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let wrong = "must be * or tags in double quotes: \"17\"";
        let (text, after) =
            quoted.strip_prefix('"').and_then(|text| text.split_once('"')).ok_or(wrong)?;
        let allowed = text.bytes().all(|b| b.is_ascii_graphic());
        let separated = after.trim_start_matches([' ', '\t']);
        if !allowed || !(separated.is_empty() || separated.starts_with(',')) {
            return Err(wrong);
        }
        if tags.len() == limits::ETAGS {
            return Err("names too many tags");
        }
        tags.push(Tag { weak, text: text.to_owned() });
        rest = separated;
    }
}

fn fencing_token(headers: &HeaderMap) -> Result<Option<Token>, Problem> {
    let mut lines = headers.get_all(FENCING_TOKEN).iter();
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(Problem::bad_fencing_token("is there twice"));
    }
    let digits = line.to_str().ok().map(str::trim).filter(|text| {
        (1..=16).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
    });
    let token = digits.and_then(|digits| digits.parse().ok()).filter(|n| *n <= JSON_INTEGER);
    let wrong =
        || Problem::bad_fencing_token(format!("must be an integer from 0 to {JSON_INTEGER}"));
    token.map(|token| Some(Token(token))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines.iter().map(line) {
            headers.append(name, value);
        }
        headers
    }

    /// Which of the versions none, 1, 2 and 17 the headers allow.
    fn allowed(lines: &[(&'static str, &str)]) -> [bool; 4] {
        let conditions = Conditions::from_headers(&headers(lines)).unwrap();
        [None, Some(1), Some(2), Some(17)].map(|version| conditions.allow(version.map(Version)))
    }

    #[test]
    fn conditions_allow_what_rfc_9110_says() {
        for (lines, expected) in [
            (&[][..], [true, true, true, true]),
            (&[("if-match", "\"17\"")], [false, false, false, true]),
            (&[("if-match", "\"1\", \"17\"")], [false, true, false, true]),
            (&[("if-match", " , \"1\",,\"17\" ,")], [false, true, false, true]),
            (&[("if-match", "\"1\""), ("if-match", "\"17\"")], [false, true, false, true]),
            (&[("if-match", "*")], [false, true, true, true]),
            (&[("if-match", "W/\"17\"")], [false, false, false, false]),
            (&[("if-match", "\"017\"")], [false, false, false, false]),
            (&[("if-match", "\"a,b\"")], [false, false, false, false]),
            (&[("if-match", "\"\"")], [false, false, false, false]),
            (&[("if-none-match", "*")], [true, false, false, false]),
            (&[("if-none-match", "\"17\"")], [true, true, true, false]),
            (&[("if-none-match", "W/\"17\"")], [true, true, true, false]),
            (&[("if-match", "\"1\""), ("if-none-match", "\"2\"")], [false, true, false, false]),
        ] {
            assert_eq!(allowed(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn garbage_in_conditions_is_refused() {
        for value in [
            "",
            ",",
            "17",
            "\"17",
            "17\"",
            "w/\"17\"",
            "W/17",
            "\"1\" \"2\"",
            "\"1\"x",
            "*, \"1\"",
            "\"1\", *",
            "**",
            "\"a b\"",
            "'17'",
        ] {
            for name in ["if-match", "if-none-match"] {
                let problem = Conditions::from_headers(&headers(&[(name, value)])).unwrap_err();
                assert_eq!(problem.code(), "bad_condition", "{value}");
                assert!(problem.blamed().unwrap().eq_ignore_ascii_case(name), "{value}");
            }
        }
        let many = vec!["\"1\""; limits::ETAGS + 1].join(",");
        assert!(Conditions::from_headers(&headers(&[("if-match", &many)])).is_err());
        let both = headers(&[("if-match", "*"), ("if-match", "*")]);
        assert!(Conditions::from_headers(&both).is_err());
    }

    #[test]
    fn a_fencing_token_is_an_exact_integer() {
        let read =
            |value: &str| Conditions::from_headers(&headers(&[("interlock-fencing-token", value)]));
        for (value, expected) in [("0", 0), ("17", 17), ("9007199254740991", JSON_INTEGER)] {
            assert_eq!(read(value).unwrap().fencing_token, Some(Token(expected)));
        }
        for value in [
            "",
            "-1",
            "+1",
            "1.0",
            "1e3",
            "0x1",
            "9007199254740992",
            "1,2",
            "a",
            "99999999999999999999",
        ] {
            let problem = read(value).unwrap_err();
            assert_eq!(problem.code(), "bad_fencing_token", "{value}");
        }
        let twice = [("interlock-fencing-token", "1"), ("interlock-fencing-token", "1")];
        assert!(Conditions::from_headers(&headers(&twice)).is_err());
    }

    #[test]
    fn only_strong_tags_written_as_we_write_them_are_versions() {
        let headers = headers(&[("if-match", "\"3\", W/\"4\", \"05\", \"+6\", \"x\", \"7\"")]);
        let tags = Conditions::from_headers(&headers).unwrap().if_match.unwrap();
        assert_eq!(tags.versions(), [Version(3), Version(7)]);
    }

    #[test]
    fn a_version_as_a_tag_matches_itself() {
        let tag = etag(Version(17));
        let headers = headers(&[("if-match", tag.to_str().unwrap())]);
        let conditions = Conditions::from_headers(&headers).unwrap();
        assert!(conditions.allow(Some(Version(17))));
        assert_eq!(conditions.if_match.unwrap().to_string(), "\"17\"");
    }
}
