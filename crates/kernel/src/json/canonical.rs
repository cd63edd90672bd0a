//! One text for all spellings of a JSON value.
//!
//! The text is read into a flat list of nodes and written from it with an explicit stack, so that no
//! nesting, however deep, can exhaust the call stack, not even when the nodes are dropped.
//!
//! Relies on the text being valid JSON ([`super::Json`] is the only caller and has checked it).

use std::{borrow::Cow, collections::BTreeMap};

/// One value; containers name their children by place in the list.
enum Node<'a> {
    /// A string, number or literal in its canonical spelling.
    Scalar(Cow<'a, str>),
    Array(Vec<usize>),
    Object(BTreeMap<Cow<'a, str>, usize>),
}

/// The canonical text of a valid JSON text.
pub(super) fn text(json: &str) -> String {
    write(&read(json), json.len())
}

/// A container that is being read, with the name of the member whose value comes next.
struct Open<'a> {
    node: usize,
    name: Option<Cow<'a, str>>,
}

/// Reads the text into nodes; the first one is the root.
fn read(json: &str) -> Vec<Node<'_>> {
    let mut nodes: Vec<Node<'_>> = Vec::new();
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut rest = json;
    while let Some(first) = rest.bytes().next() {
        let node = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {
                rest = &rest[1..];
                continue;
            }
            b']' | b'}' => {
                open.pop();
                rest = &rest[1..];
                continue;
            }
            b'[' => {
                rest = &rest[1..];
                Node::Array(Vec::new())
            }
            b'{' => {
                rest = &rest[1..];
                Node::Object(BTreeMap::new())
            }
            b'"' => {
                let (token, after) = rest.split_at(string_end(rest));
                rest = after;
                if let Some(Open { node, name: name @ None }) = open.last_mut()
                    && matches!(nodes[*node], Node::Object(_))
                {
                    *name = Some(string(token));
                    continue;
                }
                Node::Scalar(string(token))
            }
            _ => {
                let end = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
                let (token, after) = rest.split_at(end);
                rest = after;
                let is_number = first == b'-' || first.is_ascii_digit();
                Node::Scalar(if is_number { number(token) } else { Cow::Borrowed(token) })
            }
        };
        let place = nodes.len();
        if let Some(parent) = open.last_mut() {
            attach(&mut nodes[parent.node], parent.name.take(), place);
        }
        if !matches!(node, Node::Scalar(_)) {
            open.push(Open { node: place, name: None });
        }
        nodes.push(node);
    }
    nodes
}

/// Makes the node at `place` a child; of two members with the same name the last one counts.
fn attach<'a>(parent: &mut Node<'a>, name: Option<Cow<'a, str>>, place: usize) {
    match parent {
        Node::Array(items) => items.push(place),
        Node::Object(members) => {
            let name = name.expect("in valid JSON a name comes before every member's value");
            members.insert(name, place);
        }
        Node::Scalar(_) => unreachable!("only containers are ever open"),
    }
}

/// Writes the nodes as one text without white space.
fn write(nodes: &[Node<'_>], capacity: usize) -> String {
    enum Step<'n> {
        Text(&'n str),
        Value(usize),
    }
    let mut out = String::with_capacity(capacity);
    let mut steps = vec![Step::Value(0)];
    while let Some(step) = steps.pop() {
        let place = match step {
            Step::Text(text) => {
                out.push_str(text);
                continue;
            }
            Step::Value(place) => place,
        };
        // Steps are taken from the end: what is written last is pushed first.
        match &nodes[place] {
            Node::Scalar(text) => out.push_str(text),
            Node::Array(items) => {
                steps.push(Step::Text("]"));
                for (index, item) in items.iter().enumerate().rev() {
                    steps.push(Step::Value(*item));
                    steps.push(Step::Text(if index == 0 { "[" } else { "," }));
                }
                if items.is_empty() {
                    steps.push(Step::Text("["));
                }
            }
            Node::Object(members) => {
                steps.push(Step::Text("}"));
                for (index, (name, value)) in members.iter().enumerate().rev() {
                    steps.push(Step::Value(*value));
                    steps.push(Step::Text(":"));
                    steps.push(Step::Text(name));
                    steps.push(Step::Text(if index == 0 { "{" } else { "," }));
                }
                if members.is_empty() {
                    steps.push(Step::Text("{"));
                }
            }
        }
    }
    out
}

/// Where the string at the beginning of `text` ends, its closing quote included.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The string with as few escapes as JSON allows, each in one spelling.
fn string(token: &str) -> Cow<'_, str> {
    if !token.contains('\\') {
        return Cow::Borrowed(token);
    }
    let mut out = String::with_capacity(token.len());
    out.push('"');
    let mut rest = &token[1..token.len() - 1];
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (unescaped, length) = unescape(&rest[at..]);
        match unescaped {
            Ok(c @ ('"' | '\\')) => out.extend(['\\', c]),
            Ok(c) if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            Ok(c) => out.push(c),
            Err(half) => out.push_str(&format!("\\u{half:04x}")),
        }
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out.push('"');
    Cow::Owned(out)
}

/// What the escape at the beginning of `text` stands for, and its length in bytes: a character, or half
/// of a surrogate pair whose other half is missing.
fn unescape(text: &str) -> (Result<char, u16>, usize) {
    let simple = match text.as_bytes()[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = unit(text).expect("valid JSON has four hex digits after \\u");
            let pair = [first, unit(&text[6..]).unwrap_or_default()];
            return match char::decode_utf16(pair).next() {
                Some(Ok(c)) => (Ok(c), 6 * c.len_utf16()),
                Some(Err(_)) | None => (Err(first), 6),
            };
        }
        itself => char::from(itself),
    };
    (Ok(simple), 2)
}

/// The UTF-16 unit of the `\uXXXX` at the beginning of `text`, if there is one.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// The number as an exact decimal: its significant digits and a power of ten.
fn number(token: &str) -> Cow<'_, str> {
    let (sign, unsigned) = match token.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", token),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let without_tail = digits.trim_end_matches('0');
    let significant = without_tail.trim_start_matches('0');
    if significant.is_empty() {
        return Cow::Borrowed("0");
    }
    let tail = i128::try_from(digits.len() - without_tail.len()).expect("a length fits i128");
    let fraction = i128::try_from(fraction.len()).expect("a length fits i128");
    match exponent.parse::<i64>().map(|exponent| i128::from(exponent) - fraction + tail) {
        Ok(0) if significant.len() == token.len() => Cow::Borrowed(token),
        Ok(0) => Cow::Owned(format!("{sign}{significant}")),
        Ok(power) => Cow::Owned(format!("{sign}{significant}e{power}")),
        Err(_) => Cow::Borrowed(token),
    }
}
