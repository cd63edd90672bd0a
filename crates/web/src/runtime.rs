//! Between HTTP and the runtime: commands go in, and receipts, views and refusals come out as answers.
//!
//! A service says what its domain's "no" is over HTTP (`impl From<ItsRejection> for Problem`). Everything
//! else that can keep a command from its reply is the same for all services, and is told here.
//!
//! Not here: which status and body a reply has. That is the service's.

use axum::http::{StatusCode, header};
use interlock_kernel::{
    entity::Entity,
    ids::{Key, Version},
};
use interlock_runtime::{Handle, Meta, Receipt, SendError, ShowError, View};
use serde::Serialize;

use crate::{
    command::{Command, Fingerprint},
    condition::etag,
    problem::Problem,
    reply::Reply,
};

impl<T, const LIMIT: usize> Command<T, LIMIT> {
    /// Sends what `say` makes of the body to an entity, under the command's id, and waits for the durable
    /// outcome.
    ///
    /// # Errors
    /// The domain's own "no", and what [`refused`] tells.
    pub async fn send<E>(
        self,
        to: &Handle<E>,
        key: &Key,
        say: impl FnOnce(T) -> E::Command,
    ) -> Result<Receipt<E::Reply>, Problem>
    where
        E: Entity,
        E::Rejection: Into<Problem>,
    {
        let (id, fingerprint) = match self.identity {
            Some(identity) => (Some(identity.id), short(identity.fingerprint)),
            None => (None, 0),
        };
        let meta = Meta { caller: Some(self.caller), id, fingerprint };
        to.send(key, say(self.body), meta).await.map_err(|error| refused::<E>(key, error))
    }
}

/// The committed state of an entity, with everything that was acknowledged before the call.
///
/// # Errors
/// What [`refused`] tells.
pub async fn view<E>(of: &Handle<E>, key: &Key) -> Result<View<E>, Problem>
where
    E: Entity,
    E::Rejection: Into<Problem>,
{
    of.view(key).await.map_err(|error| refused::<E>(key, error))
}

/// The answer to a command: `body`, an object, with the entity's `version` as its last member.
pub fn reply<R>(status: StatusCode, body: &impl Serialize, receipt: &Receipt<R>) -> Reply {
    #[derive(Serialize)]
    struct Versioned<'a, B> {
        #[serde(flatten)]
        body: &'a B,
        version: Version,
    }
    let Receipt { version, replayed, .. } = *receipt;
    Reply::json(status, &Versioned { body, version }).version(version).replayed(replayed)
}

/// Why a command has no reply: the domain's "no", 410 `closed`, 422 `idempotency_key_reused`,
/// 413 `too_large`, or 503 with `busy`, `store_unavailable`, `entity_poisoned`, `shutting_down`.
///
/// Where the refusal rests on a version of the entity, the problem carries it as `version` and `ETag`.
pub fn refused<E>(key: &Key, error: SendError<E::Rejection>) -> Problem
where
    E: Entity,
    E::Rejection: Into<Problem>,
{
    match error {
        SendError::Rejected { rejection, version } => at_version(rejection.into(), version),
        SendError::Closed { version } => at_version(Problem::closed(name::<E>(key)), version),
        SendError::Busy => Problem::busy(),
        SendError::IdReused => Problem::idempotency_key_reused(),
        SendError::Poisoned { version, why: _ } => {
            at_version(Problem::entity_poisoned(name::<E>(key)), version)
        }
        SendError::TooLarge { bytes: _ } => {
            Problem::too_large(interlock_runtime::limits::RECORD_BYTES)
        }
        SendError::Unavailable(_) => Problem::store_unavailable(),
        SendError::Stopping => Problem::shutting_down(),
    }
}

/// Why an entity of any type cannot be shown: 404 `unknown_type`, or 503 as for commands.
#[must_use]
pub fn not_shown(entity: &str, key: &Key, error: ShowError) -> Problem {
    match error {
        ShowError::UnknownType => Problem::unknown("unknown_type", format!("entity type {entity}")),
        ShowError::Busy => Problem::busy(),
        ShowError::Poisoned { version, why: _ } => {
            at_version(Problem::entity_poisoned(format!("{entity}/{key}")), version)
        }
        ShowError::Unavailable(_) => Problem::store_unavailable(),
        ShowError::Stopping => Problem::shutting_down(),
    }
}

fn name<E: Entity>(key: &Key) -> String {
    format!("{}/{key}", E::TYPE)
}

/// An entity without history has no version to show.
fn at_version(problem: Problem, version: Version) -> Problem {
    if version == Version(0) {
        return problem;
    }
    problem.with("version", version.0).header(header::ETAG, etag(version))
}

/// The part of a fingerprint that the runtime keeps. Zero is left to commands that came without one.
fn short(Fingerprint(fingerprint): Fingerprint) -> u64 {
    let [high, low] = [fingerprint >> 64, fingerprint & u128::from(u64::MAX)];
    u64::try_from(high ^ low).expect("both halves have 64 bits").max(1)
}
