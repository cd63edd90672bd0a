//! A limit: a number, or a word.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How many: a number, or the word `unlimited`, which is larger than every number.
///
/// In JSON `100` or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// So many.
    Of(u64),
    /// As many as anyone likes.
    Unlimited,
}

impl Limit {
    /// What is left of it. Panics when more is used than there is: the invariant of every quota.
    #[must_use]
    pub fn less(self, used: u64) -> Limit {
        match self {
            Limit::Of(limit) => {
                Limit::Of(limit.checked_sub(used).expect("no more is used than the limit"))
            }
            Limit::Unlimited => Limit::Unlimited,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Of(limit) => limit.fmt(f),
            Limit::Unlimited => f.write_str("unlimited"),
        }
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            _ if !serializer.is_human_readable() => self.number().serialize(serializer),
            Limit::Of(limit) => limit.serialize(serializer),
            Limit::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(NumberOrWord);
        }
        Ok(Option::deserialize(deserializer)?.map_or(Limit::Unlimited, Limit::Of))
    }
}

impl Limit {
    /// The number, if it is one.
    #[must_use]
    pub fn number(self) -> Option<u64> {
        match self {
            Limit::Of(limit) => Some(limit),
            Limit::Unlimited => None,
        }
    }
}

struct NumberOrWord;

impl de::Visitor<'_> for NumberOrWord {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 or \"unlimited\"")
    }

    fn visit_u64<E: de::Error>(self, limit: u64) -> Result<Limit, E> {
        Ok(Limit::Of(limit))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Limit, E> {
        match word {
            "unlimited" => Ok(Limit::Unlimited),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }
}
