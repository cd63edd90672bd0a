//! What a reader has already, and need not be sent again (RFC 9110 §13.1.2).
//!
//! It holds for every answer with a tag, so it stands around all endpoints: an answer is made, and then left
//! away. Making it costs less than a second way through every endpoint would.

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, Response, StatusCode, header},
};

use super::{Tags, tags};

/// The `If-None-Match` of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known(Tags);

impl Known {
    /// Reads the request. What cannot be understood is passed over: the reader gets the whole answer.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let known = || tags(request.headers(), &header::IF_NONE_MATCH, "If-None-Match");
        reads.then(known)?.ok().flatten().map(Self)
    }

    /// The answer, or 304 without a body if the reader has what it holds.
    pub(crate) fn spare(&self, mut answer: Response<Body>) -> Response<Body> {
        let etag = answer.headers().get(header::ETAG);
        let has_it = etag.is_some_and(|etag| self.names(etag));
        if answer.status() == StatusCode::OK && has_it {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            *answer.body_mut() = Body::empty();
            answer.headers_mut().remove(header::CONTENT_TYPE);
            answer.headers_mut().remove(header::CONTENT_LENGTH);
        }
        answer
    }

    fn names(&self, etag: &HeaderValue) -> bool {
        let text = etag.to_str().ok().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
        match &self.0 {
            Tags::Any => true,
            Tags::Listed(tags) => tags.iter().any(|tag| Some(tag.text.as_str()) == text),
        }
    }
}
