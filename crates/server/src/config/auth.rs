//! `[auth]`: who may come in.
//!
//! Tokens are a list of sections, or a section of their own that maps names to tokens; both are common.
//!
//! ```toml
//! [auth]
//! tokens = [{ name = "bot", token = "0123456789abcdef" }]
//! ```
//! ```toml
//! [auth.tokens]
//! bot = "0123456789abcdef"
//! ```

use std::collections::BTreeMap;

use interlock_kernel::ids::check_name;
use interlock_web::guard::AccessToken;
use toml::de::DeValue;

use super::{
    kinds::{Read, text},
    text::{Document, Found, Section},
};
use crate::limits;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Vec<AccessToken> {
    let document = section.document();
    let tokens = match section.get("tokens").map(|value| value.get_ref()) {
        Some(DeValue::Table(_)) => section.section("tokens").map(|map| mapped(&map)),
        Some(DeValue::Array(_)) => Some(listed(section.sections("tokens"))),
        Some(
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_),
        ) => {
            // The value is not shown: it may be a token.
            let wanted = r#"must be a list: tokens = [{ name = "bot", token = "…" }]"#;
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

fn listed(sections: Vec<Section<'_>>) -> Vec<Token> {
    let token = |mut section: Section<'_>| {
        let name = section.required("name", name);
        let secret = section.required("token", secret);
        section.finish();
        Some((name?, secret?))
    };
    sections.into_iter().filter_map(token).collect()
}

fn mapped(section: &Section<'_>) -> Vec<Token> {
    let document = section.document();
    let token = |(key, value): (Found<&str>, &toml::Spanned<DeValue<'_>>)| {
        let path = section.path(key.value);
        let named = check_name(key.value).map_err(|bad| {
            document.mistake(key.at, format!("the name {:?} of a token {bad}", key.value));
        });
        let secret = secret(value.get_ref()).map_err(|says| {
            document.mistake(Some(value.span().start), format!("{path} {says}"));
        });
        let name = Found { value: key.value.to_owned(), at: key.at };
        named
            .and(secret)
            .ok()
            .map(|secret| (name, Found { value: secret, at: Some(value.span().start) }))
    };
    section.entries().filter_map(token).collect()
}

fn name(value: &DeValue<'_>) -> Read<String> {
    let name = text(value)?;
    check_name(&name).map_err(|bad| bad.to_string())?;
    Ok(name)
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
            let says = format!("the name {:?} of a token is taken, in line {line}", name.value);
            document.mistake(name.at, says);
        }
        if let Some(first) = secrets.insert(&secret.value, secret.at) {
            let line = document.line(first);
            let says = format!("the token of {:?} is the same as that in line {line}", name.value);
            document.mistake(secret.at, says);
        }
    }
}
