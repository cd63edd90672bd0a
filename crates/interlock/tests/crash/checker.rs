//! Checks a recorded history against what a server says happened.
//!
//! Both files hold one JSON object a line. The history: the requests as their clients saw them,
//! `{entity, id, start_us, end_us, status, replayed, body}`, the last four missing or null while a request has no
//! answer. The timelines: the commands as the server kept them, `{entity, id, version}`.
//!
//! Something is wrong if an acknowledged command was lost or doubled, if one id got two answers, if versions have
//! gaps, or if a command that was answered before another began comes after it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

#[derive(Default)]
struct Checker {
    /// Entity → version → id, as the server kept them.
    kept: BTreeMap<String, BTreeMap<u64, String>>,
    /// (entity, id) → version, as the server kept them.
    versions: BTreeMap<(String, String), u64>,
    wrong: Vec<String>,
    answers: u64,
    replays: u64,
    unanswered: u64,
}

/// What a check found.
pub struct Verdict {
    /// In words, one thing each.
    pub wrong: Vec<String>,
    /// What was looked at.
    pub summary: String,
}

/// Checks a history against the timelines.
pub fn check(history: &str, timelines: &str) -> Verdict {
    let mut checker = Checker::default();
    checker.keep(&lines(timelines));
    checker.check(&lines(history));
    let Checker { answers, replays, unanswered, kept, wrong, .. } = checker;
    let commands: usize = kept.values().map(BTreeMap::len).sum();
    let summary = format!(
        "{answers} answers ({replays} of them repeats), {unanswered} requests without one, \
         {commands} commands kept on {} entities",
        kept.len()
    );
    Verdict { wrong, summary }
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).expect("every line is JSON");
    text.lines().map(parse).collect()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Checker {
    fn keep(&mut self, timelines: &[Value]) {
        for entry in timelines {
            let (entity, id) = (text(&entry["entity"]), text(&entry["id"]));
            let version = entry["version"].as_u64().expect("a version");
            let versions = self.kept.entry(entity.clone()).or_default();
            if let Some(other) = versions.insert(version, id.clone()) {
                self.wrong.push(format!("{entity} has version {version} twice: {other} and {id}"));
            }
            if let Some(other) = self.versions.insert((entity.clone(), id.clone()), version) {
                self.wrong.push(format!("{entity}: {id} was done twice, at {other} and {version}"));
            }
        }
        for (entity, versions) in &self.kept {
            let expected: BTreeSet<u64> = (1..=versions.len() as u64).collect();
            let found: BTreeSet<u64> = versions.keys().copied().collect();
            if expected != found {
                let gap = expected.difference(&found).next();
                self.wrong.push(format!("{entity} has a gap at version {gap:?}"));
            }
        }
    }

    fn check(&mut self, history: &[Value]) {
        let mut bodies: BTreeMap<(String, String), Value> = BTreeMap::new();
        // Entity → (end, version) and (start, version) of first answers, for the order in real time.
        let mut ends: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        let mut starts: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        for request in history {
            let name = (text(&request["entity"]), text(&request["id"]));
            let Some(end) = request["end_us"].as_u64() else {
                self.unanswered += 1;
                continue;
            };
            let status = request["status"].as_u64().expect("an answer has a status");
            if status >= 500 {
                continue;
            }
            self.answers += 1;
            if status >= 300 {
                self.wrong.push(format!("{name:?} was refused: {request}"));
                continue;
            }
            let body = &request["body"];
            let version = body["version"].as_u64().expect("an answer has a version");
            match self.versions.get(&name) {
                None => {
                    self.wrong.push(format!("{name:?} was acknowledged at {version} and is lost"))
                }
                Some(kept) if *kept != version => {
                    self.wrong
                        .push(format!("{name:?} was acknowledged at {version}, kept at {kept}"));
                }
                Some(_) => {}
            }
            if body["number"].as_u64() != Some(version - 1) {
                self.wrong.push(format!("{name:?} at version {version} says {}", body["number"]));
            }
            if let Some(before) = bodies.insert(name.clone(), body.clone())
                && before != *body
            {
                self.wrong.push(format!("{name:?} got two answers: {before} and {body}"));
            }
            if request["replayed"].as_bool() == Some(true) {
                self.replays += 1;
            } else {
                let start = request["start_us"].as_u64().expect("a start");
                ends.entry(name.0.clone()).or_default().push((end, version));
                starts.entry(name.0).or_default().push((start, version));
            }
        }
        for (entity, mut ends) in ends {
            let mut starts = starts.remove(&entity).unwrap_or_default();
            ends.sort_unstable();
            starts.sort_unstable();
            let (mut next, mut newest) = (0, 0);
            for (start, version) in starts {
                while next < ends.len() && ends[next].0 < start {
                    newest = newest.max(ends[next].1);
                    next += 1;
                }
                if version <= newest {
                    self.wrong.push(format!(
                        "{entity}: version {version} began after version {newest} was answered"
                    ));
                }
            }
        }
    }
}
