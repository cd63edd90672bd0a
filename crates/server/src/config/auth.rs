//! `[auth]`: who may come in.
//!
//! Tokens are a list, or a section of their own that maps names to tokens; both are common.
//!
//! ```toml
//! [auth]
//! tokens = ["0123456789abcdef", { name = "bot", token = "fedcba9876543210" }]
//! ```
//! ```toml
//! [auth.tokens]
//! bot = "0123456789abcdef"
//! ```
//!
//! A token that is only a text is called by its place in the list: `token-1` is the first.
//!
//! No message repeats what stands in this section, neither tokens nor names: who mixes the two up must not
//! find a token in the log. The place in the text says which is meant.

use std::collections::BTreeMap;

use interlock_kernel::ids::check_name;
use interlock_web::guard::AccessToken;
use toml::{
    Spanned,
    de::{DeArray, DeValue},
};

use super::{
    kinds::Read,
    text::{Document, Found, Section, at},
};
use crate::limits;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Vec<AccessToken> {
    let document = section.document();
    let tokens = match section.get("tokens").map(|value| value.get_ref()) {
        Some(DeValue::Table(_)) => section.section("tokens").map(|map| mapped(&map)),
        Some(DeValue::Array(items)) => Some(listed(&section, items)),
        Some(
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_),
        ) => {
            let wanted = r#"must be a list: tokens = ["…"]"#;
            let _: Option<Found<()>> = section.optional("tokens", |_| Err(wanted.to_owned()));
            None
        }
        None => None,
    };
    section.finish();
    let tokens = tokens.unwrap_or_default();
    check_repeats(document, &tokens);
    let token = |(name, secret): (Found<String>, Found<String>)| AccessToken {
        name: name.value,
        secret: secret.value,
    };
    tokens.into_iter().map(token).collect()
}

type Token = (Found<String>, Found<String>);

fn listed(section: &Section<'_>, items: &DeArray<'_>) -> Vec<Token> {
    let document = section.document();
    let mut tokens = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{}[{index}]", section.path("tokens"));
        tokens.extend(match item.get_ref() {
            DeValue::Table(_) => section.item(path, item).and_then(named),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                let name = Found { value: format!("token-{}", index + 1), at: at(item) };
                said(document, &path, item, secret).map(|secret| (name, secret))
            }
        });
    }
    tokens
}

fn named(mut section: Section<'_>) -> Option<Token> {
    let name = section.required("name", name);
    let secret = section.required("token", secret);
    section.finish();
    Some((name?, secret?))
}

fn mapped(section: &Section<'_>) -> Vec<Token> {
    let document = section.document();
    let token = |(key, value): (Found<&str>, &Spanned<DeValue<'_>>)| {
        let named = check_name(key.value).map_err(|bad| {
            document.mistake(key.at, format!("the name of a token {bad}"));
        });
        let secret = said(document, "a token", value, secret);
        let name = Found { value: key.value.to_owned(), at: key.at };
        named.ok().and(secret).map(|secret| (name, secret))
    };
    section.entries().filter_map(token).collect()
}

/// Reads a value; what is wrong is said of `what`.
fn said(
    document: &Document<'_>,
    what: &str,
    value: &Spanned<DeValue<'_>>,
    kind: impl Fn(&DeValue<'_>) -> Read<String>,
) -> Option<Found<String>> {
    let read = kind(value.get_ref());
    let read = read.map_err(|says| document.mistake(at(value), format!("{what} {says}")));
    read.ok().map(|read| Found { value: read, at: at(value) })
}

fn name(value: &DeValue<'_>) -> Read<String> {
    let name = value.as_str().ok_or("must be a text in quotes")?;
    check_name(name).map_err(|bad| bad.to_string())?;
    Ok(name.to_owned())
}

/// A token. What is wrong with it is said without showing it.
fn secret(value: &DeValue<'_>) -> Read<String> {
    let range = limits::TOKEN_CHARS_MIN..=interlock_web::limits::TOKEN_CHARS;
    let wanted = format!("must have {} to {} visible ASCII characters", range.start(), range.end());
    let Some(secret) = value.as_str() else { return Err(wanted) };
    if secret.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(format!("{wanted}; it holds others"));
    }
    if !range.contains(&secret.len()) {
        return Err(format!("{wanted}, not {}", secret.len()));
    }
    Ok(secret.to_owned())
}

/// A name stands for one token, and a token for one name.
fn check_repeats(document: &Document<'_>, tokens: &[Token]) {
    let (mut names, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    for (name, secret) in tokens {
        if let Some(first) = names.insert(&name.value, name.at) {
            let line = document.line(first);
            document.mistake(name.at, format!("the name of this token is taken, in line {line}"));
        }
        if let Some(first) = secrets.insert(&secret.value, secret.at) {
            let line = document.line(first);
            document.mistake(secret.at, format!("this token is the same as that in line {line}"));
        }
    }
}
