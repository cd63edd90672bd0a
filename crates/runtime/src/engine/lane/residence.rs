//! Which entities are in memory: loading them, dropping them, setting them aside.

use std::{collections::VecDeque, sync::atomic::Ordering};

use interlock_kernel::{
    entity::Entity,
    ids::{Key, Version},
};

use super::{Lane, recount, refuse};
use crate::{
    engine::{
        Core, JobDone,
        load::{self, LoadError, Loaded, Place},
        message::{Carried, SendError, Work},
        slot::{Live, Slot},
    },
    index::Probe,
    record::entity_hash,
};

impl<E: Entity> Lane<E> {
    /// Brings an entity into memory.
    pub(super) fn fetch(&mut self, work: Work<E>, core: &mut Core) {
        let key = work.key().clone();
        if let Some((version, why)) = core.poisoned.get(E::TYPE, &key) {
            refuse(work, SendError::Poisoned { version, why });
            return;
        }
        let hash = entity_hash(E::TYPE, key.as_str());
        let place = match core.heads.probe(hash) {
            Probe::Absent => None,
            Probe::Here(entry) => Some(Place::At(entry.position)),
            Probe::Perhaps(lookup) => Some(Place::Ask(lookup)),
        };
        let Some(place) = place else {
            match work {
                // Looking at what is not there leaves nothing behind.
                Work::Read(key, reply) => {
                    reply.show(Live::<E>::new(key, hash).view(core.now));
                }
                Work::Wake(_) => {}
                Work::Carry(_, _, done) => drop(done.send(Carried::Forgotten)),
                work @ Work::Send(_) => {
                    self.admit(Box::new(Live::new(key, hash)), core);
                    self.with_live(work, core);
                }
            }
            return;
        };
        self.slots.insert(key.clone(), Slot::Loading(VecDeque::from([work])));
        self.load(key, place, core);
    }

    pub(super) fn load(&self, key: Key, place: Place, core: &mut Core) {
        let (lane, store) = (self.id, core.env.store().clone());
        core.status.loads.fetch_add(1, Ordering::Relaxed);
        core.job(async move {
            let loaded = load::entity::<E>(store.as_ref(), &key, place).await;
            JobDone::Entity(lane, key, Box::new(loaded))
        });
    }

    pub(super) fn admit(&mut self, mut live: Box<Live<E>>, core: &mut Core) {
        self.reschedule(&mut live, core);
        recount(&mut live, core);
        self.clock.push_back(live.key.clone());
        self.slots.insert(live.key.clone(), Slot::Live(live));
    }

    pub(super) fn loaded(
        &mut self,
        key: &Key,
        result: Result<Option<Loaded<E>>, LoadError>,
        core: &mut Core,
    ) {
        let Some(Slot::Loading(queue)) = self.slots.remove(key) else {
            unreachable!("a loading entity stays so until its load ends")
        };
        let hash = entity_hash(E::TYPE, key.as_str());
        let live = match result {
            Ok(Some(Loaded { folded, records, bytes, anchor })) => {
                Live::folded(key.clone(), hash, folded, records, bytes, anchor)
            }
            Ok(None) => Live::new(key.clone(), hash),
            Err(LoadError::Broken { version, why }) => {
                self.set_aside(key.clone(), version, why, core);
                return queue.into_iter().for_each(|work| self.accept(work, core));
            }
            Err(LoadError::Store(error)) => {
                for work in queue {
                    if matches!(work, Work::Wake(_)) {
                        core.wake_later(self.id, key);
                    }
                    refuse(work, SendError::Unavailable(error.clone()));
                }
                return;
            }
        };
        if let Some(change) = core.poisoned.forgive(E::TYPE, key) {
            core.note_poison(change);
        }
        if let (Some(effects), Some(more)) = (&self.effects, &live.more) {
            for (id, request) in &more.effects {
                effects.start(key.clone(), *id, request.clone());
            }
        }
        self.admit(Box::new(live), core);
        for work in queue {
            self.accept(work, core);
        }
    }

    /// Forgets what memory says of an entity after a refused commit; the log says it anew.
    pub(super) fn reload(&mut self, key: Key, core: &mut Core) {
        let Some(Slot::Live(_)) = self.slots.get(&key) else { return };
        let Some(Slot::Live(live)) = self.slots.remove(&key) else { return };
        core.resident_bytes -= live.counted;
        // What it had to do by itself may be undone too: a timer that had fired is due again.
        core.wake_later(self.id, &key);
        let Some(mut more) = live.more else { return };
        for envelope in more.room.drain() {
            self.accept(Work::Send(envelope), core);
        }
        for work in more.blocked.into_iter().flat_map(|blocked| blocked.queue) {
            self.accept(work, core);
        }
    }

    /// An invariant broke: everybody who waits for this entity is told, and it is set aside.
    pub(super) fn poison(&mut self, live: Live<E>, why: String, core: &mut Core) {
        core.resident_bytes -= live.counted;
        let (key, version) = (live.key, live.version);
        let error = SendError::Poisoned { version, why: why.clone() };
        if let Some(mut more) = live.more {
            for mut envelope in more.room.drain() {
                envelope.take_waiters().answer(Err(error.clone()));
            }
            for work in more.blocked.into_iter().flat_map(|blocked| blocked.queue) {
                refuse(work, error.clone());
            }
        }
        self.set_aside(key, version, why, core);
    }

    pub(super) fn set_aside(&mut self, key: Key, version: Version, why: String, core: &mut Core) {
        tracing::error!(entity = E::TYPE, %key, %version, why, "an entity is set aside");
        let change = core.poisoned.add(E::TYPE, &key, version, &why, core.now);
        core.note_poison(change);
        self.slots.insert(key, Slot::Poisoned { version, why });
    }
}
