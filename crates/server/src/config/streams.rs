//! `[streams]` and `[[streams.engines]]`: engines, and how long to wait for what.

use std::collections::BTreeMap;

use interlock_kernel::{ids::Member, limits::MEMBER_LIMIT, time::Millis};
use interlock_streams::{
    io::engine::EngineUrl,
    service::{Config, EngineConfig},
};

use super::{
    kinds::{flag, integer, name, parsed, span},
    span::Span,
    text::{Document, Found, Section},
};
use crate::limits;

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Config {
    let document = section.document();
    let default = Config::default();
    let start_timeout = section.optional("start_timeout", span(limits::START));
    let start_deadline = section.optional("start_deadline", span(limits::START));
    let (start_timeout, start_deadline) = start_times(document, start_timeout, start_deadline);
    let read = Config {
        start_timeout,
        start_deadline,
        start_attempts: section.or(
            "start_attempts",
            integer(limits::START_ATTEMPTS),
            default.start_attempts,
        ),
        linger: section.or("linger", span(limits::LINGER), default.linger),
        lease_ttl: section.or("lease_ttl", span(limits::LEASE_TTL), default.lease_ttl),
        engine_idle: section.or("engine_idle", span(limits::ENGINE_IDLE), default.engine_idle),
        ejection: section.or("ejection", span(limits::EJECTION), default.ejection),
        engines: engines(document, section.sections("engines")),
    };
    section.finish();
    read
}

/// One engine's time and a player's whole wait. The first lies within the second: who sets one of them
/// moves the other's default out of the way, who sets both must mean it.
fn start_times(
    document: &Document<'_>,
    timeout: Option<Found<Millis>>,
    deadline: Option<Found<Millis>>,
) -> (Millis, Millis) {
    let default = Config::default();
    match (timeout, deadline) {
        (None, None) => (default.start_timeout, default.start_deadline),
        (None, Some(deadline)) => (default.start_timeout.min(deadline.value), deadline.value),
        (Some(timeout), None) => (timeout.value, default.start_deadline.max(timeout.value)),
        (Some(timeout), Some(deadline)) => {
            if timeout.value > deadline.value {
                let says = format!(
                    "streams.start_timeout ({}) must not be longer than streams.start_deadline ({})",
                    Span(timeout.value),
                    Span(deadline.value)
                );
                document.mistake(timeout.at, says);
            }
            (timeout.value, deadline.value)
        }
    }
}

fn engines(document: &Document<'_>, sections: Vec<Section<'_>>) -> Vec<EngineConfig> {
    let (mut names, mut urls) = (BTreeMap::new(), BTreeMap::new());
    let mut engines = Vec::new();
    for mut section in sections {
        let name = section.required("name", name(Member::new));
        let url = section.required("url", parsed::<EngineUrl>);
        let limit = section.required("limit", integer(0..=MEMBER_LIMIT));
        let forwarded = section.or("forwarded", flag, false);
        section.finish();
        let (Some(name), Some(url), Some(limit)) = (name, url, limit) else { continue };
        // The same engine under two names would get twice its limit.
        if let Some(first) = urls.insert(url.value.clone(), url.at) {
            let line = document.line(first);
            let says = format!("the engine {} has the url of the one in line {line}", name.value);
            document.mistake(url.at, says);
        }
        if let Some(first) = names.insert(name.value.clone(), name.at) {
            let line = document.line(first);
            let says = format!("the engine's name {} is taken, in line {line}", name.value);
            document.mistake(name.at, says);
        }
        let (name, url, limit) = (name.value, url.value, limit.value);
        engines.push(EngineConfig { name, url, limit, forwarded });
    }
    engines
}
