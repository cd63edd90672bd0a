//! Checks a recorded history of a real server.
//!
//! Something is wrong if an acknowledged command was lost or doubled, if one id got two answers, if versions
//! have gaps, or if a command that was answered before another began comes after it. Versions give the order:
//! so it takes sorting, not searching, however long the history is. Where few commands were under way at once,
//! the general check ([`crate::linear`]) says so, too, without believing versions.
//!
//! Where the history tells what was asked, everything is decided once more, in the order of versions: each record must
//! be what `decide` says, each state keep its invariants, and each answer that changed nothing, above all each
//! refusal, be right at the version that it names, at some moment between the question and the answer.

mod replay;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use interlock_kernel::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of a history: JSON objects, one a line, in any order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A request as its client saw it.
    Request(Request),
    /// A command as the server kept it.
    Kept(Kept),
}

/// A request as its client saw it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `type/key`.
    pub entity: String,
    /// The command's id.
    pub id: String,
    /// When it was sent, on the recorder's clock, in microseconds.
    pub start_us: u64,
    /// When the answer came; none while there is none.
    #[serde(default)]
    pub end_us: Option<u64>,
    /// The answer's HTTP status.
    #[serde(default)]
    pub status: Option<u16>,
    /// Whether the answer said that it was given before.
    #[serde(default)]
    pub replayed: Option<bool>,
    /// The answer's body, with the entity's `version` in it.
    #[serde(default)]
    pub body: Option<Value>,
    /// What was asked, in the form in which the entity's type stores commands, if it is told.
    #[serde(default)]
    pub command: Option<Value>,
    /// The wall clock when it was sent, if it is told.
    #[serde(default)]
    pub at: Option<Time>,
}

/// A command as the server kept it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// `type/key`.
    pub entity: String,
    /// The command's id; `timer:` and a name if a timer sent it.
    pub id: String,
    /// The version that it made, or found and left if it has no events.
    pub version: u64,
    /// When it was decided, if it is told.
    #[serde(default)]
    pub at: Option<Time>,
    /// Its events, each with its `type` and its `data`, if they are told.
    #[serde(default)]
    pub events: Option<Vec<Value>>,
}

impl Kept {
    /// An entry of an entity's timeline, as the server shows it; `None` if it is none.
    #[must_use]
    pub fn from_entry(entity: &str, entry: &Value) -> Option<Self> {
        Some(Self {
            entity: entity.to_owned(),
            id: entry["id"].as_str()?.to_owned(),
            version: entry["version"].as_u64()?,
            at: Some(Time::deserialize(&entry["at"]).ok()?),
            events: Some(entry["events"].as_array()?.clone()),
        })
    }

    /// The timer that sent it, if one did.
    fn timer(&self) -> Option<&str> {
        self.id.strip_prefix("timer:")
    }

    /// A change of timers alone makes no version.
    fn makes_version(&self) -> bool {
        self.events.as_ref().is_none_or(|events| !events.is_empty())
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What is wrong, in words, one thing each.
    pub wrong: Vec<String>,
    /// Answers that were checked.
    pub answers: u64,
    /// How many of them were repeats.
    pub replays: u64,
    /// How many of them were refusals.
    pub refusals: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Commands that the server kept.
    pub kept: usize,
    /// Entities that they belong to.
    pub entities: usize,
    /// Commands whose answers the general check explained, too.
    pub cross_checked: u64,
    /// Records and answers that were decided once more.
    pub decided_again: u64,
}

/// Reads a history.
///
/// # Errors
/// In words, with the line's number.
pub fn parse(text: &str) -> Result<Vec<Event>, String> {
    let parse = |(number, line): (usize, &str)| {
        let event = serde_json::from_str(line);
        event.map_err(|_| format!("line {number} is neither a request nor a command that was kept"))
    };
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines.map(parse).collect()
}

/// Checks a history.
#[must_use]
pub fn check(history: &[Event]) -> Verdict {
    let mut checker = Checker::default();
    checker.keep(history.iter().filter_map(|event| match event {
        Event::Kept(kept) => Some(kept),
        Event::Request(_) => None,
    }));
    for event in history {
        if let Event::Request(request) = event {
            checker.answered(request);
        }
    }
    checker.in_real_time();
    checker.decide_again(history);
    if checker.verdict.wrong.is_empty() {
        checker.in_windows(history);
    }
    checker.verdict
}

#[derive(Default)]
struct Checker<'a> {
    /// Entity → id → version, as the server kept them.
    versions: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
    /// Entity → every version that was made.
    made: BTreeMap<&'a str, BTreeSet<u64>>,
    /// (entity, id) → the answer.
    bodies: BTreeMap<(&'a str, &'a str), &'a Value>,
    /// Entity → first answers.
    spans: BTreeMap<&'a str, Vec<Span>>,
    verdict: Verdict,
}

/// A question and its answer, in time.
struct Span {
    start_us: u64,
    end_us: u64,
    version: u64,
    /// Whether it made that version, rather than found it.
    changed: bool,
}

impl<'a> Checker<'a> {
    fn wrong(&mut self, what: String) {
        self.verdict.wrong.push(what);
    }

    fn keep(&mut self, kept: impl Iterator<Item = &'a Kept>) {
        let mut entities: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
        for kept in kept {
            let Kept { entity, id, version, .. } = kept;
            self.verdict.kept += 1;
            let versions = entities.entry(entity).or_default();
            if kept.makes_version()
                && let Some(other) = versions.insert(*version, id)
            {
                self.wrong(format!("{entity} has version {version} twice: {other} and {id}"));
            }
            // A timer may send the same command again and again.
            if kept.timer().is_some() {
                continue;
            }
            let of = self.versions.entry(entity).or_default();
            if let Some(other) = of.insert(id, *version) {
                self.wrong(format!("{entity}: {id} was done twice, at {other} and {version}"));
            }
        }
        self.verdict.entities = entities.len();
        for (entity, versions) in entities {
            let expected: BTreeSet<u64> = (1..=versions.len() as u64).collect();
            let found: BTreeSet<u64> = versions.into_keys().collect();
            if let Some(gap) = expected.difference(&found).next() {
                self.wrong(format!("{entity} has a gap at version {gap}"));
            }
            self.made.insert(entity, found);
        }
    }

    fn version(&self, entity: &str, id: &str) -> Option<u64> {
        self.versions.get(entity)?.get(id).copied()
    }

    fn was_made(&self, entity: &str, version: u64) -> bool {
        self.made.get(entity).is_some_and(|made| made.contains(&version))
    }

    fn answered(&mut self, request: &'a Request) {
        let Request { entity, id, start_us, replayed, .. } = request;
        let Some(answer) = Answer::of(request) else {
            self.verdict.unanswered += u64::from(request.status.is_none());
            return;
        };
        self.verdict.answers += 1;
        let kept = self.version(entity, id);
        let (version, end_us) = (answer.version.unwrap_or(0), answer.end_us);
        let span = Span { start_us: *start_us, end_us, version, changed: kept.is_some() };
        if answer.is_refusal {
            self.verdict.refusals += 1;
            // It was decided before the command was kept.
            self.spans.entry(entity).or_default().push(Span { changed: false, ..span });
            return;
        }
        match (kept, answer.version) {
            (_, None) => self.wrong(format!("{entity}: {id} is answered without a version")),
            // It changed nothing of what another has made, which is seen when it is decided once more.
            (None, Some(version))
                if request.command.is_some() && self.was_made(entity, version) => {}
            (None, Some(version)) => {
                self.wrong(format!("{entity}: {id} was acknowledged at {version} and is lost"));
            }
            (Some(kept), Some(version)) if kept != version => {
                self.wrong(format!("{entity}: {id} was acknowledged at {version}, kept at {kept}"));
            }
            (Some(_), Some(_)) => {}
        }
        if kept.is_some()
            && let Some(before) = self.bodies.insert((entity, id), answer.body)
            && before != answer.body
        {
            let body = answer.body;
            self.wrong(format!("{entity}: {id} got two answers: {before} and {body}"));
        }
        if *replayed == Some(true) {
            self.verdict.replays += 1;
        } else {
            self.spans.entry(entity).or_default().push(span);
        }
    }

    /// Whoever begins after another was answered comes after it, or sees what it did.
    fn in_real_time(&mut self) {
        for (entity, mut spans) in std::mem::take(&mut self.spans) {
            let mut ends: Vec<(u64, u64)> =
                spans.iter().map(|span| (span.end_us, span.version)).collect();
            ends.sort_unstable();
            spans.sort_unstable_by_key(|span| (span.start_us, span.version));
            let (mut next, mut newest) = (0, 0);
            for Span { start_us, version, changed, .. } in spans {
                while next < ends.len() && ends[next].0 < start_us {
                    newest = newest.max(ends[next].1);
                    next += 1;
                }
                let least = newest + u64::from(changed && newest > 0);
                if version < least {
                    self.wrong(format!(
                        "{entity}: version {version} began after version {newest} was answered"
                    ));
                }
            }
        }
    }
}

/// An answer that promises something.
struct Answer<'a> {
    end_us: u64,
    is_refusal: bool,
    /// None: the entity has none yet.
    version: Option<u64>,
    body: &'a Value,
}

impl<'a> Answer<'a> {
    /// None if there is no answer yet, or the server said that it could not.
    fn of(request: &'a Request) -> Option<Self> {
        let (end_us, status, body) = (request.end_us?, request.status?, request.body.as_ref()?);
        // The one failure that an entity decides on.
        let is_decided = status < 500 || body["code"] == "pool_full";
        let (is_refusal, version) = (status >= 300, body["version"].as_u64());
        is_decided.then_some(Self { end_us, is_refusal, version, body })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(id: &str, version: u64, start_us: u64, end_us: u64) -> Event {
        Event::Request(Request {
            entity: "quota/q".into(),
            id: id.into(),
            start_us,
            end_us: Some(end_us),
            status: Some(201),
            replayed: Some(false),
            body: Some(json!({ "version": version })),
            ..Request::default()
        })
    }

    fn kept(id: &str, version: u64) -> Event {
        Event::Kept(Kept { entity: "quota/q".into(), id: id.into(), version, ..Kept::default() })
    }

    #[test]
    fn a_checker_that_cannot_fail_is_worth_nothing() {
        let good = [kept("put", 1), answer("a", 2, 0, 1), answer("b", 3, 2, 3)];
        let cases: [(&str, Vec<Event>, usize); 6] = [
            ("nothing", vec![kept("a", 2), kept("b", 3)], 0),
            ("a lost command", vec![kept("a", 2)], 1),
            ("a doubled command", vec![kept("a", 2), kept("b", 3), kept("b", 4)], 2),
            ("a gap", vec![kept("a", 2), kept("b", 3), kept("c", 5)], 1),
            ("two answers", vec![kept("a", 2), kept("b", 3), answer("b", 2, 4, 5)], 3),
            (
                "an order against time",
                vec![kept("b", 3), kept("a", 2), kept("c", 4), answer("c", 4, 0, 1)],
                1,
            ),
        ];
        for (what, more, wrong) in cases {
            let mut history = good.to_vec();
            history.extend(more);
            let verdict = check(&history);
            assert_eq!(verdict.wrong.len(), wrong, "{what}: {:?}", verdict.wrong);
        }
    }

    /// A claim's answer, under way from `start_us` to `end_us`.
    fn claim(id: &str, (version, number): (u64, u64), (start_us, end_us): (u64, u64)) -> Event {
        let Event::Request(mut request) = answer(id, version, start_us, end_us) else {
            unreachable!("an answer is to a request")
        };
        request.body = Some(json!({
            "version": version, "claim": format!("c{number}"), "number": number, "remaining": 9
        }));
        Event::Request(request)
    }

    #[test]
    fn a_server_that_lies_about_versions_is_caught_where_few_were_under_way_at_once() {
        let kept = || [kept("put", 1), kept("a", 2), kept("b", 3), kept("c", 4)];
        let last = claim("c", (4, 3), (20, 21));
        let honest = [claim("a", (2, 1), (0, 9)), claim("b", (3, 2), (1, 8)), last.clone()];
        let verdict = check(&[&kept()[..], &honest].concat());
        assert_eq!((verdict.wrong.len(), verdict.cross_checked), (0, 3));
        // Each version is told once and kept, and fits real time: only the claims are the other way round.
        let lies = [claim("a", (2, 2), (0, 9)), claim("b", (3, 1), (1, 8)), last];
        let verdict = check(&[&kept()[..], &lies].concat());
        assert_eq!(verdict.wrong.len(), 1, "{:?}", verdict.wrong);
        assert!(verdict.wrong[0].contains("no order explains"), "{:?}", verdict.wrong);
    }

    #[test]
    fn answers_that_nobody_saw_are_taken_as_kept() {
        let history = [kept("put", 1), kept("lost", 2), kept("a", 3), claim("a", (3, 2), (0, 9))];
        let verdict = check(&history);
        assert_eq!((verdict.wrong.len(), verdict.cross_checked), (0, 1), "{:?}", verdict.wrong);
    }

    #[test]
    fn a_history_is_read_back_and_garbage_is_named_by_its_line() {
        let history = vec![kept("put", 1), answer("a", 2, 0, 1)];
        let line = |event: &Event| format!("{}\n", serde_json::to_string(event).unwrap());
        let text: String = history.iter().map(line).collect();
        assert_eq!(parse(&text), Ok(history));
        let refused = parse(&format!("{text}{{\"entity\": 1}}\n")).unwrap_err();
        assert!(refused.starts_with("line 3 "), "{refused}");
    }

    #[test]
    fn a_hundred_thousand_operations_are_checked_by_sorting() {
        let mut history = vec![kept("put", 1)];
        for number in 0..100_000 {
            history.push(kept(&format!("op-{number}"), number + 2));
            history.push(answer(
                &format!("op-{number}"),
                number + 2,
                number * 10,
                number * 10 + 15,
            ));
        }
        let verdict = check(&history);
        assert_eq!((verdict.wrong.len(), verdict.answers, verdict.kept), (0, 100_000, 100_001));
    }
}
