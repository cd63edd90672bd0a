//! Users' JSON values: kept byte for byte, equal when their parsed forms are.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use interlock_kernel::{json::Json, limits};
use proptest::prelude::*;
use serde_json::Value;

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

#[track_caller]
fn equal(left: &str, right: &str) {
    assert_eq!(json(left), json(right));
    assert_eq!(json(left).canonical(), json(right).canonical());
}

#[track_caller]
fn different(left: &str, right: &str) {
    assert_ne!(json(left), json(right));
    assert_ne!(json(left).canonical(), json(right).canonical());
}

#[test]
fn a_value_is_kept_byte_for_byte() {
    let text = "{ \"b\" : 1.00e+2,\n\t\"a\":\"\\u0041\", \"b\": 123456789012345678901234567890 }";
    let value = json(&format!(" \r\n{text}\t"));
    assert_eq!(value.as_str(), text);

    let stored = postcard::to_stdvec(&value).unwrap();
    assert_eq!(postcard::from_bytes::<Json>(&stored).unwrap().as_str(), text);

    let shown = serde_json::to_string(&vec![value]).unwrap();
    assert_eq!(shown, format!("[{text}]"));
    assert_eq!(serde_json::from_str::<Vec<Json>>(&shown).unwrap()[0].as_str(), text);
}

#[test]
fn the_largest_integer_is_the_last_that_doubles_tell_from_the_next() {
    let double = |integer: u64| integer.to_string().parse::<f64>().unwrap();
    let largest = limits::JSON_INTEGER;
    assert!(double(largest - 1) < double(largest) && double(largest) < double(largest + 1));
    assert!(double(largest + 1) >= double(largest + 2));
}

#[test]
fn a_member_that_is_null_is_a_value() {
    #[derive(serde::Deserialize)]
    struct Body {
        value: Json,
    }
    let body: Body = serde_json::from_str(r#"{"value": null}"#).unwrap();
    assert_eq!(body.value, Json::null());
    assert!(serde_json::from_str::<Body>("{}").is_err());
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    for text in
        ["", " ", "{", "[1,]", "1 2", "01", "nul", "'a'", "\"\n\"", "{\"a\" 1}", "\u{c}1", "NaN"]
    {
        assert!(Json::parse(text).is_err(), "{text:?}");
    }
    let stored = postcard::to_stdvec("[1,").unwrap();
    assert!(postcard::from_bytes::<Json>(&stored).is_err());
}

#[test]
fn a_value_may_be_exactly_as_long_as_the_limit() {
    let longest = format!("\"{}\"", "x".repeat(limits::JSON_BYTES - 2));
    assert_eq!(json(&format!(" {longest} ")).as_str().len(), limits::JSON_BYTES);
    let longer = format!("\"{}\"", "x".repeat(limits::JSON_BYTES - 1));
    assert!(Json::parse(&longer).is_err());
    assert!(serde_json::from_str::<Json>(&longer).is_err());
}

#[test]
fn numbers_are_compared_as_exact_decimals() {
    for (left, right) in [
        ("1", "1.0"),
        ("1.0", "1.0e0"),
        ("1", "10e-1"),
        ("100", "1E+2"),
        ("0.5", "5e-1"),
        ("0", "-0.000e99999999999999999999"),
        ("120", "0.12e3"),
        ("-7", "-7.00"),
    ] {
        equal(left, right);
    }
    for (left, right) in [
        ("1", "-1"),
        ("1", "\"1\""),
        ("1", "10"),
        ("9007199254740992", "9007199254740993"),
        ("0.1", "0.1000000000000000000000001"),
        ("1e400", "1e401"),
        ("1e99999999999999999999", "1e99999999999999999998"),
    ] {
        different(left, right);
    }
}

/// Stored fingerprints rest on this text.
#[test]
fn the_canonical_text_is_fixed() {
    let spelled = r#" {"b":[1.50, -0, 1200, true, null, {}], "a":"\u00e9\/\n\ud83d", "b2":[]} "#;
    let canonical = r#"{"a":"é/\u000a\ud83d","b":[15e-1,0,12e2,true,null,{}],"b2":[]}"#;
    assert_eq!(json(spelled).canonical(), canonical);
}

#[test]
fn strings_are_compared_by_their_characters() {
    equal(r#""A/\n""#, r#""\u0041\/\u000A""#);
    equal(r#""😀""#, r#""\ud83d\uDE00""#);
    equal(r#""\"\\""#, r#""\u0022\u005c""#);
    equal(r#""\ud83dx""#, r#""\uD83Dx""#);
    different(r#""\ud83d""#, r#""\\ud83d""#);
    different(r#""\ud83d\ud83d""#, r#""\ud83d""#);
    different(r#""\ude00\ud83d""#, r#""\ud83d\ude00""#);
    different(r#""n""#, r#""\n""#);
    different(r#""""#, "null");
}

#[test]
fn objects_are_compared_without_order_and_the_last_of_two_members_counts() {
    equal(r#"{"a":1,"b":[{}]}"#, "{ \"b\" : [ { } ],\n\"a\" : 1 }");
    equal(r#"{"a":[1,{"c":2}],"a":3}"#, r#"{"\u0061":3}"#);
    different(r#"{"a":1}"#, r#"{"a":2}"#);
    different(r#"{"a":1}"#, r#"{"b":1}"#);
    different("[1,2]", "[2,1]");
    different("[[],1]", "[[1]]");
    different("{}", "[]");
    different(r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#);
    different(r#"["a","b"]"#, r#"["a,b"]"#);
}

#[test]
fn any_nesting_is_compared_without_exhausting_the_stack() {
    let depth = 200_000;
    let nested = |open: &str, close: &str, inner: &str| {
        json(&format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)))
    };
    assert_eq!(nested("[", "]", "1"), nested("[", "]", "1.0"));
    assert_ne!(nested("[", "]", "1"), nested("[", "]", "2"));
    assert_eq!(nested("{\"\":", "}", "1"), nested("{\"\":", "}", "1.0"));
}

/// Writes a value with random white space, escapes, member order and spelling of numbers.
fn respell(value: &Value, random: &mut impl FnMut() -> usize) -> String {
    let space = [" ", "\n", "", "\t", ""][random() % 5];
    let body = match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => match random() % 3 {
            0 => number.to_string(),
            1 if number.as_i64() != Some(0) => format!("{number}000e-3"),
            _ => format!("{number}.00E+00"),
        },
        Value::String(text) => respell_string(text, random),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| respell(item, random)).collect();
            format!("[{}{space}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(name, value)| {
                    format!(
                        "{space}{}{space}:{}",
                        respell_string(name, random),
                        respell(value, random)
                    )
                })
                .collect();
            for place in (1..members.len()).rev() {
                members.swap(place, random() % (place + 1));
            }
            format!("{{{}{space}}}", members.join(","))
        }
    };
    format!("{space}{body}{space}")
}

fn respell_string(text: &str, random: &mut impl FnMut() -> usize) -> String {
    if random().is_multiple_of(2) {
        return Value::from(text).to_string();
    }
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escaped}\"")
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-20_i64..20).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ab\"\\\\\n/é😀]{0,3}".prop_map(Value::from),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab\n]{0,2}", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn all_spellings_of_a_value_are_equal(value in values(), seed in any::<u32>()) {
        let mut state = u64::from(seed);
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        let one = json(&respell(&value, &mut random));
        let other = json(&respell(&value, &mut random));
        prop_assert_eq!(one.canonical(), other.canonical());
        let again = json(&one.canonical());
        prop_assert_eq!(again.canonical(), one.canonical());
    }

    #[test]
    fn values_are_equal_when_their_parsed_forms_are(left in values(), right in values()) {
        prop_assert_eq!(json(&left.to_string()) == json(&right.to_string()), left == right);
    }
}
