//! Turn against a model that remembers everything.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::num::NonZeroU64;

use interlock_kernel::{
    json::Json,
    limits::TURNS_KEPT,
    turn::{Event, Posted, Rejection, Turn, Won},
};
use proptest::prelude::*;

fn number(turn: u64) -> NonZeroU64 {
    NonZeroU64::new(turn).unwrap()
}

fn value(text: &str) -> Json {
    Json::parse(text).unwrap()
}

/// Plays a value and folds what comes of it.
fn play(turn: &mut Turn, number: NonZeroU64, value: &Json) -> Result<Posted, Rejection> {
    let posted = turn.post(number, value)?;
    if let Posted::Wins(won) = &posted {
        turn.apply(&Event::Won(won.clone()));
    }
    Ok(posted)
}

/// Every winner, the first one of turn 1.
#[derive(Default)]
struct Model(Vec<Json>);

impl Model {
    fn post(&mut self, turn: u64, value: &Json) -> Result<Posted, Rejection> {
        let next = self.0.len() as u64 + 1;
        let oldest = next.saturating_sub(TURNS_KEPT as u64).max(1);
        let turn = number(turn);
        if turn.get() == next {
            self.0.push(value.clone());
            Ok(Posted::Wins(Won { turn, value: value.clone() }))
        } else if turn.get() > next {
            Err(Rejection::Ahead { turn, next: number(next) })
        } else if turn.get() < oldest {
            Err(Rejection::Gone { turn, oldest: number(oldest) })
        } else {
            Ok(Posted::Lost(self.0[turn.get() as usize - 1].clone()))
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Post to the turn this far from the next one.
    Post { offset: i64 },
    /// Post to any turn at all.
    Wild { turn: u64 },
    /// Win this many turns in a row.
    Rush { turns: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (-4_i64..3).prop_map(|offset| Step::Post { offset }),
        2 => (-1_003_i64..-997).prop_map(|offset| Step::Post { offset }),
        1 => (1_u64..=u64::MAX).prop_map(|turn| Step::Wild { turn }),
        1 => (1_usize..700).prop_map(|turns| Step::Rush { turns }),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #[test]
    fn every_post_is_answered_like_by_a_model_that_remembers_everything(steps in steps()) {
        let (mut turn, mut model) = (Turn::default(), Model::default());
        for (index, step) in steps.into_iter().enumerate() {
            let posts = match step {
                Step::Post { offset } => vec![turn.next().get().saturating_add_signed(offset).max(1)],
                Step::Wild { turn } => vec![turn],
                Step::Rush { turns } => {
                    let next = turn.next().get();
                    (next..next + turns as u64).collect()
                }
            };
            for post in posts {
                let value = value(&format!("[{index},{post}]"));
                let expected = model.post(post, &value);
                prop_assert_eq!(play(&mut turn, number(post), &value), expected);
            }
            turn.check();
            prop_assert_eq!(turn.next().get() as usize, model.0.len() + 1);
            let last = model.0.last().map(|value| (number(model.0.len() as u64), value));
            prop_assert_eq!(turn.last(), last);
        }
        let stored = postcard::to_stdvec(&turn).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Turn>(&stored).unwrap(), &turn);
        let shown = serde_json::to_string(&turn).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Turn>(&shown).unwrap(), &turn);
    }
}

#[test]
fn the_last_thousand_winners_are_kept() {
    let mut turn = Turn::default();
    for n in 1..=1_001 {
        play(&mut turn, number(n), &value(&n.to_string())).unwrap();
    }
    assert_eq!(turn.oldest(), number(2));
    assert_eq!(turn.post(number(2), &value("0")), Ok(Posted::Lost(value("2"))));
    let gone = Rejection::Gone { turn: number(1), oldest: number(2) };
    assert_eq!(turn.post(number(1), &value("0")), Err(gone));
}

#[test]
#[should_panic(expected = "won once and in order")]
fn a_second_winner_poisons_the_turn() {
    let mut turn = Turn::default();
    let won = Event::Won(Won { turn: number(1), value: Json::null() });
    turn.apply(&won);
    turn.apply(&won);
}
