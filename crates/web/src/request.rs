//! Requests as structs: one declaration says what is read, what is refused and what is documented.
//!
//! ```
//! use interlock_kernel::{ids::Holder, limits, time::Millis};
//! use interlock_web::{request, request::Request, shape::{defaulted, integer, name, optional, text}};
//!
//! request! {
//!     /// A place in a pool, for a while.
//!     pub struct NewLease {
//!         /// Who will use it.
//!         pub holder: Holder = name(),
//!         /// How long it lasts unless it is renewed.
//!         pub ttl_ms: Millis = integer(limits::TTL_MS),
//!         /// How long to wait for a free slot.
//!         pub wait_ms: u64 = defaulted(integer(limits::WAIT_MS), 0),
//!         /// Go where the oldest lease with the same text went.
//!         pub sticky: Option<String> = optional(text(1..=200)),
//!     }
//! }
//!
//! let lease = NewLease::from_json(br#"{"holder": "w0", "ttl_ms": 5000}"#)?;
//! assert_eq!((lease.holder.as_str(), lease.wait_ms), ("w0", 0));
//!
//! let refused = NewLease::from_json(br#"{"holder": "w0", "ttl_ms": 5}"#).unwrap_err();
//! assert_eq!((refused.code(), refused.blamed()), ("out_of_range", Some("ttl_ms")));
//! # Ok::<(), interlock_web::problem::Problem>(())
//! ```
//!
//! The same structs read the parameters of an address ([`Query`]). Unknown fields of a body are looked for
//! first, so that a misspelt field is called unknown and not its right spelling missing.

use std::borrow::Cow;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde_json::{Map, Value, json};

use crate::{
    json::{Kind, Node},
    problem::Problem,
    shape::{Cause, Fault, Shape},
};

/// What a client may send. Made by [`request!`](crate::request!).
pub trait Request: Sized {
    /// The names of the fields, in their order.
    const NAMES: &'static [&'static str];

    /// Reads every field.
    fn read(given: &Given<'_>) -> Result<Self, Fault>;

    /// Every field, for documentation.
    fn fields() -> Vec<FieldDoc>;

    /// Reads an object. Refuses anything else, unknown fields and fields that are there twice.
    fn from_node(node: Node<'_>) -> Result<Self, Fault> {
        if node.kind() != Kind::Object {
            return Err(Fault::wrong_type("a JSON object", node));
        }
        let mut given = Given::new(Self::NAMES);
        for (name, value) in node.members() {
            let name = name.string().unwrap_or(Cow::Borrowed(name.as_str()));
            given.put(&name, Found::Json(value))?;
        }
        Self::read(&given)
    }

    /// Reads a body.
    fn from_json(body: &[u8]) -> Result<Self, Problem> {
        Ok(Self::from_node(Node::parse(body)?)?)
    }

    /// Reads the part of an address behind the `?`. Parameters that are not declared are passed over:
    /// proxies, players and caches add their own.
    fn from_query(query: &str) -> Result<Self, Problem> {
        let mut given = Given::new(Self::NAMES);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            if Self::NAMES.contains(&name.as_str()) {
                given.put(&name, Found::Query(decode(value)?))?;
            }
        }
        Ok(Self::read(&given)?)
    }
}

/// A request without any field: `{}`, or no body at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nothing;

impl Request for Nothing {
    const NAMES: &'static [&'static str] = &[];

    fn read(_: &Given<'_>) -> Result<Self, Fault> {
        Ok(Self)
    }

    fn fields() -> Vec<FieldDoc> {
        Vec::new()
    }
}

/// The values that a client gave, by field.
#[derive(Debug)]
pub struct Given<'a> {
    names: &'static [&'static str],
    values: Vec<Option<Found<'a>>>,
}

#[derive(Debug)]
enum Found<'a> {
    Json(Node<'a>),
    Query(String),
}

impl<'a> Given<'a> {
    fn new(names: &'static [&'static str]) -> Self {
        Self { names, values: names.iter().map(|_| None).collect() }
    }

    fn put(&mut self, name: &str, value: Found<'a>) -> Result<(), Fault> {
        let Some(index) = self.names.iter().position(|known| *known == name) else {
            let name = if name.is_empty() { "\"\"" } else { name };
            return Err(Fault::new(Cause::UnknownField, self.known_names()).inside(name));
        };
        if self.values[index].replace(value).is_some() {
            return Err(Fault::new(Cause::DuplicateField, "is there twice").inside(name));
        }
        Ok(())
    }

    fn known_names(&self) -> String {
        if self.names.is_empty() {
            return "is unknown; there are no fields here".to_owned();
        }
        format!("is unknown; there are: {}", self.names.join(", "))
    }

    /// Reads one field by its shape.
    pub fn take<S: Shape>(&self, name: &'static str, shape: &S) -> Result<S::Out, Fault> {
        let index = self.names.iter().position(|known| *known == name);
        let value = &self.values[index.expect("a request reads the fields it declares")];
        let read = match value {
            Some(Found::Json(node)) => shape.read(*node),
            Some(Found::Query(text)) => shape.parse(text),
            None => shape
                .missing()
                .ok_or_else(|| Fault::new(Cause::MissingField, "is required and is not there")),
        };
        read.map_err(|fault| fault.inside(name))
    }
}

/// One field, for documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldDoc {
    /// The field's name.
    pub name: &'static str,
    /// What it means.
    pub says: String,
    /// Whether it must be there.
    pub required: bool,
    /// Its JSON Schema.
    pub schema: Value,
}

impl FieldDoc {
    /// A field with its doc comment.
    pub fn new<S: Shape>(name: &'static str, doc: &str, shape: &S) -> Self {
        let says = doc.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { name, says, required: shape.missing().is_none(), schema: shape.schema() }
    }

    /// The schema with the field's meaning.
    #[must_use]
    pub fn described_schema(&self) -> Value {
        let mut schema = self.schema.clone();
        schema["description"] = self.says.as_str().into();
        schema
    }
}

/// The JSON Schema of an object with these fields and no others.
#[must_use]
pub fn object_schema(fields: &[FieldDoc]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), field.described_schema())).collect();
    let required: Vec<_> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    let mut schema =
        json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// Declares a request: a struct whose every field has a [`Shape`]. See the [module](mod@crate::request).
#[macro_export]
macro_rules! request {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[doc = $doc:literal])+ $field_vis:vis $field:ident : $type:ty = $shape:expr),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        $vis struct $name {
            $($(#[doc = $doc])+ $field_vis $field: $type,)+
        }

        impl $crate::request::Request for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            fn read(
                given: &$crate::request::Given<'_>,
            ) -> ::core::result::Result<Self, $crate::shape::Fault> {
                Ok(Self { $($field: given.take(stringify!($field), &$shape)?,)+ })
            }

            fn fields() -> ::std::vec::Vec<$crate::request::FieldDoc> {
                vec![$({
                    // Says which of the shape's types is meant, where the shape alone leaves it open.
                    fn doc<S: $crate::shape::Shape<Out = $type>>(shape: &S) -> $crate::request::FieldDoc {
                        $crate::request::FieldDoc::new(stringify!($field), concat!($($doc),+), shape)
                    }
                    doc(&$shape)
                }),+]
            }
        }
    };
}

/// The parameters of the address, as a [`Request`].
#[derive(Debug, Clone, Copy)]
pub struct Query<R>(pub R);

impl<R: Request, S: Sync> FromRequestParts<S> for Query<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        R::from_query(parts.uri.query().unwrap_or("")).map(Query)
    }
}

/// Decodes `%41` and `+`.
fn decode(text: &str) -> Result<String, Problem> {
    let bad = || Problem::bad_request("the address holds a % that is followed by no UTF-8 text");
    let spaced = text.replace('+', " ");
    crate::path::percent_decode(&spaced).ok_or_else(bad)
}
