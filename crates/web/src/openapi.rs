//! The OpenAPI 3.1 document of a list of endpoints.
//!
//! Refusals are shown per status with their codes; those that any endpoint may give (401, 403, 500 and
//! the like) are the `default` answer. All of them are [problems](crate::problem).

use serde_json::{Map, Value, json};

use crate::{
    endpoint::{Answer, Endpoint, reason},
    limits,
    problem::MEDIA_TYPE,
};

/// What holds for every endpoint.
const ABOUT: &str = "An answer with an `ETag` can be asked for again with `If-None-Match`: while nothing has \
                     changed, it is 304 without a body.";

/// Writes the document.
#[must_use]
pub fn document(title: &str, version: &str, endpoints: &[&Endpoint]) -> Value {
    let mut paths = Map::new();
    for endpoint in endpoints {
        let path = endpoint.path.replace("{*", "{");
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[endpoint.method.as_str().to_ascii_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Problem": problem()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}],
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    if !endpoint.tag.is_empty() {
        operation["tags"] = json!([endpoint.tag]);
    }
    if let Some(body) = &endpoint.body {
        let content = json!({"application/json": {"schema": body.schema}});
        operation["requestBody"] = json!({"required": body.required, "content": content});
    }
    operation
}

/// `post_api_v1_quotas_key_claims`
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let method = endpoint.method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let in_path = path_parameters(endpoint.path).map(|name| {
        let schema = if endpoint.ids.contains(name) {
            json!({"type": "string", "maxLength": limits::ID_CHARS})
        } else {
            json!({"type": "string", "pattern": crate::shape::NAME_PATTERN})
        };
        json!({"name": name, "in": "path", "required": true, "schema": schema})
    });
    let in_query = endpoint.query.iter().map(|field| {
        json!({
            "name": field.name, "in": "query", "required": field.required,
            "description": field.says, "schema": field.schema,
        })
    });
    let in_headers = endpoint.headers.iter().map(|header| {
        json!({
            "name": header.name, "in": "header", "required": false,
            "description": header.says, "schema": {"type": "string"},
        })
    });
    in_path.chain(in_query).chain(in_headers).collect()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    let open = path.split('{').skip(1);
    open.filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.trim_start_matches('*'))
}

fn responses(endpoint: &Endpoint) -> Value {
    let mut responses = Map::new();
    for answer in &endpoint.answers {
        responses.insert(answer.status.to_string(), yes(answer));
    }
    for (status, codes) in &endpoint.refusals {
        let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
        let says = format!("{}: {}.", reason(*status), codes.join(", "));
        responses.insert(status.to_string(), no(&says));
    }
    responses.insert("default".to_owned(), no("Another refusal."));
    Value::Object(responses)
}

fn yes(answer: &Answer) -> Value {
    let mut response = json!({"description": answer.says});
    if !answer.media_type.is_empty() {
        let content = match &answer.schema {
            Some(schema) => json!({"schema": schema}),
            None => json!({}),
        };
        response["content"] = json!({answer.media_type: content});
    }
    response
}

fn no(says: &str) -> Value {
    let content = json!({MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}});
    json!({"description": says, "content": content})
}

fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457). Programs look at `code`.",
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "code": {"type": "string", "pattern": "^[a-z0-9_]+$", "description": "The cause. Stable."},
            "detail": {"type": "string", "description": "For people. May change."},
            "field": {"type": "string", "description": "The member, parameter or header to blame."},
        },
        "required": ["type", "title", "status", "code", "detail"],
    })
}
