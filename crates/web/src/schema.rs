//! JSON Schema (2020-12) of what is answered, in words short enough to stand next to a route.

use interlock_kernel::limits::JSON_INTEGER;
use serde_json::{Map, Value, json};

/// An object with at least these members.
#[must_use]
pub fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    let required: Vec<_> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// An object whose members all look like `value`, under names that are data.
#[must_use]
pub fn map(value: &Value) -> Value {
    json!({"type": "object", "additionalProperties": value})
}

/// An array.
#[must_use]
pub fn array(item: &Value) -> Value {
    json!({"type": "array", "items": item})
}

/// The same, or `null`.
#[must_use]
pub fn nullable(schema: &Value) -> Value {
    json!({"oneOf": [schema, {"type": "null"}]})
}

/// One of several.
#[must_use]
pub fn either<const N: usize>(schemas: [Value; N]) -> Value {
    json!({"oneOf": schemas.to_vec()})
}

/// Exactly this word.
#[must_use]
pub fn word(word: &'static str) -> Value {
    json!({"const": word})
}

/// A count, version, token or duration: an integer from 0 to 2^53 − 1.
#[must_use]
pub fn integer() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": JSON_INTEGER})
}

/// Any number.
#[must_use]
pub fn number() -> Value {
    json!({"type": "number"})
}

/// A string.
#[must_use]
pub fn text() -> Value {
    json!({"type": "string"})
}

/// A moment: RFC 3339 in UTC.
#[must_use]
pub fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// `true` or `false`.
#[must_use]
pub fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// Any JSON value.
#[must_use]
pub fn any() -> Value {
    json!({})
}
