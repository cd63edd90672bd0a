//! The exhaustive search against the plain one: small scenarios of every primitive, in every order.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use interlock_runtime::env::{Receiver, Sender, World, channel};
use proptest::prelude::*;

use super::{bounded::next_prefix, exhaustive, *};
use crate::{stage::Shared, stage::Stage, world::Sim};

/// What an actor does in one step.
#[derive(Debug, Clone, Copy)]
enum Op {
    Look(usize),
    Add(usize),
    Send,
    Receive,
    TryReceive,
    Sleep(u64),
    Draw,
    MayFail,
    GiveWay,
    Spawn,
}

/// Who does it: alone with the world, or among those who share a mutex behind its back.
#[derive(Debug, Clone)]
struct Part {
    is_apart: bool,
    ops: Vec<Op>,
}

/// What a run came to: the shared numbers, and what each actor saw.
type Seen = Arc<Mutex<BTreeSet<String>>>;

#[derive(Clone)]
struct Props {
    world: Sim,
    shared: [Shared<u64>; 2],
    hidden: Option<Arc<Mutex<u64>>>,
    sends: Sender<u64>,
    /// Whoever is apart does not have it.
    receives: Option<Arc<Mutex<Option<Receiver<u64>>>>>,
    saw: Arc<Mutex<Vec<Vec<u64>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// What somebody has seen is gone with them if they crash.
struct Seeing {
    saw: Arc<Mutex<Vec<Vec<u64>>>>,
    number: usize,
    is_done: bool,
}

impl Drop for Seeing {
    fn drop(&mut self) {
        if !self.is_done {
            lock(&self.saw)[self.number].clear();
        }
    }
}

impl Props {
    async fn play(self, number: usize, ops: Vec<Op>) {
        let mut seeing = Seeing { saw: self.saw.clone(), number, is_done: false };
        let weight = 1 << (4 * number);
        for op in ops {
            self.world.give_way().await;
            let saw = match op {
                Op::Look(which) => self.shared[which].get(),
                Op::Add(which) => {
                    let mut shared = self.shared[which].lock();
                    *shared += weight;
                    *shared
                }
                Op::Send => u64::from(self.sends.send(weight).await.is_ok()),
                Op::Receive => self.receive().await,
                Op::TryReceive => self.try_receive(),
                Op::Sleep(ms) => {
                    self.world.sleep(Duration::from_millis(ms)).await;
                    1
                }
                Op::Draw => self.world.random() % 8,
                Op::MayFail => self.world.fault(1) as u64,
                Op::GiveWay => 1,
                Op::Spawn => {
                    let shared = self.shared[0].clone();
                    let child = async move { *shared.lock() += 1 << 20 };
                    self.world.spawn("child", Box::pin(child));
                    1
                }
            };
            if let Some(hidden) = &self.hidden {
                let mut hidden = lock(hidden);
                *hidden = hidden.wrapping_mul(31) + weight;
            }
            lock(&self.saw)[number].push(saw);
        }
        seeing.is_done = true;
    }

    /// At most one can receive; others find the channel taken.
    async fn receive(&self) -> u64 {
        let taken = self.receives.as_ref().and_then(|receives| lock(receives).take());
        let Some(mut receiver) = taken else { return 7 };
        let received = receiver.recv().await.unwrap_or(9);
        *lock(self.receives.as_ref().expect("it was there")) = Some(receiver);
        received
    }

    fn try_receive(&self) -> u64 {
        let Some(receives) = &self.receives else { return 7 };
        lock(receives).as_mut().map_or(8, |receiver| receiver.try_recv().unwrap_or(0))
    }
}

async fn play(stage: Stage, parts: Vec<Part>, crashes: u32, overtakes: u32, seen: Seen) {
    let world = stage.world().clone();
    world.overtakes(overtakes);
    let (sends, receives) = channel::bounded(world.witness().as_ref(), 1);
    let props = Props {
        world: world.clone(),
        shared: [stage.shared(0), stage.shared(0)],
        hidden: None,
        sends,
        receives: Some(Arc::new(Mutex::new(Some(receives)))),
        saw: Arc::new(Mutex::new(vec![Vec::new(); parts.len()])),
    };
    let hidden = Arc::new(Mutex::new(1));
    let process = world.process(crashes);
    for (number, part) in parts.into_iter().enumerate() {
        let receives = part.ops.iter().any(|op| matches!(op, Op::Receive | Op::TryReceive));
        let mut props = props.clone();
        // The receiver is handed on behind the world's back.
        if !part.is_apart || receives {
            props.hidden = Some(hidden.clone());
        }
        let is_hidden = props.hidden.is_some();
        if !is_hidden {
            props.receives = None;
        }
        let played = stage.playing(props.play(number, part.ops));
        // The first may crash.
        let world = if number == 0 { &process } else { &world };
        if is_hidden {
            world.spawn("part", Box::pin(played));
        } else {
            world.spawn_apart("actor", Box::pin(played));
        }
    }
    let Props { shared, saw, .. } = props;
    let outcome = move || {
        let shared = shared.each_ref().map(Shared::get);
        format!("{shared:?} {:?} {}", lock(&saw), lock(&hidden))
    };
    stage.all_done().await;
    lock(&seen).insert(outcome());
}

/// All outcomes, by every schedule there is. `None`: there are too many.
fn plainly(scenario: &dyn Scenario) -> Option<(u64, BTreeSet<String>)> {
    let mut stuck = BTreeSet::new();
    let mut prefix = Vec::new();
    for schedules in 1..3_000 {
        let run = run::replay(scenario, &Schedule(prefix), false);
        stuck.extend(run.violation.clone());
        match next_prefix(&run.record.choices, u32::MAX, &mut false) {
            Some(next) => prefix = next,
            None => return Some((schedules, stuck)),
        }
    }
    None
}

/// All outcomes, by every order that can show.
fn by_orders(scenario: &dyn Scenario) -> (u64, BTreeSet<String>) {
    let lent = Lent::default();
    let mut stuck = BTreeSet::new();
    for schedules in 1.. {
        let run = run::run(scenario, Box::new(lent.clone()), false);
        stuck.extend(run.violation);
        if !exhaustive::lock(&lent).advance() {
            return (schedules, stuck);
        }
    }
    unreachable!("it ends before numbers do")
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..2usize).prop_map(Op::Look),
        (0..2usize).prop_map(Op::Add),
        Just(Op::Send),
        Just(Op::Receive),
        Just(Op::TryReceive),
        (1..3u64).prop_map(Op::Sleep),
        Just(Op::Draw),
        Just(Op::MayFail),
        Just(Op::GiveWay),
        Just(Op::Spawn),
    ]
}

fn part(ops: usize) -> impl Strategy<Value = Part> {
    (prop::bool::weighted(0.7), prop::collection::vec(op(), 1..=ops))
        .prop_map(|(is_apart, ops)| Part { is_apart, ops })
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    prop_oneof![
        prop::collection::vec(part(3), 2..=2),
        prop::collection::vec(part(1), 3..=3),
        (part(2), part(2), part(1)).prop_map(|(a, b, c)| vec![a, b, c]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_outcome_of_all_schedules_is_one_of_the_orders_that_can_show(
        parts in parts(),
        crashes in prop_oneof![3 => Just(0u32), 1 => Just(1u32)],
        overtakes in prop_oneof![3 => Just(0u32), 1 => Just(1u32)],
    ) {
        let [all, some] = [Seen::default(), Seen::default()];
        let scenario = |seen: &Seen| {
            let (seen, parts) = (seen.clone(), parts.clone());
            move |stage| play(stage, parts.clone(), crashes, overtakes, seen.clone())
        };
        let Some((plain, stuck)) = plainly(&scenario(&all)) else { return Ok(()) };
        let (orders, also_stuck) = by_orders(&scenario(&some));
        prop_assert_eq!(&*lock(&some), &*lock(&all));
        prop_assert_eq!(also_stuck, stuck);
        prop_assert!(orders <= plain, "{} orders, {} schedules", orders, plain);
    }
}

#[test]
fn what_nobody_waits_for_is_tried_too() {
    let outcome = exhaust(
        &|stage: Stage| async move {
            stage.world().overtakes(0);
            let late = stage.clone();
            stage.world().spawn_apart(
                "actor",
                Box::pin(async move {
                    late.world().give_way().await;
                    late.violation("it came in time".to_owned());
                }),
            );
            stage.world().give_way().await;
        },
        100,
    );
    let violation = outcome.failure.map(|failure| failure.violation);
    assert_eq!(violation.as_deref(), Some("it came in time"));
}

#[test]
fn a_random_number_from_elsewhere_is_reported() {
    let runs = std::sync::atomic::AtomicU64::new(0);
    let outcome = search(
        &|stage: Stage| {
            let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move { stage.world().note(run) }
        },
        Budget { schedules: 10, seed: 1 },
    );
    // Without a choice there is nothing to sample.
    assert!(outcome.exhausted, "{outcome:?}");
    let outcome = search(
        &|stage: Stage| {
            let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            async move {
                stage.actor("one", |actor| async move { actor.step().await });
                stage.actor("two", |actor| async move { actor.step().await });
                stage.all_done().await;
                stage.world().note(run);
            }
        },
        Budget { schedules: 10, seed: 1 },
    );
    let violation = outcome.failure.expect("it is noticed").violation;
    assert!(violation.contains("another way the second time"), "{violation}");
}

/// Four tasks of twenty steps; the third fails if it looks in two windows, each open for one step of another.
async fn deep(stage: Stage) {
    let doors = [stage.shared(false), stage.shared(false)];
    let mut noise = [stage.shared(0), stage.shared(0)].into_iter().cycle();
    for (which, name, opens) in [(0, "first", 6), (1, "second", 12)] {
        let given = (doors[which].clone(), noise.next().expect("it is a cycle"), opens);
        stage.actor_with(name, given, |actor, (door, noise, opens)| async move {
            for step in 0..20usize {
                actor.step().await;
                match step {
                    step if step == opens => *door.lock() = true,
                    step if step == opens + 1 => *door.lock() = false,
                    _ => *noise.lock() += 1,
                }
            }
        });
    }
    let given = (doors[0].clone(), doors[1].clone());
    stage.actor_with("third", given, |actor, (first, second)| async move {
        let mut seen = 0;
        for step in 0..20 {
            actor.step().await;
            seen += u32::from(step == 5 && first.get()) + u32::from(step == 15 && second.get());
        }
        actor.stage().check(seen < 2, || "it saw both doors open".to_owned());
    });
    let given = (noise.next().expect("it is a cycle"), noise.next().expect("it is a cycle"));
    stage.actor_with("fourth", given, |actor, (one, other)| async move {
        for step in 0..20 {
            actor.step().await;
            *(if step % 2 == 0 { &one } else { &other }).lock() += 1;
        }
    });
    stage.all_done().await;
}

#[test]
fn a_race_of_two_narrow_windows_is_found_by_samples() {
    let (seeds, budget) = (30, 40_000);
    let mut tried = [0, 0];
    for seed in 0..seeds {
        for (by_priorities, tried) in [false, true].into_iter().zip(&mut tried) {
            let sample = |number: &u64| {
                // No faults; by coins or by priorities.
                let seed = mix(seed << 32 | number) & !7 | if by_priorities { 0 } else { 4 };
                let run = run::run(&deep, Box::new(Sampler::new(seed)), false);
                run.violation.is_some()
            };
            let found = (0..budget).find(sample).expect("within the budget");
            *tried += found + 1;
        }
    }
    println!("mean schedules: {} by coins, {} by priorities", tried[0] / seeds, tried[1] / seeds);
}
