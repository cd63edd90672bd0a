//! The cross-check of a recorded history: sorting believes versions, this does not.
//!
//! The model says what any entity must: a command that is acknowledged makes the version after the one before,
//! and a quota grants claims by numbers that grow one by one. Commands whose answers nobody saw are taken as
//! the server kept them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Checker, Event, Request};
use crate::linear::{self, Model, Operation, windows};

/// What an answer said.
struct Told {
    version: u64,
    /// The number of the claim that it granted.
    grant: Option<u64>,
}

/// An entity, as far as answers tell.
#[derive(Debug, Clone, Copy, Default)]
struct Entity {
    version: u64,
    /// The number of the last claim.
    granted: u64,
    /// Commands since then whose answers nobody saw: any of them may have been a claim.
    unseen: u64,
}

/// The versions whose answers nobody saw.
struct Unseen(BTreeSet<u64>);

impl Model for Unseen {
    type State = Entity;
    type Op = Told;

    fn step(&self, state: &Entity, told: &Told) -> Option<Entity> {
        let mut next = *state;
        next.version += 1;
        while self.0.contains(&next.version) {
            next.version += 1;
            next.unseen += 1;
        }
        if let Some(grant) = told.grant {
            let may_be = next.granted + 1..=next.granted + 1 + next.unseen;
            (next.granted, next.unseen) = may_be.contains(&grant).then_some((grant, 0))?;
        }
        (next.version == told.version).then_some(next)
    }

    fn bytes(&self, state: &Entity) -> Vec<u8> {
        [state.version, state.granted, state.unseen].map(u64::to_le_bytes).concat()
    }
}

impl Unseen {
    /// The state behind a window that was not searched.
    fn behind(&self, before: Entity, window: &[Operation<Told>]) -> Entity {
        let told = || window.iter().map(|operation| &operation.op);
        let version = told().map(|told| told.version).max().unwrap_or(before.version);
        let last = told().filter(|told| told.grant.is_some()).max_by_key(|told| told.version);
        let since = last.map_or(before.version, |told| told.version);
        let unseen = self.0.range(since..=version).count() as u64;
        match last.and_then(|told| told.grant) {
            Some(granted) => Entity { version, granted, unseen },
            None => Entity { version, granted: before.granted, unseen: before.unseen + unseen },
        }
    }
}

/// The number of a claim that an answer grants.
fn grant(body: &Value) -> Option<u64> {
    let is_grant = body.get("number").is_some() && body.get("remaining").is_some();
    body["claim"].as_str().filter(|_| is_grant)?.strip_prefix('c')?.parse().ok()
}

impl<'a> Checker<'a> {
    /// Looks for an order that explains the answers, window by window.
    pub(super) fn in_windows(&mut self, history: &'a [Event]) {
        let mut entities: BTreeMap<&str, BTreeMap<&str, Operation<Told>>> = BTreeMap::new();
        // When a command was first sent, by whoever.
        let mut starts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let requests = |event: &'a Event| match event {
            Event::Request(request) => Some(request),
            Event::Kept(_) => None,
        };
        for Request { entity, id, start_us, .. } in history.iter().filter_map(requests) {
            let start = starts.entry((entity, id)).or_insert(*start_us);
            *start = (*start).min(*start_us);
        }
        for Request { entity, id, end_us, status, body, .. } in history.iter().filter_map(requests)
        {
            let (Some(end), Some(200..300), Some(body)) = (*end_us, *status, body) else {
                continue;
            };
            let Some(version) = body["version"].as_u64() else { continue };
            // What changed nothing made no version.
            if self.version(entity, id) != Some(version) {
                continue;
            }
            let op = Told { version, grant: grant(body) };
            let start = starts[&(entity.as_str(), id.as_str())];
            let told = entities.entry(entity).or_default();
            let known = told.entry(id).or_insert(Operation { op, start, end: Some(end) });
            known.end = known.end.min(Some(end));
        }
        for (entity, told) in entities {
            let seen: BTreeSet<u64> = told.values().map(|told| told.op.version).collect();
            let made = self.made.get(entity).cloned().unwrap_or_default();
            let model = Unseen(made.difference(&seen).copied().collect());
            self.windows_of(entity, &model, told.into_values().collect());
        }
    }

    fn windows_of(&mut self, entity: &str, model: &Unseen, told: Vec<Operation<Told>>) {
        let mut states = vec![Entity::default()];
        for window in windows(told) {
            match linear::ends(model, states.clone(), &window) {
                None => {
                    let before = states.first().copied().unwrap_or_default();
                    states = vec![model.behind(before, &window)];
                }
                Some(ends) if ends.is_empty() => {
                    let (from, to) = (window[0].start, window[window.len() - 1].end.unwrap_or(0));
                    return self.wrong(format!(
                        "{entity}: no order explains the answers from {from} to {to} µs"
                    ));
                }
                Some(ends) => {
                    self.verdict.cross_checked += window.len() as u64;
                    states = ends;
                }
            }
        }
    }
}
