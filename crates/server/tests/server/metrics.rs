//! `/metrics` as Prometheus reads it: the text format 0.0.4.

use std::collections::BTreeMap;

use interlock_kernel::ids::Member;
use interlock_streams::service::EngineConfig;

use crate::support::Running;

/// One line: its name, its labels, its number.
type Sample = (String, BTreeMap<String, String>, f64);

/// The families of a text, with their types. Panics where Prometheus would stop reading.
fn parse(text: &str) -> BTreeMap<String, (String, Vec<Sample>)> {
    let mut families: BTreeMap<String, (String, Vec<Sample>)> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap().to_owned();
            assert!(!families.contains_key(&current), "twice: {line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, current, "a type without its help");
            families.insert(current.clone(), (kind.to_owned(), Vec::new()));
        } else {
            let sample = sample(line);
            let (kind, samples) = families.get_mut(&current).unwrap();
            let suffixes: &[_] = match kind.as_str() {
                "counter" | "gauge" => &[""],
                "summary" => &["", "_sum", "_count"],
                other => panic!("{other}"),
            };
            let suffix = sample.0.strip_prefix(&current);
            assert!(suffix.is_some_and(|suffix| suffixes.contains(&suffix)), "a stranger: {line}");
            samples.push(sample);
        }
    }
    families
}

/// Reads `name{label="value",…} number`.
fn sample(line: &str) -> Sample {
    let (name, number) = line.rsplit_once(' ').unwrap();
    let number = number.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, rest)) = name.split_once('{') else {
        return (name.to_owned(), BTreeMap::new(), number);
    };
    let mut rest = rest.strip_suffix('}').unwrap();
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, value) = rest.split_once("=\"").unwrap();
        let (value, after) = value.split_once('"').unwrap();
        assert!(labels.insert(label.to_owned(), value.to_owned()).is_none(), "twice: {line}");
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    (name.to_owned(), labels, number)
}

#[tokio::test]
async fn prometheus_can_read_all_of_it() {
    let engine = EngineConfig {
        name: Member::new("engine-1").unwrap(),
        url: "http://127.0.0.1:9".parse().unwrap(),
        limit: 3,
        forwarded: true,
    };
    let server = Running::with(|config| config.streams.engines.push(engine)).await.unwrap();
    server.command("POST", "turns/story", r#"{"turn": 1, "value": 1}"#).await;
    let answer = server.get("/metrics").await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(text.ends_with('\n'));
    let families = parse(text);
    assert!(families.len() > 20, "{}", families.len());
    for (name, (kind, samples)) in families {
        assert!(kind != "counter" || name.ends_with("_total"), "{name}");
        if kind == "summary" {
            summary(&name, samples);
        }
    }
    server.stop().await;
}

/// Every summary has quantiles that rise, a sum and a count.
fn summary(name: &str, samples: Vec<Sample>) {
    let mut groups: BTreeMap<BTreeMap<String, String>, Vec<(String, f64)>> = BTreeMap::new();
    for (sample, mut labels, value) in samples {
        let quantile = labels.remove("quantile");
        let part = quantile.unwrap_or_else(|| sample[name.len()..].to_owned());
        groups.entry(labels).or_default().push((part, value));
    }
    assert!(!groups.is_empty(), "{name}");
    for (labels, parts) in groups {
        let names: Vec<_> = parts.iter().map(|(part, _)| part.as_str()).collect();
        assert_eq!(names, ["0.5", "0.99", "1", "_sum", "_count"], "{name} {labels:?}");
        let values: Vec<_> = parts.iter().map(|(_, value)| *value).collect();
        let (quantiles, count) = (&values[..3], values[4]);
        let none = quantiles.iter().all(|value| value.is_nan());
        let right = if count > 0.0 { quantiles.is_sorted() } else { none };
        assert!(right, "{name} {labels:?}: {parts:?}");
    }
}
