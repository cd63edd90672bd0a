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
use interlock_runtime::{Meta, Receipt, Runtime, SendError, ShowError, View};
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
        runtime: &Runtime,
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
        let sent = runtime.handle::<E>().send(key, say(self.body), meta).await;
        sent.map_err(|error| refused::<E>(key, error))
    }
}

/// The committed state of an entity, with everything that was acknowledged before the call.
///
/// # Errors
/// What [`refused`] tells.
pub async fn view<E>(runtime: &Runtime, key: &Key) -> Result<View<E>, Problem>
where
    E: Entity,
    E::Rejection: Into<Problem>,
{
    runtime.handle::<E>().view(key).await.map_err(|error| refused::<E>(key, error))
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

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use interlock_kernel::entity::{Context, Decision, Never, Verdict};
    use interlock_runtime::store::StoreError;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Door;

    #[derive(Debug, Clone, thiserror::Error)]
    #[error("the door is locked")]
    struct Locked;

    impl From<Locked> for Problem {
        fn from(locked: Locked) -> Self {
            Problem::new(StatusCode::CONFLICT, "locked", locked.to_string())
        }
    }

    impl Entity for Door {
        const TYPE: &'static str = "door";
        type Command = ();
        type Event = ();
        type Reply = ();
        type Rejection = Locked;
        type Effect = Never;

        fn decide(&self, (): &(), _: &Context<'_>) -> Verdict<Self> {
            Ok(Decision::unchanged(()))
        }

        fn apply(&mut self, (): &()) {}

        fn command_name((): &()) -> &'static str {
            "knock"
        }

        fn event_name((): &()) -> &'static str {
            "knocked"
        }
    }

    #[test]
    fn everything_that_keeps_a_command_from_its_reply_is_a_problem_with_a_code() {
        let key = Key::new("front").unwrap();
        let version = Version(7);
        let full = || StoreError::Full("no space".to_owned());
        for (error, expected, retries, tag) in [
            (SendError::Rejected { rejection: Locked, version }, "409 locked", false, true),
            (SendError::Closed { version }, "410 closed", false, true),
            (SendError::Busy, "503 busy", true, false),
            (SendError::IdReused, "422 idempotency_key_reused", false, false),
            (SendError::Poisoned { version, why: "x".into() }, "503 entity_poisoned", false, true),
            (SendError::TooLarge { bytes: 1 << 30 }, "413 too_large", false, false),
            (SendError::Unavailable(full()), "503 store_unavailable", true, false),
            (SendError::Stopping, "503 shutting_down", true, false),
        ] {
            let problem = refused::<Door>(&key, error);
            let found = format!("{} {}", problem.status().as_u16(), problem.code());
            assert_eq!(found, expected);
            let shown = problem.to_json().contains("\"version\":7");
            let headers = problem.into_response().headers().clone();
            assert_eq!(headers.contains_key("retry-after"), retries, "{expected}");
            let tagged = headers.get("etag").is_some_and(|etag| etag == "\"7\"");
            assert_eq!((shown, tagged), (tag, tag), "{expected}");
        }
    }

    #[test]
    fn what_nobody_has_written_to_has_no_version() {
        let error = SendError::Rejected { rejection: Locked, version: Version(0) };
        let problem = refused::<Door>(&Key::new("front").unwrap(), error);
        assert!(!problem.to_json().contains("version"));
    }

    #[test]
    fn an_entity_that_cannot_be_shown_says_why() {
        let key = Key::new("front").unwrap();
        let poisoned = ShowError::Poisoned { version: Version(7), why: "x".into() };
        for (error, expected) in [
            (ShowError::UnknownType, "404 unknown_type"),
            (ShowError::Busy, "503 busy"),
            (poisoned, "503 entity_poisoned"),
            (ShowError::Unavailable(StoreError::Failed("x".into())), "503 store_unavailable"),
            (ShowError::Stopping, "503 shutting_down"),
        ] {
            let problem = not_shown("door", &key, error);
            assert_eq!(format!("{} {}", problem.status().as_u16(), problem.code()), expected);
        }
    }

    #[test]
    fn a_reply_ends_with_its_version_and_says_whether_it_is_a_repeat() {
        for replayed in [false, true] {
            let at = interlock_kernel::time::Time(0);
            let receipt = Receipt { reply: (), version: Version(7), at, replayed, changed: true };
            let body = serde_json::json!({"open": true});
            let expected = Reply::raw(StatusCode::OK, r#"{"open":true,"version":7}"#);
            let expected = expected.version(Version(7)).replayed(replayed);
            assert_eq!(reply(StatusCode::OK, &body, &receipt), expected);
        }
    }

    #[test]
    fn a_short_fingerprint_is_never_zero() {
        let both_halves = 5 << 64 | 5;
        for (fingerprint, expected) in [(0, 1), (both_halves, 1), (1, 1), (6 << 64 | 5, 3)] {
            assert_eq!(short(Fingerprint(fingerprint)), expected);
        }
    }
}
