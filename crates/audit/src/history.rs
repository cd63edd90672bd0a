//! What clients of a machine ask and are told, in full.
//!
//! As it happens, versions are watched: whoever sends a command after another was answered is told no smaller
//! one, or something acknowledged is lost. When all is over, everything is compared with the log: see
//! [`crate::ledger`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::FutureExt;
use interlock_kernel::{
    entity::Entity,
    ids::{CommandId, Key, Position, Version},
    time::{Millis, Time},
};
use interlock_runtime::{
    Receipt, SendError,
    codec::{self, Codec},
    engine::POISONED,
    env::{Access, Witness, World},
    limits,
    record::{self, Record},
    store::{Chunk, Scan, Store, StoreError, memory::MemoryStore},
    verify::verify,
};

use crate::{
    ledger::{AnyLedger, CrossChecked, Ledger, Moment, Told, What},
    watch::Wait,
    world::Sim,
};

/// What all clients of a machine asked and were told.
#[derive(Clone)]
pub struct History {
    world: Sim,
    /// What leaves, and what is told, as the world knows them: of two that leave the order does not show, nor of two
    /// that are told, but of one of each.
    requests: u64,
    answers: u64,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// The newest version that anybody was told, by entity.
    newest: BTreeMap<String, Version>,
    ledgers: BTreeMap<&'static str, Box<dyn AnyLedger>>,
    /// Orders what happens at the same simulated time.
    tick: u64,
    /// The lowest and the highest that log time could be, and when.
    log_time: (Time, Time, Duration),
}

/// A command that a client sends until it is answered.
pub struct Asked<E: Entity> {
    /// Of which entity.
    pub key: Key,
    /// The same for each sending.
    pub id: CommandId,
    /// What.
    pub command: E::Command,
    /// The newest version that anybody was told of when it was first sent.
    newest: Version,
}

impl<E: Entity> Clone for Asked<E> {
    fn clone(&self) -> Self {
        let Self { key, id, command, newest } = self;
        Self { key: key.clone(), id: id.clone(), command: command.clone(), newest: *newest }
    }
}

impl History {
    /// A history in which nothing has happened.
    #[must_use]
    pub fn new(world: &Sim) -> Self {
        let (requests, answers) = (world.object(), world.object());
        let (newest, ledgers) = (BTreeMap::new(), BTreeMap::new());
        let log_time = (world.wall(), world.wall(), world.now());
        let shared = Arc::new(Mutex::new(Shared { newest, ledgers, tick: 0, log_time }));
        Self { world: world.clone(), requests, answers, shared }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no code panics while it holds the lock")
    }

    /// Takes in a command before it is sent for the first time.
    pub fn asked<E: Entity>(&self, key: &Key, id: CommandId, command: E::Command) -> Asked<E> {
        let first = self.sent();
        let mut shared = self.lock();
        let newest = shared.newest.get(&name::<E>(key)).copied().unwrap_or_default();
        shared.ledger::<E>().asked(key, &id, &command, first);
        Asked { key: key.clone(), id, command, newest }
    }

    /// The moment at which a request leaves.
    #[must_use]
    pub fn sent(&self) -> Moment {
        self.world.touches(self.requests, Access::Merge);
        self.world.touches(self.answers, Access::Read);
        self.moment()
    }

    fn moment(&self) -> Moment {
        let (now, wall) = (self.world.now(), self.world.wall());
        let mut shared = self.lock();
        shared.tick += 1;
        // As the engine's clock goes: no faster than time where it is ahead of the wall clock, and never slower than
        // by an eighth.
        let (lowest, highest, at) = shared.log_time;
        let passed = u64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(u64::MAX);
        let slowed = Millis(passed - passed.div_ceil(8));
        let (log_time_min, log_time_max) =
            (wall.min(lowest + slowed), wall.max(highest + Millis(passed)));
        shared.log_time = (log_time_min, log_time_max, now);
        Moment { tick: shared.tick, log_time_min, log_time_max }
    }

    /// Takes in what came of a request.
    ///
    /// # Errors
    /// What contradicts an earlier answer, in words.
    pub fn answered<E: Entity>(
        &self,
        asked: &Asked<E>,
        sent: Moment,
        answer: &Result<Receipt<E::Reply>, SendError<E::Rejection>>,
    ) -> Result<(), String> {
        let what = match answer {
            Ok(Receipt { reply, version, changed, .. }) => {
                let (version, reply) = (*version, codec::encode(reply));
                if *changed { What::Changed { version, reply } } else { What::Unchanged(reply) }
            }
            Err(SendError::Rejected { rejection, .. }) => {
                self.world.note(rejection.to_string());
                What::Rejected
            }
            Err(SendError::Poisoned { why, .. }) => {
                return Err(format!("{}: it is set aside: {why}", name::<E>(&asked.key)));
            }
            Err(
                SendError::Busy
                | SendError::Stopping
                | SendError::Unavailable(_)
                | SendError::Closed { .. }
                | SendError::IdReused
                | SendError::TooLarge { .. },
            ) => return Ok(()),
        };
        self.world.touches(self.requests, Access::Read);
        self.world.touches(self.answers, Access::Merge);
        let heard = self.moment();
        self.world.note(&what);
        let mut shared = self.lock();
        if let Ok(Receipt { version, .. }) = answer {
            let (entity, id) = (name::<E>(&asked.key), asked.id.as_str());
            if *version < asked.newest {
                return Err(format!(
                    "{entity}: {id} is told version {version}, although {} was known when it was sent",
                    asked.newest
                ));
            }
            let newest = shared.newest.entry(entity).or_default();
            *newest = (*newest).max(*version);
        }
        shared.ledger::<E>().told(&asked.key, &asked.id, Told { sent, heard, what })
    }

    /// Compares what was told with what the log holds, now that all is over, and the log with itself.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn settle(
        &self,
        store: &MemoryStore,
        log: &[Chunk],
        codecs: &[Codec],
        waits: &[Wait],
    ) -> Result<CrossChecked, String> {
        let store: Arc<dyn Store> = Arc::new(store.clone());
        let report = verify(&store, codecs).now_or_never().expect("memory answers at once");
        let report = report.map_err(|error| format!("the store cannot be read: {error}"))?;
        if let Some(problem) = report.problems.first() {
            return Err(format!("the store does not verify: {problem}"));
        }
        let set_aside = store.scan(Scan::table(POISONED)).now_or_never();
        let set_aside = set_aside.expect("memory answers at once");
        let set_aside = set_aside.map_err(|error| format!("the store cannot be read: {error}"))?;
        if let Some((entity, _)) = set_aside.first() {
            return Err(format!("{} is set aside", String::from_utf8_lossy(entity)));
        }
        let mut cross_checked = CrossChecked::default();
        for ledger in self.lock().ledgers.values() {
            cross_checked += ledger.settle(log, waits)?;
        }
        Ok(cross_checked)
    }
}

/// The whole log.
pub(crate) fn read(store: &MemoryStore) -> Result<Vec<Chunk>, StoreError> {
    let now = |span: Option<_>| span.expect("memory answers at once");
    let span = now(store.span().now_or_never())?;
    let (mut log, mut at) = (Vec::new(), span.first);
    while at < span.end {
        let chunks = store.read(at, limits::READ_BYTES).now_or_never();
        let chunks = chunks.expect("memory answers at once")?;
        let Some(last) = chunks.last() else { break };
        at = last.end();
        log.extend(chunks);
    }
    Ok(log)
}

/// Every record of a log that was read whole before.
pub(crate) fn records(log: &[Chunk]) -> impl Iterator<Item = (Position, Record<'_>)> {
    let whole = |chunk| record::records(chunk).expect("the log was verified");
    log.iter().flat_map(whole).map(|record| record.expect("the log was verified"))
}

impl Shared {
    fn ledger<E: Entity>(&mut self) -> &mut Ledger<E> {
        let ledger =
            self.ledgers.entry(E::TYPE).or_insert_with(|| Box::new(Ledger::<E>::default()));
        ledger.as_any().downcast_mut().expect("a type's name is its own")
    }
}

/// What an entity is called.
pub(crate) fn name<E: Entity>(key: &Key) -> String {
    format!("{}/{key}", E::TYPE)
}
