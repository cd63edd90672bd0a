//! The OpenAPI document of the test server, and whether the server does what it says.

use std::collections::BTreeSet;

use interlock_web::serve::Settings;
use serde_json::Value;

use crate::support::{Server, request};

async fn document(server: &Server) -> Value {
    server.talk(&request("GET /api/openapi.json", &[], "")).await.json()
}

/// Every operation: method, path, description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().unwrap().clone();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |(method, operation)| (method.to_ascii_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn every_operation_is_there_with_what_it_takes_and_gives() {
    let server = Server::start(Settings::default()).await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    let claim = &document["paths"]["/quotas/{key}/claims"]["post"];
    assert_eq!(claim["operationId"], "post_quotas_key_claims");
    let schema = &claim["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(schema["required"], serde_json::json!(["worker"]));
    assert_eq!(schema["properties"]["ttl_ms"]["default"], 100);
    let names: Vec<_> =
        claim["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
    assert_eq!(names, ["key", "Idempotency-Key"]);
    let refusals = claim["responses"]["400"]["description"].as_str().unwrap();
    for code in ["bad_json", "bad_key", "bad_idempotency_key", "unknown_field", "out_of_range"] {
        assert!(refusals.contains(&format!("`{code}`")), "{code}: {refusals}");
    }
    assert!(document["paths"]["/api/openapi.json"]["get"].is_object(), "itself too");
}

#[tokio::test]
async fn the_document_holds_together() {
    let server = Server::start(Settings::default()).await;
    let document = document(&server).await;
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let shown = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].to_string()), "{shown}: its id is taken");
        let declared: BTreeSet<_> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        let used: BTreeSet<_> =
            path.split('/').filter(|part| part.starts_with('{')).map(str::to_owned).collect();
        assert_eq!(declared, used, "{shown}");
        assert!(operation["responses"]["default"].is_object(), "{shown}");
    }
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap());
    for pointer in references.collect::<BTreeSet<_>>() {
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[tokio::test]
async fn the_server_knows_every_documented_path_and_answers_as_documented() {
    let server = Server::start(Settings::default()).await;
    for (method, path, operation) in operations(&document(&server).await) {
        if ["/wait", "/work", "/feed", "/endless", "/panic"].contains(&path.as_str()) {
            continue;
        }
        let line = format!("{method} {}", path.replace("{key}", "k"));
        let answer = server.talk(&request(&line, &[], "")).await;
        let verdict = answer.verdict();
        let (status, code) = verdict.split_once(' ').unwrap_or((&verdict, ""));
        let documented = &operation["responses"][status];
        assert!(documented.is_object(), "{line}: {verdict}");
        assert!(documented["description"].as_str().unwrap().contains(code), "{line}: {verdict}");
    }
}
