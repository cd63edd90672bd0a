//! Routes and their documentation, registered by one call.
//!
//! ```
//! use axum::http::StatusCode;
//! use interlock_web::{endpoint::{Endpoint, Routes}, reply::Reply, schema};
//!
//! let routes = Routes::<()>::new().on(
//!     Endpoint::get("/api/v1/health", "Whether the server answers")
//!         .answers(200, "It does.", schema::object([("status", schema::word("ok"))])),
//!     async || Reply::json(StatusCode::OK, &serde_json::json!({"status": "ok"})),
//! );
//! assert_eq!(routes.endpoints()[0].path(), "/api/v1/health");
//! ```
//!
//! Every path answers 405 with `Allow` to the methods it does not know, and `HEAD` where it knows `GET`.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    Router,
    handler::Handler,
    http::{HeaderValue, Method, StatusCode, header},
    response::IntoResponse,
    routing::{MethodFilter, MethodRouter},
};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    body::Content,
    openapi,
    problem::Problem,
    request::{FieldDoc, Request},
    shape::Cause,
};

/// Who may use an endpoint of a server that asks for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Who sends a token in the headers.
    #[default]
    Token,
    /// Also who sends it in the address, as `?token=`: for players that cannot send headers. `GET` only.
    TokenInAddress,
    /// Everyone: the endpoint checks for itself who sends, by a signature for example. On loopback such
    /// requests may come under any `Host`.
    Public,
}

/// One method on one path, and what there is to know about it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) access: Access,
    pub(crate) ids: BTreeSet<&'static str>,
    pub(crate) query: Vec<FieldDoc>,
    pub(crate) headers: Vec<HeaderDoc>,
    pub(crate) body: Option<BodyDoc>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) refusals: BTreeMap<u16, BTreeSet<&'static str>>,
}

/// A request header, for documentation.
#[derive(Debug, Clone)]
pub(crate) struct HeaderDoc {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
}

/// A request body, for documentation.
#[derive(Debug, Clone)]
pub(crate) struct BodyDoc {
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

/// A "yes", for documentation.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) says: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) schema: Option<Value>,
}

impl Endpoint {
    fn new(method: Method, path: &'static str, summary: &'static str) -> Self {
        let mut endpoint = Self {
            method,
            path,
            summary,
            tag: "",
            access: Access::Token,
            ids: BTreeSet::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: BTreeMap::new(),
        };
        if path.contains('{') {
            endpoint = endpoint.refuses(400, &["bad_key"]);
        }
        endpoint
    }

    /// `GET`, and `HEAD` with it.
    #[must_use]
    pub fn get(path: &'static str, summary: &'static str) -> Self {
        Self::new(Method::GET, path, summary)
    }

    /// `POST`.
    #[must_use]
    pub fn post(path: &'static str, summary: &'static str) -> Self {
        Self::new(Method::POST, path, summary)
    }

    /// `PUT`.
    #[must_use]
    pub fn put(path: &'static str, summary: &'static str) -> Self {
        Self::new(Method::PUT, path, summary)
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(path: &'static str, summary: &'static str) -> Self {
        Self::new(Method::DELETE, path, summary)
    }

    /// The heading it is shown under.
    #[must_use]
    pub fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// A parameter of the path that is an id made by the server; others are names.
    #[must_use]
    pub fn id(mut self, parameter: &'static str) -> Self {
        let declared = self.path.contains(&format!("{{{parameter}}}"));
        assert!(declared, "{} has no parameter {parameter}", self.path);
        self.ids.insert(parameter);
        self
    }

    /// The parameters behind the `?`; the handler takes [`crate::request::Query`].
    #[must_use]
    pub fn query<R: Request>(mut self) -> Self {
        self.query = R::fields();
        let causes = [
            Cause::DuplicateField,
            Cause::WrongType,
            Cause::OutOfRange,
            Cause::BadName,
            Cause::BadValue,
        ];
        self.refuses(400, &["bad_request"]).refuses(400, &causes.map(Cause::code))
    }

    /// A header that may be sent.
    #[must_use]
    pub fn header(mut self, name: &'static str, says: &'static str) -> Self {
        self.headers.push(HeaderDoc { name, says });
        self
    }

    /// The body; the handler takes [`crate::body::Body`].
    #[must_use]
    pub fn body<T: Content>(mut self) -> Self {
        self.body = T::schema().map(|schema| BodyDoc { schema, required: T::required() });
        self.refuses(400, &["bad_json", "bad_request"])
            .refuses(400, &Cause::ALL.map(Cause::code))
            .refuses(408, &["request_timeout"])
            .refuses(413, &["too_large"])
            .refuses(415, &["not_json"])
    }

    /// The body of a command to an entity; the handler takes [`crate::command::Command`].
    #[must_use]
    pub fn command<T: Content>(self) -> Self {
        self.body::<T>()
            .header(
                "Idempotency-Key",
                "The command's id, 1 to 255 visible ASCII characters. A repeat under the same id gets \
                 the first answer and has no second effect.",
            )
            .refuses(400, &["bad_idempotency_key", "bad_condition", "bad_fencing_token"])
            .refuses(422, &["idempotency_key_reused"])
            .refuses(503, &["busy", "store_unavailable", "shutting_down", "entity_poisoned"])
    }

    /// `If-Match` and `If-None-Match`, which are answered with 412 when they do not hold.
    #[must_use]
    pub fn conditional(self) -> Self {
        self.header("If-Match", "Only if the version is one of these: `\"17\"`, or `*` for any.")
            .header("If-None-Match", "`*`: only if there is nothing yet.")
    }

    /// `Interlock-Fencing-Token`.
    #[must_use]
    pub fn fenced(self) -> Self {
        let says = "Only if no higher token has been seen: an integer from 0 to 2^53 − 1.";
        self.header("Interlock-Fencing-Token", says)
    }

    /// A "yes" in JSON.
    #[must_use]
    pub fn answers(mut self, status: u16, says: &'static str, schema: Value) -> Self {
        let media_type = "application/json";
        self.answers.push(Answer { status, says, media_type, schema: Some(schema) });
        self
    }

    /// A "yes" in another media type; an empty one stands for no body.
    #[must_use]
    pub fn answers_with(
        mut self,
        status: u16,
        says: &'static str,
        media_type: &'static str,
    ) -> Self {
        self.answers.push(Answer { status, says, media_type, schema: None });
        self
    }

    /// A "no": which status, with which codes.
    #[must_use]
    pub fn refuses(mut self, status: u16, codes: &[&'static str]) -> Self {
        self.refusals.entry(status).or_default().extend(codes);
        self
    }

    /// Who may use it.
    ///
    /// Panics if a method other than `GET` would take its token from the address.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        let safe = self.method == Method::GET || access != Access::TokenInAddress;
        assert!(safe, "{} {} must not take its token from the address", self.method, self.path);
        self.access = access;
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, with its parameters in braces.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.path
    }
}

/// Endpoints with their handlers.
#[derive(Debug)]
pub struct Routes<S = ()> {
    handlers: BTreeMap<&'static str, MethodRouter<S>>,
    endpoints: Vec<Endpoint>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self { handlers: BTreeMap::new(), endpoints: Vec::new() }
    }

    /// Adds an endpoint. Panics if its method and path are taken.
    #[must_use]
    pub fn on<H, T>(mut self, endpoint: Endpoint, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(endpoint.method.clone());
        let filter = filter.expect("axum routes the methods that endpoints have");
        let path = self.handlers.entry(endpoint.path).or_default();
        *path = std::mem::take(path).on(filter, handler);
        self.endpoints.push(endpoint);
        self
    }

    /// Adds all of `other`. Panics if both have the same method on the same path.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (path, handlers) in other.handlers {
            let known = self.handlers.entry(path).or_default();
            *known = std::mem::take(known).merge(handlers);
        }
        self.endpoints.extend(other.endpoints);
        self
    }

    /// Gives the handlers their state.
    #[must_use]
    pub fn with_state(self, state: S) -> Routes {
        let give =
            |(path, handlers): (_, MethodRouter<S>)| (path, handlers.with_state(state.clone()));
        Routes {
            handlers: self.handlers.into_iter().map(give).collect(),
            endpoints: self.endpoints,
        }
    }

    /// What has been added, in order.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }
}

impl Routes {
    /// Adds `GET /api/openapi.json`: the OpenAPI 3.1 document of everything added so far, and of itself.
    #[must_use]
    pub fn with_openapi(self, title: &str, version: &str) -> Self {
        let endpoint = Endpoint::get("/api/openapi.json", "This document").answers(
            200,
            "OpenAPI 3.1.",
            Value::Object(serde_json::Map::new()),
        );
        let all: Vec<_> = self.endpoints.iter().chain([&endpoint]).collect();
        let document = Bytes::from(openapi::document(title, version, &all).to_string());
        let json = HeaderValue::from_static("application/json");
        self.on(endpoint, async move || ([(header::CONTENT_TYPE, json)], document))
    }

    /// The axum router. Unknown paths are 404 `not_found`, unknown methods 405 `method_not_allowed`.
    pub fn into_router(self) -> Router {
        let mut router = Router::new();
        for (path, handlers) in self.handlers {
            let allow = allow(self.endpoints.iter().filter(|endpoint| endpoint.path == path));
            let refuse = async move || Problem::method_not_allowed(&allow);
            router = router.route(path, handlers.fallback(refuse));
        }
        router.fallback(async || Problem::not_found().into_response())
    }
}

/// The value of `Allow` for these endpoints.
fn allow<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> HeaderValue {
    let mut methods: BTreeSet<&str> = BTreeSet::new();
    for endpoint in endpoints {
        methods.insert(endpoint.method.as_str());
        if endpoint.method == Method::GET {
            methods.insert(Method::HEAD.as_str());
        }
    }
    let listed = methods.into_iter().collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(listed).expect("method names fit a header")
}

/// The words of a status, for documentation.
pub(crate) fn reason(status: u16) -> &'static str {
    let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.unwrap_or("Answer")
}
