//! Numbers, names, words.

use std::{marker::PhantomData, ops::RangeInclusive};

use interlock_kernel::{
    ids::{BadName, Holder, Key, Member, Outcome, Party, Token, Version, Worker},
    limits,
    time::Millis,
};
use serde_json::{Value, json};

use super::{Cause, Fault, Shape};
use crate::json::{Kind, Node};

/// How much of a wrong value a message repeats.
const SHOWN_CHARS: usize = 40;

/// Types that an [`integer`] can be read as.
pub trait FromInteger {
    /// The largest number the type holds.
    const LARGEST: u64;
    /// Wraps the number, which is at most [`FromInteger::LARGEST`].
    fn from_integer(number: u64) -> Self;
}

impl FromInteger for u64 {
    const LARGEST: u64 = u64::MAX;
    fn from_integer(number: u64) -> Self {
        number
    }
}

impl FromInteger for u32 {
    const LARGEST: u64 = u32::MAX as u64;
    fn from_integer(number: u64) -> Self {
        u32::try_from(number).expect("the shape's range was checked when it was made")
    }
}

impl FromInteger for Millis {
    const LARGEST: u64 = u64::MAX;
    fn from_integer(number: u64) -> Self {
        Millis(number)
    }
}

impl FromInteger for Token {
    const LARGEST: u64 = u64::MAX;
    fn from_integer(number: u64) -> Self {
        Token(number)
    }
}

impl FromInteger for Version {
    const LARGEST: u64 = u64::MAX;
    fn from_integer(number: u64) -> Self {
        Version(number)
    }
}

/// An integer in a range, written without fraction and exponent.
#[derive(Debug, Clone)]
pub struct Integer<T> {
    range: RangeInclusive<u64>,
    out: PhantomData<T>,
}

/// An integer in a range, written without fraction and exponent.
///
/// Panics if the range has numbers that `T`, or JSON, cannot hold.
#[must_use]
pub fn integer<T: FromInteger>(range: RangeInclusive<u64>) -> Integer<T> {
    let largest = T::LARGEST.min(limits::JSON_INTEGER);
    assert!(*range.end() <= largest, "{range:?} reaches beyond {largest}");
    Integer { range, out: PhantomData }
}

impl<T: FromInteger> Shape for Integer<T> {
    type Out = T;

    fn read(&self, node: Node<'_>) -> Result<T, Fault> {
        match node.kind() {
            Kind::Number => self.parse(node.as_str()),
            Kind::Null | Kind::Boolean | Kind::String | Kind::Array | Kind::Object => {
                Err(Fault::wrong_type("an integer", node))
            }
        }
    }

    fn parse(&self, text: &str) -> Result<T, Fault> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            let says = format!("must be an integer, written with digits only, not {}", clip(text));
            return Err(Fault::new(Cause::WrongType, says));
        }
        let number = text.parse::<i128>().ok().and_then(|number| u64::try_from(number).ok());
        match number {
            Some(number) if self.range.contains(&number) => Ok(T::from_integer(number)),
            Some(_) | None => {
                let (from, to) = (self.range.start(), self.range.end());
                let says = format!("must be an integer from {from} to {to}, not {}", clip(text));
                Err(Fault::new(Cause::OutOfRange, says))
            }
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "integer", "minimum": self.range.start(), "maximum": self.range.end()})
    }
}

/// An integer in a range, or one word instead of it.
#[derive(Debug, Clone)]
pub struct IntegerOr<T> {
    word: &'static str,
    integer: Integer<T>,
}

/// An integer in a range, or one word instead of it (then `None`): `100` or `"unlimited"`.
#[must_use]
pub fn integer_or<T: FromInteger>(word: &'static str, range: RangeInclusive<u64>) -> IntegerOr<T> {
    IntegerOr { word, integer: integer(range) }
}

impl<T: FromInteger> Shape for IntegerOr<T> {
    type Out = Option<T>;

    fn read(&self, node: Node<'_>) -> Result<Option<T>, Fault> {
        match node.kind() {
            Kind::Number => self.integer.read(node).map(Some),
            Kind::String if node.string().is_some_and(|text| text == self.word) => Ok(None),
            Kind::String => {
                let says = format!("must be an integer or {:?}", self.word);
                Err(Fault::new(Cause::BadValue, says))
            }
            Kind::Null | Kind::Boolean | Kind::Array | Kind::Object => {
                Err(Fault::wrong_type(&format!("an integer or {:?}", self.word), node))
            }
        }
    }

    fn parse(&self, text: &str) -> Result<Option<T>, Fault> {
        if text == self.word {
            return Ok(None);
        }
        if !text.bytes().all(|digit| digit.is_ascii_digit()) {
            let says = format!("must be an integer or {:?}, not {}", self.word, clip(text));
            return Err(Fault::new(Cause::BadValue, says));
        }
        self.integer.parse(text).map(Some)
    }

    fn schema(&self) -> Value {
        json!({"oneOf": [self.integer.schema(), {"const": self.word}]})
    }
}

/// Types that follow the rule of names.
pub trait FromName: Sized {
    /// Takes the text if it follows the rule.
    fn from_name(text: &str) -> Result<Self, BadName>;
}

macro_rules! from_name {
    ($($name:ident),+) => {$(
        impl FromName for $name {
            fn from_name(text: &str) -> Result<Self, BadName> {
                $name::new(text)
            }
        }
    )+};
}

from_name!(Key, Worker, Holder, Member, Party, Outcome);

/// The rule of names as a regular expression (ECMA-262).
pub const NAME_PATTERN: &str = "^(?!\\.{1,2}$)[A-Za-z0-9._:-]{1,200}$";

/// A name: 1 to 200 characters of `A-Z a-z 0-9 . _ : -`, but neither `.` nor `..`.
#[derive(Debug, Clone, Copy)]
pub struct Name<T>(PhantomData<T>);

/// A name: 1 to 200 characters of `A-Z a-z 0-9 . _ : -`, but neither `.` nor `..`.
#[must_use]
pub fn name<T: FromName>() -> Name<T> {
    Name(PhantomData)
}

impl<T: FromName> Shape for Name<T> {
    type Out = T;

    fn read(&self, node: Node<'_>) -> Result<T, Fault> {
        self.parse(&string(node)?)
    }

    fn parse(&self, text: &str) -> Result<T, Fault> {
        T::from_name(text).map_err(|bad| Fault::new(Cause::BadName, bad.to_string()))
    }

    fn schema(&self) -> Value {
        json!({"type": "string", "pattern": NAME_PATTERN})
    }
}

/// Visible characters.
#[derive(Debug, Clone)]
pub struct Text {
    chars: RangeInclusive<usize>,
}

/// Visible characters, as many as `chars` says: no white space, nothing that steers or hides.
#[must_use]
pub fn text(chars: RangeInclusive<usize>) -> Text {
    Text { chars }
}

impl Shape for Text {
    type Out = String;

    fn read(&self, node: Node<'_>) -> Result<String, Fault> {
        self.parse(&string(node)?)
    }

    fn parse(&self, text: &str) -> Result<String, Fault> {
        let (from, to) = (self.chars.start(), self.chars.end());
        let count = text.chars().count();
        if !self.chars.contains(&count) {
            let says = format!("must have {from} to {to} characters, not {count}");
            return Err(Fault::new(Cause::OutOfRange, says));
        }
        if let Some(hidden) = text.chars().find(|c| !is_visible(*c)) {
            let says = format!("may hold only visible characters, not {}", hidden.escape_unicode());
            return Err(Fault::new(Cause::BadValue, says));
        }
        Ok(text.to_owned())
    }

    fn schema(&self) -> Value {
        json!({
            "type": "string", "minLength": self.chars.start(), "maxLength": self.chars.end(),
            "pattern": "^\\S*$",
        })
    }
}

/// Words in one line.
#[derive(Debug, Clone)]
pub struct Line {
    chars: RangeInclusive<usize>,
}

/// Visible characters and single spaces between them, as many as `chars` says: names that people are called by.
#[must_use]
pub fn line(chars: RangeInclusive<usize>) -> Line {
    Line { chars }
}

impl Shape for Line {
    type Out = String;

    fn read(&self, node: Node<'_>) -> Result<String, Fault> {
        self.parse(&string(node)?)
    }

    fn parse(&self, line: &str) -> Result<String, Fault> {
        let visible: String = line.chars().filter(|c| *c != ' ').collect();
        text(0..=*self.chars.end()).parse(&visible)?;
        let (from, to) = (self.chars.start(), self.chars.end());
        let count = line.chars().count();
        if !self.chars.contains(&count) {
            let says = format!("must have {from} to {to} characters, not {count}");
            return Err(Fault::new(Cause::OutOfRange, says));
        }
        if line.split(' ').any(str::is_empty) {
            let says = "may hold single spaces between words, and none around them";
            return Err(Fault::new(Cause::BadValue, says));
        }
        Ok(line.to_owned())
    }

    fn schema(&self) -> Value {
        json!({
            "type": "string", "minLength": self.chars.start(), "maxLength": self.chars.end(),
            "pattern": "^\\S+( \\S+)*$",
        })
    }
}

/// Whether a character can be seen: no white space, no control, nothing that only joins, separates or
/// turns what is around it.
fn is_visible(c: char) -> bool {
    let steers = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !(c.is_control() || c.is_whitespace() || steers)
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub struct OneOf<T: 'static>(&'static [(&'static str, T)]);

/// One of a few words, each with what it means.
#[must_use]
pub fn one_of<T: Copy>(words: &'static [(&'static str, T)]) -> OneOf<T> {
    OneOf(words)
}

impl<T: Copy> Shape for OneOf<T> {
    type Out = T;

    fn read(&self, node: Node<'_>) -> Result<T, Fault> {
        self.parse(&string(node)?)
    }

    fn parse(&self, text: &str) -> Result<T, Fault> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<String> = self.0.iter().map(|(word, _)| format!("{word:?}")).collect();
            let says = format!("must be {}, not {}", words.join(" or "), clip(text));
            Fault::new(Cause::BadValue, says)
        })
    }

    fn schema(&self) -> Value {
        let words: Vec<_> = self.0.iter().map(|(word, _)| word).collect();
        json!({"type": "string", "enum": words})
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Boolean;

/// `true` or `false`.
#[must_use]
pub fn boolean() -> Boolean {
    Boolean
}

impl Shape for Boolean {
    type Out = bool;

    fn read(&self, node: Node<'_>) -> Result<bool, Fault> {
        match node.kind() {
            Kind::Boolean => Ok(node.as_str() == "true"),
            Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
                Err(Fault::wrong_type("true or false", node))
            }
        }
    }

    fn parse(&self, text: &str) -> Result<bool, Fault> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => {
                let says = format!("must be true or false, not {}", clip(text));
                Err(Fault::new(Cause::BadValue, says))
            }
        }
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean"})
    }
}

/// What a string says.
pub(super) fn string<'a>(node: Node<'a>) -> Result<std::borrow::Cow<'a, str>, Fault> {
    if node.kind() != Kind::String {
        return Err(Fault::wrong_type("a string", node));
    }
    let broken = || Fault::new(Cause::BadValue, "holds an escape that is half a character");
    node.string().ok_or_else(broken)
}

/// The beginning of a wrong value, for messages.
fn clip(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let dots = if shown.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", shown.escape_debug())
}
