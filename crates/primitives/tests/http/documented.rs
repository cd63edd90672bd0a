//! The OpenAPI document as a judge: whether an answer is one that the server says it may give.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use serde_json::Value;

use crate::client::{Answer, Ask};

/// An operation: `POST /api/v1/turns/{key}`.
pub type Operation = String;

/// The document, and what was seen of it.
pub struct Document {
    pub json: Value,
    seen: Mutex<BTreeSet<(Operation, String)>>,
}

impl Document {
    pub fn new(json: Value) -> Self {
        Self { json, seen: Mutex::default() }
    }

    /// Every operation, with its description.
    pub fn operations(&self) -> BTreeMap<Operation, &Value> {
        let paths = self.json["paths"].as_object().unwrap();
        let mut operations = BTreeMap::new();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                operations.insert(format!("{} {path}", method.to_ascii_uppercase()), operation);
            }
        }
        operations
    }

    /// What was answered so far: operations with verdicts.
    pub fn seen(&self) -> BTreeSet<(Operation, String)> {
        self.seen.lock().unwrap().clone()
    }

    /// Checks an answer against what is documented, and remembers it.
    pub fn check(&self, ask: &Ask, answer: &Answer) {
        let verdict = answer.verdict();
        let shown = format!("{} {}: {answer:?}", ask.method, ask.path);
        let Some((name, operation)) = self.operation(ask) else {
            let expected = ["404 not_found", "405 method_not_allowed"];
            assert!(expected.contains(&verdict.as_str()), "not documented: {shown}");
            return;
        };
        let response = &operation["responses"][answer.status.to_string()];
        assert!(response.is_object(), "the status is not documented: {shown}");
        let media_type = answer.header("content-type").unwrap_or_default();
        let content = &response["content"][media_type];
        assert!(content.is_object(), "the media type is not documented: {shown}");
        if let Some((_, code)) = verdict.split_once(' ') {
            let codes = response["description"].as_str().unwrap();
            assert!(codes.contains(&format!("`{code}`")), "the code is not documented: {shown}");
        }
        if let (Some(schema), "GET" | "POST" | "PUT" | "DELETE") =
            (content.get("schema"), ask.method.as_str())
        {
            self.validate(schema, &answer.json()).unwrap_or_else(|why| panic!("{why}: {shown}"));
        }
        self.seen.lock().unwrap().insert((name, verdict));
    }

    /// The operation that answers a request.
    fn operation(&self, ask: &Ask) -> Option<(Operation, &Value)> {
        let path = ask.path.split('?').next().unwrap();
        let method = if ask.method == "HEAD" { "GET" } else { &ask.method };
        let fits = |operation: &str| {
            let (known, template) = operation.split_once(' ').unwrap();
            let (given, wanted) = (path.split('/'), template.split('/'));
            known == method
                && path.split('/').count() == template.split('/').count()
                && given.zip(wanted).all(|(given, wanted)| {
                    given == wanted || (wanted.starts_with('{') && !given.is_empty())
                })
        };
        self.operations().into_iter().find(|(operation, _)| fits(operation))
    }

    /// Whether a value is what a schema describes. Knows the words that the server uses, and no others.
    pub fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let words = schema.as_object().ok_or("a schema is an object")?;
        for (word, says) in words {
            let holds = match word.as_str() {
                "$ref" => {
                    let schema = self.json.pointer(says.as_str().unwrap().trim_start_matches('#'));
                    self.validate(schema.ok_or("a reference leads nowhere")?, value)?;
                    true
                }
                "type" => is_type(value, says.as_str().unwrap()),
                "const" => value == says,
                "enum" => says.as_array().unwrap().contains(value),
                "minimum" => value.as_u64().is_none_or(|n| n >= says.as_u64().unwrap()),
                "maximum" => value.as_u64().is_none_or(|n| n <= says.as_u64().unwrap()),
                "required" => {
                    let names = says.as_array().unwrap();
                    names.iter().all(|name| value.get(name.as_str().unwrap()).is_some())
                }
                "properties" => {
                    for (name, schema) in says.as_object().unwrap() {
                        if let Some(member) = value.get(name) {
                            self.validate(schema, member)
                                .map_err(|why| format!("{name}: {why}"))?;
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    for member in value.as_object().into_iter().flat_map(|map| map.values()) {
                        self.validate(says, member)?;
                    }
                    true
                }
                "items" => {
                    for item in value.as_array().into_iter().flatten() {
                        self.validate(says, item)?;
                    }
                    true
                }
                "oneOf" => {
                    let fits = |schema| self.validate(schema, value).is_ok();
                    says.as_array().unwrap().iter().filter(|schema| fits(schema)).count() == 1
                }
                "format" => is_time(value.as_str().unwrap()),
                "pattern" => is_code(value.as_str().unwrap()),
                "description" => true,
                unknown => return Err(format!("this validator does not know {unknown}")),
            };
            if !holds {
                return Err(format!("{value} breaks {word}: {says}"));
            }
        }
        Ok(())
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("{other} is no type of JSON Schema"),
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-01-01T00:00:00.000Z`.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

/// The only pattern that answers are described with: that of codes.
fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}
