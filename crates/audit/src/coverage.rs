//! What runs came to: committed states, orders of commands, and the awaits at which a crash struck.
//!
//! Off unless somebody asks ([`observe`]): then a run costs one look at a flag at each step.
//!
//! States and orders are read from the log when a run is over, so they are those of the shipping runtime. An
//! await is named by its task and the number of the task's steps before it: more is not known from outside.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use futures_util::FutureExt;
use interlock_kernel::{entity::Entity, ids::Position};
use interlock_runtime::{
    codec,
    fold::Folded,
    record::{self, Cause, Decided, Record},
    store::{Store, memory::MemoryStore},
};

/// Steps of a task that are told apart; those of a long life are one place.
const STEPS_MAX: u32 = 32;

/// What runs came to.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Runs.
    pub runs: u64,
    /// Hashes of what all entities of a machine were after a commit.
    pub states: BTreeSet<u64>,
    /// Two commands of different senders to the same entity, in the order in which they were decided.
    pub orders: BTreeSet<(u64, u64)>,
    /// Awaits of processes that could crash, and how often one did so there.
    pub awaits: BTreeMap<Await, u64>,
}

/// A place at which a task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Await {
    /// The task's name.
    pub task: &'static str,
    /// Its steps before; 0: it has not begun. The last number stands for all above it.
    pub steps: u32,
}

impl fmt::Display for Await {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.steps == STEPS_MAX { "+" } else { "" };
        write!(f, "{}@{}{more}", self.task, self.steps)
    }
}

impl Await {
    pub(crate) fn new(task: &'static str, steps: u32) -> Self {
        Self { task, steps: steps.min(STEPS_MAX) }
    }
}

impl Coverage {
    /// Pairs of commands that came in both orders, and pairs in all.
    #[must_use]
    pub fn both_orders(&self) -> (usize, usize) {
        let both = self.orders.iter().filter(|(a, b)| self.orders.contains(&(*b, *a))).count() / 2;
        (both, self.orders.len() - both)
    }

    /// Adds what other runs came to.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.states.extend(other.states);
        self.orders.extend(other.orders);
        for (at, crashes) in other.awaits {
            *self.awaits.entry(at).or_default() += crashes;
        }
    }
}

#[derive(Default)]
struct Observer {
    seen: Coverage,
    /// How entities are read, by type.
    readers: BTreeMap<&'static str, fn() -> Box<dyn Reader>>,
    /// The disks of the run that is played.
    disks: Vec<MemoryStore>,
}

thread_local! {
    static OBSERVER: RefCell<Option<Observer>> = const { RefCell::new(None) };
}

/// Does something that plays runs on this thread, and tells what they came to.
pub fn observe<T>(work: impl FnOnce() -> T) -> (T, Coverage) {
    OBSERVER.set(Some(Observer::default()));
    let result = work();
    (result, OBSERVER.take().unwrap_or_default().seen)
}

/// Whether somebody wants to know.
pub(crate) fn is_on() -> bool {
    OBSERVER.with_borrow(Option::is_some)
}

fn with(note: impl FnOnce(&mut Observer)) {
    OBSERVER.with_borrow_mut(|observer| observer.as_mut().map(note));
}

/// A process that may crash waits there.
pub(crate) fn waits(at: Await) {
    with(|observer| {
        observer.seen.awaits.entry(at).or_default();
    });
}

/// A process crashed while it waited there.
pub(crate) fn crashed(at: Await) {
    with(|observer| *observer.seen.awaits.entry(at).or_default() += 1);
}

/// This run has that disk.
pub(crate) fn disk(memory: &MemoryStore) {
    with(|observer| observer.disks.push(memory.clone()));
}

/// Entities of this type are used: so their states can be read.
pub(crate) fn entity<E: Entity>() {
    let reader: fn() -> Box<dyn Reader> = || Box::new(Folded::<E>::default());
    with(|observer| {
        observer.readers.insert(E::TYPE, reader);
    });
}

/// A run is over.
pub(crate) fn ended() {
    with(|observer| {
        observer.seen.runs += 1;
        for disk in std::mem::take(&mut observer.disks) {
            // A disk of which somebody is still in the middle tells nothing.
            let _ = observer.read(&disk);
        }
    });
}

/// Folds the records of one entity.
trait Reader {
    fn record(&mut self, position: Position, record: &Record<'_>);
    fn hash(&self) -> u64;
}

impl<E: Entity> Reader for Folded<E> {
    fn record(&mut self, position: Position, record: &Record<'_>) {
        // One that does not fold is the runtime's to report.
        let _ = Self::record(self, position, record);
    }

    fn hash(&self) -> u64 {
        hash(&codec::encode(&self.state))
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// One machine's entities while its log is read.
#[derive(Default)]
struct Entities {
    readers: BTreeMap<(String, String), Box<dyn Reader>>,
    states: BTreeMap<(String, String), u64>,
    /// By entity: who sent what, in order.
    commands: BTreeMap<(String, String), Vec<(u64, u64)>>,
}

impl Observer {
    fn read(&mut self, disk: &MemoryStore) -> Option<()> {
        // A process that is over cannot read; one that begins now can.
        let disk = disk.reopen();
        let chunks = disk.read(disk.span().now_or_never()?.ok()?.first, usize::MAX);
        let mut entities = Entities::default();
        for chunk in chunks.now_or_never()?.ok()? {
            for item in record::records(&chunk).ok()? {
                let (position, record) = item.ok()?;
                self.take(&mut entities, position, &record);
            }
            self.seen.states.insert(hash(&entities.states));
        }
        Some(())
    }

    fn take(&mut self, entities: &mut Entities, position: Position, record: &Record<'_>) {
        let head = record.head();
        let Some((known, reader)) = self.readers.get_key_value(head.entity) else { return };
        let name = ((*known).to_owned(), head.key.to_owned());
        let folded = entities.readers.entry(name.clone()).or_insert_with(reader);
        folded.record(position, record);
        entities.states.insert(name.clone(), folded.hash());
        let Record::Decided(decided) = record else { return };
        let sender = hash(&sender(decided));
        let commands = entities.commands.entry(name.clone()).or_default();
        let (own, others): (Vec<_>, Vec<_>) =
            commands.iter().partition(|(other, _)| *other == sender);
        let command = hash(&(name, sender, own.len(), decided.command));
        self.seen.orders.extend(others.into_iter().map(|(_, before)| (before, command)));
        commands.push((sender, command));
    }
}

/// Who sent a command: a handler, a client (whose ids are its name and a number), the entity itself.
fn sender<'a>(decided: &'a Decided<'_>) -> (&'a str, &'a str) {
    let name = match decided.cause {
        Cause::Id(id) => id.rsplit_once('-').map_or(id, |(name, _)| name),
        Cause::Timer(name) => name,
        Cause::Effect(..) => "an effect",
        Cause::Sent => "nobody",
    };
    (decided.caller, name)
}
