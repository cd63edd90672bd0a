//! Command ids: a repeat gets the answer of the first, wherever that is by now.
//!
//! The first may wait in the room, be on its way to the log, or be in the log; where is found out by asking
//! the room, the completions, and the index, in this order.

use std::{collections::VecDeque, sync::atomic::Ordering};

use interlock_kernel::{
    entity::Entity,
    ids::{Key, Position},
    time::Time,
};

use super::{Completion, Lane, What};
use crate::{
    engine::{
        Core, JobDone,
        load::{self, Found, Place},
        message::{Envelope, Receipt, ReplyTo, SendError, Work},
        slot::{Blocked, Live, Slot},
    },
    index::Probe,
    record::id_hash,
    store::StoreError,
};

impl<E: Entity> Lane<E> {
    pub(super) fn send(
        &mut self,
        live: &mut Live<E>,
        mut envelope: Box<Envelope<E>>,
        core: &mut Core,
    ) -> Result<(), String> {
        // One that waited before a refused commit goes on waiting.
        if envelope.arrived == Time(0) {
            envelope.arrived = core.now;
            core.status.commands.fetch_add(1, Ordering::Relaxed);
        }
        let Some(id) = &envelope.id else { return self.decide_new(live, envelope, core) };
        if let Some(first) = self.first_of(live, &envelope) {
            if first.fingerprint == envelope.fingerprint {
                first.repeats.push(std::mem::replace(&mut envelope.reply, ReplyTo::Nobody));
            } else {
                envelope.take_waiters().answer(Err(SendError::IdReused));
            }
            return Ok(());
        }
        let place = match core.ids.probe(id_hash(live.hash, envelope.caller.as_str(), id.as_str()))
        {
            Probe::Absent => return self.decide_new(live, envelope, core),
            Probe::Here(entry) if entry.position >= core.durable => {
                self.repeat_in_flight(entry.position, &mut envelope);
                return Ok(());
            }
            Probe::Here(entry) => Place::At(entry.position),
            Probe::Perhaps(lookup) => Place::Ask(lookup),
        };
        let (lane, store, key) = (self.id, core.env.store().clone(), live.key.clone());
        let (caller, id) = (envelope.caller.clone(), id.clone());
        let ticket = core.ticket();
        let queue = VecDeque::from([Work::Send(envelope)]);
        live.more().blocked = Some(Blocked { ticket, queue });
        core.job(async move {
            let (caller, id) = (caller.as_str(), id.as_str());
            let found = load::reply::<E>(store.as_ref(), &key, caller, id, place).await;
            JobDone::Entity(lane, key, Box::new((ticket, found)))
        });
        Ok(())
    }

    /// The waiting command that this one repeats, if there is one.
    pub(super) fn first_of<'a>(
        &self,
        live: &'a mut Live<E>,
        repeat: &Envelope<E>,
    ) -> Option<&'a mut Box<Envelope<E>>> {
        let room = &mut live.more.as_mut()?.room;
        room.iter_mut().find(|first| first.id == repeat.id && first.caller == repeat.caller)
    }

    /// The command that this one repeats is decided, and its commit is under way.
    pub(super) fn repeat_in_flight(&mut self, position: Position, repeat: &mut Envelope<E>) {
        let first = self.completions.iter().rev().find_map(|completion| match &completion.what {
            What::Decided(done) if done.position == position => Some(done),
            What::Decided(_)
            | What::Told(..)
            | What::Shown(..)
            | What::Snapshot(_)
            | What::Carried(..) => None,
        });
        let first = first.expect("an uncommitted record has its completion");
        let answer = match &first.receipt {
            Some(receipt) if first.fingerprint == repeat.fingerprint => {
                Ok(Receipt { replayed: true, ..receipt.clone() })
            }
            Some(_) | None => Err(SendError::IdReused),
        };
        let what = What::Told(repeat.take_waiters(), answer);
        self.completions.push_back(Completion { after: position, what });
    }

    /// The index answered about the command id of the first in the blocked queue.
    pub(super) fn unblock(
        &mut self,
        key: &Key,
        ticket: u64,
        found: Result<Option<Found<E>>, StoreError>,
        core: &mut Core,
    ) {
        let Some(slot @ Slot::Live(_)) = self.slots.get_mut(key) else { return };
        let Slot::Live(mut live) = std::mem::replace(slot, Slot::Working) else {
            unreachable!("it was just seen live")
        };
        let waits =
            live.more.as_mut().and_then(|more| more.blocked.take_if(|b| b.ticket == ticket));
        let Some(mut blocked) = waits else {
            // A refused commit sent the queue another way.
            *slot = Slot::Live(live);
            return;
        };
        let Some(Work::Send(mut envelope)) = blocked.queue.pop_front() else {
            unreachable!("a queue is blocked by the command at its head")
        };
        let end = match found {
            Ok(None) => self.decide_new(&mut live, envelope, core),
            Ok(Some(found)) => {
                let same = found.fingerprint == envelope.fingerprint;
                let answer = if same { Ok(found.receipt) } else { Err(SendError::IdReused) };
                core.status.replays.fetch_add(1, Ordering::Relaxed);
                envelope.take_waiters().answer(answer);
                Ok(())
            }
            Err(error) => {
                envelope.take_waiters().answer(Err(SendError::Unavailable(error)));
                Ok(())
            }
        };
        self.put_back(live, end, core);
        for work in blocked.queue {
            self.accept(work, core);
        }
    }
}
