//! Looking into JSON text without copying it.
//!
//! serde_json judges whether a text is JSON; this module only cuts what has passed. So every number keeps
//! its digits as written (`1.0` is told from `1`, nothing becomes a float), repeated members can be seen,
//! and a user's value inside a body can be kept byte for byte.
//!
//! Invariant: the text of a [`Node`] is one valid JSON value without white space around it, nested at
//! most [`limits::JSON_DEPTH`] deep.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{limits, problem::Problem};

/// One JSON value, as its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node<'a>(&'a str);

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

impl Kind {
    /// The type with its article, for messages.
    #[must_use]
    pub fn with_article(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "a boolean",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

impl<'a> Node<'a> {
    /// `{}`: what an empty body stands for.
    pub const EMPTY_OBJECT: Node<'static> = Node("{}");

    /// Takes a body. 400 `bad_json` with line and column if it does not parse, or is nested too deep.
    pub fn parse(body: &'a [u8]) -> Result<Self, Problem> {
        let raw: &RawValue = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_json(format!("the body is not JSON: {error}")))?;
        if depth(raw.get()) > limits::JSON_DEPTH {
            let detail = format!("the body is nested more than {} deep", limits::JSON_DEPTH);
            return Err(Problem::bad_json(detail));
        }
        Ok(Self(raw.get()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The type.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.as_bytes()[0] {
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Boolean,
            b'"' => Kind::String,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => Kind::Number,
        }
    }

    /// What a string says. `None` if it is no string, or escapes half a character (`"\ud800"`).
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(self.0).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The values of an array; none if it is no array.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        Parts(if self.kind() == Kind::Array { self.inside() } else { "" })
    }

    /// The members of an object, in their order, repeated ones too; none if it is no object.
    pub fn members(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let mut parts = Parts(if self.kind() == Kind::Object { self.inside() } else { "" });
        std::iter::from_fn(move || {
            let name = parts.next()?;
            Some((name, parts.next().expect("a member of valid JSON has a value")))
        })
    }

    fn inside(self) -> &'a str {
        &self.0[1..self.0.len() - 1]
    }
}

/// The values inside brackets or braces, one after the other.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        let rest = self.0.trim_start_matches([' ', '\t', '\n', '\r', ',', ':']);
        if rest.is_empty() {
            return None;
        }
        let (value, rest) = rest.split_at(value_end(rest.as_bytes()));
        self.0 = rest;
        Some(Node(value))
    }
}

/// Where the value ends that a text begins with.
fn value_end(text: &[u8]) -> usize {
    let mut open = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = string_end(text, at);
                if open == 0 {
                    return at;
                }
                continue;
            }
            b'[' | b'{' => open += 1,
            b']' | b'}' => {
                open -= 1;
                if open == 0 {
                    return at + 1;
                }
            }
            b',' | b' ' | b'\t' | b'\n' | b'\r' if open == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that begins at `start`.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// How deep arrays and objects are nested.
fn depth(text: &str) -> usize {
    let text = text.as_bytes();
    let (mut open, mut deepest, mut at) = (0_usize, 0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'[' | b'{' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Builds the value again from its parts.
    fn rebuild(node: Node<'_>) -> Value {
        match node.kind() {
            Kind::Array => node.items().map(rebuild).collect(),
            Kind::Object => Value::Object(
                node.members()
                    .map(|(name, value)| (name.string().unwrap().into_owned(), rebuild(value)))
                    .collect(),
            ),
            Kind::String => Value::String(node.string().unwrap().into_owned()),
            Kind::Null | Kind::Boolean | Kind::Number => {
                serde_json::from_str(node.as_str()).unwrap()
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            r#"[\\\"\[\]{},: \n]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(r#"[a-c\\\"{}:,]{0,3}"#, inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_parts_of_a_value_make_up_the_value(value in any_value()) {
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let node = Node::parse(text.as_bytes()).unwrap();
                prop_assert_eq!(rebuild(node), serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }

    #[test]
    fn repeated_members_are_both_seen_and_numbers_stay_as_written() {
        let node = Node::parse(br#" {"a":1.0,"a":1e400} "#).unwrap();
        let seen: Vec<_> = node.members().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(seen, [("\"a\"", "1.0"), ("\"a\"", "1e400")]);
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place() {
        for (body, place) in [
            (&b""[..], "line 1 column 0"),
            (b"{", "line 1 column 1"),
            (b"{}{}", "line 1 column 3"),
            (b"{\n\"a\": tru}", "line 2 column"),
            (b"{\"a\":01}", "line 1 column"),
            (b"{'a':1}", "line 1 column 2"),
            (b"[1,]", "line 1 column 4"),
            (b"\"\xff\"", "line 1 column"),
            (b"\"a\nb\"", "line"),
            (b"\xef\xbb\xbf{}", "line 1 column 1"),
            (b"NaN", "line 1 column 1"),
        ] {
            let problem = Node::parse(body).unwrap_err();
            assert_eq!(problem.code(), "bad_json");
            assert!(problem.detail().contains(place), "{problem}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_brackets_in_strings_do_not_count() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Node::parse(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        for levels in [limits::JSON_DEPTH + 1, 500_000] {
            let problem = Node::parse(nested(levels).as_bytes()).unwrap_err();
            assert_eq!(problem.code(), "bad_json", "{levels} levels");
        }
        let string = format!("\"{}\"", nested(1000));
        assert!(Node::parse(string.as_bytes()).is_ok());
    }

    #[test]
    fn half_a_character_is_no_string() {
        let node = Node::parse(br#""\ud800""#).unwrap();
        assert_eq!(node.string(), None);
    }
}
