//! Users' JSON values, kept byte for byte.
//!
//! A value is stored, shown and handed back as the text it came as: a number keeps all its digits, an
//! object the order of its members. Two values are equal when their parsed forms are: white space, the
//! order of members, escapes and the spelling of numbers (`1`, `1.0`, `10e-1`) do not matter. Numbers are
//! compared as exact decimals, never as floats, so that big ones do not run together.
//!
//! Any nesting is accepted; nothing here recurses.
//!
//! Not here: reading a value's inside. Whoever needs that parses the text.

mod canonical;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::limits;

/// A JSON value as its text, without white space around it; at most [`limits::JSON_BYTES`]. Cheap to clone.
///
/// Human-readable formats (that is `serde_json`; no other knows raw values) get the value itself, others
/// its text as a string.
///
/// ```
/// use interlock_kernel::json::Json;
///
/// let value = Json::parse(r#" {"b": 1.0, "a": 2} "#)?;
/// assert_eq!(value.as_str(), r#"{"b": 1.0, "a": 2}"#);
/// assert_eq!(value, Json::parse(r#"{"a":2,"b":1}"#)?);
/// # Ok::<(), interlock_kernel::json::BadJson>(())
/// ```
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

/// Why a text is no [`Json`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    /// The text is longer than [`limits::JSON_BYTES`].
    #[error("must have at most {} bytes", limits::JSON_BYTES)]
    TooLong,
    /// The text does not parse; with the parser's words.
    #[error("{0}")]
    Syntax(String),
}

impl Json {
    /// Takes a text that holds one JSON value.
    pub fn parse(text: &str) -> Result<Self, BadJson> {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        if text.len() > limits::JSON_BYTES {
            return Err(BadJson::TooLong);
        }
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| BadJson::Syntax(error.to_string()))?;
        Ok(Self(Arc::from(raw.to_owned())))
    }

    /// The value `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Arc::from(RawValue::NULL.to_owned()))
    }

    /// The text, as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The one text that all equal values share: no white space, members sorted (of two with the same
    /// name the last), numbers as `digits` or `digits e exponent` without zeros at either end. Numbers
    /// whose exponent needs more than 64 bits stay as written.
    ///
    /// Fingerprints of requests are stored and rest on this text: it never changes.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::text(self.as_str())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.canonical() == other.canonical()
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.as_ref().serialize(serializer)
        } else {
            serializer.serialize_str(self.as_str())
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            return Self::parse(&text).map_err(de::Error::custom);
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().len() > limits::JSON_BYTES {
            return Err(de::Error::custom(BadJson::TooLong));
        }
        Ok(Self(Arc::from(raw)))
    }
}
