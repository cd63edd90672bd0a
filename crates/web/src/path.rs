//! What stands in a path: keys, names, ids.
//!
//! `Path((key, worker)): Path<(Key, Worker)>` reads the parameters of `/quotas/{key}/workers/{worker}` in
//! their order, percent-decoded. What breaks the rule of names, or is no UTF-8, is 400 `bad_key`.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use interlock_kernel::ids::{Holder, Key, Member, Outcome, Party, Worker};

use crate::{limits, problem::Problem};

/// The parameters of the path, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// An id that the server made, as it comes back: opaque, at most [`limits::ID_CHARS`] long. Whether it
/// exists is the entity's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(pub String);

/// Types that one parameter can be read as.
pub trait FromSegment: Sized {
    /// Reads the parameter called `parameter`.
    fn from_segment(parameter: &str, text: &str) -> Result<Self, Problem>;
}

macro_rules! from_segment {
    ($($name:ident),+) => {$(
        impl FromSegment for $name {
            fn from_segment(parameter: &str, text: &str) -> Result<Self, Problem> {
                $name::new(text).map_err(|bad| Problem::bad_key(parameter, bad))
            }
        }
    )+};
}

from_segment!(Key, Worker, Holder, Member, Party, Outcome);

impl FromSegment for Id {
    fn from_segment(parameter: &str, text: &str) -> Result<Self, Problem> {
        if text.len() > limits::ID_CHARS {
            let why = format!("must have at most {} characters", limits::ID_CHARS);
            return Err(Problem::bad_key(parameter, why));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Any text.
impl FromSegment for String {
    fn from_segment(_: &str, text: &str) -> Result<Self, Problem> {
        Ok(text.to_owned())
    }
}

/// Types that all parameters of a path can be read as.
pub trait FromPath: Sized {
    /// Reads them, each with its name. Panics if the route declares another number of parameters.
    fn from_path<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>)
    -> Result<Self, Problem>;
}

macro_rules! from_path {
    ($type:ty, $($part:ident),+) => {
        impl<$($part: FromSegment),+> FromPath for $type {
            fn from_path<'a>(
                mut parameters: impl Iterator<Item = (&'a str, &'a str)>,
            ) -> Result<Self, Problem> {
                let mut next = || parameters.next().expect("the route has as many parameters");
                let read = ($({
                    let (name, text) = next();
                    $part::from_segment(name, text)?
                },)+);
                assert!(parameters.next().is_none(), "the route has more parameters");
                Ok(read)
            }
        }
    };
}

/// The only parameter.
impl<T: FromSegment> FromPath for T {
    fn from_path<'a>(
        mut parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Problem> {
        let (name, text) = parameters.next().expect("the route has a parameter");
        assert!(parameters.next().is_none(), "the route has more parameters");
        T::from_segment(name, text)
    }
}

from_path!((A, B), A, B);
from_path!((A, B, C), A, B, C);

impl<T: FromPath, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let raw = RawPathParams::from_request_parts(parts, state).await;
        let raw = raw.map_err(|_| Problem::bad_key("path", "must be percent-encoded UTF-8"))?;
        T::from_path(raw.iter()).map(Path)
    }
}

/// Decodes `%41`. A `%` without two hexadecimal digits stays as it is. `None` if that gives no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).expect("two digits make a byte"));
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}
