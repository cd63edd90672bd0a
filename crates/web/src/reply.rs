//! Answers that are a "yes": JSON, with the entity's version as its tag.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use interlock_kernel::ids::Version;
use serde::Serialize;

use crate::{
    command::{IDEMPOTENT_REPLAYED, REPLAYED},
    condition::etag,
};

/// A JSON answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
    version: Option<Version>,
    replayed: bool,
}

impl Reply {
    /// An answer with what `body` serialises to.
    ///
    /// Panics if that fails: keys that are no strings, or a serialiser that refuses. Replies do neither.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("replies always serialise");
        Self::raw(status, body)
    }

    /// An answer with text that is JSON already.
    pub fn raw(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), version: None, replayed: false }
    }

    /// Also shows the entity's version as `ETag`.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Also says whether this answer was given before (`Idempotent-Replayed: true`).
    #[must_use]
    pub fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(version) = self.version {
            headers.insert(header::ETAG, etag(version));
        }
        if self.replayed {
            headers.insert(IDEMPOTENT_REPLAYED, REPLAYED);
        }
        response
    }
}
