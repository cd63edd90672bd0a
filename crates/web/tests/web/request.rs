//! What a declared request reads and what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use interlock_kernel::{
    ids::{Party, Token, Worker},
    json::Json,
    limits,
    time::Millis,
};
use interlock_web::{
    request,
    request::{Nothing, Request, object_schema},
    shape::{
        any, boolean, defaulted, integer, integer_or, labels, list, name, object, one_of, optional,
        set, text,
    },
};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Fast,
    Safe,
}

request! {
    /// One field of every shape.
    struct Everything {
        /// A name.
        worker: Worker = name(),
        /// A span
        /// of time.
        ttl_ms: Millis = integer(limits::TTL_MS),
        /// A token.
        token: Option<Token> = optional(integer(0..=limits::JSON_INTEGER)),
        /// A small number.
        weight: u32 = defaulted(integer(1..=1000), 1),
        /// A number or a word.
        limit: Option<Option<u64>> = optional(integer_or("unlimited", 0..=limits::QUOTA_LIMIT)),
        /// Text.
        sticky: Option<String> = optional(text(1..=200)),
        /// A choice.
        mode: Option<Mode> = optional(one_of(&[("fast", Mode::Fast), ("safe", Mode::Safe)])),
        /// Yes or no.
        revise: bool = defaulted(boolean(), false),
        /// Labels.
        labels: Option<BTreeMap<String, String>> = optional(labels()),
        /// Distinct names.
        parties: Option<BTreeSet<Party>> = optional(set(name(), 1..=3)),
        /// Points.
        path: Option<Vec<Point>> = optional(list(object(), 0..=2)),
        /// Anything.
        value: Option<Json> = optional(any()),
    }
}

request! {
    /// A place.
    struct Point {
        /// Across.
        x: u64 = integer(0..=9),
    }
}

/// The smallest request with one more member.
fn with(member: &str) -> String {
    format!(r#"{{"worker":"w0","ttl_ms":1000,{member}}}"#)
}

/// Checks which code a body is refused with, and which field is blamed (`-` if none).
fn check_refused(body: &str, expected: &str) {
    let problem = Everything::from_json(body.as_bytes()).expect_err(body);
    let shown = format!("{} {}", problem.code(), problem.blamed().unwrap_or("-"));
    assert_eq!(shown, expected, "{body}: {problem}");
    assert_eq!(problem.status(), 400, "{body}");
}

#[test]
fn everything_given_is_read() {
    let body = r#" {
        "worker": "w0", "ttl_ms": 1000, "token": 9007199254740991, "weight": 3, "limit": "unlimited",
        "sticky": "sé\u0061", "mode": "safe", "revise": true, "labels": {"zone": "a"},
        "parties": ["p2", "p1"], "path": [{"x": 1}, {"x": 9}], "value": {"b" : 1.0, "b": 1e400}
    } "#;
    let read = Everything::from_json(body.as_bytes()).unwrap();
    assert_eq!(read.worker.as_str(), "w0");
    assert_eq!(read.ttl_ms, Millis(1000));
    assert_eq!(read.token, Some(Token(limits::JSON_INTEGER)));
    assert_eq!(read.weight, 3);
    assert_eq!(read.limit, Some(None));
    assert_eq!(read.sticky.as_deref(), Some("séa"));
    assert_eq!(read.mode, Some(Mode::Safe));
    assert!(read.revise);
    assert_eq!(read.labels.unwrap()["zone"], "a");
    let parties = read.parties.unwrap();
    assert_eq!(parties.iter().map(Party::as_str).collect::<Vec<_>>(), ["p1", "p2"]);
    assert_eq!(read.path.unwrap().iter().map(|point| point.x).collect::<Vec<_>>(), [1, 9]);
    assert_eq!(read.value.unwrap().as_str(), r#"{"b" : 1.0, "b": 1e400}"#, "byte for byte");
}

#[test]
fn what_is_not_given_takes_its_default() {
    let read = Everything::from_json(br#"{"ttl_ms":100,"\u0077orker":"w0"}"#).unwrap();
    assert_eq!(read.ttl_ms, Millis(100));
    assert_eq!(read.weight, 1);
    assert!(!read.revise);
    assert_eq!((read.token, read.limit, read.sticky, read.mode), (None, None, None, None));
    assert!(read.labels.is_none() && read.parties.is_none() && read.path.is_none());
    assert!(read.value.is_none());
    let null = Everything::from_json(with(r#""value":null"#).as_bytes()).unwrap();
    assert_eq!(null.value.unwrap().as_str(), "null", "a given null is a value");
}

#[test]
fn bodies_that_are_no_object_are_refused() {
    for body in ["null", "[]", "\"x\"", "5", "true", "[{\"worker\":\"w0\",\"ttl_ms\":1000}]"] {
        check_refused(body, "wrong_type -");
    }
}

#[test]
fn unknown_missing_and_repeated_fields_are_named() {
    check_refused("{}", "missing_field worker");
    check_refused(r#"{"worker":"w0"}"#, "missing_field ttl_ms");
    check_refused(r#"{"wroker":"w0","ttl_ms":1000}"#, "unknown_field wroker");
    check_refused(&with(r#""Token":1"#), "unknown_field Token");
    check_refused(&with(r#""":1"#), "unknown_field \"\"");
    check_refused(&with(r#""\ud800":1"#), r#"unknown_field "\ud800""#);
    check_refused(&with(r#""ttl_ms":1000"#), "duplicate_field ttl_ms");
    check_refused(&with(r#""ttl_m\u0073":1000"#), "duplicate_field ttl_ms");
    check_refused(&with(r#""path":[{"x":1},{"x":1,"y":2}]"#), "unknown_field path[1].y");
    check_refused(&with(r#""path":[{}]"#), "missing_field path[0].x");
    let long = "n".repeat(5000);
    check_refused(&with(&format!("\"{long}\":1")), &format!("unknown_field {}", "n".repeat(200)));
}

#[test]
fn an_integer_is_written_with_digits_and_in_range() {
    for wrong in ["1.0", "1e3", "1000.5", "1e400", "-1.5", "1E0"] {
        check_refused(&with(&format!(r#""token":{wrong}"#)), "wrong_type token");
    }
    for wrong in ["\"1\"", "null", "true", "[]", "[1]", "{}", "\"\""] {
        check_refused(&with(&format!(r#""token":{wrong}"#)), "wrong_type token");
    }
    let huge = "9".repeat(400);
    for wrong in ["-1", "9007199254740992", "18446744073709551616", &huge] {
        check_refused(&with(&format!(r#""token":{wrong}"#)), "out_of_range token");
    }
    for wrong in ["0", "1001", "4294967297"] {
        check_refused(&with(&format!(r#""weight":{wrong}"#)), "out_of_range weight");
    }
    for wrong in ["99", "604800001"] {
        let body = format!(r#"{{"worker":"w0","ttl_ms":{wrong}}}"#);
        check_refused(&body, "out_of_range ttl_ms");
    }
}

#[test]
fn a_number_or_a_word_is_nothing_else() {
    check_refused(&with(r#""limit":-1"#), "out_of_range limit");
    check_refused(&with(r#""limit":1000000000000001"#), "out_of_range limit");
    check_refused(&with(r#""limit":"Unlimited""#), "bad_value limit");
    check_refused(&with(r#""limit":"100""#), "bad_value limit");
    check_refused(&with(r#""limit":null"#), "wrong_type limit");
    check_refused(&with(r#""limit":1.5"#), "wrong_type limit");
}

#[test]
fn names_texts_and_choices_are_checked() {
    let long = "x".repeat(201);
    for wrong in ["", ".", "..", "a b", "a/b", "é", "a\\u0000", &long] {
        let body = format!(r#"{{"ttl_ms":1000,"worker":"{wrong}"}}"#);
        check_refused(&body, "bad_name worker");
    }
    check_refused(r#"{"ttl_ms":1000,"worker":5}"#, "wrong_type worker");
    check_refused(r#"{"ttl_ms":1000,"worker":"\udc00"}"#, "bad_value worker");
    check_refused(&with(r#""sticky":"""#), "out_of_range sticky");
    check_refused(&with(&format!(r#""sticky":"{long}""#)), "out_of_range sticky");
    for wrong in ["a b", "a\\n", "\\u0000", "\\u200b", "\\u202e", "\\u00a0", "\\ufeff"] {
        check_refused(&with(&format!(r#""sticky":"{wrong}""#)), "bad_value sticky");
    }
    check_refused(&with(r#""mode":"slow""#), "bad_value mode");
    check_refused(&with(r#""mode":1"#), "wrong_type mode");
    for wrong in ["1", "\"true\"", "null"] {
        check_refused(&with(&format!(r#""revise":{wrong}"#)), "wrong_type revise");
    }
}

#[test]
fn lists_and_labels_are_bounded_and_their_places_named() {
    check_refused(&with(r#""parties":[]"#), "out_of_range parties");
    check_refused(&with(r#""parties":["a","b","c","d"]"#), "out_of_range parties");
    check_refused(&with(r#""parties":["a","b","a"]"#), "bad_value parties[2]");
    check_refused(&with(r#""parties":["a",7]"#), "wrong_type parties[1]");
    check_refused(&with(r#""parties":{"a":"b"}"#), "wrong_type parties");
    check_refused(&with(r#""path":[{"x":10}]"#), "out_of_range path[0].x");
    check_refused(&with(r#""path":[7]"#), "wrong_type path[0]");
    check_refused(&with(r#""labels":[]"#), "wrong_type labels");
    check_refused(&with(r#""labels":{"zone":1}"#), "wrong_type labels.zone");
    check_refused(&with(r#""labels":{"zone":""}"#), "out_of_range labels.zone");
    check_refused(&with(r#""labels":{"":"a"}"#), "out_of_range labels");
    check_refused(&with(r#""labels":{"a b":"a"}"#), "bad_value labels");
    let nameless = Everything::from_json(with(r#""labels":{"":"a"}"#).as_bytes()).unwrap_err();
    let says = "`labels` has a label whose name must have 1 to 200 characters, not 0";
    assert!(nameless.to_string().contains(says), "{nameless}");
    check_refused(&with(r#""labels":{"a":"1","a":"2"}"#), "duplicate_field labels.a");
    let many: Vec<String> = (0..65).map(|n| format!(r#""l{n}":"v""#)).collect();
    check_refused(&with(&format!(r#""labels":{{{}}}"#, many.join(","))), "out_of_range labels");
}

#[test]
fn a_message_says_what_would_be_right() {
    let problem = Everything::from_json(br#"{"worker":"w0","ttl_ms":5}"#).unwrap_err();
    assert_eq!(problem.detail(), "`ttl_ms` must be an integer from 100 to 604800000, not 5");
    let problem = Everything::from_json(with(r#""x":5"#).as_bytes()).unwrap_err();
    assert!(problem.detail().contains("there are: worker, ttl_ms, token"), "{problem}");
}

#[test]
fn a_request_without_fields_takes_only_the_empty_object() {
    assert_eq!(Nothing::from_json(b" {} ").unwrap(), Nothing);
    assert_eq!(Nothing::from_json(br#"{"a":1}"#).unwrap_err().code(), "unknown_field");
    assert_eq!(Nothing::from_json(b"null").unwrap_err().code(), "wrong_type");
}

request! {
    /// A page of a list.
    struct Page {
        /// Only what is older.
        before: Option<u64> = optional(integer(0..=limits::JSON_INTEGER)),
        /// How many.
        limit: u64 = defaulted(integer(1..=200), 50),
        /// Whose.
        worker: Option<Worker> = optional(name()),
    }
}

#[test]
fn the_same_declaration_reads_an_address() {
    let read = |query: &str| {
        let page = Page::from_query(query).map_err(|problem| {
            assert_eq!(problem.status(), 400);
            format!("{} {}", problem.code(), problem.blamed().unwrap_or("-"))
        })?;
        Ok((page.before, page.limit, page.worker.map(|worker| worker.to_string())))
    };
    for (query, expected) in [
        ("", Ok((None, 50, None))),
        ("&&", Ok((None, 50, None))),
        ("limit=200&before=0", Ok((Some(0), 200, None))),
        ("worker=a%3Ab", Ok((None, 50, Some("a:b".to_owned())))),
        ("token=secret&limit=1", Ok((None, 1, None))),
        ("limit=0", Err("out_of_range limit".to_owned())),
        ("limit=201", Err("out_of_range limit".to_owned())),
        ("limit=-1", Err("out_of_range limit".to_owned())),
        ("limit=+1", Err("wrong_type limit".to_owned())),
        ("limit=", Err("wrong_type limit".to_owned())),
        ("limit", Err("wrong_type limit".to_owned())),
        ("limit=1.0", Err("wrong_type limit".to_owned())),
        ("limit=1&limit=1", Err("duplicate_field limit".to_owned())),
        ("limt=1&_=%ff", Ok((None, 50, None))),
        ("worker=a+b", Err("bad_name worker".to_owned())),
        ("worker=%ff", Err("bad_request -".to_owned())),
        ("%ff=1", Err("bad_request -".to_owned())),
    ] {
        assert_eq!(read(query), expected, "{query}");
    }
}

#[test]
fn the_same_declaration_writes_the_schema() {
    let schema = object_schema(&Everything::fields());
    assert_eq!(schema["required"], json!(["worker", "ttl_ms"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    let expected = json!({
        "type": "integer", "minimum": 100, "maximum": 604_800_000, "description": "A span of time.",
    });
    assert_eq!(schema["properties"]["ttl_ms"], expected);
    assert_eq!(schema["properties"]["weight"]["default"], json!(1));
    assert_eq!(schema["properties"]["mode"]["enum"], json!(["fast", "safe"]));
    assert_eq!(schema["properties"]["path"]["items"]["required"], json!(["x"]));
    let described = |field: &Value| field["description"].is_string();
    assert!(schema["properties"].as_object().unwrap().values().all(described));
}
