//! What makes two requests the same request.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use interlock_web::{
    command::{Fingerprint, fingerprint},
    condition::Conditions,
};

/// The fingerprint of a request as a line of text: method, path, headers, body.
fn of(
    method: &str,
    path: &str,
    headers: &[(&'static str, &'static str)],
    body: &str,
) -> Fingerprint {
    let line = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(line).collect();
    let conditions = Conditions::from_headers(&headers).unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    fingerprint(&method, path, &conditions, body.as_bytes())
}

#[test]
fn spelling_makes_no_difference() {
    let first =
        of("PUT", "/values/v", &[("if-match", "\"1\", \"2\"")], r#"{"a":1,"b":[{"c":"é"}]}"#);
    for (tags, body) in [
        ("\"1\",\"2\"", r#"{"a":1,"b":[{"c":"é"}]}"#),
        ("\"1\", \"2\" ,", " {\"b\" : [ {\"c\": \"\\u00e9\"} ],\n\"a\": 1} "),
    ] {
        assert_eq!(of("PUT", "/values/v", &[("if-match", tags)], body), first, "{tags} {body}");
    }
    assert_eq!(of("DELETE", "/values/v", &[], ""), of("DELETE", "/values/v", &[], " {} "));
}

#[test]
fn everything_else_makes_one() {
    let all = [
        of("POST", "/a", &[], "{}"),
        of("PUT", "/a", &[], "{}"),
        of("POST", "/b", &[], "{}"),
        of("POST", "/a", &[], "[]"),
        of("POST", "/a", &[], "null"),
        of("POST", "/a", &[], r#"{"a":1}"#),
        of("POST", "/a", &[], r#"{"a":2}"#),
        of("POST", "/a", &[], r#"{"a":"1"}"#),
        of("POST", "/a", &[], r#"{"a":9007199254740993}"#),
        of("POST", "/a", &[], r#"{"a":9007199254740992}"#),
        of("POST", "/a", &[], "[1,2]"),
        of("POST", "/a", &[], "[2,1]"),
        of("POST", "/a", &[("if-match", "\"1\"")], "{}"),
        of("POST", "/a", &[("if-match", "*")], "{}"),
        of("POST", "/a", &[("if-match", "W/\"1\"")], "{}"),
        of("POST", "/a", &[("if-none-match", "\"1\"")], "{}"),
        of("POST", "/a", &[("if-none-match", "*")], "{}"),
        of("POST", "/a", &[("interlock-fencing-token", "1")], "{}"),
        of("POST", "/a", &[("interlock-fencing-token", "0")], "{}"),
    ];
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
}

#[test]
fn the_definition_never_changes() {
    let headers = [("if-match", "\"17\""), ("interlock-fencing-token", "3")];
    let found = of("PUT", "/api/v1/values/v", &headers, r#"{"b":[1.5,null],"a":"x"}"#);
    assert_eq!(found, Fingerprint(0xa34a_1f23_6cbe_2f39_d8c2_d85e_ef23_9ead));
}
