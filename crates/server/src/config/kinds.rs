//! The kinds of values that settings have. Each reads a value, or says what would be right.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
};

use interlock_kernel::{ids::BadName, time::Millis};
use toml::de::DeValue;

use super::span::Span;

/// What a reader of values returns: the value, or "must be …".
pub(super) type Read<T> = Result<T, String>;

/// A text that `T` can be made of. `T`'s own error says what is wrong with it.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(value: &DeValue<'_>) -> Read<T> {
    let text = text(value)?;
    text.parse().map_err(|bad| format!("{bad}"))
}

pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| must("be a text in quotes", value))
}

pub(super) fn flag(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| must("be true or false", value))
}

/// A name, as the constructors in [`interlock_kernel::ids`] take it.
pub(super) fn name<T>(new: fn(&str) -> Result<T, BadName>) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| new(&text(value)?).map_err(|bad| bad.to_string())
}

/// An integer within `range`.
pub(super) fn integer(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Read<u32> {
    move |value| {
        let wanted =
            || must(&format!("be a whole number from {} to {}", range.start(), range.end()), value);
        let integer = value.as_integer().ok_or_else(wanted)?;
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        number.filter(|number| range.contains(number)).ok_or_else(wanted)
    }
}

/// A span of time within `range`.
pub(super) fn span(range: RangeInclusive<Millis>) -> impl Fn(&DeValue<'_>) -> Read<Millis> {
    move |value| {
        let (from, to) = (Span(*range.start()), Span(*range.end()));
        let wanted = || must(&format!("be a time from {from} to {to}, such as \"30s\""), value);
        let Span(ms) = value.as_str().and_then(|text| text.parse().ok()).ok_or_else(wanted)?;
        if range.contains(&ms) { Ok(ms) } else { Err(wanted()) }
    }
}

pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    let path = value.as_str().filter(|text| !text.is_empty());
    path.map(PathBuf::from).ok_or_else(|| must("be the path of a folder", value))
}

const ADDRESS: &str = "be an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070";

/// The text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must {ADDRESS}, not {0:?}")]
pub struct BadAddress(String);

/// An IP address and a port, or `localhost:port`.
///
/// # Errors
/// Whatever else it is. Other names are refused: what they mean may change, and with it who can connect.
pub fn parse_address(text: &str) -> Result<SocketAddr, BadAddress> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let address = local.or_else(|| text.parse().ok());
    address.ok_or_else(|| BadAddress(text.to_owned()))
}

pub(super) fn address(value: &DeValue<'_>) -> Read<SocketAddr> {
    let address = value.as_str().and_then(|text| parse_address(text).ok());
    address.ok_or_else(|| must(ADDRESS, value))
}

/// "must be …, not …"
fn must(be: &str, value: &DeValue<'_>) -> String {
    format!("must {be}, not {}", shown(value))
}

/// "must be …, not …" of a value that is a section or a list, or should be. It is not shown: it may be a
/// token, in a place where nobody expects one.
pub(super) fn must_be_structure(be: &str, value: &DeValue<'_>) -> String {
    let kind = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    format!("must be {be}, not {kind}")
}

/// How a refused value is shown.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}
