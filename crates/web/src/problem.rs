//! Problems: every answer that is a "no", as RFC 9457 problem details.
//!
//! ```json
//! {"type":"about:blank","title":"Bad Request","status":400,"code":"out_of_range",
//!  "detail":"`ttl_ms` must be an integer from 100 to 604800000, not 5","field":"ttl_ms"}
//! ```
//!
//! `code` is what programs look at: stable, and one per cause. `detail` is for people and may change.
//! `field` names the member, parameter or header that is to blame. Services add members of their own
//! with [`Problem::with`].
//!
//! The codes that all services share are the constructors below. Those of one service are made with
//! [`Problem::new`] where that service maps its rejections.

mod quota;

use std::{collections::BTreeMap, fmt};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use interlock_kernel::time::Millis;
use serde::Serialize;
use serde_json::Value;

/// The media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One "no". Boxed, so that a `Result` with it stays small.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    extra: BTreeMap<&'static str, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem with a status, its stable code, and words for people.
    ///
    /// Panics if the status is no refusal.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        assert!(status.is_client_error() || status.is_server_error(), "{status} is no refusal");
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            field: None,
            extra: BTreeMap::new(),
            headers: Vec::new(),
        }))
    }

    /// Also names the member, parameter or header that is to blame.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Also says when to try again: whole seconds, rounded up, at least one.
    #[must_use]
    pub fn retry_after(mut self, wait: Millis) -> Self {
        let seconds = wait.secs_ceil().max(1);
        self.0.headers.retain(|(name, _)| name != header::RETRY_AFTER);
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Also carries a member of its own, such as `version`.
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(member, value.into());
        self
    }

    /// Also carries a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The words for people.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is to blame, if one thing is.
    #[must_use]
    pub fn blamed(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The JSON body.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Shown<'a> {
            r#type: &'static str,
            title: &'a str,
            status: u16,
            code: &'a str,
            detail: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            field: Option<&'a str>,
            #[serde(flatten)]
            extra: &'a BTreeMap<&'static str, Value>,
        }
        let shown = Shown {
            r#type: "about:blank",
            title: self.0.status.canonical_reason().unwrap_or("Refused"),
            status: self.0.status.as_u16(),
            code: self.0.code,
            detail: &self.0.detail,
            field: self.0.field.as_deref(),
            extra: &self.0.extra,
        };
        serde_json::to_string(&shown).expect("strings, numbers and JSON values always serialise")
    }

    /// The headers, apart from the media type.
    pub fn headers(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.headers.iter().map(|(name, value)| (name, value))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        for (name, value) in self.0.headers {
            headers.append(name, value);
        }
        response
    }
}

/// What a request is made of.
impl Problem {
    /// 400 `bad_request`: not HTTP, or not a request that can be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 408 `request_timeout`: the rest of the request did not come in time.
    pub fn request_timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
    }

    /// 413 `too_large`: the body has more bytes than `limit`.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body must have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail).with("limit", limit)
    }

    /// 414 `uri_too_long`.
    #[must_use]
    pub fn uri_too_long() -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "uri_too_long", "the request's address is too long")
    }

    /// 431 `header_too_large`: too many bytes or too many lines.
    #[must_use]
    pub fn header_too_large() -> Self {
        let detail = format!(
            "the request's headers must have at most {} bytes and {} lines",
            crate::limits::HEAD_BYTES,
            crate::limits::HEADERS
        );
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_too_large", detail)
    }

    /// 415 `not_json`: the body is declared as something else.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "the body must be JSON, sent with `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail).field("Content-Type")
    }

    /// 400 `bad_json`: the body does not parse.
    pub fn bad_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_json", detail)
    }

    /// 400 with a code of the request's shape; see [`crate::shape::Fault`] for these.
    pub(crate) fn bad_field(code: &'static str, field: String, says: &str) -> Self {
        let detail = format!("`{field}` {says}");
        Self::new(StatusCode::BAD_REQUEST, code, detail).field(field)
    }

    /// 400 `bad_key`: a key or name in the path breaks the rule of names.
    #[must_use]
    pub fn bad_key(parameter: &str, why: impl fmt::Display) -> Self {
        let detail = format!("`{parameter}` in the path {why}");
        Self::new(StatusCode::BAD_REQUEST, "bad_key", detail).field(parameter)
    }

    /// 400 `bad_idempotency_key`.
    #[must_use]
    pub fn bad_idempotency_key(why: impl fmt::Display) -> Self {
        let detail = format!("`Idempotency-Key` {why}");
        Self::new(StatusCode::BAD_REQUEST, "bad_idempotency_key", detail).field("Idempotency-Key")
    }

    /// 400 `bad_condition`: an `If-Match` or `If-None-Match` that is none.
    #[must_use]
    pub fn bad_condition(header: &'static str, why: impl fmt::Display) -> Self {
        let detail = format!("`{header}` {why}");
        Self::new(StatusCode::BAD_REQUEST, "bad_condition", detail).field(header)
    }

    /// 400 `bad_fencing_token`.
    #[must_use]
    pub fn bad_fencing_token(why: impl fmt::Display) -> Self {
        let header = "Interlock-Fencing-Token";
        let detail = format!("`{header}` {why}");
        Self::new(StatusCode::BAD_REQUEST, "bad_fencing_token", detail).field(header)
    }
}

/// Where it goes and who sends it.
impl Problem {
    /// 404 `not_found`: no such path.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    /// 405 `method_not_allowed`, with `Allow`.
    #[must_use]
    pub fn method_not_allowed(allow: &HeaderValue) -> Self {
        let methods = allow.to_str().expect("`Allow` lists method names");
        let detail = format!("this path answers only {methods}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
            .header(header::ALLOW, allow.clone())
    }

    /// 401 `unauthorized`, with `WWW-Authenticate` for programs and for browsers.
    #[must_use]
    pub fn unauthorized(detail: &'static str) -> Self {
        let bearer = HeaderValue::from_static("Bearer realm=\"interlock\"");
        let basic = HeaderValue::from_static("Basic realm=\"interlock\", charset=\"UTF-8\"");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .header(header::WWW_AUTHENTICATE, bearer)
            .header(header::WWW_AUTHENTICATE, basic)
    }

    /// 403 `forbidden_host`: a name that does not belong to this server. A web page that points its own
    /// name at this machine (DNS rebinding) looks like that.
    #[must_use]
    pub fn forbidden_host() -> Self {
        let detail = "`Host` must be a loopback name: localhost, 127.0.0.1 or [::1]";
        Self::new(StatusCode::FORBIDDEN, "forbidden_host", detail).field("Host")
    }

    /// 403 `forbidden_origin`: a web page of another site sends this.
    #[must_use]
    pub fn forbidden_origin() -> Self {
        let detail = "web pages of other sites may not send requests to this server";
        Self::new(StatusCode::FORBIDDEN, "forbidden_origin", detail).field("Origin")
    }
}

/// What becomes of commands.
impl Problem {
    /// 422 `idempotency_key_reused`: the same key with another request.
    #[must_use]
    pub fn idempotency_key_reused() -> Self {
        let detail = "this `Idempotency-Key` was used for another request; use a new one";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "idempotency_key_reused", detail).field("Idempotency-Key")
    }

    /// 404 `unknown_{type}`: nobody has written to this entity. The code is the caller's, because codes
    /// are constants.
    #[must_use]
    pub fn unknown(code: &'static str, what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, format!("there is no {what}"))
    }

    /// 410 `closed`: the entity was closed.
    #[must_use]
    pub fn closed(what: impl fmt::Display) -> Self {
        Self::new(StatusCode::GONE, "closed", format!("{what} is closed"))
    }

    /// 503 `busy`: too many commands wait for this entity, or for the store.
    #[must_use]
    pub fn busy() -> Self {
        let detail = "too many commands are waiting; send it again with the same `Idempotency-Key`";
        Self::unavailable("busy", detail, Millis::from_secs(1))
    }

    /// 503 `store_unavailable`: nothing can be committed now.
    #[must_use]
    pub fn store_unavailable() -> Self {
        let detail = "the store cannot commit now; send it again with the same `Idempotency-Key`";
        Self::unavailable("store_unavailable", detail, Millis::from_secs(2))
    }

    /// 503 `shutting_down`.
    #[must_use]
    pub fn shutting_down() -> Self {
        let detail = "the server is shutting down; send it again with the same `Idempotency-Key`";
        Self::unavailable("shutting_down", detail, Millis::from_secs(5))
    }

    /// 503 `entity_poisoned`: this entity broke one of its invariants and is set aside; others go on. No
    /// `Retry-After`: only a newer binary can bring it back.
    #[must_use]
    pub fn entity_poisoned(what: impl fmt::Display) -> Self {
        let detail = format!("{what} broke an invariant and is set aside for inspection");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "entity_poisoned", detail)
    }

    /// 503 `too_many_connections`.
    #[must_use]
    pub fn too_many_connections() -> Self {
        let detail = "the server has no room for another connection";
        Self::unavailable("too_many_connections", detail, Millis::from_secs(1))
    }

    /// 500 `internal_error`: a defect. The log has the details, the client gets none.
    #[must_use]
    pub fn internal_error() -> Self {
        let detail = "the server failed on this request; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// 400 `bad_cursor`: a place in a feed that this server never gave.
    #[must_use]
    pub fn bad_cursor(field: &'static str) -> Self {
        let detail = format!("`{field}` must be the id of an event, as it came");
        Self::new(StatusCode::BAD_REQUEST, "bad_cursor", detail).field(field)
    }

    /// 410 `cursor_gone`: a place in a feed that is older than what is kept.
    #[must_use]
    pub fn cursor_gone() -> Self {
        let detail = "what came after this event is no longer kept; begin at `from=start`";
        Self::new(StatusCode::GONE, "cursor_gone", detail)
    }

    fn unavailable(code: &'static str, detail: &str, wait: Millis) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(wait)
    }
}

#[cfg(test)]
mod tests;
