//! Shapes: what a field of a request may hold, said once for reading and for documentation.
//!
//! A shape reads a value out of JSON or out of a query parameter, or says what is wrong with it; and it
//! writes the JSON Schema that OpenAPI shows. [`request!`](crate::request!) puts shapes together.
//!
//! Nothing is converted in silence: `"5"`, `5.0` and `5e0` are no integers, `null` is no missing field.

mod lists;
mod scalars;

pub use lists::{Labels, List, Object, Set, labels, list, object, set};
pub use scalars::{
    Boolean, FromInteger, FromName, Integer, IntegerOr, Line, NAME_PATTERN, Name, OneOf, Text,
    boolean, integer, integer_or, line, name, one_of, text,
};

use interlock_kernel::json::Json;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{json::Node, problem::Problem};

/// What a field may hold.
pub trait Shape {
    /// What it is read as.
    type Out;

    /// Reads a value out of a body.
    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault>;

    /// Reads a query parameter, already decoded.
    fn parse(&self, _text: &str) -> Result<Self::Out, Fault> {
        Err(Fault::new(Cause::WrongType, "cannot be given in the address"))
    }

    /// What a missing field stands for; `None` if it must be there.
    fn missing(&self) -> Option<Self::Out> {
        None
    }

    /// The JSON Schema (2020-12) of what is accepted.
    fn schema(&self) -> Value;
}

/// Why a request has not its declared shape; each cause is a `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `unknown_field`: no such field.
    UnknownField,
    /// `missing_field`: a required field is not there.
    MissingField,
    /// `duplicate_field`: the same field twice.
    DuplicateField,
    /// `wrong_type`: another JSON type, or a number that is written as no integer.
    WrongType,
    /// `out_of_range`: a number, length or count that is too small or too big.
    OutOfRange,
    /// `bad_name`: breaks the rule of names.
    BadName,
    /// `bad_value`: of the right type, but none of the allowed values.
    BadValue,
}

impl Cause {
    /// Every cause, in the order of the documentation.
    pub const ALL: [Cause; 7] = [
        Cause::UnknownField,
        Cause::MissingField,
        Cause::DuplicateField,
        Cause::WrongType,
        Cause::OutOfRange,
        Cause::BadName,
        Cause::BadValue,
    ];

    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Cause::UnknownField => "unknown_field",
            Cause::MissingField => "missing_field",
            Cause::DuplicateField => "duplicate_field",
            Cause::WrongType => "wrong_type",
            Cause::OutOfRange => "out_of_range",
            Cause::BadName => "bad_name",
            Cause::BadValue => "bad_value",
        }
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    cause: Cause,
    path: String,
    says: String,
}

impl Fault {
    /// A fault of the value itself. `says` goes on after its name: "must be …".
    pub fn new(cause: Cause, says: impl Into<String>) -> Self {
        Self { cause, path: String::new(), says: says.into() }
    }

    /// A value of another type than `expected` ("an integer").
    #[must_use]
    pub fn wrong_type(expected: &str, node: Node<'_>) -> Self {
        let says = format!("must be {expected}, not {}", node.kind().with_article());
        Self::new(Cause::WrongType, says)
    }

    /// The same fault, seen from the object around it.
    #[must_use]
    pub fn inside(mut self, name: &str) -> Self {
        let name: String = name.chars().take(interlock_kernel::limits::NAME_CHARS).collect();
        self.path = match self.path.as_bytes().first() {
            None => name,
            Some(b'[') => name + &self.path,
            Some(_) => format!("{name}.{}", self.path),
        };
        self
    }

    /// The same fault, seen from the list around it.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// Where: `ttl_ms`, `labels.zone`, `parties[3]`; empty for the whole body.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        if fault.path.is_empty() {
            let detail = format!("the body {}", fault.says);
            return Problem::new(axum::http::StatusCode::BAD_REQUEST, fault.cause.code(), detail);
        }
        Problem::bad_field(fault.cause.code(), fault.path, &fault.says)
    }
}

/// Any JSON value, kept byte for byte.
#[derive(Debug, Clone, Copy)]
pub struct Any;

/// Any JSON value, kept byte for byte.
#[must_use]
pub fn any() -> Any {
    Any
}

impl Shape for Any {
    type Out = Json;

    fn read(&self, node: Node<'_>) -> Result<Json, Fault> {
        Json::parse(node.as_str()).map_err(|error| Fault::new(Cause::OutOfRange, error.to_string()))
    }

    fn schema(&self) -> Value {
        json!({})
    }
}

/// A field that may be missing.
#[derive(Debug, Clone, Copy)]
pub struct Optional<S>(S);

/// A field that may be missing (but not `null`).
pub fn optional<S: Shape>(shape: S) -> Optional<S> {
    Optional(shape)
}

impl<S: Shape> Shape for Optional<S> {
    type Out = Option<S::Out>;

    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault> {
        self.0.read(node).map(Some)
    }

    fn parse(&self, text: &str) -> Result<Self::Out, Fault> {
        self.0.parse(text).map(Some)
    }

    fn missing(&self) -> Option<Self::Out> {
        Some(None)
    }

    fn schema(&self) -> Value {
        self.0.schema()
    }
}

/// A field that stands for something when it is missing.
#[derive(Debug, Clone, Copy)]
pub struct Defaulted<S: Shape> {
    shape: S,
    default: S::Out,
}

/// A field that stands for `default` when it is missing.
pub fn defaulted<S: Shape>(shape: S, default: S::Out) -> Defaulted<S>
where
    S::Out: Clone + Serialize,
{
    Defaulted { shape, default }
}

impl<S: Shape> Shape for Defaulted<S>
where
    S::Out: Clone + Serialize,
{
    type Out = S::Out;

    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault> {
        self.shape.read(node)
    }

    fn parse(&self, text: &str) -> Result<Self::Out, Fault> {
        self.shape.parse(text)
    }

    fn missing(&self) -> Option<Self::Out> {
        Some(self.default.clone())
    }

    fn schema(&self) -> Value {
        let mut schema = self.shape.schema();
        schema["default"] = json!(self.default);
        schema
    }
}
