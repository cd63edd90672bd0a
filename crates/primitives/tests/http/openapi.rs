//! `/api/openapi.json` against the server that it describes.
//!
//! Every other test checks each answer against the document ([`crate::documented`]). Here all of them
//! together must have met everything that is documented.

use std::collections::BTreeSet;

use crate::{
    barrier, client::ask, commands, documented::Operation, entities, feed, input, job, pool, quota,
    support::Server, turn, value,
};

/// What no request can bring about by itself: the state of the machine, defects, and bounds that are met
/// by tests of their own.
const ELSEWHERE: [&str; 7] = [
    "408 request_timeout",
    "503 busy",
    "503 store_unavailable",
    "503 shutting_down",
    "503 entity_poisoned",
    "409 too_many_outcomes",
    "409 too_many_members",
];

/// What is documented for every body or address alike: met somewhere, but not everywhere, because not
/// every body has a field of every kind.
const OF_SHAPES: [&str; 8] = [
    "400 unknown_field",
    "400 missing_field",
    "400 duplicate_field",
    "400 wrong_type",
    "400 out_of_range",
    "400 bad_name",
    "400 bad_value",
    "400 bad_request",
];

/// Every status, and every code of a refusal, that an operation may answer with.
fn documented(server: &Server) -> BTreeSet<(Operation, String)> {
    let mut documented = BTreeSet::new();
    for (operation, description) in server.document.operations() {
        let responses = description["responses"].as_object().unwrap();
        for (status, response) in responses.iter().filter(|(status, _)| *status != "default") {
            let codes = response["description"].as_str().unwrap().split('`').skip(1).step_by(2);
            if status.starts_with('2') {
                documented.insert((operation.clone(), status.clone()));
            } else {
                documented
                    .extend(codes.map(|code| (operation.clone(), format!("{status} {code}"))));
            }
        }
    }
    documented
}

#[tokio::test]
async fn everything_documented_can_be_met() {
    let server = &Server::start().await;
    quota::walk_setup(server).await;
    quota::walk_claims(server).await;
    quota::walk_expiry(server).await;
    quota::walk_split(server).await;
    turn::walk(server).await;
    turn::walk_long(server).await;
    job::walk(server).await;
    job::walk_interval(server).await;
    value::walk(server).await;
    value::walk_fencing(server).await;
    value::walk_versions(server).await;
    pool::walk_members(server).await;
    pool::walk_leases(server).await;
    pool::walk_choice(server).await;
    pool::walk_queue(server).await;
    barrier::walk(server).await;
    entities::walk(server).await;
    feed::walk(server).await;
    commands::walk(server).await;
    input::walk_keys(server).await;
    input::walk_heads(server).await;
    input::walk_bodies(server).await;
    input::walk_fields(server).await;
    feed::walk_gone(server).await;
    let mut document = ask("GET /");
    document.path = "/api/openapi.json".to_owned();
    server.send(&document).await;

    let seen = server.document.seen();
    let met: BTreeSet<_> = seen.iter().map(|(_, verdict)| verdict.as_str()).collect();
    let mut missing = Vec::new();
    for (operation, verdict) in documented(server) {
        let somewhere = OF_SHAPES.contains(&verdict.as_str()) && met.contains(verdict.as_str());
        let is_met = somewhere || seen.contains(&(operation.clone(), verdict.clone()));
        if !is_met && !ELSEWHERE.contains(&verdict.as_str()) {
            missing.push(format!("{operation}: {verdict}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn every_documented_operation_is_served_and_nothing_else() {
    let server = Server::start().await;
    let operations = server.document.operations();
    let paths: BTreeSet<_> = operations
        .keys()
        .map(|operation| operation.split_once(' ').unwrap().1.to_owned())
        .collect();
    for path in &paths {
        let mut allowed = BTreeSet::new();
        for method in ["GET", "POST", "PUT", "DELETE"] {
            if operations.contains_key(&format!("{method} {path}")) {
                allowed.insert(method);
            }
        }
        if allowed.contains("GET") {
            allowed.insert("HEAD");
        }
        let concrete = path.replace("{key}", "k").replace(['{', '}'], "");
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            // A feed that has begun does not end.
            if concrete == "/api/v1/events" && ["GET", "HEAD"].contains(&method) {
                continue;
            }
            let mut ask = ask("GET /");
            (ask.method, ask.path) = (method.to_owned(), concrete.clone());
            let answer = server.raw(&ask).await;
            assert_eq!(answer.status == 405, !allowed.contains(method), "{method} {path}");
            if method == "HEAD" {
                continue;
            }
            assert_ne!(answer.verdict(), "404 not_found", "{method} {path}");
            if let Some(allow) = answer.header("allow") {
                let shown: BTreeSet<_> = allow.split(", ").collect();
                assert_eq!(
                    (answer.verdict().as_str(), shown),
                    ("405 method_not_allowed", allowed.clone())
                );
            }
        }
        for elsewhere in
            [format!("{concrete}/"), format!("{concrete}/x/y/z"), format!("{concrete}x/z/")]
        {
            let mut ask = ask("GET /");
            ask.path = elsewhere;
            assert_eq!(server.raw(&ask).await.verdict(), "404 not_found", "{}", ask.path);
        }
    }
}

#[tokio::test]
async fn an_event_is_one_that_the_document_describes() {
    let server = Server::start().await;
    let feed = &server.document.operations()["GET /api/v1/events"].clone();
    let says = feed["responses"]["200"]["description"].as_str().unwrap();
    for member in ["cursor", "entity", "version", "type", "at", "data"] {
        assert!(says.contains(&format!("`{member}`")), "{member}");
    }
}
