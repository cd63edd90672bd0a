//! The ring against a model: one long vector of all bytes that ever were.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const RING: u64 = limits::RING_BYTES as u64;
const WINDOW: u64 = limits::JOIN_WINDOW_BYTES as u64;

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Trim(usize),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1..500_usize).prop_map(Step::Push),
        (0..2000_usize).prop_map(Step::Trim),
        (0..2000_usize).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn what_was_pushed_is_read_and_what_is_needed_is_kept(steps in steps()) {
        let (mut ring, mut model) = (Ring::default(), Vec::new());
        let mut needed = 0;
        for step in steps {
            match step {
                Step::Push(length) => {
                    let bytes: Vec<u8> = (model.len()..).take(length).map(|n| (n / 7) as u8).collect();
                    model.extend_from_slice(&bytes);
                    ring.push(bytes.into());
                }
                Step::Trim(to) => {
                    needed = to.min(model.len()).max(needed);
                    let mut freed = Vec::new();
                    let before = ring.start();
                    ring.trim(needed as u64, &mut freed);
                    let freed: Vec<u8> = freed.concat();
                    prop_assert_eq!(&freed[..], &model[before as usize..ring.start() as usize]);
                }
                Step::Read(at) if (needed..model.len()).contains(&at) => {
                    let bytes = ring.read(at as u64);
                    prop_assert!(!bytes.is_empty() && model[at..].starts_with(&bytes));
                }
                Step::Read(_) => (),
            }
            prop_assert_eq!(ring.end(), model.len() as u64);
            prop_assert!(ring.start() <= needed as u64);
            prop_assert_eq!(ring.start() + ring.held_bytes() as u64, ring.end());
        }
    }

    #[test]
    fn the_cut_is_the_first_frame_end_that_makes_room(
        lengths in proptest::collection::vec(1..limits::FRAME_BYTES, 100..300),
        more in 1..limits::FRAME_BYTES,
    ) {
        let mut ring = Ring::default();
        let zeros = Bytes::from_static(&[0; limits::FRAME_BYTES]);
        for length in lengths {
            ring.push(zeros.slice(..length));
            let cut = ring.cut_for(more);
            let excess = (ring.end() + more as u64).saturating_sub(RING);
            prop_assert!(cut >= excess, "everything before the cut makes room");
            let frame_too_many = ring.frames.iter().any(|frame| frame.end() >= excess && frame.end() < cut);
            prop_assert!(cut == 0 || !frame_too_many, "nobody is asked for more than is needed");
        }
    }

    #[test]
    fn a_join_point_is_in_the_window_whatever_the_bytes(
        pieces in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(0x47_u8), any::<u8>()], 1..600), 0..40),
    ) {
        let mut ring = Ring::default();
        for piece in pieces {
            ring.push(piece.into());
            let at = ring.join_point();
            prop_assert!((ring.start()..=ring.end()).contains(&at));
            prop_assert!(ring.end() - at <= WINDOW);
        }
    }
}
