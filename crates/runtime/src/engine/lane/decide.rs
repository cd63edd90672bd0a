//! Deciding: on the latest state, now, again after every change, and when a timer says so.

use std::sync::atomic::Ordering;

use interlock_kernel::{
    entity::{Context, Entity, Refusal, TimerName},
    room::Again,
    time::Time,
};

use super::{Lane, record::Change};
use crate::{
    engine::{
        Core,
        message::{Envelope, Origin, Receipt, SendError},
        slot::Live,
    },
    fold::caught,
};

impl<E: Entity> Lane<E> {
    /// Decides on a command that is no repeat.
    pub(super) fn decide_new(
        &mut self,
        live: &mut Live<E>,
        mut envelope: Box<Envelope<E>>,
        core: &mut Core,
    ) -> Result<(), String> {
        if let Origin::Effect(id) = &envelope.cause {
            let pending = live.more.as_ref().is_some_and(|more| more.effects.contains_key(id));
            if !pending {
                return Ok(());
            }
        }
        match self.decide(live, &mut envelope, core)? {
            Again::Changed => self.settle_room(live, core),
            Again::Answered => Ok(()),
            Again::Waits if core.backlog.is_stopping() => {
                self.tell(live, envelope.take_waiters(), Err(SendError::Stopping), core);
                Ok(())
            }
            Again::Waits => {
                let until = envelope.wait_until;
                if until <= core.now {
                    return Err("a wait must end later than it begins".to_owned());
                }
                let room = &mut live.more().room;
                if room.is_full() {
                    room.retain(|waiter| waiter.is_wanted());
                }
                if let Err(mut envelope) = room.enter(until, envelope) {
                    self.tell(live, envelope.take_waiters(), Err(SendError::Busy), core);
                }
                Ok(())
            }
        }
    }

    /// Decides on a command on the latest state, and records what it changes.
    pub(super) fn decide(
        &mut self,
        live: &mut Live<E>,
        envelope: &mut Envelope<E>,
        core: &mut Core,
    ) -> Result<Again, String> {
        // A timer that fired and an effect that ended are over even if they change nothing, and that must be
        // durable: otherwise they would be there again after a restart.
        let is_own = match envelope.cause {
            Origin::Timer(_) | Origin::Effect(_) => true,
            Origin::Sent => false,
        };
        if live.closed && is_own {
            return self.record(live, envelope, Change::default(), core);
        }
        if live.closed {
            let error = SendError::Closed { version: live.version };
            self.tell(live, envelope.take_waiters(), Err(error), core);
            return Ok(Again::Answered);
        }
        let cx = Context {
            now: core.now,
            arrived: envelope.arrived,
            version: live.version,
            key: &live.key,
            caller: &envelope.caller,
            id: envelope.id.as_ref(),
            random: core.env.random(),
        };
        let verdict = caught(|| live.state.decide(&envelope.command, &cx));
        if let (Ok(Err(Refusal::Wait { until })), Some(observer)) = (&verdict, core.env.observer())
        {
            observer.waits(E::TYPE, &cx, *until, core.builder.next());
        }
        let verdict = verdict.inspect_err(|why| {
            let error = SendError::Poisoned { version: live.version, why: why.clone() };
            envelope.take_waiters().answer(Err(error));
        })?;
        match verdict {
            Ok(decision) if decision.is_unchanged() && !is_own => {
                let receipt = Receipt {
                    reply: decision.reply,
                    version: live.version,
                    at: core.now,
                    replayed: false,
                    changed: false,
                };
                self.tell(live, envelope.take_waiters(), Ok(receipt), core);
                Ok(Again::Answered)
            }
            Ok(decision) => self.record(live, envelope, decision.into(), core),
            Err(Refusal::Rejected(rejection)) if is_own => {
                tracing::debug!(entity = E::TYPE, key = %live.key, %rejection, "what a timer or an effect sent is rejected");
                self.record(live, envelope, Change::default(), core)
            }
            Err(Refusal::Rejected(rejection)) => {
                core.status.rejections.fetch_add(1, Ordering::Relaxed);
                let error = SendError::Rejected { rejection, version: live.version };
                self.tell(live, envelope.take_waiters(), Err(error), core);
                Ok(Again::Answered)
            }
            Err(Refusal::Wait { until }) => {
                envelope.wait_until = until;
                Ok(Again::Waits)
            }
        }
    }

    /// Decides again on everyone in the waiting room.
    pub(super) fn settle_room(
        &mut self,
        live: &mut Live<E>,
        core: &mut Core,
    ) -> Result<(), String> {
        if live.more.as_ref().is_none_or(|more| more.room.is_empty()) {
            return Ok(());
        }
        let mut room = std::mem::take(&mut live.more().room);
        let mut broken = Ok(());
        room.retain(|waiter| waiter.is_wanted());
        room.reconsider(|envelope| self.decide_waiting(live, envelope, &mut broken, core));
        live.more().room = room;
        broken
    }

    pub(super) fn decide_waiting(
        &mut self,
        live: &mut Live<E>,
        envelope: &mut Envelope<E>,
        broken: &mut Result<(), String>,
        core: &mut Core,
    ) -> Again {
        if broken.is_err() {
            return Again::Waits;
        }
        self.decide(live, envelope, core).unwrap_or_else(|why| {
            *broken = Err(why);
            Again::Answered
        })
    }

    /// Does what is due: timers, then waits that are over.
    pub(super) fn wake(&mut self, live: &mut Live<E>, core: &mut Core) -> Result<(), String> {
        live.scheduled = Time::NEVER;
        let now = core.now;
        let timers = live.more.as_ref().map(|more| &more.timers);
        let is_due = |(name, (at, _)): (&TimerName, &(Time, E::Command))| {
            (*at <= now).then(|| (*at, name.clone()))
        };
        let mut due: Vec<_> = timers.into_iter().flatten().filter_map(is_due).collect();
        due.sort();
        for (_, name) in due {
            // An earlier one may have changed or cancelled it.
            let timer = live.more().timers.get(&name).filter(|(at, _)| *at <= now).cloned();
            let Some((_, command)) = timer else { continue };
            live.more().timers.remove(&name);
            let mut envelope = Envelope::internal(live.key.clone(), command, Origin::Timer(name));
            envelope.arrived = now;
            match self.decide(live, &mut envelope, core)? {
                Again::Changed => self.settle_room(live, core)?,
                Again::Answered => {}
                Again::Waits => return Err("a timer's command must not wait".to_owned()),
            }
        }
        if live.more.as_ref().is_some_and(|more| !more.room.is_empty()) {
            let mut room = std::mem::take(&mut live.more().room);
            let mut broken = Ok(());
            let changed = room.expire(now, |envelope| {
                match self.decide_waiting(live, envelope, &mut broken, core) {
                    Again::Waits => {
                        envelope.take_waiters().answer(Err(SendError::Busy));
                        Again::Answered
                    }
                    again @ (Again::Changed | Again::Answered) => again,
                }
            });
            live.more().room = room;
            broken?;
            if changed {
                self.settle_room(live, core)?;
            }
        }
        Ok(())
    }
}
