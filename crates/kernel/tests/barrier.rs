//! Barrier against a model that recounts everybody every time.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use interlock_kernel::{
    barrier::{Arrival, BadParties, Barrier, Event, Parties, Rejection},
    ids::Party,
    json::Json,
    limits,
};
use proptest::prelude::*;

fn party(number: usize) -> Party {
    Party::new(&format!("p{number}")).unwrap()
}

fn parties(numbers: impl IntoIterator<Item = usize>) -> Parties {
    Parties::new(numbers.into_iter().map(party).collect()).unwrap()
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn set(barrier: &mut Barrier, parties: Option<&Parties>) -> Result<bool, Rejection> {
    let event = barrier.set(parties)?;
    if let Some(event) = &event {
        barrier.apply(event);
    }
    Ok(event.is_some())
}

fn arrive(
    barrier: &mut Barrier,
    party: &Party,
    value: &Json,
    revise: bool,
) -> Result<Arrival, Rejection> {
    let arrival = barrier.arrive(party, value, revise)?;
    for event in &arrival.events {
        barrier.apply(event);
    }
    Ok(arrival)
}

/// What an arrival is answered: arrived, missing, complete, completed by this, whether anything changed.
type Counts = (usize, usize, bool, bool, bool);

fn counts(arrival: &Arrival) -> Counts {
    let Arrival { events, arrived, missing, complete, completed_by_this } = arrival;
    (*arrived, *missing, *complete, *completed_by_this, !events.is_empty())
}

/// Every party with what it brought; no parties before the barrier was opened.
#[derive(Default)]
struct Model(BTreeMap<Party, Option<Json>>);

impl Model {
    fn arrived(&self) -> usize {
        self.0.values().flatten().count()
    }

    fn is_complete(&self) -> bool {
        !self.0.is_empty() && self.0.values().all(Option::is_some)
    }

    fn set(&mut self, parties: Option<&Parties>) -> Result<bool, Rejection> {
        let Some(parties) = parties else {
            return if self.0.is_empty() { Err(Rejection::PartiesRequired) } else { Ok(false) };
        };
        if self.0.keys().eq(parties.iter()) {
            return Ok(false);
        }
        if self.arrived() > 0 {
            return Err(Rejection::Started { arrived: self.arrived(), parties: self.0.len() });
        }
        self.0 = parties.iter().map(|party| (party.clone(), None)).collect();
        Ok(true)
    }

    fn arrive(&mut self, party: &Party, value: &Json, revise: bool) -> Result<Counts, Rejection> {
        if self.0.is_empty() {
            return Err(Rejection::Unopened);
        }
        let was_complete = self.is_complete();
        let slot = self.0.get_mut(party).ok_or_else(|| Rejection::UnknownParty(party.clone()))?;
        let changed = slot.as_ref() != Some(value);
        if changed && was_complete {
            return Err(Rejection::Complete(party.clone()));
        }
        if changed && slot.is_some() && !revise {
            return Err(Rejection::AlreadyArrived(party.clone()));
        }
        *slot = Some(value.clone());
        let (arrived, complete) = (self.arrived(), self.is_complete());
        Ok((arrived, self.0.len() - arrived, complete, complete && !was_complete, changed))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set { parties: Option<Vec<usize>> },
    Arrive { party: usize, value: &'static str, revise: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = prop::collection::btree_set(0_usize..5, 1..5);
    let shuffled = names.prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle();
    let value = prop_oneof![Just("null"), Just("1"), Just("1.0"), Just("{\"a\":1,\"b\":2}")];
    let step = prop_oneof![
        1 => prop::option::of(shuffled).prop_map(|parties| Step::Set { parties }),
        5 => (0_usize..6, value, any::<bool>())
            .prop_map(|(party, value, revise)| Step::Arrive { party, value, revise }),
    ];
    prop::collection::vec(step, 1..50)
}

proptest! {
    #[test]
    fn every_arrival_is_answered_like_by_a_model_that_recounts(steps in steps()) {
        let (mut barrier, mut model, mut completions) = (Barrier::default(), Model::default(), 0);
        for step in steps {
            match step {
                Step::Set { parties: numbers } => {
                    let parties = numbers.map(parties);
                    let expected = model.set(parties.as_ref());
                    prop_assert_eq!(set(&mut barrier, parties.as_ref()), expected);
                }
                Step::Arrive { party: number, value, revise } => {
                    let expected = model.arrive(&party(number), &json(value), revise);
                    let arrival = arrive(&mut barrier, &party(number), &json(value), revise);
                    if let Ok(arrival) = &arrival {
                        let completed = |event: &&Event| matches!(event, Event::Completed(_));
                        completions += arrival.events.iter().filter(completed).count();
                    }
                    prop_assert_eq!(arrival.as_ref().map(counts), expected.as_ref().copied());
                }
            }
            barrier.check();
            let all = barrier.parties().into_iter().flat_map(Parties::iter);
            prop_assert!(all.eq(model.0.keys()));
            let arrived = model.0.iter().filter_map(|(party, value)| Some((party, value.as_ref()?)));
            prop_assert!(barrier.arrived().eq(arrived));
            let missing = model.0.iter().filter(|(_, value)| value.is_none()).map(|(party, _)| party);
            prop_assert!(barrier.missing().eq(missing));
            prop_assert_eq!(barrier.is_complete(), model.is_complete());
            prop_assert_eq!(completions, usize::from(model.is_complete()));
            let stored = postcard::to_stdvec(&barrier).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<Barrier>(&stored).unwrap(), &barrier);
            let shown = serde_json::to_string(&barrier).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Barrier>(&shown).unwrap(), &barrier);
        }
    }
}

#[test]
fn ten_thousand_parties_complete_once_and_clones_keep_what_they_saw() {
    let everybody = parties(0..limits::PARTIES);
    let mut barrier = Barrier::default();
    set(&mut barrier, Some(&everybody)).unwrap();
    let mut seen = Vec::new();
    for number in (0..limits::PARTIES).rev() {
        if number % 1_000 == 0 {
            seen.push((barrier.clone(), limits::PARTIES - number - 1));
        }
        let arrival = arrive(&mut barrier, &party(number), &Json::null(), false).unwrap();
        assert_eq!(arrival.missing, number);
        assert_eq!(arrival.completed_by_this, number == 0);
    }
    barrier.check();
    for (snapshot, arrived) in seen {
        snapshot.check();
        assert_eq!(snapshot.arrived().count(), arrived);
    }
}

#[test]
fn parties_are_a_set_of_one_to_ten_thousand() {
    assert_eq!(parties([2, 0, 1]), parties([0, 1, 2]));
    let count = |names: usize| Parties::new((0..names).map(party).collect()).map(|it| it.len());
    assert_eq!(count(0), Err(BadParties::Count(0)));
    assert_eq!(count(10_000), Ok(10_000));
    assert_eq!(count(10_001), Err(BadParties::Count(10_001)));
    let twice = Parties::new(vec![party(1), party(0), party(1)]);
    assert_eq!(twice, Err(BadParties::Twice(party(1))));
    assert!(serde_json::from_str::<Parties>(r#"["a","a"]"#).is_err());
}

#[test]
#[should_panic(expected = "nothing changes after completion")]
fn a_second_completion_poisons_the_barrier() {
    let mut barrier = Barrier::default();
    set(&mut barrier, Some(&parties([0]))).unwrap();
    let arrival = arrive(&mut barrier, &party(0), &Json::null(), false).unwrap();
    barrier.apply(&arrival.events[1]);
}

#[test]
#[should_panic(expected = "when all have come")]
fn an_early_completion_poisons_the_barrier() {
    let mut barrier = Barrier::default();
    set(&mut barrier, Some(&parties([0]))).unwrap();
    let arrival = barrier.arrive(&party(0), &Json::null(), false).unwrap();
    barrier.apply(&arrival.events[1]);
}
