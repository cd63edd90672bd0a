//! Input of every wrong kind, for every endpoint: made from what the endpoint says that it takes.

use serde_json::Value;

use crate::{
    client::{Ask, ask},
    documented::Operation,
    support::Server,
};

/// An endpoint that takes commands.
struct Target {
    method: String,
    /// Below `/api/v1`, with its parameters in braces.
    path: String,
    /// The schema of its body; `{}` where there is none to send.
    schema: Value,
    /// Bytes of its body.
    limit: usize,
}

/// A field of a body: its name and its value as raw JSON.
type Field = (String, String);

impl Target {
    fn new((operation, description): (Operation, &Value)) -> Option<Self> {
        let parameters = description["parameters"].as_array().unwrap();
        if !parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key") {
            return None;
        }
        let (method, path) = operation.split_once(" /api/v1").unwrap();
        let schema = &description["requestBody"]["content"]["application/json"]["schema"];
        let large =
            matches!(operation.as_str(), "PUT /api/v1/values/{key}" | "PUT /api/v1/barriers/{key}");
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            schema: schema.clone(),
            limit: if large { 1 << 20 } else { 1 << 16 },
        })
    }

    /// Whether the body is any JSON value.
    fn takes_anything(&self) -> bool {
        self.path == "/values/{key}" && self.method == "PUT"
    }

    /// A request about entities and things that nobody knows.
    fn ask(&self) -> Ask {
        self.ask_with("{}", "")
    }

    fn ask_with(&self, parameter: &str, value: &str) -> Ask {
        let mut path = self.path.replace(parameter, value);
        for (name, id) in [("{claim}", "c1"), ("{run}", "r1"), ("{lease}", "l1")] {
            path = path.replace(name, id);
        }
        for name in ["{key}", "{worker}", "{member}"] {
            path = path.replace(name, "nobody");
        }
        ask(&format!("{} {path}", self.method))
    }

    fn parameters(&self) -> Vec<String> {
        let parts = self.path.split('/').filter(|part| part.starts_with('{'));
        parts.map(str::to_owned).collect()
    }

    fn properties(&self) -> Vec<(String, &Value)> {
        let properties = self.schema["properties"].as_object();
        properties.into_iter().flatten().map(|(name, schema)| (name.clone(), schema)).collect()
    }

    /// The fields that must be there, each with something that is right.
    fn required(&self) -> Vec<Field> {
        let required = self.schema["required"].as_array().cloned().unwrap_or_default();
        let right = |name: &Value| {
            let name = name.as_str().unwrap();
            let right = right_values(&self.schema["properties"][name]);
            (name.to_owned(), right[0].clone())
        };
        required.iter().map(right).collect()
    }

    /// A request with all required fields, of which one is something else, or one more.
    fn ask_field(&self, name: &str, value: &str) -> Ask {
        let mut fields = self.required();
        fields.retain(|(known, _)| known != name);
        fields.push((name.to_owned(), value.to_owned()));
        self.ask().text(&object(&fields))
    }
}

fn object(fields: &[Field]) -> String {
    let members: Vec<_> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Values that a schema allows: its bounds.
fn right_values(schema: &Value) -> Vec<String> {
    let of_type = schema["type"].as_str();
    match of_type {
        Some("integer") => vec![schema["minimum"].to_string(), schema["maximum"].to_string()],
        Some("boolean") => vec!["true".to_owned(), "false".to_owned()],
        Some("string") if schema["enum"].is_array() => {
            schema["enum"].as_array().unwrap().iter().map(Value::to_string).collect()
        }
        Some("string") if schema["minLength"].is_u64() => {
            vec!["\"é\"".to_owned(), format!("\"{}\"", "日".repeat(200))]
        }
        Some("string") => {
            let long = format!("\"{}\"", "x".repeat(200));
            vec!["\"w0\"".to_owned(), "\"A.b_c:d-9\"".to_owned(), "\"...\"".to_owned(), long]
        }
        Some("array") => vec!["[\"p\"]".to_owned()],
        Some("object") => {
            let many: Vec<_> = (0..64).map(|n| (format!("label{n}"), "\"x\"".to_owned())).collect();
            vec!["{}".to_owned(), object(&many)]
        }
        None if schema["oneOf"].is_array() => {
            let mut right = right_values(&schema["oneOf"][0]);
            right.push(schema["oneOf"][1]["const"].to_string());
            right
        }
        None => vec!["null".to_owned(), "[{}]".to_owned(), "1e400".to_owned()],
        Some(other) => panic!("{other}"),
    }
}

/// Values that a schema does not allow, with the code of the refusal.
fn wrong_values(schema: &Value) -> Vec<(String, &'static str)> {
    let others = |except: &str| -> Vec<(String, &'static str)> {
        ["null", "true", "1", "\"1\"", "[]", "{}"]
            .into_iter()
            .filter(|value| {
                let value: Value = serde_json::from_str(value).unwrap();
                match except {
                    "integer" => !value.is_u64(),
                    "string" => !value.is_string(),
                    "boolean" => !value.is_boolean(),
                    "array" => !value.is_array(),
                    _ => !value.is_object(),
                }
            })
            .map(|value| (value.to_owned(), "wrong_type"))
            .collect()
    };
    let text = |text: &str, code| (serde_json::to_string(text).unwrap(), code);
    let mut wrong = Vec::new();
    match schema["type"].as_str() {
        Some("integer") => {
            wrong = others("integer");
            let (from, to) =
                (schema["minimum"].as_u64().unwrap(), schema["maximum"].as_u64().unwrap());
            let below = from.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string());
            for number in
                [below, (to + 1).to_string(), "9".repeat(60), "-9223372036854775809".to_owned()]
            {
                wrong.push((number, "out_of_range"));
            }
            for number in ["1.0", "1e3", "1e400", "0.5", "-1.5", "1E2"] {
                wrong.push((number.to_owned(), "wrong_type"));
            }
        }
        Some("boolean") => wrong = others("boolean"),
        Some("string") => {
            wrong = others("string");
            wrong.push(("\"\\ud800\"".to_owned(), "bad_value"));
            if schema["enum"].is_array() {
                wrong.extend(["", "ACTIVE", "x"].map(|word| text(word, "bad_value")));
            } else if schema["minLength"].is_u64() {
                wrong.extend(["", &"x".repeat(201)].map(|word| text(word, "out_of_range")));
                wrong.extend(["a b", "\0", "\u{200b}", "\n"].map(|word| text(word, "bad_value")));
            } else {
                let names =
                    ["", ".", "..", "a b", "a/b", "é", "a\0", "a,b", "%41", &"x".repeat(201)];
                wrong.extend(names.map(|name| text(name, "bad_name")));
            }
        }
        Some("array") => {
            wrong = others("array");
            wrong.push(("[]".to_owned(), "out_of_range"));
            wrong.push(("[\"a\",\"b\",\"a\"]".to_owned(), "bad_value"));
            wrong.push(("[\"a\",1]".to_owned(), "wrong_type"));
            wrong.push(("[\"a\",\"..\"]".to_owned(), "bad_name"));
        }
        Some("object") => {
            let many: Vec<_> = (0..65).map(|n| (format!("label{n}"), "\"x\"".to_owned())).collect();
            wrong = others("object");
            wrong.push((object(&many), "out_of_range"));
            for (labels, code) in [
                ("{\"a\":1}", "wrong_type"),
                ("{\"a\":null}", "wrong_type"),
                ("{\"\":\"x\"}", "out_of_range"),
                ("{\"a\":\"\"}", "out_of_range"),
                ("{\"a b\":\"x\"}", "bad_value"),
                ("{\"a\":\"x\\ny\"}", "bad_value"),
                ("{\"a\":\"x\",\"a\":\"x\"}", "duplicate_field"),
            ] {
                wrong.push((labels.to_owned(), code));
            }
        }
        None if schema["oneOf"].is_array() => {
            wrong = wrong_values(&schema["oneOf"][0]);
            wrong.retain(|(value, _)| value != "\"1\"");
            wrong.extend(["", "1", "UNLIMITED", "unlimited "].map(|word| text(word, "bad_value")));
        }
        None => {}
        Some(other) => panic!("{other}"),
    }
    wrong
}

fn targets(server: &Server) -> Vec<Target> {
    let targets: Vec<_> =
        server.document.operations().into_iter().filter_map(Target::new).collect();
    assert!(targets.len() >= 25, "all commands of six primitives");
    targets
}

/// Keys in the paths of what is only read.
pub async fn walk_keys(server: &Server) {
    for operation in server.document.operations().into_keys() {
        if operation.starts_with("GET ") && operation.contains("{key}") {
            let line = operation.replace(" /api/v1", " ").replace("{type}", "turn");
            for key in ["a%20b", "..", &"x".repeat(201)] {
                server.no(ask(&line.replace("{key}", key)), "400 bad_key").await;
            }
        }
    }
}

/// Keys, ids and conditions.
pub async fn walk_heads(server: &Server) {
    for target in targets(server) {
        let right = object(&target.required());
        let ask = || target.ask().text(&right);
        for parameter in target.parameters() {
            let is_id = ["{claim}", "{run}", "{lease}"].contains(&parameter.as_str());
            let names =
                ["a%20b", "a%2Fb", ".", "..", "%2e%2E", "%C3%A9", "a%00", "a,b", "%25", "a+b", "~"];
            let mut wrong = if is_id { Vec::new() } else { names.map(str::to_owned).to_vec() };
            wrong.extend(["x".repeat(201), "%ff".to_owned()]);
            for value in wrong {
                // Before anything else: the rest of the request is wrong too.
                let ask = target.ask_with(&parameter, &value).text("{").id(" ");
                server.no(ask, "400 bad_key").await;
            }
            for value in ["x".repeat(200), "%41%2E%62".to_owned()] {
                accepted(server, target.ask_with(&parameter, &value).text(&right)).await;
            }
        }
        server.no(ask().id("a b"), "400 bad_idempotency_key").await;
        server.no(ask().header("if-match", "7"), "400 bad_condition").await;
        server.no(ask().header("interlock-fencing-token", "x"), "400 bad_fencing_token").await;
    }
}

/// Media types, sizes and what does not parse.
pub async fn walk_bodies(server: &Server) {
    for target in targets(server) {
        let right = object(&target.required());
        for media_type in
            ["text/plain", "", "application/jsonx", "text/json", "application/problem+json"]
        {
            let ask = target.ask().bytes(Some(media_type), right.as_bytes());
            server.no(ask, "415 not_json").await;
        }
        server.no(target.ask().bytes(None, right.as_bytes()), "415 not_json").await;
        for media_type in ["application/json; charset=utf-8", "Application/JSON ; a=b"] {
            accepted(server, target.ask().bytes(Some(media_type), right.as_bytes())).await;
        }
        let filled = |bytes: usize| format!("{right}{}", " ".repeat(bytes - right.len()));
        server.no(target.ask().text(&filled(target.limit + 1)), "413 too_large").await;
        accepted(server, target.ask().text(&filled(target.limit))).await;
        let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
        for text in ["{", "}", "{}{}", "{'a':1}", "{\"a\":01}", "nul", "[1,]", "\u{feff}{}", &deep]
        {
            server.no(target.ask().text(text), "400 bad_json").await;
        }
        let broken = target.ask().bytes(Some("application/json"), b"{\"a\":\"\xff\"}");
        server.no(broken, "400 bad_json").await;
        if target.takes_anything() {
            server.no(target.ask(), "400 bad_json").await;
            continue;
        }
        for text in ["[]", "null", "1", "\"{}\"", "true"] {
            server.no(target.ask().text(text), "400 wrong_type").await;
        }
    }
}

/// Every field of every body.
pub async fn walk_fields(server: &Server) {
    for target in targets(server).iter().filter(|target| !target.takes_anything()) {
        for unknown in ["unknown", "", "Worker", "ttlMs"] {
            server.no(target.ask_field(unknown, "1"), "400 unknown_field").await;
        }
        for (name, _) in target.required() {
            let mut fields = target.required();
            fields.retain(|(known, _)| *known != name);
            let refused = server.no(target.ask().text(&object(&fields)), "400 missing_field").await;
            assert_eq!(refused.json()["field"], name.as_str());
        }
        // Where no field is required, an empty body equals `{}`.
        if target.required().is_empty() {
            accepted(server, target.ask()).await;
            accepted(server, target.ask().text("{}")).await;
        } else {
            server.no(target.ask(), "400 missing_field").await;
        }
        for (name, schema) in target.properties() {
            for (value, code) in wrong_values(schema) {
                let refused =
                    server.no(target.ask_field(&name, &value), &format!("400 {code}")).await;
                let blamed = refused.json()["field"].as_str().unwrap().to_owned();
                assert!(blamed.starts_with(&name), "{name}: {refused:?}");
            }
            for value in right_values(schema) {
                accepted(server, target.ask_field(&name, &value)).await;
            }
            let right = right_values(schema)[0].clone();
            let mut fields = target.required();
            fields.retain(|(known, _)| *known != name);
            fields.extend([(name.clone(), right.clone()), (name.clone(), right)]);
            server.no(target.ask().text(&object(&fields)), "400 duplicate_field").await;
        }
    }
}

/// Sends a request that may be refused by its entity, but not for its form.
async fn accepted(server: &Server, ask: Ask) {
    let answer = server.raw(&ask).await;
    let form = [400, 413, 415].contains(&answer.status);
    let incomplete = answer.verdict() == "400 missing_field";
    assert!(!form || incomplete, "{} {}: {answer:?}", ask.method, ask.path);
}

#[tokio::test]
async fn keys_ids_and_conditions_are_checked_first() {
    walk_keys(&Server::start().await).await;
    walk_heads(&Server::start().await).await;
}

#[tokio::test]
async fn bodies_are_checked_before_any_entity_is_asked() {
    walk_bodies(&Server::start().await).await;
}

#[tokio::test]
async fn every_field_takes_what_it_says_and_nothing_else() {
    walk_fields(&Server::start().await).await;
}
