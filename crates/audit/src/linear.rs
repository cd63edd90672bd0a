//! Linearizability in general: whether some order of operations explains what everybody was told.
//!
//! The search of Wing and Gong (1993) with Lowe's memory (2017) of what was tried: an operation may come next
//! if no other that is still to come had ended before it began. It believes nobody, not even versions, and
//! takes exponential time at worst: so it is for small windows, as a check of the checks that sort.
//!
//! A history is cut into windows where nothing is under way; what a window may end with is what the next may
//! begin with. A window with more than [`WIDTH_MAX`] operations at once is not searched.

use std::collections::BTreeSet;

/// Operations that overlap, at most.
pub const WIDTH_MAX: usize = 12;
/// Operations of a window, at most.
pub const WINDOW_MAX: usize = 64;
/// Steps of a search, at most.
const STEPS_MAX: usize = 100_000;

/// What a right server would do, one operation after the other.
pub trait Model {
    /// Its state.
    type State: Clone;
    /// An operation, with the answer that was given.
    type Op;

    /// The state after an operation; `None`: a server in this state would have answered otherwise.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// The same bytes for the same state, others for others.
    fn bytes(&self, state: &Self::State) -> Vec<u8>;
}

/// An operation and its time, on any clock that orders starts and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<Op> {
    /// What.
    pub op: Op,
    /// When it was asked for.
    pub start: u64,
    /// When it was answered. `None`: never; it has happened after its start, or not at all.
    pub end: Option<u64>,
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linear {
    /// There is an order that explains everything.
    Yes,
    /// There is none.
    No,
    /// It is too much to search.
    TooWide,
}

/// Checks a history that began in a state.
pub fn check<M: Model>(model: &M, initial: M::State, history: Vec<Operation<M::Op>>) -> Linear {
    let mut states = vec![initial];
    for window in windows(history) {
        match ends(model, states, &window) {
            None => return Linear::TooWide,
            Some(after) if after.is_empty() => return Linear::No,
            Some(after) => states = after,
        }
    }
    Linear::Yes
}

/// Cuts a history where nothing is under way.
#[must_use]
pub fn windows<Op>(mut history: Vec<Operation<Op>>) -> Vec<Vec<Operation<Op>>> {
    history.sort_by_key(|operation| operation.start);
    let mut windows: Vec<Vec<Operation<Op>>> = Vec::new();
    let mut until = 0;
    for operation in history {
        let end = operation.end.unwrap_or(u64::MAX);
        match windows.last_mut() {
            Some(window) if operation.start <= until => window.push(operation),
            Some(_) | None => windows.push(vec![operation]),
        }
        until = until.max(end);
    }
    windows
}

/// The states that a window may end with, begun in one of `states`: none if nothing explains it. `None`: it is
/// too wide.
pub fn ends<M: Model>(
    model: &M,
    states: Vec<M::State>,
    window: &[Operation<M::Op>],
) -> Option<Vec<M::State>> {
    if window.len() > WINDOW_MAX || width(window) > WIDTH_MAX {
        return None;
    }
    let answered = (0..).zip(window).filter(|(_, operation)| operation.end.is_some());
    let answered: u64 = answered.map(|(place, _)| 1 << place).sum();
    let (mut tried, mut ends) = (BTreeSet::new(), Vec::new());
    let mut ahead: Vec<(u64, M::State)> = states.into_iter().map(|state| (0, state)).collect();
    while let Some((done, state)) = ahead.pop() {
        if !tried.insert((done, model.bytes(&state))) {
            continue;
        }
        if tried.len() > STEPS_MAX {
            return None;
        }
        if done & answered == answered {
            ends.push(state.clone());
        }
        let left = || (0..).zip(window).filter(|(place, _)| done & (1_u64 << place) == 0);
        let first_end = left().filter_map(|(_, operation)| operation.end).min();
        for (place, operation) in left() {
            let may_be_next = first_end.is_none_or(|end| operation.start <= end);
            if may_be_next && let Some(after) = model.step(&state, &operation.op) {
                ahead.push((done | 1 << place, after));
            }
        }
    }
    let mut known = BTreeSet::new();
    ends.retain(|state| known.insert(model.bytes(state)));
    Some(ends)
}

/// The most operations that are under way at once.
fn width<Op>(window: &[Operation<Op>]) -> usize {
    let under_way = |at: u64| {
        let is = |operation: &&Operation<Op>| {
            operation.start <= at && operation.end.is_none_or(|end| at <= end)
        };
        window.iter().filter(is).count()
    };
    window.iter().map(|operation| under_way(operation.start)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mix;

    /// A register that tells what it held before, and how often it was written.
    struct Register;

    #[derive(Debug, Clone, Copy)]
    struct Swap {
        to: u64,
        /// What it was told it held before, and its version.
        told: Option<(u64, u64)>,
    }

    impl Model for Register {
        type State = (u64, u64);
        type Op = Swap;

        fn step(&self, state: &(u64, u64), op: &Swap) -> Option<(u64, u64)> {
            let (held, version) = *state;
            let fits = op.told.is_none_or(|told| told == (held, version + 1));
            fits.then_some((op.to, version + 1))
        }

        fn bytes(&self, state: &(u64, u64)) -> Vec<u8> {
            [state.0.to_le_bytes(), state.1.to_le_bytes()].concat()
        }
    }

    /// A random history of a right server, of which some answers may be made wrong.
    fn random(seed: u64) -> Vec<Operation<Swap>> {
        let mut random = seed;
        let mut below = |end: u64| {
            random = mix(random.wrapping_add(0x9e37_79b9_7f4a_7c15));
            random % end
        };
        let (mut state, mut history) = ((0, 0), Vec::new());
        for moment in 1..=below(6) + 1 {
            let (to, at) = (below(2), moment * 4);
            let mut told = (state.0, state.1 + 1);
            if below(5) == 0 {
                told = (below(2), below(6) + 1);
            }
            let is_answered = below(4) > 0;
            let (start, end) = (at.saturating_sub(below(12)), at + below(12));
            let op = Swap { to, told: is_answered.then_some(told) };
            history.push(Operation { op, start, end: is_answered.then_some(end) });
            if is_answered || below(2) == 0 {
                state = (to, state.1 + 1);
            }
        }
        history
    }

    /// Tries every order of every choice of what has happened.
    fn oracle(state: (u64, u64), left: &[Operation<Swap>]) -> bool {
        if left.iter().all(|operation| operation.end.is_none()) {
            return true;
        }
        (0..left.len()).any(|next| {
            let mut rest = left.to_vec();
            let operation = rest.remove(next);
            let is_late =
                rest.iter().any(|other| other.end.is_some_and(|end| end < operation.start));
            let after = Register.step(&state, &operation.op);
            !is_late && after.is_some_and(|after| oracle(after, &rest))
        })
    }

    #[test]
    fn it_agrees_with_an_oracle_that_tries_every_order() {
        let (mut yes, mut no) = (0, 0);
        for seed in 0..5_000 {
            let history = random(seed);
            let expected = oracle((0, 0), &history);
            let expected_linear = if expected { Linear::Yes } else { Linear::No };
            assert_eq!(check(&Register, (0, 0), history.clone()), expected_linear, "{history:?}");
            *(if expected { &mut yes } else { &mut no }) += 1;
        }
        assert!(yes > 1_000 && no > 1_000, "{yes} are linearizable, {no} are not");
    }

    #[test]
    fn a_server_that_lies_about_versions_is_caught() {
        let swap = |to, told, start, end| Operation {
            op: Swap { to, told: Some(told) },
            start,
            end: Some(end),
        };
        // Both were under way at once; each version is told once, and fits real time.
        let (honest, other) = (swap(1, (0, 1), 0, 9), swap(2, (1, 2), 1, 8));
        assert_eq!(check(&Register, (0, 0), vec![honest, other.clone()]), Linear::Yes);
        let lie = swap(1, (2, 1), 0, 9);
        assert_eq!(check(&Register, (0, 0), vec![lie, other]), Linear::No);
    }

    #[test]
    fn what_is_too_wide_is_not_searched() {
        let one = Operation { op: Swap { to: 1, told: None }, start: 0, end: None };
        assert_eq!(check(&Register, (0, 0), vec![one; WIDTH_MAX + 1]), Linear::TooWide);
    }
}
