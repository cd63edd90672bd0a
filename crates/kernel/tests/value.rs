//! Value against a model that keeps every write.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use interlock_kernel::{
    ids::{Token, Version},
    json::Json,
    limits::VALUE_VERSIONS_KEPT,
    time::Time,
    value::{Condition, Event, Guard, Rejection, Replaced, Value},
};
use proptest::prelude::*;

fn json(number: usize) -> Json {
    Json::parse(&number.to_string()).unwrap()
}

/// All writes, oldest first: version, time, content, token.
#[derive(Default)]
struct Model {
    writes: Vec<(u64, u64, Json, Option<u64>)>,
    /// The entity's version: other commands raise it too.
    version: u64,
    now: u64,
}

impl Model {
    fn current(&self) -> Option<u64> {
        self.writes.last().map(|write| write.0)
    }

    fn kept(&self) -> &[(u64, u64, Json, Option<u64>)] {
        &self.writes[self.writes.len().saturating_sub(VALUE_VERSIONS_KEPT)..]
    }

    fn admit(&self, guard: &Guard) -> Result<(), Rejection> {
        let holds = match &guard.condition {
            None => true,
            Some(Condition::Any) => !self.writes.is_empty(),
            Some(Condition::Absent) => self.writes.is_empty(),
            Some(Condition::Versions(list)) => {
                list.iter().any(|version| Some(version.0) == self.current())
            }
        };
        if !holds {
            return Err(Rejection::ConditionFailed { current: self.current().map(Version) });
        }
        let seen = self.writes.iter().filter_map(|write| write.3).max();
        match (guard.token, seen) {
            (Some(token), Some(seen)) if token.0 < seen => {
                Err(Rejection::StaleToken { token, seen: Token(seen) })
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, content: Json, guard: &Guard) -> u64 {
        self.version += 1;
        self.writes.push((self.version, self.now, content, guard.token.map(|token| token.0)));
        self.version
    }

    fn put(&mut self, content: Json, guard: &Guard) -> Result<u64, Rejection> {
        if guard.condition.is_none() {
            return Err(Rejection::ConditionRequired);
        }
        self.admit(guard)?;
        Ok(self.write(content, guard))
    }

    fn roll_back(&mut self, to: Version, guard: &Guard) -> Result<u64, Rejection> {
        if self.writes.is_empty() {
            return Err(Rejection::Unwritten);
        }
        self.admit(guard)?;
        let old = self.kept().iter().find(|write| write.0 == to.0).map(|write| write.2.clone());
        let old = old.ok_or(Rejection::UnknownVersion(to))?;
        Ok(self.write(old, guard))
    }
}

#[derive(Debug, Clone)]
enum Belief {
    Nothing,
    Any,
    Absent,
    /// Versions this far back from the current one.
    Back(Vec<u64>),
}

#[derive(Debug, Clone)]
enum Step {
    Put {
        belief: Belief,
        token: Option<u64>,
    },
    RollBack {
        back: u64,
        belief: Belief,
        token: Option<u64>,
    },
    /// Something else happens to the entity that holds the value.
    Other,
    Pass {
        ms: u64,
    },
}

fn beliefs() -> impl Strategy<Value = Belief> {
    prop_oneof![
        1 => Just(Belief::Nothing),
        4 => Just(Belief::Any),
        1 => Just(Belief::Absent),
        4 => prop::collection::vec(0_u64..3, 0..3).prop_map(Belief::Back),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tokens = || prop_oneof![3 => Just(None), 1 => (0_u64..6).prop_map(Some)];
    let step = prop_oneof![
        6 => (beliefs(), tokens()).prop_map(|(belief, token)| Step::Put { belief, token }),
        3 => (0_u64..26, beliefs(), tokens())
            .prop_map(|(back, belief, token)| Step::RollBack { back, belief, token }),
        1 => Just(Step::Other),
        1 => (1_u64..9).prop_map(|ms| Step::Pass { ms }),
    ];
    prop::collection::vec(step, 1..80)
}

fn guard(belief: &Belief, token: Option<u64>, version: u64) -> Guard {
    let condition = match belief {
        Belief::Nothing => None,
        Belief::Any => Some(Condition::Any),
        Belief::Absent => Some(Condition::Absent),
        Belief::Back(back) => {
            let versions = back.iter().map(|back| Version(version.saturating_sub(*back)));
            Some(Condition::Versions(versions.collect()))
        }
    };
    Guard { condition, token: token.map(Token) }
}

proptest! {
    #[test]
    fn every_write_is_answered_like_by_a_model_that_keeps_them_all(steps in steps()) {
        let (mut value, mut model) = (Value::default(), Model::default());
        for (number, step) in steps.into_iter().enumerate() {
            let (next, now) = (Version(model.version + 1), Time(model.now));
            let current = model.current().unwrap_or_default();
            match step {
                Step::Pass { ms } => model.now += ms,
                Step::Other => model.version += 1,
                Step::Put { belief, token } => {
                    let guard = guard(&belief, token, current);
                    let put = value.put(&json(number), &guard, next, now);
                    let expected = model.put(json(number), &guard);
                    prop_assert_eq!(put.as_ref().map(|put| put.version.0), expected.as_ref().copied());
                    if let Ok(put) = put {
                        value.apply(&Event::Replaced(put));
                    }
                }
                Step::RollBack { back, belief, token } => {
                    let guard = guard(&belief, token, current);
                    let to = Version(current.saturating_sub(back));
                    let rolled = value.roll_back(to, &guard, next, now);
                    let expected = model.roll_back(to, &guard);
                    prop_assert_eq!(rolled.as_ref().map(|it| it.version.0), expected.as_ref().copied());
                    if let Ok(rolled) = rolled {
                        value.apply(&Event::RolledBack(rolled));
                    }
                }
            }
            value.check();
            let kept: Vec<_> =
                value.versions().map(|kept| (kept.version.0, kept.at.0, kept.content.clone())).collect();
            let expected: Vec<_> =
                model.kept().iter().rev().map(|write| (write.0, write.1, write.2.clone())).collect();
            prop_assert_eq!(kept, expected);
            for version in 0..=model.version + 1 {
                let expected = model.kept().iter().find(|write| write.0 == version);
                let found = value.at(Version(version));
                prop_assert_eq!(found.map(|kept| &kept.content), expected.map(|write| &write.2));
            }
            prop_assert_eq!(value.current().map(|kept| kept.version.0), model.current());
            let seen = model.writes.iter().filter_map(|write| write.3).max();
            prop_assert_eq!(value.token().map(|token| token.0), seen);
        }
        let stored = postcard::to_stdvec(&value).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Value>(&stored).unwrap(), &value);
        let shown = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&shown).unwrap(), &value);
    }
}

#[test]
fn a_reader_keeps_what_it_started_with() {
    let mut value = Value::default();
    let create = Guard { condition: Some(Condition::Absent), token: None };
    let first = value.put(&json(1), &create, Version(1), Time(0)).unwrap();
    value.apply(&Event::Replaced(first));
    let reader = value.clone();

    let replace = Guard { condition: Some(Condition::Versions(vec![Version(1)])), token: None };
    let second = value.put(&json(2), &replace, Version(2), Time(0)).unwrap();
    value.apply(&Event::Replaced(second));

    assert_eq!(reader.current().unwrap().content, json(1));
    assert_eq!(value.current().unwrap().content, json(2));
}

#[test]
#[should_panic(expected = "versions grow")]
fn two_writes_with_one_version_poison_the_value() {
    let mut value = Value::default();
    let guard = Guard { condition: Some(Condition::Absent), token: None };
    let put = Event::Replaced(value.put(&json(1), &guard, Version(1), Time(0)).unwrap());
    value.apply(&put);
    value.apply(&put);
}

#[test]
#[should_panic(expected = "versions grow")]
fn a_stored_state_whose_versions_are_out_of_order_is_noticed() {
    let mut value = Value::default();
    for version in 1..=2 {
        let (at, content) = (Time(version), Json::null());
        value.apply(&Event::Replaced(Replaced {
            version: Version(version),
            at,
            content,
            token: None,
        }));
    }
    let mut stored = serde_json::to_value(&value).unwrap();
    stored["kept"].as_array_mut().unwrap().reverse();
    serde_json::from_value::<Value>(stored).unwrap().check();
}
