//! One entity, one command after the other: the model of [`crate::linear`] is `decide` itself.
//!
//! The moment of a change is known from the log. Of an answer that changed nothing, only the moments before and
//! after it are: where they make a difference, both answers are right.

use std::marker::PhantomData;

use interlock_kernel::{
    entity::{Context, Decision, Entity, Refusal},
    ids::{Caller, CommandId, Key, Version},
    time::Time,
};
use interlock_runtime::codec;

use super::What;
use crate::linear::Model;

/// A right server of one entity.
pub(super) struct Sequential<E> {
    key: Key,
    entity: PhantomData<E>,
}

/// The entity between two commands.
#[derive(Clone)]
pub(super) struct Between<E> {
    state: E,
    version: Version,
    at: Time,
}

impl<E: Default> Default for Between<E> {
    fn default() -> Self {
        Self { state: E::default(), version: Version(0), at: Time(0) }
    }
}

/// A command as its client saw it.
pub(super) struct Op<E: Entity> {
    pub(super) command: E::Command,
    pub(super) id: CommandId,
    /// When it was decided: between these.
    pub(super) within: (Time, Time),
    /// `None`: nobody was told.
    pub(super) what: Option<What>,
}

impl<E: Entity> Sequential<E> {
    pub(super) fn new(key: &Key) -> Self {
        Self { key: key.clone(), entity: PhantomData }
    }

    /// Decides as the engine would, on a command that has waited long enough. An error: what changes nothing.
    fn decide(&self, before: &Between<E>, op: &Op<E>, now: Time) -> Result<Decision<E>, What> {
        let cx = Context {
            now,
            arrived: Time(0),
            version: before.version,
            key: &self.key,
            caller: &Caller::local(),
            id: Some(&op.id),
            random: 0,
        };
        match before.state.decide(&op.command, &cx) {
            Ok(decision) if decision.is_unchanged() => {
                Err(What::Unchanged(codec::encode(&decision.reply)))
            }
            Ok(decision) => Ok(decision),
            Err(Refusal::Rejected(_) | Refusal::Wait { .. }) => Err(What::Rejected),
        }
    }

    /// Whether somebody was rightly told this, who changed nothing.
    fn is_right(&self, before: &Between<E>, op: &Op<E>, told: &What) -> bool {
        let (from, to) = op.within;
        let [first, last] = [from, to].map(|now| self.decide(before, op, now.max(before.at)).err());
        first != last || first.as_ref() == Some(told)
    }
}

impl<E: Entity> Model for Sequential<E> {
    type State = Between<E>;
    type Op = Op<E>;

    fn step(&self, before: &Between<E>, op: &Op<E>) -> Option<Between<E>> {
        let told = match &op.what {
            Some(told @ (What::Unchanged(_) | What::Rejected)) => {
                return self.is_right(before, op, told).then(|| before.clone());
            }
            Some(What::Changed { version, reply }) => Some((*version, reply)),
            None => None,
        };
        let (at, _) = op.within;
        let decision = self.decide(before, op, at).ok().filter(|_| at >= before.at)?;
        let version = before.version;
        let version = if decision.makes_version() { version.next() } else { version };
        if told.is_some_and(|told| told != (version, &codec::encode(&decision.reply))) {
            return None;
        }
        let mut state = before.state.clone();
        decision.events.iter().for_each(|event| state.apply(event));
        Some(Between { state, version, at })
    }

    fn bytes(&self, between: &Between<E>) -> Vec<u8> {
        codec::encode(&(&between.state, between.version, between.at))
    }
}
